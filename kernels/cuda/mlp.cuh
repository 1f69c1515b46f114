// Everything that a call of the kernels of small networks is about; gspc/ops/mlp/cuda.py has the same fields
// in the same order. Device pointers, float32 unless said otherwise; what is not needed is null or 0.
#pragma once

#include "tile.cuh"

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
  float* sums;  // scratch [slices, H] of backward passes
  int32_t level, levels;
};

// y = w2 relu(gain (w1 x + b1)) + b2. With a rounding the weights of each row are multiples of a scale, and
// with `units` the hidden units those of 1 / units[0] and not above 2047 / units[0]; gradients pass straight
// through.
struct MlpNetwork {
  MlpPart parts[MAX_PARTS];
  MlpGain gain;
  uint64_t inputs, hidden, outputs;  // I, the widths of all parts; H; O
  const float *w1, *b1, *w2, *b2;    // [H, I], [H], [O, H], [O]
  float *active, *y;                 // [n, H] behind the relu as `kept`, [n, O]
  float *rounded1, *rounded2;        // scratch of the size of w1 and w2; null: no rounding
  const float *taken1, *taken2;      // what products take: w1 and w2, or the rounded ones
  const float* units;                // [1]; null: of a head, whose hidden units are not rounded
  uint64_t output_units;             // integers per 1.0 of y; 0: not rounded
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

namespace {

constexpr float ACTIVATION_LIMIT = 2047.0f;

// A level's drive and its derivative's factor: 0 where the exponent is limited.
struct Drive {
  float value, inside;
};

__device__ inline Drive drive_of(const MlpGain& gain) {
  const int level = gain.level;
  const float exponent = gain.slope[level] * gain.rate_weight[level] + gain.shift[level];
  const float limited = exponent < -4.0f ? -4.0f : exponent > 4.0f ? 4.0f : exponent;
  return {expf(limited), exponent < -4.0f || exponent > 4.0f ? 0.0f : 1.0f};
}

// The multiplier of unit h; `drive` is not read where there is no gain.
__device__ inline float gain_of(const MlpGain& gain, float drive, uint64_t h) {
  return gain.weight == nullptr ? 1.0f : 1.0f + (gain.weight[h] * drive + gain.bias[h]);
}

__device__ inline float drive_or_0(const MlpGain& gain) {
  return gain.weight == nullptr ? 0.0f : drive_of(gain).value;
}

// Column c of what a network reads in a row.
__device__ inline float input(const MlpCall& call, const MlpNetwork& net, uint64_t row, uint64_t c) {
  const MlpPart& first = net.parts[0];
  if (c < first.width)
    return first.x[(call.index == nullptr ? row : static_cast<uint64_t>(call.index[row])) * first.stride + c];
  c -= first.width;
  const MlpPart& part = c < net.parts[1].width ? net.parts[1] : net.parts[2];
  return part.x[row * part.stride + (c < net.parts[1].width ? c : c - net.parts[1].width)];
}

// A hidden unit behind the relu as it is kept. One beyond what integers hold has no gradient, which its sign
// says.
__device__ inline float kept(const MlpNetwork& net, float hidden) {
  const float value = hidden < 0.0f ? 0.0f : hidden;  // NaN stays
  if (net.units == nullptr) return value;
  const float most = ACTIVATION_LIMIT / net.units[0];
  return value > most ? -most : value;
}

// The same as the second layer reads it.
__device__ inline float activated(const MlpNetwork& net, float value) {
  if (net.units == nullptr) return value;
  return rintf(fabsf(value) * net.units[0]) / net.units[0];
}

inline bool usable(const MlpCall& call) {
  if (call.n >= 1u << 30 || call.networks < 1 || call.networks > MAX_NETWORKS) return false;
  for (int g = 0; g < call.networks; ++g) {
    const MlpNetwork& net = call.network[g];
    uint64_t widths = 0;
    for (const MlpPart& part : net.parts) widths += part.width;
    if (widths != net.inputs || net.inputs < 1 || net.hidden < 1 || net.outputs < 1) return false;
    if (net.inputs >= 1u << 16 || net.hidden >= 1u << 16 || net.outputs >= 1u << 16) return false;
  }
  return true;
}

inline unsigned row_tiles(uint64_t n) { return static_cast<unsigned>((n + TILE - 1) / TILE); }

}  // namespace
}  // namespace gspc
