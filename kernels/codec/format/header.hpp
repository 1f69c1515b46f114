// The HEAD chunk: the shape of what the stream holds, and where in the world it lies. Independent of how many
// levels are present, so that dropping levels leaves it as it is.
#pragma once

#include <cstdint>
#include <vector>

#include "codec/format/shape.hpp"

namespace gspc {

struct StreamHeader : StreamShape {
  int position_bits = 0;  // per axis, 1..21
  double origin[3] = {0, 0, 0};
  double voxel_size = 1;
  float background[3] = {0, 0, 0};
};

std::vector<uint8_t> write_header(const StreamHeader& header);

// Throws StreamError for what this version of the format does not know or forbids.
StreamHeader read_header(const uint8_t* data, size_t size);

// nullptr, or what is beyond the limits.
const char* header_error(const StreamHeader& header);

}  // namespace gspc
