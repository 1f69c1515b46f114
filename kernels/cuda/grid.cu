// The binary multi-resolution context grid on CUDA: the integers of codec/context/context_grid.hpp, and the
// straight-through gradient of grid/grid.hpp. The forward pass is integer arithmetic, so it equals the CPU's
// bit for bit.
//
// The backward pass scatters into tables that many positions share. Float atomics would make the sums depend
// on timing, so they are taken in 64-bit fixed point, where addition is associative: the unit is set from the
// largest gradient and the number of positions so that no sum can overflow, and lies some 40 bits below that
// gradient.
#include "scan.cuh"

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

// Everything that a call is about; gspc/ops/grid/cuda.py has the same fields in the same order. Pointers to
// the device unless said otherwise, aligned to 16 bytes; what is not needed is null or 0.
struct GridCall {
  const int32_t* shape;    // on the host: int32 [6 + 3 planes], as gspc.ops.arrays.grid_shape_array makes it
  const Quad* embeddings;  // [E]
  const int32_t* positions;  // [N, 3], clamped to [0, 2^21)
  uint64_t planes, count, also_count;
  const int64_t *index, *also;  // [count] and [also_count] rows of the positions; null: the first, in order
  uint8_t* table;               // [E] scratch: bit f is set where feature f >= 0
  uint32_t* parts;              // scratch of each block of entries: how many of their features are >= 0
  Quad *out, *also_out;         // [count, planes], [also_count, planes], multiples of 1/512
  float* share;                 // [1] of all features, those >= 0; null: not wanted
  const Quad *by_out, *by_also;
  const float* by_share;
  unsigned long long* sums;  // [4 E] scratch that the caller has set to zero
  unsigned* largest;         // [1] likewise
  float* by_embeddings;      // [4 E]
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

// A row's position, and where its values are: those of `also` come behind those of `index`.
struct Row {
  const int32_t* position;
  uint64_t at;
  bool also;
};

__device__ inline Row row_of(const GridCall& call, uint64_t n) {
  const bool also = n >= call.count;
  const uint64_t at = also ? n - call.count : n;
  const int64_t* rows = also ? call.also : call.index;
  return {call.positions + 3 * (rows == nullptr ? at : static_cast<uint64_t>(rows[at])), at, also};
}

__global__ void __launch_bounds__(BLOCK) pack_signs(GridCall call, uint64_t entries) {
  __shared__ uint32_t scratch[BLOCK];
  const uint64_t entry = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  unsigned bits = 0, positive = 0;
  if (entry < entries) {
    const Quad quad = call.embeddings[entry];
    for (int f = 0; f < FEATURES; ++f) {
      const unsigned bit = quad.value[f] >= 0.0f ? 1 : 0;
      bits |= bit << f;
      positive += bit;
    }
    call.table[entry] = static_cast<uint8_t>(bits);
  }
  if (call.share == nullptr) return;
  positive = block_sum(scratch, positive);
  if (threadIdx.x == 0) call.parts[blockIdx.x] = positive;
}

// One thread per row (x) and plane (y); the first block also adds up the parts of the share.
__global__ void __launch_bounds__(BLOCK) grid_forward(Grid grid, GridCall call, uint64_t entries) {
  __shared__ uint32_t scratch[BLOCK];
  if (call.share != nullptr && blockIdx.x == 0 && blockIdx.y == 0) {
    uint32_t positive = 0;
    for (uint64_t part = threadIdx.x; part * BLOCK < entries; part += BLOCK) positive += call.parts[part];
    positive = block_sum(scratch, positive);
    if (threadIdx.x == 0)
      call.share[0] = static_cast<float>(positive / static_cast<double>(entries * FEATURES));
  }
  const uint64_t n = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  if (n >= call.count + call.also_count) return;
  const Row row = row_of(call, n);
  const Plane plane = grid.planes[blockIdx.y];
  int32_t sum[FEATURES] = {0, 0, 0, 0};
  corners(grid, plane, row.position, [&](uint32_t entry, uint32_t weight) {
    const unsigned bits = call.table[entry];
    for (int f = 0; f < FEATURES; ++f)
      sum[f] += bits >> f & 1 ? static_cast<int32_t>(weight) : -static_cast<int32_t>(weight);
  });
  Quad quad;
  const int shift = plane.is_3d ? 15 : 7;
  for (int f = 0; f < FEATURES; ++f)
    quad.value[f] = static_cast<float>((sum[f] + (1 << (shift - 1))) >> shift) * (1.0f / 512.0f);
  (row.also ? call.also_out : call.out)[row.at * call.planes + blockIdx.y] = quad;
}

// largest[0] = bits of the largest magnitude of the gradients: as integers, magnitudes compare as they do as
// floats, and NaN is above all.
__global__ void __launch_bounds__(BLOCK) largest_magnitude(GridCall call) {
  __shared__ unsigned scratch[BLOCK];
  unsigned best = 0;
  const uint64_t stride = static_cast<uint64_t>(gridDim.x) * BLOCK, first = call.count * call.planes,
                 all = first + call.also_count * call.planes;
  for (uint64_t i = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x; i < all; i += stride) {
    const Quad* by = i < first ? call.by_out : call.by_also;
    if (by == nullptr) continue;
    const Quad quad = by[i < first ? i : i - first];
    for (int f = 0; f < FEATURES; ++f) {
      const unsigned bits = __float_as_uint(quad.value[f]) & 0x7fffffffu;
      best = bits > best ? bits : best;
    }
  }
  scratch[threadIdx.x] = best;
  __syncthreads();
  for (unsigned half = BLOCK / 2; half > 0; half /= 2) {
    if (threadIdx.x < half && scratch[threadIdx.x + half] > scratch[threadIdx.x])
      scratch[threadIdx.x] = scratch[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) atomicMax(call.largest, scratch[0]);
}

// Sums are multiples of 2^-exponent: all gradients are below 2^(e + 1), their weights at a position add up to
// 1, so that |sum| < count 2^(e + 1) <= 2^(61 - exponent).
__device__ inline int fixed_point_exponent(unsigned largest, int count_bits) {
  return 60 - (static_cast<int>(largest >> 23) - 127) - count_bits;
}

__global__ void __launch_bounds__(BLOCK) grid_backward(Grid grid, GridCall call, int count_bits) {
  const uint64_t n = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  if (n >= call.count + call.also_count || call.largest[0] >= 0x7f800000u) return;
  const Row row = row_of(call, n);
  const Quad* by = row.also ? call.by_also : call.by_out;
  if (by == nullptr) return;
  const Plane plane = grid.planes[blockIdx.y];
  const Quad quad = by[row.at * call.planes + blockIdx.y];
  const int exponent = fixed_point_exponent(call.largest[0], count_bits) - (plane.is_3d ? 24 : 16);
  double scaled[FEATURES];
  for (int f = 0; f < FEATURES; ++f) scaled[f] = scalbn(static_cast<double>(quad.value[f]), exponent);
  corners(grid, plane, row.position, [&](uint32_t entry, uint32_t weight) {
    for (int f = 0; f < FEATURES; ++f) {
      const long long part = llrint(scaled[f] * weight);
      if (part != 0)
        atomicAdd(call.sums + static_cast<uint64_t>(entry) * FEATURES + f,
                  static_cast<unsigned long long>(part));
    }
  });
}

// Back to float, and what the share adds, straight through: 0 where not |embedding| <= 1. Gradients that are
// not finite make all of it NaN.
__global__ void __launch_bounds__(BLOCK) grid_finish(GridCall call, uint64_t values, int count_bits) {
  const uint64_t i = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  if (i >= values) return;
  const float embedding = call.embeddings[i / FEATURES].value[i % FEATURES];
  const double sum = static_cast<double>(static_cast<long long>(call.sums[i]));
  double value = call.largest[0] >= 0x7f800000u
                     ? static_cast<double>(__uint_as_float(0x7fc00000u))
                     : scalbn(sum, -fixed_point_exponent(call.largest[0], count_bits));
  if (call.by_share != nullptr)
    value += static_cast<double>(call.by_share[0]) / (2.0 * static_cast<double>(values));
  call.by_embeddings[i] = embedding >= -1.0f && embedding <= 1.0f ? static_cast<float>(value) : 0.0f;
}

// From int32 [6 + 3 planes]: box_low, box_size, then dims, resolution, log2_size of each plane. False beyond
// the limits of codec/context/context_grid.hpp.
bool read_shape(const int32_t* shape, uint64_t planes, Grid* grid, uint64_t* entries) {
  static const uint32_t AXES[4] = {0x210, 0x10, 0x20, 0x21};
  if (planes > MAX_PLANES) return false;
  *entries = 0;
  for (int axis = 0; axis < 3; ++axis) {
    grid->low[axis] = shape[axis];
    grid->size[axis] = shape[3 + axis];
    if (grid->size[axis] < 1 || grid->size[axis] > 1 << 22) return false;
    if (grid->low[axis] < -(1 << 22) || grid->low[axis] > 1 << 22) return false;
  }
  for (uint64_t i = 0; i < planes; ++i) {
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

constexpr uint64_t MAX_ROWS = 1u << 30;

bool usable(const GridCall& call, Grid* grid, uint64_t* entries) {
  return call.count <= MAX_ROWS && call.also_count <= MAX_ROWS &&
         read_shape(call.shape, call.planes, grid, entries);
}

// Blocks of threads for each row and plane, one at least.
dim3 rows_and_planes(const GridCall& call) {
  const unsigned rows = blocks(call.count + call.also_count);
  return dim3(rows > 0 ? rows : 1, static_cast<unsigned>(call.planes));
}

}  // namespace
}  // namespace gspc

// Fills out and also_out, and share if it is wanted. Scratch: table, parts.
GSPC_EXPORT int gspc_grid_forward(const gspc::GridCall* given, cudaStream_t stream) {
  using namespace gspc;
  const GridCall call = *given;
  Grid grid;
  uint64_t entries;
  if (!usable(call, &grid, &entries)) return static_cast<int>(cudaErrorInvalidValue);
  if (call.planes == 0) return 0;
  GSPC_LAUNCH(pack_signs, dim3(blocks(entries)), dim3(BLOCK), stream, call, entries);
  GSPC_LAUNCH(grid_forward, rows_and_planes(call), dim3(BLOCK), stream, grid, call, entries);
  return launch_status();
}

// Writes all of by_embeddings. Scratch: sums, largest.
GSPC_EXPORT int gspc_grid_backward(const gspc::GridCall* given, cudaStream_t stream) {
  using namespace gspc;
  const GridCall call = *given;
  Grid grid;
  uint64_t entries;
  if (!usable(call, &grid, &entries)) return static_cast<int>(cudaErrorInvalidValue);
  if (entries == 0) return 0;
  const uint64_t rows = call.count + call.also_count;
  int count_bits = 0;
  while (rows >> count_bits != 0) ++count_bits;
  if (rows > 0 && (call.by_out != nullptr || call.by_also != nullptr)) {
    const unsigned all = blocks(rows * call.planes), most = 1024;  // blocks: enough to fill a GPU
    GSPC_LAUNCH(largest_magnitude, dim3(all < most ? all : most), dim3(BLOCK), stream, call);
    GSPC_LAUNCH(grid_backward, rows_and_planes(call), dim3(BLOCK), stream, grid, call, count_bits);
  }
  GSPC_LAUNCH(grid_finish, dim3(blocks(entries * FEATURES)), dim3(BLOCK), stream, call, entries * FEATURES,
              count_bits);
  return launch_status();
}
