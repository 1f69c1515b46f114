// Morton keys: bit 3 i of the key is bit i of x, bit 3 i + 1 of y, bit 3 i + 2 of z; 21 bits per axis.
#pragma once

#include <cstdint>

#include "codec/format/limits.hpp"

namespace gspc {

inline uint64_t morton_spread(uint32_t v) {
  uint64_t x = v & 0x1fffffu;
  x = (x | x << 32) & 0x001f00000000ffffull;
  x = (x | x << 16) & 0x001f0000ff0000ffull;
  x = (x | x << 8) & 0x100f00f00f00f00full;
  x = (x | x << 4) & 0x10c30c30c30c30c3ull;
  x = (x | x << 2) & 0x1249249249249249ull;
  return x;
}

inline uint32_t morton_gather(uint64_t key) {
  uint64_t x = key & 0x1249249249249249ull;
  x = (x | x >> 2) & 0x10c30c30c30c30c3ull;
  x = (x | x >> 4) & 0x100f00f00f00f00full;
  x = (x | x >> 8) & 0x001f0000ff0000ffull;
  x = (x | x >> 16) & 0x001f00000000ffffull;
  x = (x | x >> 32) & 0x00000000001fffffull;
  return static_cast<uint32_t>(x);
}

// Coordinates of 21 bits each; higher bits are ignored.
inline uint64_t morton_key(uint32_t x, uint32_t y, uint32_t z) {
  return morton_spread(x) | morton_spread(y) << 1 | morton_spread(z) << 2;
}

inline void morton_coordinates(uint64_t key, uint32_t& x, uint32_t& y, uint32_t& z) {
  x = morton_gather(key);
  y = morton_gather(key >> 1);
  z = morton_gather(key >> 2);
}

}  // namespace gspc
