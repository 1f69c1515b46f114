// Bits of symbols under a Gaussian, a mixture of two or a three-way distribution, with their derivatives in one pass.
//
// In units of the step: the mass of a Gaussian with standard deviation s in the bin of width 1 at distance d from its mean is
// m(d, s) = Phi((1/2 - |d|) / s) - Phi((-1/2 - |d|) / s). Then
//   bits = -log2 max(m(d, s), 2^-24)
//   bits = -log2 max((1 - w) m(d, s1) + w m(d - mean2, s2), 2^-24),  w = sigmoid(logit).
// Derivatives are those of -log2 of the mass over the bounded one, so that far-off values still pull back. Edges beyond 40
// standard deviations count as 40; scales below 1e-6 as 1e-6, with derivative 0; densities below 1e-20 count as 0, since what
// comes of them would be denormal numbers, which processors are slow with. NaN gives NaN.
//
// Trits t in {-1, 0, 1}: p(0) = sigmoid(zero), p(+1 | not 0) = sigmoid(sign).
#pragma once

#include <cstddef>

#include "common/isa.hpp"

namespace gspc {

struct GaussianBits {
  const float *distance, *scale;
  float* bits;
  float *by_distance, *by_scale;  // both or neither (null)
};

struct MixtureBits {
  const float *distance, *scale1, *mean2, *scale2, *logit;
  float* bits;
  float *by_distance, *by_scale1, *by_mean2, *by_scale2, *by_logit;  // all or none (null)
};

struct TritBits {
  const float *zero, *sign, *trits;
  float* bits;
  float *by_zero, *by_sign;  // both or neither (null)
};

void gaussian_bits(const GaussianBits& values, size_t n);
void mixture_bits(const MixtureBits& values, size_t n);
void trit_bits(const TritBits& values, size_t n);

}  // namespace gspc

GSPC_DECLARE_ISA(
    // Elements [begin, end).
    void gaussian_bits_range(const GaussianBits& values, size_t begin, size_t end);
    void mixture_bits_range(const MixtureBits& values, size_t begin, size_t end);
    void trit_bits_range(const TritBits& values, size_t begin, size_t end);)
