// Vectors of floats and fast exp, sigmoid, tanh, for *_isa.cpp files only. Relative errors are about 1e-7
// (exp, tanh) and 2e-7 (sigmoid). NaN stays NaN; exp saturates at about 2.2e38 and 1.2e-38.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace gspc::GSPC_ISA_NAMESPACE {

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX2__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif

typedef float Vec __attribute__((vector_size(4 * LANES)));
typedef int32_t IntVec __attribute__((vector_size(4 * LANES)));
typedef float VecUnaligned __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

static inline Vec load(const float* p) { return *reinterpret_cast<const VecUnaligned*>(p); }
static inline void store(float* p, Vec v) { *reinterpret_cast<VecUnaligned*>(p) = v; }
static inline Vec splat(float value) { return value - Vec{}; }  // x - 0 folds to x, x + 0 does not (-0)

// 2^n 1.5 * 2^23 trick; the polynomial is Cephes' expf on [-ln 2 / 2, ln 2 / 2].
static inline Vec vexp(Vec x) {
  x = x < -87.3f ? splat(-87.3f) : x;
  x = x > 88.3f ? splat(88.3f) : x;
  const float magic = 12582912.0f;
  const Vec t = x * 1.44269504088896341f + magic;
  const Vec n = t - magic;
  const Vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Vec p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  return p * (Vec)(((IntVec)t << 23) + 0x3f800000);
}

static inline Vec vsqrt(Vec x) {
#if defined(__AVX512F__)
  return (Vec)_mm512_maskz_sqrt_ps(0xffff, (__m512)x);
#elif defined(__AVX2__)
  return (Vec)_mm256_sqrt_ps((__m256)x);
#else
  for (int lane = 0; lane < LANES; ++lane) x[lane] = __builtin_sqrtf(x[lane]);
  return x;
#endif
}

static inline Vec vsigmoid(Vec x) { return 1.0f / (1.0f + vexp(-x)); }

// Cephes' tanhf: a polynomial near zero (exact sign and relative error there), else 1 - 2 / (exp(2 |x|) + 1).
static inline Vec vtanh(Vec x) {
  const Vec magnitude = x < 0.0f ? -x : x;
  const Vec z = x * x;
  Vec p = splat(-5.70498872745e-3f);
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const Vec small = p * z * x + x;
  const Vec large = 1.0f - 2.0f / (vexp(magnitude + magnitude) + 1.0f);
  return magnitude < 0.625f ? small : (x < 0.0f ? -large : large);
}

// Four floats; load3 and store3 touch exactly three.
typedef float Quad __attribute__((vector_size(16)));
typedef float QuadUnaligned __attribute__((vector_size(16), aligned(4), may_alias));

static inline Quad load4(const float* p) { return *reinterpret_cast<const QuadUnaligned*>(p); }
static inline void store4(float* p, Quad v) { *reinterpret_cast<QuadUnaligned*>(p) = v; }
static inline Quad load3(const float* p) {
#if defined(__SSE2__)
  typedef double PairUnaligned __attribute__((aligned(4), may_alias));
  const __m128d low = _mm_set_sd(*reinterpret_cast<const PairUnaligned*>(p));
  return (Quad)_mm_movelh_ps(_mm_castpd_ps(low), _mm_load_ss(p + 2));
#else
  return Quad{p[0], p[1], p[2], 0.0f};
#endif
}
static inline void store3(float* p, Quad v) {
#if defined(__SSE2__)
  _mm_storel_pi(reinterpret_cast<__m64*>(p), (__m128)v);
  _mm_store_ss(p + 2, _mm_movehl_ps((__m128)v, (__m128)v));
#else
  for (int i = 0; i < 3; ++i) p[i] = v[i];
#endif
}
static inline float sum(Quad v) { return (v[0] + v[2]) + (v[1] + v[3]); }

static inline Quad fold(Vec v) {  // its quarters added up; the masked forms, since gcc warns of the others
#if defined(__AVX512F__)
  const __m512d pairs = (__m512d)v;
  const __m256 half = (__m256)_mm512_maskz_extractf64x4_pd(0xff, pairs, 0) +
                      (__m256)_mm512_maskz_extractf64x4_pd(0xff, pairs, 1);
  return (Quad)(_mm256_castps256_ps128(half) + _mm256_maskz_extractf32x4_ps(0xff, half, 1));
#elif defined(__AVX2__)
  return (Quad)(_mm256_castps256_ps128((__m256)v) + _mm256_extractf128_ps((__m256)v, 1));
#else
  return v;
#endif
}

// The sums of the lanes of each.
static inline Quad sums(Vec a, Vec b, Vec c, Vec d) {
  const Quad p = fold(a), q = fold(b), r = fold(c), s = fold(d);
#if defined(__SSE2__)
  const __m128 pq = _mm_unpacklo_ps((__m128)p, (__m128)q) + _mm_unpackhi_ps((__m128)p, (__m128)q);
  const __m128 rs = _mm_unpacklo_ps((__m128)r, (__m128)s) + _mm_unpackhi_ps((__m128)r, (__m128)s);
  return (Quad)(_mm_movelh_ps(pq, rs) + _mm_movehl_ps(rs, pq));
#else
  return Quad{sum(p), sum(q), sum(r), sum(s)};
#endif
}

static inline void copy_floats(float* to, const float* from,
                               int n) {  // short rows: memcpy's call costs more than the copy
  int i = 0;
  for (; i + LANES <= n; i += LANES) store(to + i, load(from + i));
  for (; i < n; ++i) to[i] = from[i];
}

// out[i] = f(in[i]) for any n; in and out may be the same array.
template <class F>
static inline void map(const float* in, float* out, size_t n, F&& f) {
  size_t i = 0;
  for (; i + LANES <= n; i += LANES) store(out + i, f(load(in + i)));
  if (i < n) {
    alignas(64) float tail[LANES] = {};
    __builtin_memcpy(tail, in + i, (n - i) * sizeof(float));
    store(tail, f(load(tail)));
    __builtin_memcpy(out + i, tail, (n - i) * sizeof(float));
  }
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
