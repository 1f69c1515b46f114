// Everything that calls of the rate kernels are about; gspc/ops/rate/structures.py has the same fields in the
// same order. Device pointers, float32 unless said otherwise; n rows of `width` values. What a kernel does
// not need is null or 0.
#pragma once

#include "launch.cuh"

namespace gspc {

constexpr int MAX_CHUNKS = 32, MAX_JOBS = 6;

// An attribute's values and what the contexts say of them, each with the stride of its rows in floats.
struct RateRows {
  const float *values, *center, *octaves, *r;
  uint64_t value_stride, center_stride, octave_stride, r_stride, width;
  float base, refinement;
  int32_t finest, coarser;
};

enum RateKind : int32_t { APPEARANCE = 0, THREE_WAY = 1, GAUSSIAN_TRITS = 2 };

// Bits of values or of trits, weighted by [n, groups].
struct RateJob {
  RateRows of;  // the octaves of three-way trits are the network's outputs [n, 2 width]
  int32_t kind, noisy;
  int32_t beside;  // number of the job of Gaussian trits of the same rows whose slopes are added; -1: none
  int32_t within;  // whether another job computes this one with its own
  uint64_t key, groups;  // the noise's seed
  const float *weights, *trits;
  float *bits, *by_log_step;  // scratch [n, width]; the latter are derivatives by the logarithm of the step
  float* sums;                // [n, groups]
  float *by_values, *by_center, *by_octaves, *by_r;  // by_octaves of three-way trits: [n, 2 width]
};

struct RateCall {
  uint64_t n;
  double* partial;  // scratch of each BLOCK rows of each job
  float* total;     // [1] the weighted sum of all jobs
  int32_t jobs;
  int32_t chunked, chunks;  // the job that has chunks, and how many
  RateJob job[MAX_JOBS];
  // Of chunk [first, end): the second components' parameters [n, 3 own] and their derivatives.
  uint64_t first[MAX_CHUNKS], end[MAX_CHUNKS];
  const float* outputs[MAX_CHUNKS];
  float* by_outputs[MAX_CHUNKS];
};

struct TritCall {
  uint64_t n;
  RateRows of;
  float *so_far, *trits;  // [n, width]
};

struct ChunkCall {
  uint64_t n;
  RateRows of;
  int32_t chunks;
  uint64_t first[MAX_CHUNKS], end[MAX_CHUNKS];
  float* inputs[MAX_CHUNKS];  // [n, 2 own + first]
  const float* by_inputs[MAX_CHUNKS];
  float *by_center, *by_octaves, *by_r;
  float* by_log_step;  // scratch [n, width]
};

}  // namespace gspc
