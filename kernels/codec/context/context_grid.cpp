#include "codec/context/context_grid.hpp"

#include "codec/context/context_grid_isa.hpp"

namespace gspc {
namespace {

constexpr size_t kBlock = 128;  // positions whose coordinates and context rows stay in the first-level cache

uint64_t corners(const GridPlane& plane) {
  const uint64_t side = static_cast<uint64_t>(plane.resolution) + 1;
  return plane.dims == 0 ? side * side * side : side * side;
}

}  // namespace

const char* grid_spec_error(const GridSpec& spec) {
  for (int axis = 0; axis < 3; ++axis) {
    if (spec.box_low[axis] < -kGridMaxBox || spec.box_low[axis] > kGridMaxBox)
      return "grid box corner out of range";
    if (spec.box_size[axis] < 1 || spec.box_size[axis] > kGridMaxBox) return "grid box size out of range";
  }
  if (spec.planes.size() > kGridMaxPlanes) return "too many grid planes";
  for (const GridPlane& plane : spec.planes) {
    if (plane.dims < 0 || plane.dims > 3) return "unknown grid plane axes";
    if (plane.resolution < 1 || plane.resolution > kGridMaxResolution) return "grid resolution out of range";
    if (plane.log2_size < 1 || plane.log2_size > kGridMaxLog2Size) return "grid table size out of range";
  }
  if (grid_entries(spec) > kGridMaxEntries) return "grid tables too large";
  return nullptr;
}

bool grid_is_dense(const GridPlane& plane) { return corners(plane) <= (1ull << plane.log2_size); }

uint64_t grid_entries(const GridPlane& plane) {
  return grid_is_dense(plane) ? corners(plane) : 1ull << plane.log2_size;
}

uint64_t grid_entries(const GridSpec& spec) {
  uint64_t total = 0;
  for (const GridPlane& plane : spec.planes) total += grid_entries(plane);
  return total;
}

std::vector<uint8_t> grid_sign_table(const GridSpec& spec) {
  return std::vector<uint8_t>(grid_entries(spec) + kGridSignPadding, 0);
}

std::vector<uint8_t> grid_sign_table(const GridSpec& spec, const uint8_t* signs) {
  std::vector<uint8_t> table = grid_sign_table(spec);
  const size_t entries = table.size() - kGridSignPadding;
  for (size_t e = 0; e < entries; ++e, signs += kGridFeatures)
    for (int f = 0; f < kGridFeatures; ++f) table[e] |= static_cast<uint8_t>((signs[f] != 0) << f);
  return table;
}

uint32_t grid_coordinate(int32_t position, int32_t low, int32_t size) {
  const int64_t last = kGridPositionEnd - 1;
  const int64_t p = position < 0 ? 0 : position > last ? last : position;
  const int64_t high = static_cast<int64_t>(low) + size;
  const uint64_t b = static_cast<uint64_t>(size);
  uint64_t u;
  if (p < low) {
    const uint64_t d = static_cast<uint64_t>(low - p);
    u = (1u << 15) - ((d << 15) / (d + b));
  } else if (p >= high) {
    const uint64_t d = static_cast<uint64_t>(p - high);
    u = (1u << 20) - (1u << 15) + ((d << 15) / (d + b));
  } else {
    u = (1u << 15) + static_cast<uint64_t>(p - low) * ((1u << 20) - (1u << 16)) / b;
  }
  return static_cast<uint32_t>(u < (1u << 20) - 1 ? u : (1u << 20) - 1);
}

void grid_coordinates(const GridSpec& spec, const int32_t* positions, size_t n, uint32_t* const u[3]) {
  for (size_t i = 0; i < n; ++i)
    for (int axis = 0; axis < 3; ++axis)
      u[axis][i] = grid_coordinate(positions[3 * i + axis], spec.box_low[axis], spec.box_size[axis]);
  for (size_t i = n; i % 16 != 0; ++i)
    for (int axis = 0; axis < 3; ++axis) u[axis][i] = 0;
}

GridPlaneKernel grid_plane_kernel(const GridPlane& plane) {
  static constexpr uint8_t kAxes[4][3] = {{0, 1, 2}, {0, 1, 2}, {0, 2, 2}, {1, 2, 2}};
  const bool dense = grid_is_dense(plane);
  GridPlaneKernel kernel{};
  kernel.resolution = static_cast<uint32_t>(plane.resolution);
  kernel.mask = dense ? ~0u : (1u << plane.log2_size) - 1;
  for (int i = 0; i < 3; ++i) kernel.axes[i] = kAxes[plane.dims][i];
  kernel.is_3d = plane.dims == 0;
  kernel.dense = dense;
  return kernel;
}

void grid_context(const GridSpec& spec, const uint8_t* sign_table, const int32_t* positions, size_t n,
                  int16_t* out) {
  alignas(64) uint32_t coordinates[3][kBlock];
  uint32_t* const u[3] = {coordinates[0], coordinates[1], coordinates[2]};
  const size_t stride = grid_context_size(spec);
  for (size_t start = 0; start < n; start += kBlock) {
    const size_t count = n - start < kBlock ? n - start : kBlock;
    grid_coordinates(spec, positions + 3 * start, count, u);
    const uint8_t* signs = sign_table;
    for (size_t plane = 0; plane < spec.planes.size(); ++plane) {
      GSPC_DISPATCH(grid_plane_forward)
      (grid_plane_kernel(spec.planes[plane]), signs, u, count, out + start * stride + plane * kGridFeatures,
       stride);
      signs += grid_entries(spec.planes[plane]);
    }
  }
}

}  // namespace gspc
