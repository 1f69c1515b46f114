// C[m][16 g] (+)= sum_k A(m, k) B[k][16 g] for *_isa.cpp files: A(m, k) = a[m * a_row + k * a_col] is
// broadcast, B and C have contiguous rows in whole groups of 16 floats. The sum over k runs in order for
// every element, whatever the tile.
#pragma once

#include "common/simd.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {

// C starts at zero, at a bias row (then max(0, .)), or at its old value.
enum class Start { zero, bias, bias_relu, add };

struct Product {
  int m, k, groups;
  const float* a;
  ptrdiff_t a_row, a_col;
  const float* b;
  ptrdiff_t b_row;
  float* c;
  ptrdiff_t c_row;
  const float* bias;
};

template <int kRows, int kVectors, Start kStart>
GSPC_INLINE void gemm_tile(const Product& p, int row, ptrdiff_t column) {
  Floats acc[kRows][kVectors];
  float* c = p.c + row * p.c_row + column;
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kVectors; ++v) {
      if constexpr (kStart == Start::zero) acc[r][v] = Floats{};
      if constexpr (kStart == Start::add) acc[r][v] = load(c + r * p.c_row + v * kLanes);
      if constexpr (kStart == Start::bias || kStart == Start::bias_relu)
        acc[r][v] = load(p.bias + column + v * kLanes);
    }
  const float* a = p.a + row * p.a_row;
  const float* b = p.b + column;
  const ptrdiff_t a_row = p.a_row, a_col = p.a_col, b_row = p.b_row;
  for (int k = p.k; k > 0; --k) {
    Floats bv[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) bv[v] = load(b + v * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Floats av = splat(a[r * a_row]);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) acc[r][v] += av * bv[v];
    }
    a += a_col;
    b += b_row;
  }
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kVectors; ++v) {
      Floats value = acc[r][v];
      if constexpr (kStart == Start::bias_relu) value = value < 0.0f ? Floats{} : value;  // keeps NaN
      store(c + r * p.c_row + v * kLanes, value);
    }
}

template <int kRows, int kVectors, Start kStart>
static void gemm_rows(const Product& p, int row, ptrdiff_t column) {
  for (; row + kRows <= p.m; row += kRows) gemm_tile<kRows, kVectors, kStart>(p, row, column);
  if constexpr (kRows > 1)
    if (row < p.m) gemm_rows<kRows / 2, kVectors, kStart>(p, row, column);
}

template <Start kStart>
static void gemm(const Product& p) {
  int group = 0;
#if defined(GSPC_ISA_IS_v4)  // 32 registers: up to 24 accumulators
  for (; group + 4 <= p.groups; group += 4) gemm_rows<6, 4, kStart>(p, 0, 16 * group);
  if (p.groups - group == 3) gemm_rows<8, 3, kStart>(p, 0, 16 * group);
  if (p.groups - group == 2) gemm_rows<12, 2, kStart>(p, 0, 16 * group);
  if (p.groups - group == 1) gemm_rows<12, 1, kStart>(p, 0, 16 * group);
#elif defined(GSPC_ISA_IS_v3)  // 16 registers: 12 accumulators
  for (; group < p.groups; ++group) gemm_rows<6, 16 / kLanes, kStart>(p, 0, 16 * group);
#else
  for (; group < p.groups; ++group) gemm_rows<3, 16 / kLanes, kStart>(p, 0, 16 * group);
#endif
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
