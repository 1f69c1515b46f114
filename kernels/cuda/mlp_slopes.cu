// Gradients of small two-layer networks; mlp.cu computes their outputs. What a hidden unit and a weight are
// rounded to is taken for what they are.
#include "mlp.cuh"

namespace gspc {
namespace {

// Derivatives by the hidden units of some rows, before gain and relu.
__device__ inline void hidden_slopes(const MlpCall& call, const MlpNetwork& net, Stage& stage,
                                     uint64_t first) {
  const float drive = drive_or_0(net.gain);
  for (uint64_t base = 0; base < net.hidden; base += TILE) {
    Sums sums;
    clear(sums);
    add_products<true, false>(
        stage, sums, net.outputs,
        [&](int m, uint64_t k) {
          return first + m < call.n ? net.by_y[(first + m) * net.by_y_stride + k] : 0.0f;
        },
        [&](uint64_t k, int m) {
          return base + m < net.hidden ? net.taken2[k * net.hidden + base + m] : 0.0f;
        });
    each_sum(sums, [&](int row, int column, float sum) {
      const uint64_t h = base + column, at = (first + row) * net.hidden + h;
      if (first + row >= call.n || h >= net.hidden) return;
      net.by_hidden[at] = net.active[at] > 0.0f ? sum * gain_of(net.gain, drive, h) : 0.0f;
    });
  }
}

// Whether the gradient of part p of network g is written by an earlier one, which adds this one's share.
__device__ inline bool written_before(const MlpCall& call, int g, int p) {
  const float* by = call.network[g].parts[p].by;
  for (int i = 0; i <= g; ++i)
    for (int j = 0; j < (i < g ? MAX_PARTS : p); ++j)
      if (call.network[i].parts[j].by == by) return true;
  return false;
}

// The gradient of part p of network g, for some rows: of all networks that share it.
__device__ inline void input_slopes(const MlpCall& call, int g, int p, Stage& stage, uint64_t first) {
  const MlpPart& target = call.network[g].parts[p];
  for (uint64_t base = 0; base < target.width; base += TILE) {
    Sums sums;
    clear(sums);
    for (int i = g; i < call.networks; ++i) {
      const MlpNetwork& net = call.network[i];
      uint64_t column = base;
      for (int j = 0; j < MAX_PARTS; column += net.parts[j++].width) {
        if (net.parts[j].by != target.by) continue;
        add_products<true, false>(
            stage, sums, net.hidden,
            [&](int m, uint64_t k) {
              return first + m < call.n ? net.by_hidden[(first + m) * net.hidden + k] : 0.0f;
            },
            [&](uint64_t k, int m) {
              return base + m < target.width ? net.taken1[k * net.inputs + column + m] : 0.0f;
            });
      }
    }
    each_sum(sums, [&](int row, int column, float sum) {
      if (first + row < call.n && base + column < target.width)
        target.by[(first + row) * target.width + base + column] = sum;
    });
  }
}

__global__ void __launch_bounds__(BLOCK) mlp_row_slopes(MlpCall call) {
  __shared__ Stage stage;
  const uint64_t first = static_cast<uint64_t>(blockIdx.x) * TILE;
  for (int g = 0; g < call.networks; ++g) hidden_slopes(call, call.network[g], stage, first);
  __syncthreads();
  for (int g = 0; g < call.networks; ++g)
    for (int p = 0; p < MAX_PARTS; ++p)
      if (call.network[g].parts[p].by != nullptr && !written_before(call, g, p))
        input_slopes(call, g, p, stage, first);
}

// A layer's weight gradients lie in `partial` as [rows, columns + 1], the bias last; those of the first layer
// before those of the second, network by network.
struct Layer {
  uint64_t rows, columns;
};

__device__ __host__ inline Layer layer_of(const MlpNetwork& net, int number) {
  return number == 0 ? Layer{net.hidden, net.inputs + 1} : Layer{net.outputs, net.hidden + 1};
}

__device__ __host__ inline uint64_t floats_of(const MlpNetwork& net) {
  return net.hidden * (net.inputs + 1) + net.outputs * (net.hidden + 1);
}

__device__ __host__ inline uint64_t tiles_of(const Layer& layer) {
  return ((layer.rows + TILE - 1) / TILE) * ((layer.columns + TILE - 1) / TILE);
}

// What a slice of the rows has for the derivatives by a network's gain: sums of the hidden units times the
// derivatives by them, both with the gain in them.
__device__ inline void gain_sums(const MlpNetwork& net, uint64_t begin, uint64_t end) {
  if (net.gain.weight == nullptr) return;
  for (uint64_t h = threadIdx.x; h < net.hidden; h += BLOCK) {
    float sum = 0.0f;
    for (uint64_t row = begin; row < end; ++row)
      sum += net.by_hidden[row * net.hidden + h] * net.active[row * net.hidden + h];
    net.gain.sums[blockIdx.y * net.hidden + h] = sum;
  }
}

// One tile of one layer's weight gradients, of one slice of the rows; or, beyond `tiles`, the gain of a
// network.
__global__ void __launch_bounds__(BLOCK) mlp_weight_slopes(MlpCall call, uint64_t floats, uint64_t tiles) {
  __shared__ Stage stage;
  const uint64_t begin = call.n * blockIdx.y / call.slices, end = call.n * (blockIdx.y + 1) / call.slices;
  if (blockIdx.x >= tiles) {
    gain_sums(call.network[blockIdx.x - tiles], begin, end);
    return;
  }
  uint64_t tile = blockIdx.x, at = 0;
  int g = 0, number = 0;
  while (tile >= tiles_of(layer_of(call.network[g], number))) {
    const Layer passed = layer_of(call.network[g], number);
    tile -= tiles_of(passed);
    at += passed.rows * passed.columns;
    g += number;
    number = 1 - number;
  }
  const MlpNetwork& net = call.network[g];
  const Layer layer = layer_of(net, number);
  const uint64_t across = (layer.columns + TILE - 1) / TILE;
  const uint64_t row0 = tile / across * TILE, column0 = tile % across * TILE;
  Sums sums;
  clear(sums);
  add_products<false, false>(
      stage, sums, end - begin,
      [&](int m, uint64_t k) {
        const uint64_t row = begin + k, unit = row0 + m;
        if (unit >= layer.rows) return 0.0f;
        return number == 0 ? net.by_hidden[row * net.hidden + unit] : net.by_y[row * net.by_y_stride + unit];
      },
      [&](uint64_t k, int m) {
        const uint64_t row = begin + k, c = column0 + m;
        if (c + 1 >= layer.columns) return c + 1 == layer.columns ? 1.0f : 0.0f;
        return number == 0 ? input(call, net, row, c) : activated(net, net.active[row * net.hidden + c]);
      });
  float* to = call.partial + blockIdx.y * floats + at;
  each_sum(sums, [&](int row, int column, float sum) {
    if (row0 + row < layer.rows && column0 + column < layer.columns)
      to[(row0 + row) * layer.columns + column0 + column] = sum;
  });
}

// Adds element `at` of a network's gradients up over the slices.
__device__ inline float added(const MlpCall& call, uint64_t floats, uint64_t at) {
  float sum = 0.0f;
  for (uint64_t slice = 0; slice < call.slices; ++slice) sum += call.partial[slice * floats + at];
  return sum;
}

__global__ void __launch_bounds__(BLOCK) mlp_weights_added(MlpCall call, uint64_t floats) {
  uint64_t at = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  if (at >= floats) return;
  float sum = added(call, floats, at);
  int g = 0;
  uint64_t start = 0;
  for (; at >= floats_of(call.network[g]); ++g) {
    at -= floats_of(call.network[g]);
    start += floats_of(call.network[g]);
  }
  const MlpNetwork& net = call.network[g];
  const uint64_t of_first = net.hidden * (net.inputs + 1);
  const int number = at < of_first ? 0 : 1;
  const Layer layer = layer_of(net, number);
  const uint64_t inside = number == 0 ? at : at - of_first;
  const uint64_t row = inside / layer.columns, column = inside % layer.columns;
  float* to = number == 0 ? net.by_w1 : net.by_w2;
  for (int i = 0; i < g; ++i)
    if (number == 0 && call.network[i].by_w1 == to) return;
  start += floats_of(net);
  for (int i = g + 1; i < call.networks; start += floats_of(call.network[i++]))
    if (number == 0 && call.network[i].by_w1 == to) sum += added(call, floats, start + at);
  float* element = column + 1 == layer.columns ? (number == 0 ? net.by_b1 : net.by_b2) + row
                                               : to + row * (layer.columns - 1) + column;
  *element = net.adds != 0 ? *element + sum : sum;
}

// Derivatives by a network's gain, of the sums above: they have unit h's multiplier in them twice.
__global__ void __launch_bounds__(BLOCK) mlp_gain_slopes(MlpCall call) {
  __shared__ float scratch[BLOCK];
  const MlpNetwork& net = call.network[blockIdx.x];
  const MlpGain& gain = net.gain;
  if (gain.weight == nullptr) return;
  const Drive drive = drive_of(gain);
  float by_drive = 0.0f;
  for (uint64_t h = threadIdx.x; h < net.hidden; h += BLOCK) {
    float sum = 0.0f;
    for (uint64_t slice = 0; slice < call.slices; ++slice) sum += gain.sums[slice * net.hidden + h];
    const float multiplier = gain_of(gain, drive.value, h),
                by = multiplier == 0.0f ? 0.0f : sum / multiplier / multiplier;
    gain.by_bias[h] = by;
    gain.by_weight[h] = by * drive.value;
    by_drive += by * gain.weight[h];
  }
  scratch[threadIdx.x] = by_drive;
  __syncthreads();
  for (unsigned half = BLOCK / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) scratch[threadIdx.x] += scratch[threadIdx.x + half];
    __syncthreads();
  }
  const float by_exponent = scratch[0] * drive.value * drive.inside;
  for (int level = threadIdx.x; level < gain.levels; level += BLOCK) {
    const bool here = level == gain.level;
    gain.by_shift[level] = here ? by_exponent : 0.0f;
    gain.by_slope[level] = here ? by_exponent * gain.rate_weight[level] : 0.0f;
  }
}

}  // namespace
}  // namespace gspc

