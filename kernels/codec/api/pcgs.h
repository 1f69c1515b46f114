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
const float* pcgs_log_scales(const pcgs_scene* scene);        /* [N, 6] */
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
