#include "grid/grid.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

#include "grid/grid_isa.hpp"

namespace gspc {
namespace {

constexpr int64_t BLOCK = 128;         // positions per forward task step: rows stay in the first-level cache
constexpr int64_t PACK_BLOCK = 16384;  // entries per packing task

int64_t blocks(size_t n, int64_t size) { return (static_cast<int64_t>(n) + size - 1) / size; }

// The coordinate scratch of a backward pass, kept by the calling thread: fresh pages each step cost more than
// the arithmetic.
uint32_t* coordinate_scratch(size_t count) {
  thread_local std::unique_ptr<uint32_t[]> scratch;
  thread_local size_t capacity = 0;
  if (capacity < count) {
    capacity = count + count / 4;
    scratch.reset(new uint32_t[capacity]);
  }
  return scratch.get();
}

}  // namespace

void grid_pack_signs(const float* embeddings, size_t entries, uint8_t* table) {
  const int64_t tasks = blocks(entries, PACK_BLOCK);
#pragma omp parallel for schedule(static)
  for (int64_t task = 0; task < tasks; ++task) {
    const size_t start = static_cast<size_t>(task) * PACK_BLOCK;
    const size_t count = std::min<size_t>(PACK_BLOCK, entries - start);
    GSPC_DISPATCH(grid_pack_range)(embeddings + 4 * start, count, table + start);
  }
  std::memset(table + entries, 0, GRID_SIGN_PADDING);
}

void grid_forward_int(const GridSpec& spec, const uint8_t* table, const int32_t* positions, size_t n,
                      int16_t* out) {
  const size_t width = grid_context_size(spec);
  const int64_t tasks = blocks(n, BLOCK);
#pragma omp parallel for schedule(static)
  for (int64_t task = 0; task < tasks; ++task) {
    const size_t start = static_cast<size_t>(task) * BLOCK;
    const size_t count = std::min<size_t>(BLOCK, n - start);
    grid_context(spec, table, positions + 3 * start, count, out + start * width);
  }
}

void grid_forward(const GridSpec& spec, const uint8_t* table, const int32_t* positions, size_t n,
                  float* out) {
  const size_t width = grid_context_size(spec);
  const int64_t tasks = blocks(n, BLOCK);
#pragma omp parallel for schedule(static)
  for (int64_t task = 0; task < tasks; ++task) {
    alignas(64) int16_t rows[BLOCK * GRID_MAX_PLANES * GRID_FEATURES];
    const size_t start = static_cast<size_t>(task) * BLOCK;
    const size_t count = std::min<size_t>(BLOCK, n - start);
    grid_context(spec, table, positions + 3 * start, count, rows);
    GSPC_DISPATCH(grid_to_float)(rows, count * width, out + start * width);
  }
}

void grid_backward(const GridSpec& spec, const float* embeddings, const int32_t* positions,
                   const float* grad_out, size_t n, float* grad_embeddings) {
  const size_t padded = (n + 15) / 16 * 16, width = grid_context_size(spec);
  uint32_t* scratch = coordinate_scratch(3 * padded);
  const int64_t tasks = blocks(n, BLOCK);
  const int64_t planes = static_cast<int64_t>(spec.planes.size());
#pragma omp parallel
  {
#pragma omp for schedule(static)
    for (int64_t task = 0; task < tasks; ++task) {
      const size_t start = static_cast<size_t>(task) * BLOCK;
      uint32_t* const u[3] = {scratch + start, scratch + padded + start, scratch + 2 * padded + start};
      grid_coordinates(spec, positions + 3 * start, std::min<size_t>(BLOCK, n - start), u);
    }
#pragma omp for schedule(dynamic, 1)
    for (int64_t plane = 0; plane < planes; ++plane) {
      const GridPlane& shape = spec.planes[static_cast<size_t>(plane)];
      size_t first = 0;
      for (int64_t before = 0; before < plane; ++before)
        first += grid_entries(spec.planes[static_cast<size_t>(before)]);
      const size_t values = GRID_FEATURES * grid_entries(shape);
      float* grad_table = grad_embeddings + GRID_FEATURES * first;
      std::memset(grad_table, 0, values * sizeof(float));
      const uint32_t* const u[3] = {scratch, scratch + padded, scratch + 2 * padded};
      GSPC_DISPATCH(grid_plane_backward)
      (grid_plane_kernel(shape), u, grad_out + plane * GRID_FEATURES, width, n, grad_table);
      GSPC_DISPATCH(grid_straight_through)(embeddings + GRID_FEATURES * first, values, grad_table);
    }
  }
}

}  // namespace gspc
