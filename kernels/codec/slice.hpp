// One slice: the traversal in coding order, written once and instantiated for writing and for reading.
#pragma once

#include <cstdint>
#include <vector>

#include "codec/binary.hpp"
#include "codec/header.hpp"
#include "codec/network.hpp"
#include "codec/positions.hpp"
#include "codec/rans.hpp"

namespace gspc {

// What tables are computed from; shared by all slices and threads.
struct StreamModel {
  StreamHeader header;
  std::vector<uint8_t> signs;  // grid_sign_table
  PackedNetworks networks;
  int levels = 1;
};

// The anchors of a slice in order of appearance, as far as coded. K Gaussians, F features, C context values.
struct SliceState {
  size_t count = 0;
  std::vector<uint64_t> known;  // keys of all anchors, sorted
  std::vector<int32_t> positions;  // [n, 3]
  std::vector<uint8_t> gaussian_level;  // [n, K], 0 = not alive yet
  std::vector<int32_t> features, scaling, offsets;  // [n, F], [n, 6], [n, K, 3]
  std::vector<int16_t> context;  // [n, C]
  std::vector<int16_t> means;  // [n, F + 6 + 3K]
  std::vector<uint8_t> steps;  // [n, 3]
  std::vector<uint8_t> offset_tables;  // [n, 3K]

  // Empty, with room for `anchors`.
  void reset(const StreamHeader& header, size_t anchors);
};

// What a slice shall hold, for writing: anchors in order of appearance.
struct SliceSource {
  int final_level = 1;  // features and scaling are symbols of this level
  std::vector<std::vector<uint64_t>> keys;  // per level, sorted
  std::vector<uint8_t> gaussian_level;
  std::vector<int32_t> features, scaling, offsets;
};

struct SliceWriter {
  static constexpr bool writing = true;
  const SliceSource* source = nullptr;
  BinaryEncoder positions, masks, escapes;
  RansEncoder lanes;
};

struct SliceReader {
  static constexpr bool writing = false;
  BinaryDecoder positions, masks, escapes;
  RansDecoder lanes;

  struct Part {
    const uint8_t* data;
    size_t size;
  };
  SliceReader(Part p, Part m, Part e, Part l)
      : positions(p.data, p.size), masks(m.data, m.size), escapes(e.data, e.size), lanes(l.data, l.size) {}
};

// -sum log2 p under the integer tables, in bits.
struct IdealBits {
  double features = 0, scaling = 0, offsets = 0;                          // first appearances
  double refined_features = 0, refined_scaling = 0, refined_offsets = 0;  // trits

  IdealBits& operator+=(const IdealBits& more) {
    features += more.features, scaling += more.scaling, offsets += more.offsets;
    refined_features += more.refined_features, refined_scaling += more.refined_scaling;
    refined_offsets += more.refined_offsets;
    return *this;
  }
};

// Buffers of one thread.
struct SliceScratch {
  std::vector<int16_t> input, hidden, level_hidden, output;
  std::vector<int32_t> sums;
  std::vector<uint8_t> feature_tables, scaling_tables, offset_tables;
  std::vector<uint16_t> trit_tables, scaling_trit_tables;
  std::vector<int8_t> trits;
  std::vector<int32_t> symbols;
  std::vector<uint32_t> escapes;
  std::vector<uint64_t> fresh;
  IdealBits ideal;
  bool want_ideal = false;

  explicit SliceScratch(const StreamHeader& header);
};

// Codes level `level` of a slice whose earlier levels are in `state`: `fresh` anchors appear. Returns how many Gaussians
// appear. Reading throws StreamError on damage.
template <class Streams>
size_t code_slice_level(Streams& streams, const StreamModel& model, SliceState& state, SliceScratch& scratch, int level,
                        KeyInterval interval, size_t fresh);

// Context, means, steps and offset tables of anchors [begin, end) of the state, whose positions are set.
void predict_centers(const StreamModel& model, SliceState& state, SliceScratch& scratch, size_t begin, size_t end,
                     int level);

// k at a level from k at the next one.
inline int32_t coarser(int32_t k) { return k >= -1 ? (k + 1) / 3 : -((-k + 1) / 3); }

// Hash of the state's symbols (man/pcgs.5, SYMBOL HASH).
uint64_t hash_slice(const SliceState& state);
uint64_t hash_words(uint64_t hash, uint64_t word);

}  // namespace gspc
