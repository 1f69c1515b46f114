// Rate of attributes of some anchors at a level (PCGS Eq. 4, 6 and 7, HAC++'s mixtures), with all derivatives
// in one pass.
//
// An attribute is n rows of `width` values v. Its grid lies around the mean base * center, base being Q0; the
// step of level 1 is q1 = base (1 + tanh r), r limited to what the stream's table holds, that of a level q =
// q1 / refinement, and the standard deviation of first appearances log2 s = octaves - 3 - log2(q / base) in
// steps, limited to what the pinned tables hold.
//
// Values appear as d = (v - base center) / q plus uniform noise of one step, or rounded without it, which
// takes the derivatives by d away. The mass of a Gaussian in the bin of width 1 around d is m(d, s) =
// Phi((1/2 - |d|) / s) - Phi((-1/2 - |d|) / s), and
//   bits = -log2 max(m(d, s), 2^-24)
//   bits = -log2 max((1 - w) m(d, s) + w m(d - mean2, s2), 2^-24),  w = sigmoid(logit)
// with mean2 = mean / (q / base) and s2 from octaves of its own. Derivatives are those of -log2 of the mass
// over the bounded one, so that far-off values still pull back. Edges beyond 40 standard deviations count as
// 40; densities below 1e-20 as 0, since what comes of them would be denormal numbers, which processors are
// slow with. NaN gives NaN.
//
// Trits refine symbols, k = 3 k' + t with t in {-1, 0, 1}: p(0) = sigmoid(zero), p(+1 | not 0) =
// sigmoid(sign), or a Gaussian's share of the three bins. Symbols of a level come from the finest ones, so
// that grids nest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gspc {

// Rows that lie `stride` floats apart.
struct RateMatrix {
  const float* data;
  size_t stride;
  const float* row(size_t i) const { return data + i * stride; }
};

struct RateAttribute {
  size_t n, width;
  RateMatrix values, center, octaves;  // [n, width]
  RateMatrix r;                        // [n, 1]
  float base, refinement;
};

// Second components of the mixtures of the channels [first, end): rows of means, octaves and logits.
struct RateChunk {
  size_t first, end;
  RateMatrix outputs;  // [n, 3 (end - first)]
  float* by_outputs;   // or null
};

// Derivatives, all written or none (null). by_values and by_center are 0 without noise.
struct RateDerivatives {
  float *by_values, *by_center, *by_octaves;  // [n, width]
  float* by_r;                                // [n]
};

struct RateNoise {
  bool on;
  uint64_t seed;
};

// Weighted sum of the bits of values that appear. weights and sums are [n, groups]: each weight is that of
// width / groups values in a row, each sum that of their bits. The derivatives are those of the result.
// Chunks ascend and cover the channels from the first one's; those before are plain Gaussians.
double rate_appearance(const RateAttribute& attribute, RateNoise noise, const float* weights, size_t groups,
                       const std::vector<RateChunk>& chunks, float* sums, const RateDerivatives& to);

// Inputs of the chunk networks: of chunk [first, end) rows of log2 s as (index - 64) / 32, 12 indices per
// octave from -3; of center / 8; and of the rounded values of the channels before, in units of 8 base. All
// but the first limited to 2047 / 512.
struct RateChunkInputs {
  size_t first, end;
  float* inputs;    // [n, 2 (end - first) + first]
  const float* by;  // derivatives by them, for the backward pass
};
void rate_chunk_inputs(const RateAttribute& attribute, const std::vector<RateChunkInputs>& chunks);
// Writes all of to.by_center, by_octaves and by_r; the rounded values have no derivatives.
void rate_chunk_inputs_backward(const RateAttribute& attribute, const std::vector<RateChunkInputs>& chunks,
                                const RateDerivatives& to);

// From the grid of step q1 / finest up `coarser` levels: the trits there, and the values a level further up
// in units of 8 base, limited to 2047 / 512.
struct RateSymbols {
  size_t finest, coarser;
};
void rate_trits(const RateAttribute& attribute, RateSymbols symbols, float* so_far, float* trits);

// Weighted sum of the bits of trits under network outputs [n, 2 width]: logits of zero against nonzero,
// limited to [-8, 7.75], and of +1 against -1, limited to [-4, 3.875], as the stream's tables are. weights as
// above; by_outputs may be null.
double rate_three_way(size_t n, size_t width, RateMatrix outputs, const float* trits, const float* weights,
                      size_t groups, float* sums, float* by_outputs);

// The same under the Gaussian of first appearances. Only octaves and r have derivatives.
double rate_gaussian_trits(const RateAttribute& attribute, RateSymbols symbols, const float* weights,
                           size_t groups, float* sums, const RateDerivatives& to);

}  // namespace gspc
