// Positions of the anchors that first appear in one slice at one level, as Morton keys: an octree walked
// breadth first with mixed adaptive contexts. man/pcgs.5 has the format in words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codec/entropy/binary.hpp"
#include "codec/positions/morton.hpp"

namespace gspc {

// Sorted, distinct Morton keys; does not own them.
struct KeySpan {
  const uint64_t* data = nullptr;
  size_t size = 0;

  KeySpan() = default;
  KeySpan(const uint64_t* d, size_t n) : data(d), size(n) {}
  KeySpan(const std::vector<uint64_t>& keys)
      : data(keys.data()), size(keys.size()) {}  // NOLINT: implicit on purpose

  uint64_t operator[](size_t i) const { return data[i]; }
};

// Keys low <= key < high.
struct KeyInterval {
  uint64_t low = 0;
  uint64_t high = 0;
};

// Codes `fresh`: keys of `bits` (1..21) per axis inside `interval`, none of which is in `known`. `known`
// holds the keys of earlier levels in the same slice and is context only. False, with nothing coded, when the
// keys are not sorted, distinct, inside the interval and disjoint.
bool encode_positions(BinaryEncoder& coder, KeySpan known, KeySpan fresh, KeyInterval interval, int bits);

// Appends exactly n_fresh sorted keys to `fresh` and returns true, or returns false on damaged input (`fresh`
// then holds what it held before). Memory and time are bounded by known.size and n_fresh, whatever the bytes
// are.
bool decode_positions(BinaryDecoder& coder, KeySpan known, KeyInterval interval, int bits, size_t n_fresh,
                      std::vector<uint64_t>& fresh);

}  // namespace gspc
