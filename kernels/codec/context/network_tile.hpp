// The product of an integer layer for *_isa.cpp files: y = bias + W x, weights and inputs in pairs of int16,
// so that a vector of Ints holds a pair for each of kLanes outputs. add(sum, a, b) adds the sums of the
// products of the pairs of a and b to sum.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/simd.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {

#if defined(GSPC_ISA_IS_v4)
constexpr size_t kTileRows = 8;
#else
constexpr size_t kTileRows = 4;
#endif

static inline Ints load_pairs(const int16_t* p) { return load(reinterpret_cast<const int32_t*>(p)); }

static inline Ints splat_pair(const int16_t* p) {
  int32_t pair;
  __builtin_memcpy(&pair, p, sizeof pair);
  return splat(pair);
}

// A tile of kTileRows rows and kVectors vectors of outputs stays in registers over all inputs.
template <size_t kVectors, class Add>
static inline void tile(const Add& add, const int16_t* weight, const int32_t* bias, size_t pairs, size_t out,
                        const int16_t* x, size_t stride, int32_t* y) {
  Ints sum[kTileRows][kVectors];
  for (size_t r = 0; r < kTileRows; ++r)
    for (size_t j = 0; j < kVectors; ++j) sum[r][j] = load(bias + j * kLanes);
  for (size_t p = 0; p < pairs; ++p) {
    Ints w[kVectors];
    for (size_t j = 0; j < kVectors; ++j) w[j] = load_pairs(weight + (p * out + j * kLanes) * 2);
    for (size_t r = 0; r < kTileRows; ++r) {
      const Ints a = splat_pair(x + r * stride + 2 * p);
      for (size_t j = 0; j < kVectors; ++j) sum[r][j] = add(sum[r][j], a, w[j]);
    }
  }
  for (size_t r = 0; r < kTileRows; ++r)
    for (size_t j = 0; j < kVectors; ++j) store(y + r * out + j * kLanes, sum[r][j]);
}

// See linear_kernel in network_isa.hpp.
template <class Add>
static inline void linear_tiles(const Add& add, const int16_t* weight, const int32_t* bias, size_t pairs,
                                size_t out, const int16_t* x, size_t stride, size_t rows, int32_t* y) {
  for (size_t o = 0; o < out;) {
    const bool two = out - o >= 2 * kLanes;
    for (size_t r = 0; r < rows; r += kTileRows) {
      if (two) tile<2>(add, weight + 2 * o, bias + o, pairs, out, x + r * stride, stride, y + r * out + o);
      else tile<1>(add, weight + 2 * o, bias + o, pairs, out, x + r * stride, stride, y + r * out + o);
    }
    o += two ? 2 * kLanes : kLanes;
  }
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
