// C[m][16 g] (+)= sum_k A(m, k) B[k][16 g] for *_isa.cpp files: A(m, k) = a[m * a_row + k * a_col] is
// broadcast, B and C have contiguous rows in whole groups of 16 floats. The sum over k runs in order for
// every element, whatever the tile.
#pragma once

#include "common/vector_math.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {

enum class Start {
  zero,
  bias,
  bias_relu,
  add
};  // C starts at zero, at a bias row (then max(0, .)), or at its old value

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

template <int ROWS, int VECS, Start START>
static inline __attribute__((always_inline)) void gemm_tile(const Product& p, int row, ptrdiff_t column) {
  Vec acc[ROWS][VECS];
  float* c = p.c + row * p.c_row + column;
  for (int r = 0; r < ROWS; ++r)
    for (int v = 0; v < VECS; ++v) {
      if constexpr (START == Start::zero) acc[r][v] = Vec{};
      if constexpr (START == Start::add) acc[r][v] = load(c + r * p.c_row + v * LANES);
      if constexpr (START == Start::bias || START == Start::bias_relu)
        acc[r][v] = load(p.bias + column + v * LANES);
    }
  const float* a = p.a + row * p.a_row;
  const float* b = p.b + column;
  const ptrdiff_t a_row = p.a_row, a_col = p.a_col, b_row = p.b_row;
  for (int k = p.k; k > 0; --k) {
    Vec bv[VECS];
#pragma GCC unroll 8
    for (int v = 0; v < VECS; ++v) bv[v] = load(b + v * LANES);
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r) {
      const Vec av = splat(a[r * a_row]);
#pragma GCC unroll 8
      for (int v = 0; v < VECS; ++v) acc[r][v] += av * bv[v];
    }
    a += a_col;
    b += b_row;
  }
  for (int r = 0; r < ROWS; ++r)
    for (int v = 0; v < VECS; ++v) {
      Vec value = acc[r][v];
      if constexpr (START == Start::bias_relu) value = value < 0.0f ? Vec{} : value;  // keeps NaN
      store(c + r * p.c_row + v * LANES, value);
    }
}

template <int ROWS, int VECS, Start START>
static void gemm_rows(const Product& p, int row, ptrdiff_t column) {
  for (; row + ROWS <= p.m; row += ROWS) gemm_tile<ROWS, VECS, START>(p, row, column);
  if constexpr (ROWS > 1)
    if (row < p.m) gemm_rows<ROWS / 2, VECS, START>(p, row, column);
}

template <Start START>
static void gemm(const Product& p) {
  constexpr int PER_GROUP = 16 / LANES;
  int group = 0;
#if defined(__AVX512F__)  // 32 registers: up to 24 accumulators
  for (; group + 4 <= p.groups; group += 4) gemm_rows<6, 4, START>(p, 0, 16 * group);
  if (p.groups - group == 3) gemm_rows<8, 3, START>(p, 0, 16 * group);
  if (p.groups - group == 2) gemm_rows<12, 2, START>(p, 0, 16 * group);
  if (p.groups - group == 1) gemm_rows<12, 1, START>(p, 0, 16 * group);
  (void)PER_GROUP;
#elif defined(__AVX2__)  // 16 registers: 12 accumulators
  for (; group < p.groups; ++group) gemm_rows<6, PER_GROUP, START>(p, 0, 16 * group);
#else
  for (; group < p.groups; ++group) gemm_rows<3, PER_GROUP, START>(p, 0, 16 * group);
#endif
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
