// One slice: the traversal in coding order, written once and instantiated for every kind of streams
// (slice_streams.hpp): writing, reading, reading with what anchors cost, and from one coder to another.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "codec/context/network.hpp"
#include "codec/entropy/mixture.hpp"
#include "codec/format/header.hpp"
#include "codec/format/parameters.hpp"
#include "codec/positions/positions.hpp"

namespace gspc {

// What tables are computed from; shared by all slices and threads.
struct StreamModel {
  StreamHeader header;
  std::vector<uint8_t> signs;  // grid_sign_table
  PackedNetworks networks;
  Stages stages;                     // of the levels
  GridSpec context_grid, pool_grid;  // the planes of contexts and of the pool
  uint64_t pool_start = 0;           // of the pool's planes in `signs`

  StreamModel(const StreamHeader& head, std::vector<uint8_t> table, const Networks& nets, Stages of_levels)
      : header(head),
        signs(std::move(table)),
        networks(nets),
        stages(std::move(of_levels)),
        context_grid(head.context_grid()),
        pool_grid(head.pool_grid()),
        pool_start(head.pool_grid_start()) {}

  int stage(int level) const { return stages[static_cast<size_t>(level) - 1]; }
};

// The anchors of a slice in order of appearance, as far as coded. K Gaussians, F features, C context values.
struct SliceState {
  size_t count = 0;
  std::vector<uint64_t> known;          // keys of all anchors, sorted
  std::vector<int32_t> positions;       // [n, 3]
  std::vector<uint8_t> gaussian_level;  // [n, K], 0 = not alive yet
  std::vector<int32_t> symbols[3];      // per attribute: [n, F], [n, Z], [n, K, 3]
  std::vector<uint8_t> step_levels;     // [n, 3]: the stage whose step an attribute's symbols are in
  std::vector<int16_t> context;         // [n, C]
  std::vector<int16_t> means;           // [n, F + Z + 3K]
  std::vector<uint8_t> steps;           // [n, 3]
  std::vector<int16_t> offset_scales;   // [n, 3K]: outputs of the center network

  // Empty, with room for `anchors`.
  void reset(const StreamHeader& header, size_t anchors);
  // Room for `anchors` in all, those that are there included, which stay.
  void grow(const StreamHeader& header, size_t anchors);
};

// The mixtures of one run.
struct MixtureRun {
  std::vector<uint8_t> scale[2], weight;
  std::vector<int16_t> mean[2];

  void resize(size_t n) {
    for (int c = 0; c < 2; ++c) {
      scale[c].resize(n);
      mean[c].resize(n);
    }
    weight.resize(n);
  }
  Mixture view() const {
    return {{scale[0].data(), scale[1].data()}, {mean[0].data(), mean[1].data()}, weight.data()};
  }
};

// A row of values in a run: where it lies in the tables, and in the state's array of its attribute.
struct RunRow {
  size_t table = 0, value = 0;
};

// Buffers of one thread.
struct SliceScratch {
  std::vector<int16_t> input, hidden, stage_hidden, output, pool_context;
  std::vector<int32_t> sums;
  std::vector<uint8_t> feature_tables, scaling_tables, offset_tables;
  std::vector<uint16_t> trit_tables;
  MixtureRun mixtures;
  std::vector<int8_t> trits;
  std::vector<int32_t> symbols, targets, wide_trits;
  std::vector<uint32_t> escapes;
  std::vector<uint32_t> gaussians;  // of the state, n * K + k, whose offsets a run holds
  std::vector<uint8_t> refines;     // [n]: which attributes of older anchors a level refines, a bit each
  std::vector<uint32_t> rows;       // older anchors whose attribute a run refines
  std::vector<RunRow> places;
  std::vector<uint64_t> fresh;

  explicit SliceScratch(const StreamHeader& header);
};

// Codes level `level` of a slice whose earlier levels are in `state`: `fresh` anchors appear. Returns how
// many Gaussians appear. Reading throws StreamError on damage. What follows needs a stage instead of a level.
template <class Streams>
size_t code_slice_level(Streams& streams, const StreamModel& model, SliceState& state, SliceScratch& scratch,
                        int level, KeyInterval interval, size_t fresh);

// Context, means, steps and offset scales of anchors [begin, end) of the state, whose positions are set; with
// stage > 0 also the Gaussian tables of features and scaling that appear at that stage:
// scratch.feature_tables, scaling_tables.
void predict_centers(const StreamModel& model, SliceState& state, SliceScratch& scratch, size_t begin,
                     size_t end, int stage);

// How the values of an attribute of the anchors scratch.rows are refined to the step of `stage`, from symbols
// of the stage before: scratch.trit_tables, or scratch.mixtures when the attribute's trit model knows no
// bounds.
void predict_trits(const StreamModel& model, SliceState& state, SliceScratch& scratch, int stage,
                   int attribute);

// scratch.mixtures of a group >= 1 of the features of anchors [begin, end), whose scratch.feature_tables and
// earlier groups are there.
void predict_group(const StreamModel& model, const SliceState& state, SliceScratch& scratch, int stage,
                   int group, size_t begin, size_t end);

// Features from the pool of n positions, rows of `stride` floats. context: theirs, if it is at hand, with the
// padding that network_linear needs; else nullptr.
void predict_pool(const StreamModel& model, SliceScratch& scratch, const int32_t* positions,
                  const int16_t* context, size_t n, float* out, size_t stride);

// k at a stage from k at the next one.
inline int32_t coarser(int32_t k) { return k >= -1 ? (k + 1) / 3 : -((-k + 1) / 3); }

// k with the step of stage `to` from k with that of stage `from` >= to.
inline int32_t at_level(int32_t k, int from, int to) {
  for (; from > to; --from) k = coarser(k);
  return k;
}

// Hash of the state's symbols, with their steps if refinement is selective (man/pcgs.5, SYMBOL HASH).
uint64_t hash_slice(const StreamHeader& header, const SliceState& state);
uint64_t hash_words(uint64_t hash, uint64_t word);

}  // namespace gspc
