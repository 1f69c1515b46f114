// Vector helpers of the context grid, for *_isa.cpp files only: everything lives in the instruction set's
// namespace. Lanes run over positions. Unsigned 32-bit integers throughout.
#pragma once

#include "codec/context/context_grid.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace gspc::GSPC_ISA_NAMESPACE {

#if defined(__AVX512F__)
constexpr int GRID_LANES = 16;
#elif defined(__AVX2__)
constexpr int GRID_LANES = 8;
#else
constexpr int GRID_LANES = 4;
#endif

typedef uint32_t GridVec __attribute__((vector_size(4 * GRID_LANES)));
typedef uint32_t GridVecUnaligned __attribute__((vector_size(4 * GRID_LANES), aligned(4), may_alias));

static inline GridVec grid_load(const uint32_t* p) { return *reinterpret_cast<const GridVecUnaligned*>(p); }
static inline void grid_store(uint32_t* p, GridVec v) { *reinterpret_cast<GridVecUnaligned*>(p) = v; }

// Calls visit(corner, entry index, weight) for the corners of GRID_LANES positions; weights sum to 2^24 (3D)
// or 2^16 (2D). Corner bits: 1 = upper along the first axis, 2 = second, 4 = third.
template <bool IS_3D, bool DENSE, class Visit>
static inline __attribute__((always_inline)) void grid_corners(const GridPlaneKernel& plane,
                                                               const uint32_t* ua, const uint32_t* ub,
                                                               const uint32_t* uc, Visit&& visit) {
  constexpr uint32_t PRIME_B = 2654435761u, PRIME_C = 805459861u;
  const uint32_t side = plane.resolution + 1;
  const uint32_t step_b = DENSE ? side : PRIME_B, step_c = DENSE ? side * side : PRIME_C;
  const GridVec va = grid_load(ua) * plane.resolution, vb = grid_load(ub) * plane.resolution;
  const GridVec fa = (va >> 12) & 255u, fb = (vb >> 12) & 255u;
  const GridVec a[2] = {va >> 20, (va >> 20) + 1u};
  const GridVec b0 = (vb >> 20) * step_b;
  const GridVec b[2] = {b0, b0 + step_b};
  const GridVec upper = fa * fb;  // weights of the four corners of a face, from one product
  const GridVec wab[4] = {65536u - (fa << 8) - (fb << 8) + upper, (fa << 8) - upper, (fb << 8) - upper,
                          upper};
  GridVec ab[4];
  for (int i = 0; i < 4; ++i) ab[i] = DENSE ? a[i & 1] + b[i >> 1] : a[i & 1] ^ b[i >> 1];
  if constexpr (!IS_3D) {
    for (int i = 0; i < 4; ++i) visit(i, DENSE ? ab[i] : ab[i] & plane.mask, wab[i]);
  } else {
    const GridVec vc = grid_load(uc) * plane.resolution;
    const GridVec fc = (vc >> 12) & 255u;
    const GridVec c0 = (vc >> 20) * step_c;
    const GridVec c[2] = {c0, c0 + step_c};
    for (int i = 0; i < 4; ++i) {
      const GridVec high = wab[i] * fc;
      visit(i, DENSE ? ab[i] + c[0] : (ab[i] ^ c[0]) & plane.mask, (wab[i] << 8) - high);
      visit(i + 4, DENSE ? ab[i] + c[1] : (ab[i] ^ c[1]) & plane.mask, high);
    }
  }
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
