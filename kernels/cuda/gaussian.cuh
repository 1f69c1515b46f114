// What the rate kernels share: steps, scales, masses of bins and symbols, as kernels/rate has them.
#pragma once

#include "noise.cuh"
#include "rate.cuh"

namespace gspc {
namespace {

constexpr float SMALLEST = 5.9604645e-8f;  // probability, 2^-24
constexpr float FARTHEST = 40.0f;          // standard deviations
constexpr float SMALLEST_BELL = 1e-20f;
constexpr float INVERSE_ROOT_2PI = 0.398942280f;
constexpr float INVERSE_LN2 = 1.44269504f, LN2 = 0.693147181f;
constexpr float LOWEST_LOG2 = -3.0f, HIGHEST_LOG2 = -3.0f + 127.0f / 12.0f;

// A row's step: relative to Q0 at the level, its logarithm, and the derivative of the natural one by r.
struct Step {
  float relative, log2, slope;
};

__device__ inline Step step_of(float r, float refinement) {
  const Limited parameter = limited(r, LOWEST_R, HIGHEST_R);
  const float t = tanhf(parameter.value), relative = (1.0f + t) / refinement;
  return {relative, log2f(relative), (1.0f - t) * parameter.inside};
}

// The derivative by a row's r, of those of its values by the logarithm of the step [n, width].
__device__ inline float step_slope(const RateRows& of, uint64_t row, const float* by_log_step) {
  float sum = 0.0f;
  for (uint64_t c = 0; c < of.width; ++c) sum += by_log_step[row * of.width + c];
  return sum * step_of(of.r[row * of.r_stride], 1.0f).slope;
}

// A standard deviation in steps and its derivative by octaves.
struct Scale {
  float value, slope;
};

__device__ inline Scale scale_of(float octaves, float log2_step) {
  const Limited log2 = limited(octaves - 3.0f - log2_step, LOWEST_LOG2, HIGHEST_LOG2);
  const float value = exp2f(log2.value);
  return {value, value * log2.inside * LN2};
}

__device__ inline float bounded(float u) { return limited(u, -FARTHEST, FARTHEST).value; }

// Phi(u) and exp(-u^2 / 2), as the CPU kernels have them: the tail is a multiple of the same exponential, so
// that its rounding cancels where derivatives divide by masses.
struct Edge {
  float phi, bell;
};

__device__ inline Edge edge(float u) {
  const float x = fabsf(u), exponential = expf(u * u * -0.5f);
  const float bell = exponential < SMALLEST_BELL ? 0.0f : exponential;
  const float r = 1.0f / (x + 4.0f), y = 1.0f - 8.0f * r;
  float p = -1.573205696e-04f;
  p = p * y + 1.293256814e-04f;
  p = p * y + 1.563786899e-03f;
  p = p * y - 3.476167895e-03f;
  p = p * y - 7.512231382e-03f;
  p = p * y + 6.039529587e-02f;
  p = p * y - 1.865267109e-01f;
  p = p * y + 3.871375629e-01f;
  p = p * y - 6.078964038e-01f;
  p = p * y + 7.552851271e-01f;
  const float tail = p * r * bell;
  return {u > 0.0f ? 1.0f - tail : tail, bell};
}

// A bin's mass and its derivatives, mirrored to the negative side, where the difference of the tails keeps
// its relative precision.
struct Mass {
  float mass, by_distance, by_scale;
};

__device__ inline Mass mass_of(float distance, float scale) {
  const float away = fabsf(distance), inverse = 1.0f / scale;
  const float upper = bounded((0.5f - away) * inverse), lower = bounded((-0.5f - away) * inverse);
  const Edge high = edge(upper), low = edge(lower);
  const float factor = inverse * INVERSE_ROOT_2PI;
  const float by_away = (low.bell - high.bell) * factor;
  return {high.phi - low.phi,
          distance < 0.0f    ? -by_away
          : distance == 0.0f ? 0.0f
                             : by_away,
          (lower * low.bell - upper * high.bell) * factor};
}

__device__ inline float at_least_smallest(float mass) { return mass < SMALLEST ? SMALLEST : mass; }

// A value's distance from the center in steps, before noise or rounding.
__device__ inline float exact_distance(const RateRows& of, uint64_t row, uint64_t c, float step) {
  return (of.values[row * of.value_stride + c] - of.base * of.center[row * of.center_stride + c]) / step;
}

// The symbol `coarser` levels above the finest grid, and another level further up.
struct Symbols {
  float here, above;
};

__device__ inline Symbols symbols_of(const RateRows& of, uint64_t row, uint64_t c) {
  const Step step = step_of(of.r[row * of.r_stride], 1.0f);
  float k =
      floorf(exact_distance(of, row, c, of.base * step.relative / static_cast<float>(of.finest)) + 0.5f);
  for (int j = 0; j < of.coarser; ++j) k = floorf((k + 1.0f) / 3.0f);
  return {k, floorf((k + 1.0f) / 3.0f)};
}

}  // namespace
}  // namespace gspc
