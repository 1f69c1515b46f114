// Gaussians in order of depth.
#pragma once

#include <cstdint>

#include "raster/pool.hpp"

namespace gspc::raster {

struct Keyed {
  std::uint32_t depth;  // bits of a positive float: ordered like the float
  std::int32_t gaussian;
};

struct DepthOrder {
  Pooled<Keyed> gaussians;  // [seen]
  std::int64_t seen = 0;
};

// Those of `count` Gaussians with radii > 0 by their depths, ties by index. The same for any number of
// threads.
DepthOrder sort_by_depth(const std::int32_t* radii, const float* depths, std::int64_t count);

}  // namespace gspc::raster
