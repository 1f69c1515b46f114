#include "codec/context/network_isa.hpp"

#include "codec/context/network_tile.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {

namespace {

inline int32_t clamp32(int32_t v, int32_t low, int32_t high) { return v < low ? low : v > high ? high : v; }

}  // namespace

#if defined(__SSE2__)

void linear_kernel(const int16_t* weight, const int32_t* bias, size_t pairs, size_t out, const int16_t* x,
                   size_t stride, size_t rows, int32_t* y) {
#if defined(GSPC_ISA_IS_v4) && defined(GSPC_VNNI)
  static const bool vnni = __builtin_cpu_supports("avx512vnni");
  if (vnni) return isa_v4_vnni::linear_kernel(weight, bias, pairs, out, x, stride, rows, y);
#endif
  const auto add = [](Ints sum, Ints a, Ints b) {
#if defined(GSPC_ISA_IS_v4)
    return sum + (Ints)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(GSPC_ISA_IS_v3)
    return sum + (Ints)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#else
    return sum + (Ints)_mm_madd_epi16((__m128i)a, (__m128i)b);
#endif
  };
  linear_tiles(add, weight, bias, pairs, out, x, stride, rows, y);
}

#else

void linear_kernel(const int16_t* weight, const int32_t* bias, size_t pairs, size_t out, const int16_t* x,
                   size_t stride, size_t rows, int32_t* y) {
  for (size_t r = 0; r < rows; ++r) {
    int32_t* row = y + r * out;
    for (size_t o = 0; o < out; ++o) row[o] = bias[o];
    for (size_t p = 0; p < pairs; ++p) {
      const int32_t a = x[r * stride + 2 * p], b = x[r * stride + 2 * p + 1];
      if (a == 0 && b == 0) continue;
      const int16_t* w = weight + 2 * p * out;
      for (size_t o = 0; o < out; ++o) row[o] += a * w[2 * o] + b * w[2 * o + 1];
    }
  }
}

#endif

#if defined(GSPC_ISA_IS_v4)

void gain_kernel(const int32_t* multiplier, int shift, const int32_t* y, size_t rows, size_t out, int32_t low,
                 int32_t high, int16_t* z, size_t stride) {
  const __m512i round = _mm512_set1_epi64(1ll << (shift - 1));
  const __m128i count = _mm_cvtsi32_si128(shift);
  const __m512i lo = _mm512_set1_epi32(low), hi = _mm512_set1_epi32(high);
  for (size_t r = 0; r < rows; ++r)
    for (size_t o = 0; o < out; o += 16) {
      const __m512i v = _mm512_loadu_si512(y + r * out + o);
      const __m512i m = _mm512_loadu_si512(multiplier + o);
      const __m512i even = _mm512_sra_epi64(_mm512_add_epi64(_mm512_mul_epi32(v, m), round), count);
      const __m512i odd = _mm512_sra_epi64(
          _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(v, 32), _mm512_srli_epi64(m, 32)), round),
          count);
      const __m512i both = _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
      const __m512i clamped = _mm512_max_epi32(lo, _mm512_min_epi32(hi, both));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(z + r * stride + o), _mm512_cvtepi32_epi16(clamped));
    }
}

#elif defined(GSPC_ISA_IS_v3)

void gain_kernel(const int32_t* multiplier, int shift, const int32_t* y, size_t rows, size_t out, int32_t low,
                 int32_t high, int16_t* z, size_t stride) {
  // AVX2 has no 64-bit arithmetic shift: |y m| < 2^39, so adding 2^62 makes it positive; the shifted 2^62 is
  // taken off again where it still reaches into the low 32 bits (shift > 30), else it falls away with the
  // high half.
  const __m256i round = _mm256_set1_epi64x((1ll << (shift - 1)) + (1ll << 62));
  const __m256i off = _mm256_set1_epi64x((1ll << 62) >> shift);
  const __m128i count = _mm_cvtsi32_si128(shift);
  const __m256i lo = _mm256_set1_epi32(low), hi = _mm256_set1_epi32(high);
  for (size_t r = 0; r < rows; ++r)
    for (size_t o = 0; o < out; o += 8) {
      const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(y + r * out + o));
      const __m256i m = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(multiplier + o));
      const __m256i even =
          _mm256_sub_epi64(_mm256_srl_epi64(_mm256_add_epi64(_mm256_mul_epi32(v, m), round), count), off);
      const __m256i odd = _mm256_sub_epi64(
          _mm256_srl_epi64(
              _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(v, 32), _mm256_srli_epi64(m, 32)), round),
              count),
          off);
      const __m256i both = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
      const __m256i clamped = _mm256_max_epi32(lo, _mm256_min_epi32(hi, both));
      const __m128i packed =
          _mm_packs_epi32(_mm256_castsi256_si128(clamped), _mm256_extracti128_si256(clamped, 1));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(z + r * stride + o), packed);
    }
}

#else

void gain_kernel(const int32_t* multiplier, int shift, const int32_t* y, size_t rows, size_t out, int32_t low,
                 int32_t high, int16_t* z, size_t stride) {
  const int64_t round = int64_t{1} << (shift - 1);
  for (size_t r = 0; r < rows; ++r)
    for (size_t o = 0; o < out; ++o) {
      const int64_t v = (static_cast<int64_t>(y[r * out + o]) * multiplier[o] + round) >> shift;
      z[r * stride + o] = static_cast<int16_t>(v < low ? low : v > high ? high : v);
    }
}

#endif

void centered_kernel(const int32_t* k, int64_t factor, size_t n, int16_t* out) {
  for (size_t i = 0; i < n; ++i) {
    const int64_t v = (k[i] * factor) >> 24;
    out[i] = static_cast<int16_t>(v < -2047 ? -2047 : v > 2047 ? 2047 : v);
  }
}

void gaussian_table_kernel(const int16_t* z, int32_t add, size_t n, uint8_t* out) {
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<uint8_t>(clamp32(z[i] + add, 0, 127));
}

void trit_table_kernel(const int16_t* a, const int16_t* b, size_t n, uint16_t* out) {
  for (size_t i = 0; i < n; ++i)
    out[i] = static_cast<uint16_t>(clamp32(a[i], 0, 63) * 64 + clamp32(b[i], 0, 63));
}

void mixture_kernel(const int16_t* z, int64_t factor, int32_t add, const uint8_t* weights, size_t n,
                    int16_t* mean, uint8_t* scale, uint8_t* weight) {
  for (size_t i = 0; i < n; ++i) {
    const int64_t v = (z[i] * factor + (1 << 13)) >> 14;
    mean[i] = static_cast<int16_t>(v < -16384 ? -16384 : v > 16384 ? 16384 : v);
  }
  for (size_t i = 0; i < n; ++i) scale[i] = static_cast<uint8_t>(clamp32(z[n + i] + add, 0, 127));
  for (size_t i = 0; i < n; ++i) weight[i] = weights[clamp32(z[2 * n + i] + 32, 0, 63)];
}

uint32_t refine_kernel(int32_t* k, const int8_t* trit, size_t n) {
  uint32_t any = 0;
  for (size_t i = 0; i < n; ++i) {
    const int32_t v = 3 * k[i] + trit[i];
    k[i] = v;
    any |= static_cast<uint32_t>(v < 0 ? -v : v);
  }
  return any;
}

void restore_kernel(const int16_t* mean, const int32_t* k, double unit, double step, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<float>(mean[i] * unit + k[i] * step);
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
