// Uniform noise of numbered elements: a hash of key and number, the same for every number of threads and
// lanes.
#pragma once

#include <cstdint>

#if defined(GSPC_ISA_NAMESPACE)

#include "common/vector_math.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {

typedef uint32_t WordVec __attribute__((vector_size(4 * LANES)));
typedef uint32_t WordVecUnaligned __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

// Uniform in [-1/2, 1/2]: 32 bits of an integer hash (Wellons' lowbias32 with a key between its rounds).
static inline Vec noise_at(WordVec number, uint64_t key) {
  WordVec x = number + static_cast<uint32_t>(key);
  x ^= x >> 16;
  x *= 0x7feb352du;
  x ^= static_cast<uint32_t>(key >> 32);
  x ^= x >> 15;
  x *= 0x846ca68bu;
  x ^= x >> 16;
  return __builtin_convertvector((IntVec)x, Vec) * 0x1p-32f;
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
#else

namespace gspc {

// Seeds that differ in a bit become keys that differ in half of them (the finish of splitmix64).
inline uint64_t noise_key(uint64_t seed) {
  seed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9u;
  seed = (seed ^ seed >> 27) * 0x94d049bb133111ebu;
  return seed ^ seed >> 31;
}

}  // namespace gspc
#endif
