// Gaussians in chunks of one work item each; fixed, so that results do not depend on the threads.
#pragma once

#include <algorithm>
#include <cstdint>

namespace gspc::raster {

constexpr std::int64_t kChunk = 1024;

inline std::int64_t chunk_count(std::int64_t gaussians) { return (gaussians + kChunk - 1) / kChunk; }
inline std::int64_t chunk_end(std::int64_t chunk, std::int64_t gaussians) {
  return std::min(gaussians, (chunk + 1) * kChunk);
}

// Turns counts in first[1..chunks] into where each chunk begins, first[0..chunks]. Returns the sum of all.
inline std::int64_t running_sums(std::int64_t* first, std::int64_t chunks) {
  first[0] = 0;
  for (std::int64_t c = 0; c < chunks; ++c) first[c + 1] += first[c];
  return first[chunks];
}

}  // namespace gspc::raster
