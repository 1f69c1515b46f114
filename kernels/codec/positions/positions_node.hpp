// Nodes of the octree, and sums over the bytes that stand for their eight children.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/positions/positions_geometry.hpp"

namespace gspc::positions {

// What a node's neighbors look at.
struct Shape {
  uint32_t first;    // its first child in the next level
  uint8_t occupied;  // children that hold keys: the known ones at first, all once coded
  uint8_t many;      // children that hold two fresh keys or more
  uint8_t fresh;     // fresh keys: 0, 1, 2 (two or more), 3 (was 1, coded to the end)
  uint8_t touched;   // next to a node with fresh keys
};

struct Node {
  uint64_t prefix;
  uint32_t known0, known1;  // its known keys
  uint32_t fresh0, fresh1;  // its fresh keys, when encoding
  uint32_t links;           // where its neighbors are listed, when it holds fresh keys
  uint8_t link_count;       // at most 26
  uint8_t zeros;            // may sit on the lattice of 16 voxels (2), of 4 (1), of neither (0)
  uint8_t siblings;         // children of its parent
  uint8_t here;             // children with fresh keys
};

inline constexpr int kLinkBits = 27;  // a link is direction << 27 | number of the node
inline constexpr uint32_t kLinkMask = (1u << kLinkBits) - 1;
inline constexpr size_t kMostKeys = size_t{1} << (kLinkBits - 1);

inline int ones(int mask) { return kGeometry.ones[mask]; }

// Sum of the bytes of `v`, each below 64.
inline int byte_sum(uint64_t v) {
  const uint64_t pairs = (v & 0x00ff00ff00ff00ffull) + (v >> 8 & 0x00ff00ff00ff00ffull);
  return static_cast<int>(pairs * 0x0001000100010001ull >> 48);
}

// Greatest of the two-bit states in the bytes of `v`.
inline int greatest(uint64_t v) {
  const uint64_t low = v & 0x0101010101010101ull, high = v >> 1 & 0x0101010101010101ull;
  return (low & high) ? 3 : high ? 2 : low ? 1 : 0;
}

}  // namespace gspc::positions
