// The kinds of streams that a slice is traversed with. Each has the coders `positions`, `masks`, `escapes`
// and `lanes`, knows how many `gaussians` appear, and says whether it writes and whether it keeps what
// symbols cost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codec/entropy/binary.hpp"
#include "codec/entropy/rans.hpp"
#include "codec/format/shape.hpp"
#include "codec/stream/run_coder.hpp"

namespace gspc {

// The payload of a slice at one level: how many anchors and Gaussians appear, and the bytes of its parts,
// which belong to others.
struct SliceParts {
  struct Bytes {
    const uint8_t* data = nullptr;
    size_t size = 0;
  };
  uint32_t fresh = 0, gaussians = 0;
  Bytes positions, masks, escapes, lanes;
};

// What a slice shall hold, for writing: anchors in order of appearance.
struct SliceSource {
  int final_stage = 1;                      // refined symbols are of this stage
  std::vector<std::vector<uint64_t>> keys;  // per level, sorted
  std::vector<uint8_t> gaussian_level;
  std::vector<int32_t> symbols[3];
  // With selective refinement [n, 3, final_stage - 1]: the level that brings the step of stage t + 1 at t
  // - 1.
  std::vector<uint8_t> refined_at;

  // Whether an attribute of anchor n goes from the step of stage `step` to the next one at a level.
  bool refines(size_t n, size_t attribute, int step, int level) const {
    const size_t steps = static_cast<size_t>(final_stage) - 1;
    return refined_at[(n * kAttributes + attribute) * steps + static_cast<size_t>(step) - 1] == level;
  }
};

struct SliceWriter {
  static constexpr bool kWriting = true, kMetering = false;
  const SliceSource* source = nullptr;
  size_t gaussians = 0;  // that appear
  BinaryEncoder positions, masks, escapes;
  RansEncoder lanes;
};

struct SliceReader {
  static constexpr bool kWriting = false, kMetering = false;
  size_t gaussians = 0;
  BinaryDecoder positions, masks, escapes;
  RansDecoder lanes;

  explicit SliceReader(const SliceParts& parts)
      : gaussians(parts.gaussians),
        positions(parts.positions.data, parts.positions.size),
        masks(parts.masks.data, parts.masks.size),
        escapes(parts.escapes.data, parts.escapes.size),
        lanes(parts.lanes.data, parts.lanes.size) {}
};

// What a symbol codes: an attribute of what appears, by its index, or how an attribute is refined.
constexpr size_t kComponents = 2 * kAttributes;
constexpr size_t refined_component(int attribute) { return kAttributes + static_cast<size_t>(attribute); }

// Reads, and adds up what the symbols of each anchor cost at this level: -log2 of their share of their table,
// in bits; of an escaped one that of the escape.
struct SliceMeter : SliceReader {
  static constexpr bool kMetering = true;
  std::vector<double> bits;  // [anchors, kComponents]

  SliceMeter(const SliceParts& parts, size_t anchors) : SliceReader(parts), bits(anchors * kComponents) {}

  // A run that was read. Then charge() says whose it is.
  void gaussian(const uint8_t* table, const int32_t* k, size_t n);
  void trits(const uint16_t* table, const int8_t* trit, size_t n);
  void mixture(const Mixture& mixture, const int32_t* k, size_t n);

  // The run consists of rows of `width` symbols; row r belongs to anchor_of(r).
  template <class AnchorOf>
  void charge(size_t component, size_t width, AnchorOf anchor_of) {
    size_t i = 0;
    for (size_t row = 0; i < run_bits_.size(); ++row) {
      double sum = 0;
      for (const size_t end = i + width; i < end; ++i) sum += static_cast<double>(run_bits_[i]);
      bits[anchor_of(row) * kComponents + component] += sum;
    }
  }

 private:
  void measure_entries();

  std::vector<uint32_t> entries_;  // of the last run, as RansEncoder records them
  std::vector<float> run_bits_;
};

// Reads from one coder and writes the symbols to another; the other parts stay as they are.
struct SliceTranscoder {
  static constexpr bool kWriting = false, kMetering = false;
  size_t gaussians = 0;
  BinaryDecoder positions, masks, escapes;
  RunTranscoder lanes;

  SliceTranscoder(const SliceParts& parts, RunReader& from, RunWriter& to)
      : gaussians(parts.gaussians),
        positions(parts.positions.data, parts.positions.size),
        masks(parts.masks.data, parts.masks.size),
        escapes(parts.escapes.data, parts.escapes.size),
        lanes(from, to) {}
};

}  // namespace gspc
