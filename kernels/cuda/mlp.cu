// Small two-layer networks and their gradients, many of them in one launch: the CUDA twin of kernels/mlp,
// with the gains of levels inside. Sums are taken in a fixed order, so that results repeat bit for bit.
#include "mlp.cuh"

#include "scan.cuh"

namespace gspc {
namespace {

// The stream's limits, as gspc/ops/mlp/rounding.py has them.
constexpr float INPUT_UNITS = 512.0f, NETWORK_WEIGHTS = 16.0f, HEAD_WEIGHTS = 70.0f, WEIGHT_SUM = 7000.0f,
                BIAS_LIMIT = 16777216.0f - 7200.0f * 2047.0f, SMALLEST_SCALE = 1e-8f;

__device__ inline float at_least(float x, float low) { return x < low ? low : x; }

// Puts one row (x) of one network's (y) weights on its grid: first the rows of the first layer.
__global__ void __launch_bounds__(BLOCK) mlp_rounded(MlpCall call) {
  __shared__ float scratch[BLOCK];
  const MlpNetwork& net = call.network[blockIdx.y];
  if (net.rounded1 == nullptr || blockIdx.x >= net.hidden + net.outputs) return;
  const bool second = blockIdx.x >= net.hidden;
  const uint64_t row = second ? blockIdx.x - net.hidden : blockIdx.x,
                 width = second ? net.hidden : net.inputs;
  const float* from = (second ? net.w2 : net.w1) + row * width;
  float* to = (second ? net.rounded2 : net.rounded1) + row * width;
  float largest = 0.0f, sum = 0.0f;
  for (uint64_t c = threadIdx.x; c < width; c += BLOCK) {
    largest = at_least(largest, fabsf(from[c]));
    sum += fabsf(from[c]);
  }
  largest = block_largest(scratch, largest);
  sum = block_sum(scratch, sum);
  float scale = largest / (net.units == nullptr ? HEAD_WEIGHTS : NETWORK_WEIGHTS);
  if (net.units != nullptr) {  // coarser where the row's accumulator would overflow
    const float bias = fabsf((second ? net.b2 : net.b1)[row]) * (second ? net.units[0] : INPUT_UNITS);
    scale = at_least(at_least(scale, sum / WEIGHT_SUM), bias / BIAS_LIMIT);
  }
  scale = at_least(scale, SMALLEST_SCALE);
  for (uint64_t c = threadIdx.x; c < width; c += BLOCK) to[c] = rintf(from[c] / scale) * scale;
}

__global__ void __launch_bounds__(BLOCK) mlp_forward(MlpCall call) {
  __shared__ Stage stage;
  const MlpNetwork& net = call.network[blockIdx.y];
  const uint64_t first = static_cast<uint64_t>(blockIdx.x) * TILE;
  const float drive = drive_or_0(net.gain);
  for (uint64_t base = 0; base < net.hidden; base += TILE) {
    Sums sums;
    clear(sums);
    add_products<true, true>(
        stage, sums, net.inputs,
        [&](int m, uint64_t k) { return first + m < call.n ? input(call, net, first + m, k) : 0.0f; },
        [&](uint64_t k, int m) {
          return base + m < net.hidden ? net.taken1[(base + m) * net.inputs + k] : 0.0f;
        });
    each_sum(sums, [&](int row, int column, float sum) {
      const uint64_t h = base + column;
      if (first + row >= call.n || h >= net.hidden) return;
      const float hidden = gain_of(net.gain, drive, h) * (sum + net.b1[h]);
      net.active[(first + row) * net.hidden + h] = kept(net, hidden);
    });
  }
  __syncthreads();  // the block reads what its threads have written
  for (uint64_t base = 0; base < net.outputs; base += TILE) {
    Sums sums;
    clear(sums);
    add_products<true, true>(
        stage, sums, net.hidden,
        [&](int m, uint64_t k) {
          return first + m < call.n ? activated(net, net.active[(first + m) * net.hidden + k]) : 0.0f;
        },
        [&](uint64_t k, int m) {
          return base + m < net.outputs ? net.taken2[(base + m) * net.hidden + k] : 0.0f;
        });
    each_sum(sums, [&](int row, int column, float sum) {
      const uint64_t o = base + column;
      if (first + row >= call.n || o >= net.outputs) return;
      const float units = static_cast<float>(net.output_units), y = sum + net.b2[o];
      net.y[(first + row) * net.outputs + o] = units > 0.0f ? rintf(y * units) / units : y;
    });
  }
}

}  // namespace
}  // namespace gspc

GSPC_EXPORT int gspc_mlp_forward(const gspc::MlpCall* given, cudaStream_t stream) {
  using namespace gspc;
  const MlpCall call = *given;
  if (!usable(call)) return static_cast<int>(cudaErrorInvalidValue);
  const dim3 grid(row_tiles(call.n), static_cast<unsigned>(call.networks));
  uint64_t rows = 0;  // of weights that are rounded, the most of a network
  for (int g = 0; g < call.networks; ++g) {
    const MlpNetwork& net = call.network[g];
    if (net.rounded1 != nullptr && net.hidden + net.outputs > rows) rows = net.hidden + net.outputs;
  }
  if (rows > 0)
    GSPC_LAUNCH(mlp_rounded, dim3(static_cast<unsigned>(rows), grid.y), dim3(BLOCK), stream, call);
  if (call.n > 0) GSPC_LAUNCH(mlp_forward, grid, dim3(BLOCK), stream, call);
  return launch_status();
}
