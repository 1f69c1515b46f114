// Vectors of floats and fast exp, sigmoid, tanh, for *_isa.cpp files only. Relative errors are about 1e-7 (exp, tanh) and 2e-7
// (sigmoid). NaN stays NaN; exp saturates at about 2.2e38 and 1.2e-38.
#pragma once

#include <cstddef>
#include <cstdint>

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
static inline Vec splat(float value) { return Vec{} + value; }

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
