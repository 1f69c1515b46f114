// Uniform noise of numbered elements: a hash of key and number (noise_vector.hpp), the same for every number
// of threads and lanes.
#pragma once

#include <cstdint>

namespace gspc {

// Seeds that differ in a bit become keys that differ in half of them (the finish of splitmix64).
inline uint64_t noise_key(uint64_t seed) {
  seed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9u;
  seed = (seed ^ seed >> 27) * 0x94d049bb133111ebu;
  return seed ^ seed >> 31;
}

}  // namespace gspc
