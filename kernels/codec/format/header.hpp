// The HEAD chunk: what kind of model the stream holds and all its sizes. Independent of how many levels are
// present, so that dropping levels leaves it as it is.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "codec/context/context_grid.hpp"
#include "codec/format/limits.hpp"

namespace gspc {

// What an anchor holds, in coding order; also the bit of `refined` and the index of the step.
enum Attribute { kFeatures = 0, kScaling = 1, kOffsets = 2 };

// How values are refined at later levels: a learned three-way distribution, the same from the Gaussian of a
// first appearance, a Gaussian over the trit that knows no bounds, or the first for features and the second
// for the others.
enum TritModel { kTritLearned = 0, kTritGaussian = 1, kTritUnbounded = 2, kTritMixed = 3 };

struct StreamHeader {
  std::string family = "plain";  // or "predictive": with a pool
  int features = 0;              // F; of the predictive family: residual channels
  int offsets = 0;               // K
  int position_bits = 0;         // per axis, 1..21
  int steps_hidden = 0, trunk_hidden = 0;
  int trit_hidden[3] = {0, 0, 0};          // per attribute; 0: no such network
  int heads_hidden = 0;                    // H of each of the three heads
  int chunk_hidden = 0;                    // of the networks of feature chunks
  int pool_features = 0, pool_hidden = 0;  // P
  int residual_hidden = 0;  // Hr of the residual decoder; 0: the heads read [pool, residual] as one vector
  int refined =
      3;  // bit a: attribute a is refined by trits; from bit 4 on the last level that refines, 0: all do
  int scales = 6;  // Z, values of scaling: 6, or 1 that stands for all of them
  int trit_model = kTritLearned;
  int chunks = 0;       // G; 0: no intra-anchor context
  int pool_planes = 0;  // the grid's last planes, which only the pool reads; 0: it reads all of them
  double step_base[3] = {1, 1, 1};  // Q0 of features, scaling, offsets
  double origin[3] = {0, 0, 0};
  double voxel_size = 1;
  float background[3] = {0, 0, 0};
  GridSpec grid{};

  int context() const { return kGridFeatures * (static_cast<int>(grid.planes.size()) - pool_planes); }
  int pool_context() const { return pool_planes > 0 ? kGridFeatures * pool_planes : context(); }
  GridSpec context_grid() const;     // the planes that contexts read
  GridSpec pool_grid() const;        // those that the pool reads
  uint64_t pool_grid_start() const;  // first entry of the pool's planes

  int values(int attribute) const {
    return attribute == kFeatures ? features : attribute == kScaling ? scales : 3 * offsets;
  }
  bool refines(int attribute) const { return (refined >> attribute & 1) != 0; }
  int last_refined() const { return refined >> 4 != 0 ? refined >> 4 : kMaxLevels; }
  bool refines_at(int attribute, int level) const { return refines(attribute) && level <= last_refined(); }
  // The level whose step an attribute has at `level`: q_1 for what is not refined.
  int step_level(int attribute, int level) const {
    return refines(attribute) ? std::min(level, last_refined()) : 1;
  }
  bool gaussian_trits(int attribute) const {
    return trit_model == kTritGaussian || (trit_model == kTritMixed && attribute != kFeatures);
  }
  bool trit_network(int attribute) const {
    return refines(attribute) && !gaussian_trits(attribute) && values(attribute) > 0;
  }
  bool holds_levels() const;  // has all networks that more than one level needs
  int chunk_begin(int chunk) const { return chunk * features / chunks; }
  int restored_features() const { return pool_features + features; }
  int attributes() const { return features + scales + 3 * offsets; }  // means of the center network
};

std::vector<uint8_t> write_header(const StreamHeader& header);
StreamHeader read_header(const uint8_t* data, size_t size);

// nullptr, or what is beyond the limits.
const char* header_error(const StreamHeader& header);

}  // namespace gspc
