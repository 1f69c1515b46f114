// Which Gaussians reach which tiles.
#pragma once

#include "raster/depth_sort.hpp"
#include "raster/raster.hpp"

namespace gspc::raster {

// Fills state.first_slot, pairs, tile_first and list from its records and radii. Throws std::length_error
// above two billion pairs.
void bin(State& state, const DepthOrder& order);

}  // namespace gspc::raster
