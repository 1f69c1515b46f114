#include "codec/context/context_grid_isa.hpp"

#include "codec/context/context_grid_vector.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {
namespace {

inline GridVec gather_signs(const uint8_t* signs, GridVec index) {
#if defined(__AVX512F__)
  return (GridVec)_mm512_i32gather_epi32((__m512i)index, signs, 1);
#elif defined(__AVX2__)
  return (GridVec)_mm256_i32gather_epi32(reinterpret_cast<const int*>(signs), (__m256i)index, 1);
#else
  GridVec out;
  for (int lane = 0; lane < GRID_LANES; ++lane) out[lane] = signs[index[lane]];
  return out;
#endif
}

// total + (bit f of signs ? weight : 0)
inline GridVec add_if(GridVec total, GridVec signs, GridVec weight, int f) {
#if defined(__AVX512F__)
  const __mmask16 set = _mm512_test_epi32_mask((__m512i)signs, _mm512_set1_epi32(1 << f));
  return (GridVec)_mm512_mask_add_epi32((__m512i)total, set, (__m512i)total, (__m512i)weight);
#else
  typedef int32_t Signed __attribute__((vector_size(4 * GRID_LANES)));
  return total + ((GridVec)((Signed)(signs << (31 - f)) >> 31) & weight);
#endif
}

template <bool IS_3D, bool DENSE>
void forward(const GridPlaneKernel& plane, const uint8_t* signs, const uint32_t* ua, const uint32_t* ub,
             const uint32_t* uc, size_t n, int16_t* out, size_t stride) {
  // s = 2 * positive - 2^BITS; context = (s + half) >> (BITS - 9), and (2 x + h) >> t == (x + h / 2) >> (t -
  // 1).
  constexpr int BITS = IS_3D ? 24 : 16, SHIFT = BITS - 10;
  constexpr int32_t BIAS = (1 << (BITS - 11)) - (1 << (BITS - 1));
  typedef int32_t Signed __attribute__((vector_size(4 * GRID_LANES)));
  for (size_t i = 0; i < n; i += GRID_LANES) {
    GridVec positive[GRID_FEATURES] = {};
    grid_corners<IS_3D, DENSE>(plane, ua + i, ub + i, IS_3D ? uc + i : nullptr,
                               [&](int, GridVec index, GridVec weight) __attribute__((always_inline)) {
                                 const GridVec bits = gather_signs(signs, index);
                                 for (int f = 0; f < GRID_FEATURES; ++f)
                                   positive[f] = add_if(positive[f], bits, weight, f);
                               });
    alignas(64) int32_t context[GRID_FEATURES][GRID_LANES];
    for (int f = 0; f < GRID_FEATURES; ++f) {
      const Signed value = ((Signed)positive[f] + BIAS) >> SHIFT;
      grid_store(reinterpret_cast<uint32_t*>(context[f]), (GridVec)value);
    }
    const int lanes = n - i < GRID_LANES ? static_cast<int>(n - i) : GRID_LANES;
    for (int lane = 0; lane < lanes; ++lane) {
      int16_t* row = out + (i + lane) * stride;
      for (int f = 0; f < GRID_FEATURES; ++f) row[f] = static_cast<int16_t>(context[f][lane]);
    }
  }
}

}  // namespace

void grid_plane_forward(const GridPlaneKernel& plane, const uint8_t* signs, const uint32_t* const u[3],
                        size_t n, int16_t* out, size_t stride) {
  const uint32_t *a = u[plane.axes[0]], *b = u[plane.axes[1]], *c = u[2];
  if (plane.is_3d)
    plane.dense ? forward<true, true>(plane, signs, a, b, c, n, out, stride)
                : forward<true, false>(plane, signs, a, b, c, n, out, stride);
  else
    plane.dense ? forward<false, true>(plane, signs, a, b, c, n, out, stride)
                : forward<false, false>(plane, signs, a, b, c, n, out, stride);
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
