#include "grid/grid.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

#include "common/parallel.hpp"
#include "grid/grid_isa.hpp"

namespace gspc {
namespace {

constexpr size_t kBlock = 128;        // positions per forward task step: rows stay in the first-level cache
constexpr size_t kPackBlock = 16384;  // entries per packing task

// Calls work(first, count) for fixed blocks of n in parallel.
template <class Work>
void each_block(size_t n, size_t size, const Work& work) {
  parallel_for(divide_up(static_cast<int64_t>(n), static_cast<int64_t>(size)), [&](int64_t block) {
    const size_t first = static_cast<size_t>(block) * size;
    work(first, std::min(size, n - first));
  });
}

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
  each_block(entries, kPackBlock, [&](size_t first, size_t count) {
    GSPC_DISPATCH(grid_pack_range)(embeddings + 4 * first, count, table + first);
  });
  std::memset(table + entries, 0, kGridSignPadding);
}

void grid_forward_int(const GridSpec& spec, const uint8_t* table, const int32_t* positions, size_t n,
                      int16_t* out) {
  const size_t width = grid_context_size(spec);
  each_block(n, kBlock, [&](size_t first, size_t count) {
    grid_context(spec, table, positions + 3 * first, count, out + first * width);
  });
}

void grid_forward(const GridSpec& spec, const uint8_t* table, const int32_t* positions, size_t n,
                  float* out) {
  const size_t width = grid_context_size(spec);
  each_block(n, kBlock, [&](size_t first, size_t count) {
    alignas(64) int16_t rows[kBlock * kGridMaxPlanes * kGridFeatures];
    grid_context(spec, table, positions + 3 * first, count, rows);
    GSPC_DISPATCH(grid_to_float)(rows, count * width, out + first * width);
  });
}

void grid_backward(const GridSpec& spec, const float* embeddings, const int32_t* positions,
                   const float* grad_out, size_t n, float* grad_embeddings) {
  const size_t padded = round16(n), width = grid_context_size(spec);
  uint32_t* const scratch = coordinate_scratch(3 * padded);
  each_block(n, kBlock, [&](size_t first, size_t count) {
    uint32_t* const u[3] = {scratch + first, scratch + padded + first, scratch + 2 * padded + first};
    grid_coordinates(spec, positions + 3 * first, count, u);
  });
  parallel_for_dynamic(static_cast<int64_t>(spec.planes.size()), 1, [&](int64_t plane) {
    const GridPlane& shape = spec.planes[static_cast<size_t>(plane)];
    size_t first = 0;
    for (int64_t before = 0; before < plane; ++before)
      first += grid_entries(spec.planes[static_cast<size_t>(before)]);
    const size_t values = kGridFeatures * grid_entries(shape);
    float* const grad_table = grad_embeddings + kGridFeatures * first;
    std::memset(grad_table, 0, values * sizeof(float));
    const uint32_t* const u[3] = {scratch, scratch + padded, scratch + 2 * padded};
    GSPC_DISPATCH(grid_plane_backward)
    (grid_plane_kernel(shape), u, grad_out + plane * kGridFeatures, width, n, grad_table);
    GSPC_DISPATCH(grid_straight_through)(embeddings + kGridFeatures * first, values, grad_table);
  });
}

}  // namespace gspc
