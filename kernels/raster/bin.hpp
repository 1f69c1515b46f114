// Which Gaussians reach which tiles.
#pragma once

#include "raster/depth_sort.hpp"
#include "raster/raster.hpp"

namespace gspc::raster {

constexpr std::uint64_t kPlaceBytes = 12;  // of a Gaussian, while its tiles are found
constexpr int kMaxBinParts = 16;           // parts of the Gaussians that are counted at once

// Fills state.first_slot, pairs, tile_first and list from its records and radii. Throws OverBudget before it
// allocates more than state.budget allows, and above two billion pairs in any case.
void bin(State& state, const DepthOrder& order);

}  // namespace gspc::raster
