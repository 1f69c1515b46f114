// One vector type per instruction set: 16, 8 or 4 floats. Only for *_isa.cpp units: everything lives in the
// namespace of the instruction set being compiled, so that no inline function is shared between them.
#pragma once

#include <cstdint>

#if defined(GSPC_ISA_IS_v3) || defined(GSPC_ISA_IS_v4)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // gcc 12's own AVX-512 header, wherever it is inlined
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#endif

#define GSPC_INLINE inline __attribute__((always_inline))

namespace gspc::GSPC_ISA_NAMESPACE {

#if defined(GSPC_ISA_IS_v4)

constexpr int W = 16;
using vf = __m512;
typedef int vi __attribute__((vector_size(64), may_alias));
using vm = __mmask16;

GSPC_INLINE vf set1(float x) { return _mm512_set1_ps(x); }
GSPC_INLINE vf load(const float* p) { return _mm512_loadu_ps(p); }
GSPC_INLINE void store(float* p, vf x) { _mm512_storeu_ps(p, x); }
GSPC_INLINE vf fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
GSPC_INLINE vf fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
GSPC_INLINE vf vmin(vf a, vf b) { return _mm512_min_ps(a, b); }  // b when either is NaN
GSPC_INLINE vf vmax(vf a, vf b) { return _mm512_max_ps(a, b); }
GSPC_INLINE vf vsqrt(vf a) { return _mm512_sqrt_ps(a); }
GSPC_INLINE vm ge(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
GSPC_INLINE vm gt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
GSPC_INLINE vm both(vm a, vm b) { return static_cast<vm>(a & b); }
GSPC_INLINE vf select(vm m, vf a, vf b) { return _mm512_mask_mov_ps(b, m, a); }
GSPC_INLINE vf zero_unless(vm m, vf a) { return _mm512_maskz_mov_ps(m, a); }
GSPC_INLINE unsigned bits(vm m) { return m; }
// 1 / a, relative error below 1e-7.
GSPC_INLINE vf reciprocal(vf a) {
  const vf r = _mm512_rcp14_ps(a);
  return _mm512_fmadd_ps(_mm512_fnmadd_ps(a, r, set1(1.0f)), r, r);
}
// Sums over the lanes of eight vectors, in order.
GSPC_INLINE void sum8(const vf* v, float* out) {
  vf half[4], quarter[2];
  for (int i = 0; i < 4; ++i)
    half[i] = _mm512_shuffle_f32x4(v[2 * i], v[2 * i + 1], 0x44) +
              _mm512_shuffle_f32x4(v[2 * i], v[2 * i + 1], 0xee);
  for (int i = 0; i < 2; ++i)
    quarter[i] = _mm512_shuffle_f32x4(half[2 * i], half[2 * i + 1], 0x88) +
                 _mm512_shuffle_f32x4(half[2 * i], half[2 * i + 1], 0xdd);
  // 128-bit lanes now hold v0 v1 v2 v3 and v4 v5 v6 v7.
  vf eighth = _mm512_unpacklo_ps(quarter[0], quarter[1]) + _mm512_unpackhi_ps(quarter[0], quarter[1]);
  eighth = eighth + _mm512_shuffle_ps(eighth, eighth, 0x4e);
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 0, 0, 0, 0, 0, 0, 0, 0);
  _mm256_storeu_ps(out, _mm512_castps512_ps256(_mm512_permutexvar_ps(order, eighth)));
}
GSPC_INLINE float sum1(vf v) { return _mm512_reduce_add_ps(v); }
// base[index[lane] * stride]
GSPC_INLINE vf gather(const float* base, vi index, int stride) {
  return _mm512_i32gather_ps((__m512i)(index * stride), base, 4);
}

#elif defined(GSPC_ISA_IS_v3)

constexpr int W = 8;
using vf = __m256;
typedef int vi __attribute__((vector_size(32), may_alias));
using vm = __m256;

GSPC_INLINE vf set1(float x) { return _mm256_set1_ps(x); }
GSPC_INLINE vf load(const float* p) { return _mm256_loadu_ps(p); }
GSPC_INLINE void store(float* p, vf x) { _mm256_storeu_ps(p, x); }
GSPC_INLINE vf fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
GSPC_INLINE vf fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
GSPC_INLINE vf vmin(vf a, vf b) { return _mm256_min_ps(a, b); }
GSPC_INLINE vf vmax(vf a, vf b) { return _mm256_max_ps(a, b); }
GSPC_INLINE vf vsqrt(vf a) { return _mm256_sqrt_ps(a); }
GSPC_INLINE vm ge(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_GE_OQ); }
GSPC_INLINE vm gt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
GSPC_INLINE vm both(vm a, vm b) { return _mm256_and_ps(a, b); }
GSPC_INLINE vf select(vm m, vf a, vf b) { return _mm256_blendv_ps(b, a, m); }
GSPC_INLINE vf zero_unless(vm m, vf a) { return _mm256_and_ps(m, a); }
GSPC_INLINE unsigned bits(vm m) { return static_cast<unsigned>(_mm256_movemask_ps(m)); }
GSPC_INLINE vf reciprocal(vf a) {
  const vf r = _mm256_rcp_ps(a);
  return _mm256_fmadd_ps(_mm256_fnmadd_ps(a, r, set1(1.0f)), r, r);
}
GSPC_INLINE void sum8(const vf* v, float* out) {
  vf half[4], quarter[2];
  for (int i = 0; i < 4; ++i) half[i] = _mm256_hadd_ps(v[2 * i], v[2 * i + 1]);
  for (int i = 0; i < 2; ++i) quarter[i] = _mm256_hadd_ps(half[2 * i], half[2 * i + 1]);
  _mm256_storeu_ps(out, _mm256_permute2f128_ps(quarter[0], quarter[1], 0x20) +
                            _mm256_permute2f128_ps(quarter[0], quarter[1], 0x31));
}
GSPC_INLINE float sum1(vf v) {
  __m128 half = _mm256_castps256_ps128(v) + _mm256_extractf128_ps(v, 1);
  half = half + _mm_movehl_ps(half, half);
  return _mm_cvtss_f32(half) + _mm_cvtss_f32(_mm_movehdup_ps(half));
}
GSPC_INLINE vf gather(const float* base, vi index, int stride) {
  return _mm256_i32gather_ps(base, (__m256i)(index * stride), 4);
}

