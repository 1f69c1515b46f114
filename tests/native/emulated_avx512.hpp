// The AVX-512 units of the kernels on processors without it: SIMDe's intrinsics, and those that it lacks.
// Included ahead of every unit for x86-64-v4, which is then compiled for x86-64-v3 (GSPC_EMULATE_AVX512 in
// kernels/CMakeLists.txt, `make emulated`). For tests: right, not fast.
#pragma once

#include <immintrin.h>

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#if defined(__AVX512F__)
#error "this unit has the instructions themselves"
#endif

namespace gspc_emulated {

template <class To, class From>
inline To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &from, sizeof to);
  return to;
}

typedef float Floats __attribute__((vector_size(64)));
typedef std::int32_t Ints __attribute__((vector_size(64)));
typedef std::uint32_t Words __attribute__((vector_size(64)));
typedef std::int64_t Longs __attribute__((vector_size(64)));
typedef std::uint16_t Halves __attribute__((vector_size(64)));
typedef std::int16_t HalfShorts __attribute__((vector_size(32)));
typedef std::uint16_t HalfHalves __attribute__((vector_size(32)));
typedef std::uint8_t QuarterBytes __attribute__((vector_size(16)));

inline __m512i cvtepi16_epi32(__m256i a) {
  return same_bits<__m512i>(__builtin_convertvector(same_bits<HalfShorts>(a), Ints));
}
inline __m512i cvtepu16_epi32(__m256i a) {
  return same_bits<__m512i>(__builtin_convertvector(same_bits<HalfHalves>(a), Ints));
}
inline __m512i cvtepu8_epi32(__m128i a) {
  return same_bits<__m512i>(__builtin_convertvector(same_bits<QuarterBytes>(a), Ints));
}
inline __m256i cvtepi32_epi16(__m512i a) {  // truncates
  return same_bits<__m256i>(__builtin_convertvector(same_bits<Words>(a), HalfHalves));
}
inline __m512 cvtepi32_ps(__m512i a) {
  return same_bits<__m512>(__builtin_convertvector(same_bits<Ints>(a), Floats));
}
inline __m512 cvtepu32_ps(__m512i a) {
  const auto in = same_bits<Words>(a);
  Floats out;
  for (int i = 0; i < 16; ++i) out[i] = static_cast<float>(in[i]);
  return same_bits<__m512>(out);
}
inline __m512i cvttps_epi32(__m512 a) {  // 0x80000000 for what no integer holds
  const auto in = same_bits<Floats>(a);
  Ints out;
  for (int i = 0; i < 16; ++i)
    out[i] = in[i] >= -0x1p31f && in[i] < 0x1p31f ? static_cast<std::int32_t>(in[i]) : INT32_MIN;
  return same_bits<__m512i>(out);
}

// From base[index[i] * scale bytes].
template <class To, class Vector, class Index, class Given>
inline To gather(Given index, const void* base, int scale) {
  const auto at = same_bits<Index>(index);
  Vector out;
  for (unsigned i = 0; i < sizeof out / sizeof out[0]; ++i)
    __builtin_memcpy(reinterpret_cast<char*>(&out) + i * sizeof out[0],
                     static_cast<const char*>(base) + static_cast<std::ptrdiff_t>(at[i]) * scale,
                     sizeof out[0]);
  return same_bits<To>(out);
}
typedef std::int32_t HalfInts __attribute__((vector_size(32)));
inline __m512i i32gather_epi32(__m512i index, const void* base, int scale) {
  return gather<__m512i, Ints, Ints>(index, base, scale);
}
inline __m512i i32gather_epi64(__m256i index, const void* base, int scale) {
  return gather<__m512i, Longs, HalfInts>(index, base, scale);
}
inline __m512 i32gather_ps(__m512i index, const void* base, int scale) {
  return gather<__m512, Floats, Ints>(index, base, scale);
}

