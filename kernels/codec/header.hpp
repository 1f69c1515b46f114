// The HEAD chunk: what kind of model the stream holds and all its sizes. Independent of how many levels are present, so
// that dropping levels leaves it as it is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codec/context_grid.hpp"

namespace gspc {

struct StreamHeader {
  std::string family = "plain";  // up to 12 ASCII characters
  int features = 0;  // F
  int offsets = 0;  // K
  int position_bits = 0;  // per axis, 1..21
  int steps_hidden = 0, trunk_hidden = 0, trit_features_hidden = 0, trit_scaling_hidden = 0;
  int heads_hidden = 0;  // H of each of the three heads
  double step_base[3] = {1, 1, 1};  // Q0 of features, scaling, offsets
  double origin[3] = {0, 0, 0};
  double voxel_size = 1;
  float background[3] = {0, 0, 0};
  GridSpec grid{};

  int context() const { return static_cast<int>(grid_context_size(grid)); }
  int attributes() const { return features + 6 + 3 * offsets; }  // means of the center network
};

std::vector<uint8_t> write_header(const StreamHeader& header);
StreamHeader read_header(const uint8_t* data, size_t size);

// nullptr, or what is beyond the limits.
const char* header_error(const StreamHeader& header);

}  // namespace gspc
