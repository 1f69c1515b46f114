// The swel chunk: by how much the Gaussians of early levels are enlarged, so that they cover what anchors of
// later levels will. A reader that does not know the chunk shows those levels with gaps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gspc {

// For each level from 1, in 64ths, what is added to the log scales of Gaussians; nothing beyond its end.
using Swell = std::vector<uint8_t>;

// What is added at `level`.
double swell_at(const Swell& swell, int level);

std::vector<uint8_t> write_swell(const Swell& swell);  // throws StreamError for more than 8 levels
Swell read_swell(const uint8_t* data, size_t size);    // throws StreamError

}  // namespace gspc
