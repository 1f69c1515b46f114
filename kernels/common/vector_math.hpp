// Fast exp, sigmoid and tanh of vectors, and loops over arrays, for *_isa.cpp files only. Relative errors are
// about 1e-7 (exp, tanh) and 2e-7 (sigmoid, exp2). NaN stays NaN but in vexp2; vexp saturates at about 2.2e38
// and 1.2e-38.
#pragma once

#include "common/simd.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {

// 2^n 1.5 * 2^23 trick; the polynomial is Cephes' expf on [-ln 2 / 2, ln 2 / 2].
static inline Floats vexp(Floats x) {
  x = x < -87.3f ? splat(-87.3f) : x;
  x = x > 88.3f ? splat(88.3f) : x;
  const float magic = 12582912.0f;
  const Floats t = x * 1.44269504088896341f + magic;
  const Floats n = t - magic;
  const Floats r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Floats p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  return p * (Floats)(((Ints)t << 23) + 0x3f800000);
}

// 2^x for -126 <= x <= 127; elsewhere anything, but never a trap.
GSPC_INLINE Floats vexp2(Floats x) {
  const Floats magic = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer in the low bits
  const Floats rounded = x + magic;
  const Floats f = x - (rounded - magic);
  Floats p = splat(1.32669706e-03f);
  p = fma(p, f, splat(9.67545994e-03f));
  p = fma(p, f, splat(5.55074252e-02f));
  p = fma(p, f, splat(2.40221217e-01f));
  p = fma(p, f, splat(6.93146944e-01f));
  p = fma(p, f, splat(1.0f));
  return (Floats)((Ints)p + ((Ints)rounded << 23));
}

static inline Floats vsigmoid(Floats x) { return 1.0f / (1.0f + vexp(-x)); }

// Cephes' tanhf: a polynomial near zero (exact sign and relative error there), else 1 - 2 / (exp(2 |x|) + 1).
static inline Floats vtanh(Floats x) {
  const Floats magnitude = x < 0.0f ? -x : x;
  const Floats z = x * x;
  Floats p = splat(-5.70498872745e-3f);
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const Floats small = p * z * x + x;
  const Floats large = 1.0f - 2.0f / (vexp(magnitude + magnitude) + 1.0f);
  return magnitude < 0.625f ? small : (x < 0.0f ? -large : large);
}

// For short rows: a call of memcpy costs more than the copy.
static inline void copy_floats(float* to, const float* from, int n) {
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) store(to + i, load(from + i));
  for (; i < n; ++i) to[i] = from[i];
}

// Adds the sum of the rows of m [count][stride] to total [width]; width is a multiple of 16.
static inline void add_rows(const float* m, int count, int width, ptrdiff_t stride, float* total) {
  for (int j = 0; j < width; j += kLanes) {
    Floats sum = load(total + j);
    for (int a = 0; a < count; ++a) sum += load(m + a * stride + j);
    store(total + j, sum);
  }
}

// out[i] = f(in[i]) for any n; in and out may be the same array.
template <class F>
static inline void map(const float* in, float* out, size_t n, F&& f) {
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(out + i, f(load(in + i)));
  if (i < n) {
    alignas(64) float tail[kLanes] = {};
    __builtin_memcpy(tail, in + i, (n - i) * sizeof(float));
    store(tail, f(load(tail)));
    __builtin_memcpy(out + i, tail, (n - i) * sizeof(float));
  }
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