#else  // four floats, GNU vector extensions: SSE2 on x86-64, NEON elsewhere

constexpr int W = 4;
typedef float vf __attribute__((vector_size(16), may_alias));
typedef int vi __attribute__((vector_size(16), may_alias));
typedef int vm __attribute__((vector_size(16), may_alias));

GSPC_INLINE vf set1(float x) { return vf{x, x, x, x}; }
GSPC_INLINE vf load(const float* p) {
  vf x;
  __builtin_memcpy(&x, p, sizeof x);
  return x;
}
GSPC_INLINE void store(float* p, vf x) { __builtin_memcpy(p, &x, sizeof x); }
GSPC_INLINE vf fma(vf a, vf b, vf c) { return a * b + c; }
GSPC_INLINE vf fnma(vf a, vf b, vf c) { return c - a * b; }
GSPC_INLINE vf vmin(vf a, vf b) { return a < b ? a : b; }
GSPC_INLINE vf vmax(vf a, vf b) { return a > b ? a : b; }
GSPC_INLINE vf vsqrt(vf a) {
  return vf{__builtin_sqrtf(a[0]), __builtin_sqrtf(a[1]), __builtin_sqrtf(a[2]), __builtin_sqrtf(a[3])};
}
GSPC_INLINE vm ge(vf a, vf b) { return a >= b; }
GSPC_INLINE vm gt(vf a, vf b) { return a > b; }
GSPC_INLINE vm both(vm a, vm b) { return a & b; }
GSPC_INLINE vf select(vm m, vf a, vf b) { return (vf)(((vi)a & m) | ((vi)b & ~m)); }
GSPC_INLINE vf zero_unless(vm m, vf a) { return (vf)((vi)a & m); }
GSPC_INLINE unsigned bits(vm m) { return (m[0] & 1u) | (m[1] & 2u) | (m[2] & 4u) | (m[3] & 8u); }
GSPC_INLINE vf reciprocal(vf a) { return 1.0f / a; }
GSPC_INLINE float sum1(vf v) { return (v[0] + v[2]) + (v[1] + v[3]); }
GSPC_INLINE void sum8(const vf* v, float* out) {
  for (int i = 0; i < 8; ++i) out[i] = sum1(v[i]);
}
GSPC_INLINE vf gather(const float* base, vi index, int stride) {
  return vf{base[index[0] * stride], base[index[1] * stride], base[index[2] * stride],
            base[index[3] * stride]};
}

#endif

GSPC_INLINE vi set1i(int x) { return vi{} + x; }
GSPC_INLINE vi load_int(const int* p) {
  vi x;
  __builtin_memcpy(&x, p, sizeof x);
  return x;
}
GSPC_INLINE void store_int(int* p, vi x) { __builtin_memcpy(p, &x, sizeof x); }
GSPC_INLINE vi truncate(vf x) { return __builtin_convertvector(x, vi); }
GSPC_INLINE vi reinterpret_int(vf x) { return (vi)x; }
GSPC_INLINE vf reinterpret_float(vi x) { return (vf)x; }

// 2^x, relative error about 2e-7, for -126 <= x <= 127; garbage (never a trap) elsewhere.
GSPC_INLINE vf exp2_fast(vf x) {
  const vf magic = set1(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer in the low mantissa bits
  const vf rounded = x + magic;
  const vf f = x - (rounded - magic);
  vf p = set1(1.32669706e-03f);
  p = fma(p, f, set1(9.67545994e-03f));
  p = fma(p, f, set1(5.55074252e-02f));
  p = fma(p, f, set1(2.40221217e-01f));
  p = fma(p, f, set1(6.93146944e-01f));
  p = fma(p, f, set1(1.0f));
  return (vf)((vi)p + ((vi)rounded << 23));
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
