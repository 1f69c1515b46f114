/* pcgs: reading .pcgs streams from C. The library needs C++17 and threads, nothing else.
 *
 * Build every .cpp of kernels/codec and kernels/common; *_isa.cpp at least once with
 * -DGSPC_ISA_NAMESPACE=isa_base -DGSPC_ISA_IS_base=1. The stream is documented in pcgs(5).
 *
 *   char error[256];
 *   pcgs_scene* scene = pcgs_decode(data, size, NULL, error, sizeof error);
 *   if (!scene) { fprintf(stderr, "%s\n", error); exit(4); }
 *   ... pcgs_anchors(scene) ...
 *   pcgs_free(scene);
 *
 * A stream that comes in pieces, over a network say, goes through a reader, which decodes no level twice:
 *
 *   pcgs_reader* reader = pcgs_open(NULL);
 *   while (pcgs_next_level(reader)) {
 *     const pcgs_range need = pcgs_wanted(reader);
 *     if (need.size) {
 *       ... get the bytes from need.offset on ...
 *       if (!pcgs_feed_at(reader, need.offset, bytes, size)) break;
 *     } else {
 *       pcgs_scene* scene = pcgs_take_level(reader);
 *       if (!scene) break;
 *       ... draw it ...
 *       pcgs_free(scene);
 *     }
 *   }
 *   if (*pcgs_error(reader)) fprintf(stderr, "%s\n", pcgs_error(reader));
 *   pcgs_close(reader);
 *
 * N = pcgs_anchor_count, F = pcgs_feature_count, K = pcgs_offset_count. With a pool, its features come first
 * in each of the N rows. Arrays are row-major, belong to the scene and live until pcgs_free. No function
 * keeps a pointer into `data`. Scenes may be used from several threads for reading. A NULL scene holds
 * nothing: counts are 0, arrays NULL, texts "". So does a head or a camera that there is not.
 */
#ifndef PCGS_H
#define PCGS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pcgs_scene pcgs_scene;

/* Never grows, so that programs keep working that were compiled against an older header. What came later is
 * set on a reader, by functions (pcgs_limit_work, pcgs_on_work), or is asked for by functions
 * (pcgs_estimate). */
typedef struct pcgs_options {
  int32_t upto;        /* level to decode, from 1; 0: the last whole one */
  int32_t threads;     /* 0: one per processor */
  uint64_t max_memory; /* bytes; 0: 4 GiB */
} pcgs_options;

typedef struct pcgs_camera {
  const char* name; /* UTF-8 */
  uint32_t width, height;
  double focal_x, focal_y, center_x, center_y; /* pixels, pixel centres at +0.5 */
  double world_to_camera[12];                  /* three rows of [R | t], OpenCV axes */
} pcgs_camera;

/* A linear layer: y = weight x + bias. */
typedef struct pcgs_layer {
  int32_t inputs, outputs;
  const float* weight; /* [outputs, inputs] */
  const float* bias;   /* [outputs] */
} pcgs_layer;

enum { PCGS_HIDDEN = 0, PCGS_OPACITY = 1, PCGS_COLOR = 2, PCGS_COV = 3 };

/* NULL on failure, with one line in `error` (cut to error_size, always terminated). options may be NULL. */
pcgs_scene* pcgs_decode(const void* data, size_t size, const pcgs_options* options, char* error,
                        size_t error_size);
void pcgs_free(pcgs_scene* scene);

/* What decoding takes at most: bytes of memory beside the file, and work, in nanoseconds of one thread of a
 * slow machine, roughly. Found from the file's structure, without decoding. */
typedef struct pcgs_cost {
  uint64_t memory, work;
} pcgs_cost;

/* 1, or 0 with one line in `error`, as pcgs_decode has it. */
int32_t pcgs_estimate(const void* data, size_t size, const pcgs_options* options, pcgs_cost* cost,
                      char* error, size_t error_size);

/* ---- Streams that come in pieces ----
 *
 * A reader keeps the anchors, contexts and symbols that it decoded, and forgets the bytes. Scenes that it
 * gave are the caller's, whatever happens to the reader later: where level 2 is damaged, that of level 1
 * stands. A reader may be used from one thread at a time. A NULL reader has nothing and does nothing. */
typedef struct pcgs_reader pcgs_reader;

/* Bytes of a file. */
typedef struct pcgs_range {
  uint64_t offset, size;
} pcgs_range;

/* NULL when there is no memory. options as for pcgs_decode; upto 0 means all levels. */
pcgs_reader* pcgs_open(const pcgs_options* options);
void pcgs_close(pcgs_reader* reader);

/* The most work (pcgs_cost) that all levels together may take; 0, and for pcgs_decode: 20 ms and 50 us for
 * each byte of the file. Streams of scenes take a fiftieth of that; a small file can then not keep a program
 * busy. */
void pcgs_limit_work(pcgs_reader* reader, uint64_t most);
/* `canceled` is asked before each slice of a level, with `context`, from any of the reader's threads. What is
 * not 0 ends the decoding with the error "canceled"; the reader can then only be closed. NULL: is not asked.
 */
