// The corners of the context grid around positions, for *_isa.cpp files only. Lanes run over positions.
#pragma once

#include "codec/context/context_grid.hpp"
#include "common/simd.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {

// Calls visit(corner, entry index, weight) for the corners of kLanes positions; weights sum to 2^24 (3D)
// or 2^16 (2D). Corner bits: 1 = upper along the first axis, 2 = second, 4 = third.
template <bool kIs3d, bool kDense, class Visit>
GSPC_INLINE void grid_corners(const GridPlaneKernel& plane, const uint32_t* ua, const uint32_t* ub,
                              const uint32_t* uc, Visit&& visit) {
  constexpr uint32_t kPrimeB = 2654435761u, kPrimeC = 805459861u;
  const uint32_t side = plane.resolution + 1;
  const uint32_t step_b = kDense ? side : kPrimeB, step_c = kDense ? side * side : kPrimeC;
  const Words va = load(ua) * plane.resolution, vb = load(ub) * plane.resolution;
  const Words fa = (va >> 12) & 255u, fb = (vb >> 12) & 255u;
  const Words a[2] = {va >> 20, (va >> 20) + 1u};
  const Words b0 = (vb >> 20) * step_b;
  const Words b[2] = {b0, b0 + step_b};
  const Words upper = fa * fb;  // weights of the four corners of a face, from one product
  const Words wab[4] = {65536u - (fa << 8) - (fb << 8) + upper, (fa << 8) - upper, (fb << 8) - upper, upper};
  Words ab[4];
  for (int i = 0; i < 4; ++i) ab[i] = kDense ? a[i & 1] + b[i >> 1] : a[i & 1] ^ b[i >> 1];
  if constexpr (!kIs3d) {
    for (int i = 0; i < 4; ++i) visit(i, kDense ? ab[i] : ab[i] & plane.mask, wab[i]);
  } else {
    const Words vc = load(uc) * plane.resolution;
    const Words fc = (vc >> 12) & 255u;
    const Words c0 = (vc >> 20) * step_c;
    const Words c[2] = {c0, c0 + step_c};
    for (int i = 0; i < 4; ++i) {
      const Words high = wab[i] * fc;
      visit(i, kDense ? ab[i] + c[0] : (ab[i] ^ c[0]) & plane.mask, (wab[i] << 8) - high);
      visit(i + 4, kDense ? ab[i] + c[1] : (ab[i] ^ c[1]) & plane.mask, high);
    }
  }
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
