// The noise of a key (noise.hpp) at numbers, for *_isa.cpp files only.
#pragma once

#include "common/simd.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {

// Uniform in [-1/2, 1/2]: 32 bits of an integer hash (Wellons' lowbias32 with a key between its rounds).
static inline Floats noise_at(Words number, uint64_t key) {
  Words x = number + static_cast<uint32_t>(key);
  x ^= x >> 16;
  x *= 0x7feb352du;
  x ^= static_cast<uint32_t>(key >> 32);
  x ^= x >> 15;
  x *= 0x846ca68bu;
  x ^= x >> 16;
  return to_floats((Ints)x) * 0x1p-32f;
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
