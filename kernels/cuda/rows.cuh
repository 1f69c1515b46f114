// Everything that a call of the kernels of rows is about; gspc/ops/rows/cuda.py has the same fields in the
// same order. Device pointers, float32 unless said otherwise; what is not needed is null or 0.
#pragma once

#include "launch.cuh"

namespace gspc {

constexpr int MAX_ATTRIBUTES = 4;

// One parameter [n, width]. With a center its rows are put on their grids, else they get noise: `scale` times
// the row's step, if there is one; times 1 + tanh(step) where `of_r` says that it is the step's parameter.
struct RowsAttribute {
  const float *values, *center;
  const float* step;  // of rows of `index`; beside a center: of all rows
  uint64_t width, step_stride, seed;
  float scale;
  int32_t of_r, finest, coarser;
  float *out, *plain;  // [v, width], [a, width]
  const float *by_out, *by_plain;
  float *by_values, *by_step;  // [n, width]; [v], `step_stride` apart
};

struct RowsCall {
  uint64_t n, count, also_count;  // N, v, a
  const int64_t *index, *also;    // [v] ascending without repeats, [a] in any order
  // Scratch of backward passes: [n] where a row is in `index`, [n] the last place where it is in `also`, and
  // [a] the place before each of those; -1 before the call.
  int32_t *place, *last, *before;
  int32_t attributes;
  RowsAttribute attribute[MAX_ATTRIBUTES];
};

struct MaskCall {
  RowsCall rows;
  const float* masks;               // [n, K, S]
  uint64_t offsets, planes, level;  // K, S; counted from 1
  float *out, *plain, *open;        // [v, K], [a, K, S], [1] how many masks of all n are 1
  double* parts;                    // scratch of a block each
  const float *by_out, *by_plain, *by_open;
  float* by_masks;
};

struct VisibleCall {
  uint64_t n, scales, offsets;              // N, Z, K
  const float *world, *log_scales, *moved;  // moved [N, K, 3]
  float pose[12];                           // world to camera, three rows
  // What bounds pictures of Gaussians (gspc/ops/footprint.py), pixels but for the nearest depth and the
  // slack.
  float focal[2], center[2], size[2], gain, blur, nearest, margin, slack;
  uint32_t* counts;  // scratch of a block each
  uint8_t* seen;     // [n] scratch
  int64_t *total, *index;
  float* where;
};

struct StatisticsCall {
  uint64_t visible_count, offsets, room;   // v, K, Gaussians that arrays have room for
  const int64_t *visible, *index, *count;  // count[0] of the Gaussians are there; null: all
  const int32_t* radii;
  const float *means2d_grad, *opacities;
  float half_width, half_height;
  float *gradient, *drawn, *opacity, *seen;
};

struct ProductCall {
  uint64_t room;         // rows
  const int64_t* count;  // as above
  double factor;         // of the mean
  const float* values;   // [room, 3]
  double* parts;         // scratch of a block each
  float* mean;
  const float* by_mean;
  float* by_values;
};

namespace {

constexpr unsigned MOST_BLOCKS = 1024;  // of sums, whose parts one block adds up

__device__ inline uint64_t thread_number() { return static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x; }

inline unsigned few_blocks(uint64_t count) {
  const unsigned all = blocks(count);
  return all < 1 ? 1 : all < MOST_BLOCKS ? all : MOST_BLOCKS;
}

constexpr int INVALID = static_cast<int>(cudaErrorInvalidValue);

}  // namespace

}  // namespace gspc
