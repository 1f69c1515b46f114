// The binary multi-resolution context grid on CUDA: the integers of codec/context/context_grid.hpp, and the
// straight-through gradient of grid/grid.hpp. The forward pass is integer arithmetic, so it equals the CPU's
// bit for bit.
//
// The backward pass scatters into tables that many positions share. Float atomics would make the sums depend
// on timing, so they are taken in 64-bit fixed point, where addition is associative: the unit is set from the
// largest gradient and the number of positions so that no sum can overflow, and lies some 40 bits below that
// gradient.
#include "launch.cuh"

namespace gspc {
namespace {

constexpr int MAX_PLANES = 64;
constexpr int FEATURES = 4;

struct alignas(16) Quad {
  float value[FEATURES];
};

struct Plane {
  uint32_t resolution;
  uint32_t mask;   // 2^T - 1 if hashed, else all ones
  uint32_t first;  // first entry in the concatenated tables
  uint32_t axes;   // axis i in bits 4 i
  uint32_t is_3d, dense;
};

struct Grid {
  int32_t low[3], size[3];
  Plane planes[MAX_PLANES];
};

// The normalized coordinate in [0, 2^20): the box fills the middle 15/16, the rest is contracted.
__device__ inline uint32_t coordinate(int32_t position, int32_t low, int32_t size) {
  const int64_t p = position<0 ? 0 : position>(1 << 21) - 1 ? (1 << 21) - 1 : position;
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

// Calls visit(entry, weight) for the 8 or 4 corners around a position; weights add up to 2^24 or 2^16.
template <typename Visit>
__device__ inline void corners(const Grid& grid, const Plane& plane, const int32_t* position, Visit visit) {
  const int dims = plane.is_3d ? 3 : 2;
  uint32_t cell[3] = {0, 0, 0}, fraction[3] = {0, 0, 0};
  for (int i = 0; i < dims; ++i) {
    const int axis = plane.axes >> (4 * i) & 15;
    const uint32_t v = coordinate(position[axis], grid.low[axis], grid.size[axis]) * plane.resolution;
    cell[i] = v >> 20;
    fraction[i] = v >> 12 & 255;
  }
  const uint32_t side = plane.resolution + 1;
  for (int corner = 0; corner < 1 << dims; ++corner) {
    uint32_t at[3] = {0, 0, 0}, weight = 1;
    for (int i = 0; i < dims; ++i) {
      const uint32_t upper = corner >> i & 1;
      at[i] = cell[i] + upper;
      weight *= upper ? fraction[i] : 256 - fraction[i];
    }
    const uint32_t entry = plane.dense ? at[0] + side * (at[1] + side * at[2])
                                       : (at[0] ^ at[1] * 2654435761u ^ at[2] * 805459861u) & plane.mask;
    visit(plane.first + entry, weight);
  }
}

__global__ void __launch_bounds__(BLOCK)
    pack_signs(const Quad* embeddings, uint64_t entries, uint8_t* table) {
  const uint64_t entry = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  if (entry >= entries) return;
  const Quad quad = embeddings[entry];
  unsigned bits = 0;
  for (int f = 0; f < FEATURES; ++f) bits |= static_cast<unsigned>(quad.value[f] >= 0.0f) << f;
  table[entry] = static_cast<uint8_t>(bits);
}

// One thread per position (x) and plane (y).
__global__ void __launch_bounds__(BLOCK)
    grid_forward(Grid grid, const uint8_t* table, const int32_t* positions, uint64_t count, Quad* out) {
  const uint64_t n = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  if (n >= count) return;
  const Plane plane = grid.planes[blockIdx.y];
  int32_t sum[FEATURES] = {0, 0, 0, 0};
  corners(grid, plane, positions + 3 * n, [&](uint32_t entry, uint32_t weight) {
    const unsigned bits = table[entry];
    for (int f = 0; f < FEATURES; ++f)
      sum[f] += bits >> f & 1 ? static_cast<int32_t>(weight) : -static_cast<int32_t>(weight);
  });
  Quad quad;
  const int shift = plane.is_3d ? 15 : 7;
  for (int f = 0; f < FEATURES; ++f)
    quad.value[f] = static_cast<float>((sum[f] + (1 << (shift - 1))) >> shift) * (1.0f / 512.0f);
  out[n * gridDim.y + blockIdx.y] = quad;
}

// largest[0] = bits of the largest magnitude: as integers, magnitudes compare as they do as floats, and NaN
// is above all.
__global__ void __launch_bounds__(BLOCK)
    largest_magnitude(const float* values, uint64_t count, unsigned* largest) {
  __shared__ unsigned scratch[BLOCK];
  unsigned best = 0;
  const uint64_t stride = static_cast<uint64_t>(gridDim.x) * BLOCK;
  for (uint64_t i = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x; i < count; i += stride) {
    const unsigned bits = __float_as_uint(values[i]) & 0x7fffffffu;
    best = bits > best ? bits : best;
  }
  scratch[threadIdx.x] = best;
  __syncthreads();
  for (unsigned half = BLOCK / 2; half > 0; half /= 2) {
    if (threadIdx.x < half && scratch[threadIdx.x + half] > scratch[threadIdx.x])
      scratch[threadIdx.x] = scratch[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) atomicMax(largest, scratch[0]);
}

// Sums are multiples of 2^-exponent: all gradients are below 2^(e + 1), their weights at a position add up to
// 1, so that |sum| < count 2^(e + 1) <= 2^(61 - exponent).
__device__ inline int fixed_point_exponent(unsigned largest, int count_bits) {
  return 60 - (static_cast<int>(largest >> 23) - 127) - count_bits;
}

__global__ void __launch_bounds__(BLOCK)
    grid_backward(Grid grid, const int32_t* positions, const Quad* grad_out, uint64_t count, int count_bits,
                  const unsigned* largest, unsigned long long* sums) {
  const uint64_t n = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  if (n >= count || largest[0] >= 0x7f800000u) return;
  const Plane plane = grid.planes[blockIdx.y];
  const Quad quad = grad_out[n * gridDim.y + blockIdx.y];
  const int exponent = fixed_point_exponent(largest[0], count_bits) - (plane.is_3d ? 24 : 16);
  double scaled[FEATURES];
  for (int f = 0; f < FEATURES; ++f) scaled[f] = scalbn(static_cast<double>(quad.value[f]), exponent);
  corners(grid, plane, positions + 3 * n, [&](uint32_t entry, uint32_t weight) {
    for (int f = 0; f < FEATURES; ++f) {
      const long long part = llrint(scaled[f] * weight);
      if (part != 0)
        atomicAdd(sums + static_cast<uint64_t>(entry) * FEATURES + f, static_cast<unsigned long long>(part));
    }
  });
}

// Back to float, straight through: 0 where not |embedding| <= 1. Gradients that are not finite make all of it
// NaN.
__global__ void __launch_bounds__(BLOCK)
    grid_finish(const float* embeddings, uint64_t values, int count_bits, const unsigned* largest,
                const unsigned long long* sums, float* grad) {
  const uint64_t i = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  if (i >= values) return;
  const bool open = embeddings[i] >= -1.0f && embeddings[i] <= 1.0f;
  const double sum = static_cast<double>(static_cast<long long>(sums[i]));
  const double value = largest[0] >= 0x7f800000u ? static_cast<double>(__uint_as_float(0x7fc00000u))
                                                 : scalbn(sum, -fixed_point_exponent(largest[0], count_bits));
  grad[i] = open ? static_cast<float>(value) : 0.0f;
}

// From int32 [6 + 3 planes]: box_low, box_size, then dims, resolution, log2_size of each plane. False beyond
// the limits of codec/context/context_grid.hpp.
bool read_shape(const int32_t* shape, int planes, Grid* grid, uint64_t* entries) {
  static const uint32_t AXES[4] = {0x210, 0x10, 0x20, 0x21};
  if (planes < 0 || planes > MAX_PLANES) return false;
  *entries = 0;
  for (int axis = 0; axis < 3; ++axis) {
    grid->low[axis] = shape[axis];
    grid->size[axis] = shape[3 + axis];
    if (grid->size[axis] < 1 || grid->size[axis] > 1 << 22) return false;
    if (grid->low[axis] < -(1 << 22) || grid->low[axis] > 1 << 22) return false;
  }
  for (int i = 0; i < planes; ++i) {
    const int32_t dims = shape[6 + 3 * i], resolution = shape[7 + 3 * i], log2_size = shape[8 + 3 * i];
    if (dims < 0 || dims > 3 || resolution < 1 || resolution > 2047 || log2_size < 1 || log2_size > 22)
      return false;
    const uint64_t side = static_cast<uint64_t>(resolution) + 1;
    const uint64_t all = dims == 0 ? side * side * side : side * side, most = 1ull << log2_size;
    Plane& plane = grid->planes[i];
    plane.resolution = static_cast<uint32_t>(resolution);
    plane.dense = all <= most;
    plane.mask = plane.dense ? ~0u : static_cast<uint32_t>(most - 1);
    plane.first = static_cast<uint32_t>(*entries);
    plane.axes = AXES[dims];
    plane.is_3d = dims == 0;
    *entries += all <= most ? all : most;
    if (*entries > 1u << 24) return false;
  }
  return true;
}

constexpr uint64_t MAX_POSITIONS = 1u << 30;

}  // namespace
}  // namespace gspc

// embeddings [E, 4] -> table [E]: bit f is set where feature f >= 0.
GSPC_EXPORT int gspc_grid_pack_signs(const float* embeddings, uint64_t entries, uint8_t* table,
                                     cudaStream_t stream) {
  using namespace gspc;
  if (entries > 1u << 24) return static_cast<int>(cudaErrorInvalidValue);
  if (entries == 0) return 0;
  GSPC_LAUNCH(pack_signs, dim3(blocks(entries)), dim3(BLOCK), stream,
              reinterpret_cast<const Quad*>(embeddings), entries, table);
  return launch_status();
}

// positions [N, 3] (clamped to [0, 2^21)), table [E] -> out [N, 4 planes], multiples of 1/512. `shape` lies
// on the host: int32 [6 + 3 planes], as gspc.ops.arrays.grid_shape_array makes it. Device pointers are
// aligned to 16 bytes.
GSPC_EXPORT int gspc_grid_forward(const int32_t* shape, int planes, const uint8_t* table,
                                  const int32_t* positions, uint64_t count, float* out, cudaStream_t stream) {
  using namespace gspc;
  Grid grid;
  uint64_t entries;
  if (count > MAX_POSITIONS || !read_shape(shape, planes, &grid, &entries))
    return static_cast<int>(cudaErrorInvalidValue);
  if (count == 0 || planes == 0) return 0;
  GSPC_LAUNCH(grid_forward, dim3(blocks(count), static_cast<unsigned>(planes)), dim3(BLOCK), stream, grid,
              table, positions, count, reinterpret_cast<Quad*>(out));
  return launch_status();
}

// grad_out [N, 4 planes] -> grad [E, 4], overwritten. Scratch that the caller has set to zero: sums int64 [E,
// 4], largest uint32 [1].
GSPC_EXPORT int gspc_grid_backward(const int32_t* shape, int planes, const float* embeddings,
                                   const int32_t* positions, const float* grad_out, uint64_t count,
                                   unsigned long long* sums, unsigned* largest, float* grad,
                                   cudaStream_t stream) {
  using namespace gspc;
  Grid grid;
  uint64_t entries;
  if (count > MAX_POSITIONS || !read_shape(shape, planes, &grid, &entries))
    return static_cast<int>(cudaErrorInvalidValue);
  if (entries == 0) return 0;
  int count_bits = 0;
  while (count >> count_bits != 0) ++count_bits;
  if (count > 0) {
    const uint64_t values = count * static_cast<uint64_t>(planes) * FEATURES;
    const unsigned most = 1024;  // blocks: enough to fill a GPU
    GSPC_LAUNCH(largest_magnitude, dim3(blocks(values) < most ? blocks(values) : most), dim3(BLOCK), stream,
                grad_out, values, largest);
    GSPC_LAUNCH(grid_backward, dim3(blocks(count), static_cast<unsigned>(planes)), dim3(BLOCK), stream, grid,
                positions, reinterpret_cast<const Quad*>(grad_out), count, count_bits, largest, sums);
  }
  GSPC_LAUNCH(grid_finish, dim3(blocks(entries * FEATURES)), dim3(BLOCK), stream, embeddings,
              entries * FEATURES, count_bits, largest, sums, grad);
  return launch_status();
}