inline __mmask16 cmplt_epu32_mask(__m512i a, __m512i b) {
  const auto x = same_bits<Words>(a), y = same_bits<Words>(b);
  unsigned found = 0;
  for (int i = 0; i < 16; ++i) found |= static_cast<unsigned>(x[i] < y[i]) << i;
  return static_cast<__mmask16>(found);
}
inline __m512i mask_srli_epi32(__m512i src, __mmask16 k, __m512i a, unsigned count) {
  auto out = same_bits<Words>(src);
  const auto in = same_bits<Words>(a);
  for (int i = 0; i < 16; ++i)
    if (k >> i & 1) out[i] = count < 32 ? in[i] >> count : 0;
  return same_bits<__m512i>(out);
}
inline __m512i maskz_expand_epi32(__mmask16 k, __m512i a) {
  const auto in = same_bits<Ints>(a);
  Ints out{};
  for (int i = 0, from = 0; i < 16; ++i)
    if (k >> i & 1) out[i] = in[from++];
  return same_bits<__m512i>(out);
}
inline __m512 maskz_sqrt_ps(__mmask16 k, __m512 a) {
  const auto in = same_bits<Floats>(a);
  Floats out{};
  for (int i = 0; i < 16; ++i)
    if (k >> i & 1) out[i] = __builtin_sqrtf(in[i]);
  return same_bits<__m512>(out);
}
inline __m256 maskz_extractf32x4(__m256 a, int which) {  // of 256 bits, all lanes of the mask set
  return _mm256_castps128_ps256(which == 0 ? _mm256_castps256_ps128(a) : _mm256_extractf128_ps(a, 1));
}
inline __m512i mulhi_epu16(__m512i a, __m512i b) {
  const auto x = same_bits<Halves>(a), y = same_bits<Halves>(b);
  Halves out;
  for (int i = 0; i < 32; ++i) out[i] = static_cast<std::uint16_t>(std::uint32_t{x[i]} * y[i] >> 16);
  return same_bits<__m512i>(out);
}
inline __m512i madd_epi16(__m512i a, __m512i b) {
  const auto x = same_bits<Ints>(a), y = same_bits<Ints>(b);
  const auto low = [](Ints v) { return (Ints)((Words)v << 16) >> 16; };
  return same_bits<__m512i>((Ints)((Words)(low(x) * low(y)) + (Words)((x >> 16) * (y >> 16))));
}
inline __m512 shuffle_f32x4(__m512 a, __m512 b, int which) {  // quarters: two of a, two of b
  const auto x = same_bits<Floats>(a), y = same_bits<Floats>(b);
  Floats out;
  for (int i = 0; i < 16; ++i) out[i] = (i < 8 ? x : y)[(which >> i / 4 * 2 & 3) * 4 + i % 4];
  return same_bits<__m512>(out);
}
// The processor's has a relative error of 2^-14: so has this one, for its users refine it.
inline __m512 rcp14_ps(__m512 a) {
  const auto in = same_bits<Floats>(a);
  Floats out;
  for (int i = 0; i < 16; ++i) out[i] = 1.0f / in[i] * (1.0f + 0x1p-15f);
  return same_bits<__m512>(out);
}
inline float reduce_add_ps(__m512 a) {
  const auto in = same_bits<Floats>(a);
  float half[16];
  for (int i = 0; i < 16; ++i) half[i] = in[i];
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) half[i] += half[i + width];
  return half[0];
}
inline __m512i sra_epi64(__m512i a, __m128i count) {
  const auto in = same_bits<Longs>(a);
  const auto by = static_cast<std::uint64_t>(_mm_cvtsi128_si64(count));
  Longs out;
  for (int i = 0; i < 8; ++i) out[i] = in[i] >> (by < 64 ? by : 63);
  return same_bits<__m512i>(out);
}
inline __m512i srai_epi32(__m512i a, unsigned count) {
  return same_bits<__m512i>(same_bits<Ints>(a) >> static_cast<int>(count < 32 ? count : 31));
}
inline void mask_storeu_epi16(void* to, __mmask16 k, __m256i a) {
  const auto in = same_bits<HalfHalves>(a);
  for (int i = 0; i < 16; ++i)
    if (k >> i & 1)
      __builtin_memcpy(static_cast<char*>(to) + 2 * i, reinterpret_cast<const char*>(&in) + 2 * i, 2);
}

}  // namespace gspc_emulated

