// What is around a node of the octree: directions, and the scores and states that neighbors give to its
// children.
//
// Child c of a node: bit 0 of c is its half in x, bit 1 in y, bit 2 in z. Direction t = 9 (dz + 1) + 3 (dy +
// 1) + (dx + 1), each d in {-1, 0, 1}; 13 is the node itself.
#pragma once

#include <cstdint>

namespace gspc::positions {

inline constexpr int kSelf = 13;

// Eight children side by side, one byte each, child 0 in the lowest.
struct Geometry {
  // Children (a mask) of the neighbor in direction t that are next to child c, and the direction in which
  // each lies.
  uint8_t facing[8][27];
  uint8_t direction[8][27][8];

  // What a neighbor in direction t whose children are `mask` gives to the children: `coded` when those are
  // all it has, `expected` when they are only the known ones and fresh ones may follow. Scores add up; states
  // of the three outward faces, two bits per axis, are united: 0 nothing there, 1 a node not coded yet, 2 a
  // coded node with no key straight behind the face, 3 a key straight behind the face.
  struct Row {
    uint64_t score, face;
  };
  Row coded[27][256];
  Row expected[27][256];

  uint8_t ones[256];  // binary ones in a mask

  Geometry() noexcept;
};

extern const Geometry kGeometry;

// Coarse classes of a score (0..49) and of a small count.
struct Classes {
  uint8_t score16[64];
  uint8_t score8[256];
  uint8_t around8[27];
  Classes() noexcept;
};

extern const Classes kClasses;

}  // namespace gspc::positions
