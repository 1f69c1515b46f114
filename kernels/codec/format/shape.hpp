// What a stream is made of: attributes and how levels refine them, pool, groups of features, grid, widths of
// the networks. Independent of how many levels a stream has. gspc/format/shape.py is the same class.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "codec/context/context_grid.hpp"
#include "codec/format/limits.hpp"

namespace gspc {

// What an anchor holds, in coding order, which is also that of the steps.
enum AttributeIndex { kFeatures = 0, kScaling = 1, kOffsets = 2 };
inline constexpr size_t kAttributes = 3;
inline constexpr const char* kAttributeNames[kAttributes] = {"features", "scaling", "offsets"};

// How a trit, which refines a value threefold, is predicted: by a network's three-way distribution, by the
// shares of the three bins under the Gaussian of the value's first appearance, or by a network's Gaussian
// over the trit that knows no bounds.
enum class TritModel { learned, gaussian, unbounded };
inline constexpr const char* kTritModelNames[] = {"learned", "gaussian", "unbounded"};

inline constexpr int kAllLevels = 0, kNever = 1;  // as Attribute::refined_until

// One kind of value of an anchor, and how it is coded from level to level.
struct Attribute {
  int values = 0;                             // per anchor
  int refined_until = kNever;                 // last level that refines
  TritModel trit_model = TritModel::learned;  // of its trits, if there are any
  int hidden = 0;                             // hidden units of its trit network; 0: the stream has none
  double step_base = 1;                       // Q0

  // The level whose step the values have at `level`.
  int step_level(int level) const {
    return refined_until == kAllLevels ? level : std::min(level, refined_until);
  }
  bool refines_at(int level) const { return level > 1 && step_level(level) == level; }
  bool refined() const { return refined_until != kNever; }
  // Whether trits need a network once a stream has more than one level.
  bool wants_network() const { return refined() && values > 0 && trit_model != TritModel::gaussian; }
};

// Channels of the features that are coded one group after the other, each knowing those before.
struct Groups {
  int count = 0;   // 0: no intra-anchor context, else 2 or more
  int hidden = 0;  // hidden units of each group's network
};

// The spatial feature pool.
struct Pool {
  int features = 0;  // P; 0: no pool
  int hidden = 0;
  int planes = 0;  // the grid's last planes, which only the pool reads; 0: it shares all of them
};

struct StreamShape {
  std::array<Attribute, kAttributes> attributes{};
  int steps_hidden = 0, trunk_hidden = 0;
  int heads_hidden = 0;     // of each of the three heads
  int residual_hidden = 0;  // of the residual decoder; 0: heads read [pool, residual] as one vector
  Groups groups;
  Pool pool;
  GridSpec grid{};
  bool selective = false;  // refinement is chosen for each anchor and attribute, at levels of their own

  const Attribute& operator[](int attribute) const { return attributes[static_cast<size_t>(attribute)]; }
  Attribute& operator[](int attribute) { return attributes[static_cast<size_t>(attribute)]; }

  int features() const { return attributes[kFeatures].values; }    // F; with a pool: residual channels
  int scales() const { return attributes[kScaling].values; }       // Z: 6, or 1 that stands for all of them
  int offsets() const { return attributes[kOffsets].values / 3; }  // K
  int values() const { return features() + scales() + 3 * offsets(); }  // means of the center network
  int restored_features() const { return pool.features + features(); }
  bool predictive() const { return pool.features > 0; }

  int context_size() const { return kGridFeatures * (static_cast<int>(grid.planes.size()) - pool.planes); }
  int pool_context_size() const { return pool.planes > 0 ? kGridFeatures * pool.planes : context_size(); }
  GridSpec context_grid() const;     // the planes that contexts read
  GridSpec pool_grid() const;        // those that the pool reads
  uint64_t pool_grid_start() const;  // first entry of the pool's planes

  int group_begin(int group) const { return group * features() / groups.count; }
  bool holds_levels() const;  // has all networks that more than one level needs
  // The version of the format that streams of this shape have, and no other.
  int version() const { return selective ? 2 : 1; }
};

// nullptr, or what is beyond the limits.
const char* shape_error(const StreamShape& shape);

}  // namespace gspc
