// Renormalization of a vector of lanes with AVX2 or AVX-512, shared by the lane kernels. Included by
// *_isa.cpp only.
#pragma once

#include "codec/entropy/rans.hpp"
#include "common/isa.hpp"
#include "common/simd.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {

namespace {

#if defined(GSPC_ISA_IS_v4)

// Lanes below 2^16 take a word each, in lane order.
inline __m512i renormalize(__m512i x, const uint8_t*& next) {
  const __mmask16 need = _mm512_cmplt_epu32_mask(x, _mm512_set1_epi32(kStateLow));
  const __m512i words = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(next)));
  next += 2 * _mm_popcnt_u32(need);
  return _mm512_mask_or_epi32(x, need, _mm512_slli_epi32(x, 16), _mm512_maskz_expand_epi32(need, words));
}

#else

// Byte shuffles of eight 16-bit words by a mask of lanes: spread gives the n-th set lane word n, the others
// 0; pack moves the words of the set lanes to the end of the vector, in order.
struct WordShuffles {
  alignas(16) uint8_t spread[256][16] = {};
  alignas(16) uint8_t pack[256][16] = {};
  constexpr WordShuffles() {
    for (int mask = 0; mask < 256; ++mask) {
      int count = 0;
      for (int lane = 0; lane < 8; ++lane) count += mask >> lane & 1;
      int n = 0;
      for (int lane = 0; lane < 8; ++lane) {
        if (!(mask >> lane & 1)) {
          spread[mask][2 * lane] = spread[mask][2 * lane + 1] = 0x80;
          continue;
        }
        const int place = 8 - count + n;
        for (int byte = 0; byte < 2; ++byte) {
          spread[mask][2 * lane + byte] = static_cast<uint8_t>(2 * n + byte);
          pack[mask][2 * place + byte] = static_cast<uint8_t>(2 * lane + byte);
        }
        ++n;
      }
    }
  }
};
constexpr WordShuffles kShuffles;

inline __m128i load128(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
inline __m256i load256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
inline __m256i pick(__m256i a, __m256i b, __m256i mask) { return _mm256_blendv_epi8(a, b, mask); }

inline __m256i renormalize(__m256i x, const uint8_t*& next) {
  const __m256i need = _mm256_cmpeq_epi32(_mm256_srli_epi32(x, 16), _mm256_setzero_si256());
  const auto mask = static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(need)));
  const __m128i words = _mm_shuffle_epi8(load128(next), load128(kShuffles.spread[mask]));
  next += 2 * _mm_popcnt_u32(mask);
  const __m256i shifted = _mm256_sllv_epi32(x, _mm256_and_si256(need, _mm256_set1_epi32(16)));
  return _mm256_or_si256(shifted, _mm256_cvtepu16_epi32(words));
}

#endif

}  // namespace

}  // namespace gspc::GSPC_ISA_NAMESPACE
