// Everything that a call of the rate kernels is about; gspc/ops/rate/cuda.py has the same fields in the same
// order. Device pointers, float32 unless said otherwise; n rows of `width` values, whose weights and sums are
// [n, groups]. What a kernel does not need is null or 0.
#pragma once

#include "launch.cuh"

namespace gspc {

constexpr int MAX_CHUNKS = 32;

struct RateCall {
  uint64_t n, width, groups;
  // Rows of the attribute, each with its stride in floats; the octaves of three-way trits are the network's
  // outputs [n, 2 width].
  const float *values, *center, *octaves, *r;
  uint64_t value_stride, center_stride, octave_stride, r_stride;
  uint64_t key;  // the noise's seed
  float base, refinement;
  int32_t noisy, finest, coarser, chunks;
  const float *weights, *trits;
  // Bits [n, width] and derivatives by the logarithm of the step [n, width] are scratch; so is partial, a
  // double for each BLOCK rows.
  float *bits, *by_log_step;
  double* partial;
  float *sums, *total;
  float *by_values, *by_center, *by_octaves, *by_r;  // by_octaves of three-way trits: [n, 2 width]
  float *so_far, *trits_out;
  // Of chunk [first, end): the second components' parameters [n, 3 own] and their derivatives; or, of chunk
  // inputs, the derivatives by them, and them.
  uint64_t first[MAX_CHUNKS], end[MAX_CHUNKS];
  const float* outputs[MAX_CHUNKS];
  float* by_outputs[MAX_CHUNKS];
};

}  // namespace gspc