typedef int32_t (*pcgs_canceled)(void* context);
void pcgs_on_work(pcgs_reader* reader, pcgs_canceled canceled, void* context);

/* Copies the next bytes of the file, or those from `offset` on, in any pieces and order; bytes that are there
 * already are left out. 1, or 0 with pcgs_error once it shows that this stream cannot be read. */
int32_t pcgs_feed(pcgs_reader* reader, const void* bytes, size_t size);
int32_t pcgs_feed_at(pcgs_reader* reader, uint64_t offset, const void* bytes, size_t size);

/* What is missing for the next level: the first bytes that are, as many as lie side by side. Size 0: nothing.
 * At first it is 36 bytes, then the index, then all up to the end of level 1: three requests and no byte too
 * many. More may be fed than is wanted; the first 16384 bytes hold the index of every file. */
pcgs_range pcgs_wanted(const pcgs_reader* reader);
/* The level that comes next, from 1; 0 when there is none. */
int32_t pcgs_next_level(const pcgs_reader* reader);
/* 1 when nothing is missing for it. */
int32_t pcgs_ready(const pcgs_reader* reader);

/* Decodes the next level and gives the scene up to it, as pcgs_decode would (pcgs_truncated is always 0).
 * NULL on failure, with pcgs_error. Where a checksum did not hold, those bytes are wanted again and may be
 * fed anew; after other errors the reader can only be closed. */
pcgs_scene* pcgs_take_level(pcgs_reader* reader);
/* The same, of the slices whose bytes are there: others stay at the level before, or are not in the scene.
 * Its pcgs_level is what all slices have, 0 while level 1 is incomplete. NULL without an error (pcgs_error is
 * "") while there is nothing to show. */
pcgs_scene* pcgs_take_slices(pcgs_reader* reader);

/* The last error as one line, "" when there was none. Lives until the next call with this reader. */
const char* pcgs_error(const pcgs_reader* reader);

/* What the index says; 0 until it is there (pcgs_levels). */
int32_t pcgs_levels(const pcgs_reader* reader);
/* How many bytes of the file the first `level` levels take. */
uint64_t pcgs_level_end(const pcgs_reader* reader, int32_t level);
/* Slices are parts of space, the same at every level. */
size_t pcgs_slice_count(const pcgs_reader* reader);
/* A box around all anchors that a slice can hold, in the scene's own coordinates (pcgs_frame): x, y, z of the
 * low corner, then of the high one. Gaussians may reach beyond it. 0 when there is no such slice. */
int32_t pcgs_slice_box(const pcgs_reader* reader, size_t slice, double box[6]);
/* Where a slice's bytes of a level lie. Size 0: the level lacks the slice. */
pcgs_range pcgs_slice_range(const pcgs_reader* reader, int32_t level, size_t slice);
/* Limits the reader to some slices, one byte for each, 0: not needed. pcgs_wanted and pcgs_take_level then
 * are about those. More may be chosen later; they begin at level 1. 1, or 0 with pcgs_error. */
int32_t pcgs_choose_slices(pcgs_reader* reader, const uint8_t* chosen, size_t count);

/* ---- Scenes ---- */

int32_t pcgs_level(const pcgs_scene* scene);          /* decoded */
int32_t pcgs_levels_in_file(const pcgs_scene* scene); /* as the index says */
int32_t pcgs_truncated(const pcgs_scene* scene);      /* 1: bytes at the end are missing */
uint64_t pcgs_symbol_hash(const pcgs_scene* scene);

size_t pcgs_anchor_count(const pcgs_scene* scene);
int32_t pcgs_feature_count(const pcgs_scene* scene);
/* How many of the last features are not a pool's; 0: no pool. */
int32_t pcgs_residual_count(const pcgs_scene* scene);
int32_t pcgs_offset_count(const pcgs_scene* scene);
const float* pcgs_anchors(const pcgs_scene* scene);           /* [N, 3] world space */
const float* pcgs_features(const pcgs_scene* scene);          /* [N, F] */
const float* pcgs_log_scales(const pcgs_scene* scene);        /* [N, 6], with what swel adds */
const float* pcgs_offsets(const pcgs_scene* scene);           /* [N, K, 3] */
const uint8_t* pcgs_gaussian_levels(const pcgs_scene* scene); /* [N, K]; 0: not alive at this level */

/* The heads that turn an anchor into Gaussians (pcgs(5), HEADS). */
pcgs_layer pcgs_head(const pcgs_scene* scene, int32_t which);
float pcgs_distance_scale(const pcgs_scene* scene);
void pcgs_background(const pcgs_scene* scene, float rgb[3]);

/* Where the scene's coordinates lie in the user's: user = scale * R * own + t. Anchors and cameras are in the
 * scene's own. frame: scale, then R row by row, then t. */
void pcgs_frame(const pcgs_scene* scene, double frame[13]);

size_t pcgs_camera_count(const pcgs_scene* scene);
pcgs_camera pcgs_camera_at(const pcgs_scene* scene, size_t index);
const char* pcgs_metadata(const pcgs_scene* scene); /* JSON text, "" when there is none */

#ifdef __cplusplus
}
#endif

#endif
