// Uniform noise of numbered elements and the step of a row, as the CPU kernels have them (kernels/common,
// kernels/rate).
#pragma once

#include "launch.cuh"

namespace gspc {

constexpr float LOWEST_R = -2.0f, HIGHEST_R = 63.0f / 32.0f;

// x between two limits, and 1 where it was.
struct Limited {
  float value, inside;
};

__device__ inline Limited limited(float x, float low, float high) {
  return {x < low ? low : x > high ? high : x, x < low || x > high ? 0.0f : 1.0f};
}

// 1 + tanh r, and its derivative.
struct RelativeStep {
  float value, slope;
};

__device__ inline RelativeStep relative_step(float r) {
  const Limited parameter = limited(r, LOWEST_R, HIGHEST_R);
  const float t = tanhf(parameter.value);
  return {1.0f + t, (1.0f - t * t) * parameter.inside};
}

// In [-1/2, 1/2]: 32 bits of an integer hash (Wellons' lowbias32 with a key between its rounds).
__device__ inline float noise(uint64_t key, uint32_t number) {
  uint32_t x = number + static_cast<uint32_t>(key);
  x = (x ^ x >> 16) * 0x7feb352du;
  x ^= static_cast<uint32_t>(key >> 32);
  x = (x ^ x >> 15) * 0x846ca68bu;
  x ^= x >> 16;
  return static_cast<float>(static_cast<int32_t>(x)) * 2.3283064365386963e-10f;
}

// Seeds that differ in a bit become keys that differ in half of them (the finish of splitmix64).
inline uint64_t key_of(uint64_t seed) {
  seed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9u;
  seed = (seed ^ seed >> 27) * 0x94d049bb133111ebu;
  return seed ^ seed >> 31;
}

}  // namespace gspc
