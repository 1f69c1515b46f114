// Which part of space a slice covers, from the index alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/format/container.hpp"
#include "codec/format/header.hpp"
#include "codec/positions/positions.hpp"

namespace gspc {

// Voxels [low, high) per axis.
struct VoxelBox {
  uint64_t low[3], high[3];
};

// The smallest box around all keys of an interval that is not empty.
VoxelBox interval_box(KeyInterval interval);

// Whether an interval holds a key of the box.
bool interval_meets(KeyInterval interval, const VoxelBox& box);

// interval_box of a slice in the scene's coordinates: where anchors of its voxels lie, low corner, high
// corner.
void slice_box(const StreamIndex& index, const StreamHeader& header, size_t slice, double box[6]);

}  // namespace gspc
