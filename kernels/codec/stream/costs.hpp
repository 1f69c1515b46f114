// What a stream's anchors and its grid's planes cost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codec/stream/stream.hpp"

namespace gspc {

// N anchors in stream order, S levels.
struct StreamCosts {
  StreamHeader header;
  int levels = 0;
  size_t count = 0;
  Buffer<int32_t> positions;    // [N, 3]
  Buffer<uint8_t> first_level;  // [N] the level at which an anchor appears
  Buffer<float> bits;           // [S, N, kComponents] by SliceMeter; 0 before an anchor appears
};

// Of the levels up to options.upto; of the options only upto, threads and max_memory count.
StreamCosts stream_costs(const uint8_t* data, size_t size, const DecodeOptions& options);

// Bits of each plane of the grid: the entropy of its signs, feature by feature, given the two entries before,
// which the grid's adaptive models approach. Of a stream by any coder.
std::vector<double> plane_entropies(const uint8_t* data, size_t size);

}  // namespace gspc
