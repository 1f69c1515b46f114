// Everything that a call of the kernels of small networks is about; gspc/ops/mlp/cuda.py has the same fields
// in the same order. Device pointers, float32 unless said otherwise; what is not needed is null or 0.
#pragma once

#include "launch.cuh"

namespace gspc {

constexpr int MAX_NETWORKS = 8, MAX_PARTS = 3;

// Columns of what a network reads: rows of `width` values that lie `stride` floats apart, and their gradient
// [n, width]. Networks that share a gradient add to it.
struct MlpPart {
  const float* x;
  float* by;
  uint64_t stride, width;
};

// Multipliers of the hidden units, 1 + weight drive + bias with drive = exp(slope rate_weight + shift) of a
// level (the exponent between -4 and 4), and derivatives by all of it; `weight` is null where there are none.
struct MlpGain {
  const float *slope, *shift, *rate_weight, *weight, *bias;
  float *by_slope, *by_shift, *by_weight, *by_bias;
  int32_t level, levels;
};

// y = w2 relu(gain (w1 x + b1)) + b2.
struct MlpNetwork {
  MlpPart parts[MAX_PARTS];
  MlpGain gain;
  uint64_t inputs, hidden, outputs;  // I, the widths of all parts; H; O
  const float *w1, *b1, *w2, *b2;    // [H, I], [H], [O, H], [O]
  float *active, *y;                 // [n, H] behind the relu, [n, O]
  const float* by_y;                 // [n, O] in rows `by_y_stride` apart
  uint64_t by_y_stride;
  float* by_hidden;  // [n, H] scratch
  float *by_w1, *by_b1, *by_w2, *by_b2;
  int32_t adds;  // whether the last four are added to what is there; not with a gain
};

struct MlpCall {
  uint64_t n;
  const int64_t* index;  // [n] rows of every network's first part; null: all in order
  float* partial;        // scratch: weight gradients of each slice of rows
  uint64_t slices;
  int32_t networks;
  MlpNetwork network[MAX_NETWORKS];
};

}  // namespace gspc
