#include "codec/stream/slice_box.hpp"

#include <algorithm>

#include "codec/positions/morton.hpp"
#include "codec/stream/plan.hpp"

namespace gspc {

namespace {

// visit(first key, depth) for the cubes of 2^depth voxels a side, aligned and as large as can be, that make
// up an interval: at most 7 * 21 * 2. Stops, and returns true, when visit does.
template <class Visit>
bool each_cube(KeyInterval interval, Visit visit) {
  for (uint64_t at = interval.low; at < interval.high;) {
    int depth = 0;
    while (depth < kMaxPositionBits) {
      const uint64_t size = uint64_t{1} << (3 * (depth + 1));
      if (at % size != 0 || size > interval.high - at) break;
      ++depth;
    }
    if (visit(at, depth)) return true;
    at += uint64_t{1} << (3 * depth);
  }
  return false;
}

VoxelBox cube_box(uint64_t key, int depth) {
  uint32_t p[3];
  morton_coordinates(key, p[0], p[1], p[2]);
  VoxelBox box{};
  for (int a = 0; a < 3; ++a) {
    box.low[a] = p[a];
    box.high[a] = p[a] + (uint64_t{1} << depth);
  }
  return box;
}

}  // namespace

VoxelBox interval_box(KeyInterval interval) {
  VoxelBox all{{UINT64_MAX, UINT64_MAX, UINT64_MAX}, {0, 0, 0}};
  each_cube(interval, [&](uint64_t key, int depth) {
    const VoxelBox cube = cube_box(key, depth);
    for (int a = 0; a < 3; ++a) {
      all.low[a] = std::min(all.low[a], cube.low[a]);
      all.high[a] = std::max(all.high[a], cube.high[a]);
    }
    return false;
  });
  return all;
}

bool interval_meets(KeyInterval interval, const VoxelBox& box) {
  return each_cube(interval, [&](uint64_t key, int depth) {
    const VoxelBox cube = cube_box(key, depth);
    bool meets = true;
    for (int a = 0; a < 3; ++a) meets = meets && cube.low[a] < box.high[a] && box.low[a] < cube.high[a];
    return meets;
  });
}

void slice_box(const StreamIndex& index, const StreamHeader& header, size_t slice, double box[6]) {
  const VoxelBox voxels = interval_box(slice_interval(index, slice, header.position_bits));
  for (int a = 0; a < 3; ++a) {
    box[a] = static_cast<double>(voxels.low[a]) * header.voxel_size + header.origin[a];
    box[3 + a] = static_cast<double>(voxels.high[a] - 1) * header.voxel_size + header.origin[a];
  }
}

}  // namespace gspc
