// The vectors of *_isa.cpp files: one name for every type and operation, whatever the instruction set is.
//
// Floats, Ints and Words hold kLanes elements: 16 with AVX-512 (v4), 8 with AVX2 (v3), else 4 (base: SSE2 on
// x86-64, NEON on ARM). They are vector extensions of GCC and clang: operators work lane by lane, comparisons
// give Ints of 0 and -1, `condition ? a : b` selects, and (Ints)x reinterprets the bits. Mask is what the
// instruction set itself compares into; code that combines several conditions is faster with it.
//
// Everything lies in the namespace of the instruction set being compiled, and is static: the linker must
// never take a function compiled for one instruction set in place of that for another.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(GSPC_ISA_IS_v3) || defined(GSPC_ISA_IS_v4)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // gcc 12's own AVX-512 header, wherever it is inlined
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

#define GSPC_INLINE static inline __attribute__((always_inline))

namespace gspc::GSPC_ISA_NAMESPACE {

#if defined(GSPC_ISA_IS_v4)
constexpr int kLanes = 16;
#elif defined(GSPC_ISA_IS_v3)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

typedef float Floats __attribute__((vector_size(4 * kLanes)));
typedef int32_t Ints __attribute__((vector_size(4 * kLanes)));
typedef uint32_t Words __attribute__((vector_size(4 * kLanes)));
typedef float FloatsAnywhere __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
typedef int32_t IntsAnywhere __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
typedef uint32_t WordsAnywhere __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

GSPC_INLINE Floats load(const float* p) { return *reinterpret_cast<const FloatsAnywhere*>(p); }
GSPC_INLINE Ints load(const int32_t* p) { return *reinterpret_cast<const IntsAnywhere*>(p); }
GSPC_INLINE Words load(const uint32_t* p) { return *reinterpret_cast<const WordsAnywhere*>(p); }
GSPC_INLINE void store(float* p, Floats v) { *reinterpret_cast<FloatsAnywhere*>(p) = v; }
GSPC_INLINE void store(int32_t* p, Ints v) { *reinterpret_cast<IntsAnywhere*>(p) = v; }
GSPC_INLINE void store(uint32_t* p, Words v) { *reinterpret_cast<WordsAnywhere*>(p) = v; }

GSPC_INLINE Floats splat(float value) { return value - Floats{}; }  // x - 0 folds to x, x + 0 does not (-0)
GSPC_INLINE Ints splat(int32_t value) { return Ints{} + value; }

GSPC_INLINE Ints smaller(Ints a, Ints b) { return a < b ? a : b; }
GSPC_INLINE Ints larger(Ints a, Ints b) { return a > b ? a : b; }
GSPC_INLINE Ints truncate(Floats x) { return __builtin_convertvector(x, Ints); }
GSPC_INLINE Floats to_floats(Ints x) { return __builtin_convertvector(x, Floats); }

// Four floats; load3 and store3 touch exactly three.
typedef float Quad __attribute__((vector_size(16)));
typedef float QuadAnywhere __attribute__((vector_size(16), aligned(4), may_alias));

#if defined(GSPC_ISA_IS_v4)

typedef __mmask16 Mask;

GSPC_INLINE Floats fma(Floats a, Floats b, Floats c) { return (Floats)_mm512_fmadd_ps(a, b, c); }
GSPC_INLINE Floats fnma(Floats a, Floats b, Floats c) { return (Floats)_mm512_fnmadd_ps(a, b, c); }
GSPC_INLINE Floats vmin(Floats a, Floats b) { return (Floats)_mm512_min_ps(a, b); }  // b when either is NaN
GSPC_INLINE Floats vmax(Floats a, Floats b) { return (Floats)_mm512_max_ps(a, b); }
GSPC_INLINE Floats vsqrt(Floats a) { return (Floats)_mm512_maskz_sqrt_ps(0xffff, a); }
GSPC_INLINE Mask ge(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
GSPC_INLINE Mask gt(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
GSPC_INLINE Mask both(Mask a, Mask b) { return static_cast<Mask>(a & b); }
GSPC_INLINE Floats select(Mask m, Floats a, Floats b) { return (Floats)_mm512_mask_mov_ps(b, m, a); }
GSPC_INLINE Floats zero_unless(Mask m, Floats a) { return (Floats)_mm512_maskz_mov_ps(m, a); }
GSPC_INLINE unsigned bits(Mask m) { return m; }
GSPC_INLINE bool any(Ints mask) { return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0; }
// 1 / a, relative error below 1e-7.
GSPC_INLINE Floats reciprocal(Floats a) {
  const Floats r = (Floats)_mm512_rcp14_ps(a);
  return fma(fnma(a, r, splat(1.0f)), r, r);
}
// base[index[lane] * stride], and base[index[lane]].
GSPC_INLINE Floats gather(const float* base, Ints index, int stride) {
  return (Floats)_mm512_i32gather_ps((__m512i)(index * stride), base, 4);
}
GSPC_INLINE Ints gather(const uint32_t* base, Ints index) {
  return (Ints)_mm512_i32gather_epi32((__m512i)index, base, 4);
}
// The sum of the four quarters; the masked forms, since gcc warns of the others.
GSPC_INLINE Quad fold(Floats v) {
  const __m512d pairs = (__m512d)v;
  const __m256 half = (__m256)_mm512_maskz_extractf64x4_pd(0xff, pairs, 0) +
                      (__m256)_mm512_maskz_extractf64x4_pd(0xff, pairs, 1);
  return (Quad)(_mm256_castps256_ps128(half) + _mm256_maskz_extractf32x4_ps(0xff, half, 1));
}
// Sums over the lanes of eight vectors, in order.
GSPC_INLINE void sum8(const Floats* v, float* out) {
  Floats half[4], quarter[2];
  for (int i = 0; i < 4; ++i)
    half[i] = (Floats)_mm512_shuffle_f32x4(v[2 * i], v[2 * i + 1], 0x44) +
              (Floats)_mm512_shuffle_f32x4(v[2 * i], v[2 * i + 1], 0xee);
  for (int i = 0; i < 2; ++i)
    quarter[i] = (Floats)_mm512_shuffle_f32x4(half[2 * i], half[2 * i + 1], 0x88) +
                 (Floats)_mm512_shuffle_f32x4(half[2 * i], half[2 * i + 1], 0xdd);
  // 128-bit lanes now hold v0 v1 v2 v3 and v4 v5 v6 v7.
  Floats eighth =
      (Floats)_mm512_unpacklo_ps(quarter[0], quarter[1]) + (Floats)_mm512_unpackhi_ps(quarter[0], quarter[1]);
  eighth = eighth + (Floats)_mm512_shuffle_ps(eighth, eighth, 0x4e);
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 0, 0, 0, 0, 0, 0, 0, 0);
  _mm256_storeu_ps(out, _mm512_castps512_ps256(_mm512_permutexvar_ps(order, eighth)));
}

#elif defined(GSPC_ISA_IS_v3)

typedef Floats Mask;

GSPC_INLINE Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
GSPC_INLINE Floats fnma(Floats a, Floats b, Floats c) { return _mm256_fnmadd_ps(a, b, c); }
GSPC_INLINE Floats vmin(Floats a, Floats b) { return _mm256_min_ps(a, b); }
GSPC_INLINE Floats vmax(Floats a, Floats b) { return _mm256_max_ps(a, b); }
GSPC_INLINE Floats vsqrt(Floats a) { return _mm256_sqrt_ps(a); }
GSPC_INLINE Mask ge(Floats a, Floats b) { return _mm256_cmp_ps(a, b, _CMP_GE_OQ); }
GSPC_INLINE Mask gt(Floats a, Floats b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
GSPC_INLINE Mask both(Mask a, Mask b) { return _mm256_and_ps(a, b); }
GSPC_INLINE Floats select(Mask m, Floats a, Floats b) { return _mm256_blendv_ps(b, a, m); }
GSPC_INLINE Floats zero_unless(Mask m, Floats a) { return _mm256_and_ps(m, a); }
GSPC_INLINE unsigned bits(Mask m) { return static_cast<unsigned>(_mm256_movemask_ps(m)); }
GSPC_INLINE bool any(Ints mask) { return !_mm256_testz_si256((__m256i)mask, (__m256i)mask); }
GSPC_INLINE Floats reciprocal(Floats a) {
  const Floats r = _mm256_rcp_ps(a);
  return fma(fnma(a, r, splat(1.0f)), r, r);
}
GSPC_INLINE Floats gather(const float* base, Ints index, int stride) {
  return _mm256_i32gather_ps(base, (__m256i)(index * stride), 4);
}
GSPC_INLINE Ints gather(const uint32_t* base, Ints index) {
  return (Ints)_mm256_i32gather_epi32(reinterpret_cast<const int*>(base), (__m256i)index, 4);
}
GSPC_INLINE Quad fold(Floats v) { return _mm256_castps256_ps128(v) + _mm256_extractf128_ps(v, 1); }
GSPC_INLINE void sum8(const Floats* v, float* out) {
  Floats half[4], quarter[2];
  for (int i = 0; i < 4; ++i) half[i] = _mm256_hadd_ps(v[2 * i], v[2 * i + 1]);
  for (int i = 0; i < 2; ++i) quarter[i] = _mm256_hadd_ps(half[2 * i], half[2 * i + 1]);
  _mm256_storeu_ps(out, _mm256_permute2f128_ps(quarter[0], quarter[1], 0x20) +
                            _mm256_permute2f128_ps(quarter[0], quarter[1], 0x31));
}

#else

typedef Ints Mask;

GSPC_INLINE Floats fma(Floats a, Floats b, Floats c) { return a * b + c; }
GSPC_INLINE Floats fnma(Floats a, Floats b, Floats c) { return c - a * b; }
GSPC_INLINE Floats vmin(Floats a, Floats b) { return a < b ? a : b; }
GSPC_INLINE Floats vmax(Floats a, Floats b) { return a > b ? a : b; }
GSPC_INLINE Floats vsqrt(Floats a) {
  return Floats{__builtin_sqrtf(a[0]), __builtin_sqrtf(a[1]), __builtin_sqrtf(a[2]), __builtin_sqrtf(a[3])};
}
GSPC_INLINE Mask ge(Floats a, Floats b) { return a >= b; }
GSPC_INLINE Mask gt(Floats a, Floats b) { return a > b; }
GSPC_INLINE Mask both(Mask a, Mask b) { return a & b; }
GSPC_INLINE Floats select(Mask m, Floats a, Floats b) { return (Floats)(((Ints)a & m) | ((Ints)b & ~m)); }
GSPC_INLINE Floats zero_unless(Mask m, Floats a) { return (Floats)((Ints)a & m); }
GSPC_INLINE unsigned bits(Mask m) { return (m[0] & 1u) | (m[1] & 2u) | (m[2] & 4u) | (m[3] & 8u); }
GSPC_INLINE Floats reciprocal(Floats a) { return 1.0f / a; }
GSPC_INLINE Floats gather(const float* base, Ints index, int stride) {
  return Floats{base[index[0] * stride], base[index[1] * stride], base[index[2] * stride],
                base[index[3] * stride]};
}
GSPC_INLINE Quad fold(Floats v) { return v; }

#endif

GSPC_INLINE Quad load4(const float* p) { return *reinterpret_cast<const QuadAnywhere*>(p); }
GSPC_INLINE void store4(float* p, Quad v) { *reinterpret_cast<QuadAnywhere*>(p) = v; }
GSPC_INLINE Quad load3(const float* p) {
#if defined(__SSE2__)
  typedef double PairAnywhere __attribute__((aligned(4), may_alias));
  const __m128d low = _mm_set_sd(*reinterpret_cast<const PairAnywhere*>(p));
  return (Quad)_mm_movelh_ps(_mm_castpd_ps(low), _mm_load_ss(p + 2));
#else
  return Quad{p[0], p[1], p[2], 0.0f};
#endif
}
GSPC_INLINE void store3(float* p, Quad v) {
#if defined(__SSE2__)
  _mm_storel_pi(reinterpret_cast<__m64*>(p), (__m128)v);
  _mm_store_ss(p + 2, _mm_movehl_ps((__m128)v, (__m128)v));
#else
  for (int i = 0; i < 3; ++i) p[i] = v[i];
#endif
}

GSPC_INLINE float sum(Quad v) { return (v[0] + v[2]) + (v[1] + v[3]); }
GSPC_INLINE float sum_lanes(Floats v) { return sum(fold(v)); }

// The sums of the lanes of each.
GSPC_INLINE Quad sums(Floats a, Floats b, Floats c, Floats d) {
  const Quad p = fold(a), q = fold(b), r = fold(c), s = fold(d);
#if defined(__SSE2__)
  const __m128 pq = _mm_unpacklo_ps((__m128)p, (__m128)q) + _mm_unpackhi_ps((__m128)p, (__m128)q);
  const __m128 rs = _mm_unpacklo_ps((__m128)r, (__m128)s) + _mm_unpackhi_ps((__m128)r, (__m128)s);
  return (Quad)(_mm_movelh_ps(pq, rs) + _mm_movehl_ps(rs, pq));
#else
  return Quad{sum(p), sum(q), sum(r), sum(s)};
#endif
}

#if !defined(GSPC_ISA_IS_v3) && !defined(GSPC_ISA_IS_v4)
GSPC_INLINE void sum8(const Floats* v, float* out) {
  for (int i = 0; i < 8; ++i) out[i] = sum_lanes(v[i]);
}
#endif

}  // namespace gspc::GSPC_ISA_NAMESPACE
