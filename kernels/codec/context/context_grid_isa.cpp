#include "codec/context/context_grid_isa.hpp"

#include "codec/context/context_grid_vector.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {
namespace {

inline Words gather_signs(const uint8_t* signs, Words index) {
#if defined(GSPC_ISA_IS_v4)
  return (Words)_mm512_i32gather_epi32((__m512i)index, signs, 1);
#elif defined(GSPC_ISA_IS_v3)
  return (Words)_mm256_i32gather_epi32(reinterpret_cast<const int*>(signs), (__m256i)index, 1);
#else
  Words out;
  for (int lane = 0; lane < kLanes; ++lane) out[lane] = signs[index[lane]];
  return out;
#endif
}

// total + (bit f of signs ? weight : 0)
inline Words add_if(Words total, Words signs, Words weight, int f) {
#if defined(GSPC_ISA_IS_v4)
  const __mmask16 set = _mm512_test_epi32_mask((__m512i)signs, _mm512_set1_epi32(1 << f));
  return (Words)_mm512_mask_add_epi32((__m512i)total, set, (__m512i)total, (__m512i)weight);
#else
  return total + ((Words)((Ints)(signs << (31 - f)) >> 31) & weight);
#endif
}

template <bool kIs3d, bool kDense>
void forward(const GridPlaneKernel& plane, const uint8_t* signs, const uint32_t* ua, const uint32_t* ub,
             const uint32_t* uc, size_t n, int16_t* out, size_t stride) {
  // s = 2 * positive - 2^kBits; context = (s + half) >> (kBits - 9), and (2 x + h) >> t == (x + h / 2) >> (t
  // - 1).
  constexpr int kBits = kIs3d ? 24 : 16, kShift = kBits - 10;
  constexpr int32_t kBias = (1 << (kBits - 11)) - (1 << (kBits - 1));
  for (size_t i = 0; i < n; i += kLanes) {
    Words positive[kGridFeatures] = {};
    grid_corners<kIs3d, kDense>(plane, ua + i, ub + i, kIs3d ? uc + i : nullptr,
                                [&](int, Words index, Words weight) __attribute__((always_inline)) {
                                  const Words bits = gather_signs(signs, index);
                                  for (int f = 0; f < kGridFeatures; ++f)
                                    positive[f] = add_if(positive[f], bits, weight, f);
                                });
    alignas(64) int32_t context[kGridFeatures][kLanes];
    for (int f = 0; f < kGridFeatures; ++f) {
      const Ints value = ((Ints)positive[f] + kBias) >> kShift;
      store(context[f], value);
    }
    const int lanes = n - i < kLanes ? static_cast<int>(n - i) : kLanes;
    for (int lane = 0; lane < lanes; ++lane) {
      int16_t* row = out + (i + lane) * stride;
      for (int f = 0; f < kGridFeatures; ++f) row[f] = static_cast<int16_t>(context[f][lane]);
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