// Scratch: by_hidden of every network, and `partial` of call.slices times all their weights and biases.
GSPC_EXPORT int gspc_mlp_backward(const gspc::MlpCall* given, cudaStream_t stream) {
  using namespace gspc;
  const MlpCall call = *given;
  if (!usable(call) || call.slices < 1 || call.slices > 1u << 15)
    return static_cast<int>(cudaErrorInvalidValue);
  uint64_t floats = 0, tiles = 0;
  bool gains = false;
  for (int g = 0; g < call.networks; ++g) {
    const MlpNetwork& net = call.network[g];
    floats += floats_of(net);
    tiles += tiles_of(layer_of(net, 0)) + tiles_of(layer_of(net, 1));
    gains = gains || net.gain.weight != nullptr;
  }
  if (call.n > 0) GSPC_LAUNCH(mlp_row_slopes, dim3(row_tiles(call.n)), dim3(BLOCK), stream, call);
  const unsigned of_gains = gains ? static_cast<unsigned>(call.networks) : 0;
  const dim3 grid(static_cast<unsigned>(tiles) + of_gains, static_cast<unsigned>(call.slices));
  GSPC_LAUNCH(mlp_weight_slopes, grid, dim3(BLOCK), stream, call, floats, tiles);
  GSPC_LAUNCH(mlp_weights_added, dim3(blocks(floats)), dim3(BLOCK), stream, call, floats);
  if (gains) GSPC_LAUNCH(mlp_gain_slopes, dim3(of_gains), dim3(BLOCK), stream, call);
  return launch_status();
}