// Macros, since the compiler's own header declares functions of these names; newer versions of SIMDe have
// some.
#undef _cvtmask16_u32
#define _cvtmask16_u32(k) static_cast<unsigned>(k)
#undef _knot_mask16
#define _knot_mask16(k) static_cast<__mmask16>(~(k))
#undef _kor_mask16
#define _kor_mask16(a, b) static_cast<__mmask16>((a) | (b))
#undef _mm256_mask_storeu_epi16
#define _mm256_mask_storeu_epi16 gspc_emulated::mask_storeu_epi16
#undef _mm256_maskz_extractf32x4_ps
#define _mm256_maskz_extractf32x4_ps(k, a, which) \
  _mm256_castps256_ps128(gspc_emulated::maskz_extractf32x4(a, which))
#undef _mm512_cmplt_epu32_mask
#define _mm512_cmplt_epu32_mask gspc_emulated::cmplt_epu32_mask
#undef _mm512_cvtepi16_epi32
#define _mm512_cvtepi16_epi32 gspc_emulated::cvtepi16_epi32
#undef _mm512_cvtepi32_epi16
#define _mm512_cvtepi32_epi16 gspc_emulated::cvtepi32_epi16
#undef _mm512_cvtepi32_ps
#define _mm512_cvtepi32_ps gspc_emulated::cvtepi32_ps
#undef _mm512_cvtepu16_epi32
#define _mm512_cvtepu16_epi32 gspc_emulated::cvtepu16_epi32
#undef _mm512_cvtepu32_ps
#define _mm512_cvtepu32_ps gspc_emulated::cvtepu32_ps
#undef _mm512_cvtepu8_epi32
#define _mm512_cvtepu8_epi32 gspc_emulated::cvtepu8_epi32
#undef _mm512_cvttps_epi32
#define _mm512_cvttps_epi32 gspc_emulated::cvttps_epi32
#undef _mm512_i32gather_epi32
#define _mm512_i32gather_epi32 gspc_emulated::i32gather_epi32
#undef _mm512_i32gather_epi64
#define _mm512_i32gather_epi64 gspc_emulated::i32gather_epi64
#undef _mm512_i32gather_ps
#define _mm512_i32gather_ps gspc_emulated::i32gather_ps
#undef _mm512_madd_epi16
#define _mm512_madd_epi16 gspc_emulated::madd_epi16
#undef _mm512_mask_srli_epi32
#define _mm512_mask_srli_epi32 gspc_emulated::mask_srli_epi32
#undef _mm512_maskz_expand_epi32
#define _mm512_maskz_expand_epi32 gspc_emulated::maskz_expand_epi32
#undef _mm512_maskz_sqrt_ps
#define _mm512_maskz_sqrt_ps gspc_emulated::maskz_sqrt_ps
#undef _mm512_mulhi_epu16
#define _mm512_mulhi_epu16 gspc_emulated::mulhi_epu16
#undef _mm512_rcp14_ps
#define _mm512_rcp14_ps gspc_emulated::rcp14_ps
#undef _mm512_reduce_add_ps
#define _mm512_reduce_add_ps gspc_emulated::reduce_add_ps
#undef _mm512_shuffle_f32x4
#define _mm512_shuffle_f32x4 gspc_emulated::shuffle_f32x4
#undef _mm512_sra_epi64
#define _mm512_sra_epi64 gspc_emulated::sra_epi64
#undef _mm512_srai_epi32
#define _mm512_srai_epi32 gspc_emulated::srai_epi32
#undef _mm_cmpge_epi8_mask
#define _mm_cmpge_epi8_mask(a, b) static_cast<__mmask16>(~_mm_movemask_epi8(_mm_cmpgt_epi8(b, a)))
#undef _mm_cmpgt_epi8_mask
#define _mm_cmpgt_epi8_mask(a, b) static_cast<__mmask16>(_mm_movemask_epi8(_mm_cmpgt_epi8(a, b)))
