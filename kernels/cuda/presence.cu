// What a level does with the Gaussians of some anchors, and what that costs: masks now and at the level
// before, the bits of the masks' own symbols, and means of bits over what is there (gspc/train/rate says what
// for). gspc/ops/presence/cuda.py has the same fields in the same order.
#include "noise.cuh"
#include "scan.cuh"

namespace gspc {
namespace {

constexpr int MAX_MEANS = 8;

struct PresenceCall {
  uint64_t n, offsets, planes, level;  // K, S; counted from 1
  const float* masks;                  // [n, K, S]
  // 1 where an anchor [n] or a Gaussian [n, K] appears at the level, was there before, is there now.
  float *anchor_appears, *anchor_before, *anchor_now;
  float *appears, *before, *now;
  double* parts;  // scratch of three for each block
  float* bits;    // [2] anchors that appear, bits of the masks' symbols
  double* costs;  // [2] of one more anchor's masks, of one more Gaussian that appears
};

struct Tally {
  double anchors, candidates, gaussians;  // that appear; whose masks are coded; that appear
};

__device__ inline bool is_open(const PresenceCall& call, uint64_t at, uint64_t level) {
  if (level == 0) return false;
  const float* m = call.masks + at * call.planes;
  float odds = expf(limited(m[0], -87.0f, 87.0f).value);
  for (uint64_t j = 1; j < level; ++j) odds *= 1.0f + expf(limited(m[j], -87.0f, 87.0f).value);
  return odds > 0.01f / 0.99f;  // of the masks' threshold
}

__global__ void __launch_bounds__(BLOCK) presence_found(PresenceCall call) {
  __shared__ double scratch[BLOCK];
  const uint64_t n = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  Tally tally = {0.0, 0.0, 0.0};
  if (n < call.n) {
    const uint64_t level = call.level < call.planes ? call.level : call.planes;
    const uint64_t last = call.level - 1 < call.planes ? call.level - 1 : call.planes;
    int open_before = 0, open_now = 0;
    for (uint64_t k = 0; k < call.offsets; ++k) {
      const uint64_t at = n * call.offsets + k;
      const int before = is_open(call, at, last) ? 1 : 0, now = is_open(call, at, level) ? 1 : 0;
      call.appears[at] = static_cast<float>(now - before);
      call.before[at] = static_cast<float>(before);
      call.now[at] = static_cast<float>(now);
      open_before += before;
      open_now += now;
    }
    const int before = open_before > 0 ? 1 : 0, now = open_now > 0 ? 1 : 0;
    call.anchor_appears[n] = static_cast<float>(now - before);
    call.anchor_before[n] = static_cast<float>(before);
    call.anchor_now[n] = static_cast<float>(now);
    tally = {static_cast<double>(now - before),
             now * static_cast<double>(static_cast<int>(call.offsets) - open_before),
             static_cast<double>(open_now - open_before)};
  }
  const double anchors = block_sum(scratch, tally.anchors), candidates = block_sum(scratch, tally.candidates),
               gaussians = block_sum(scratch, tally.gaussians);
  if (threadIdx.x != 0) return;
  call.parts[3 * blockIdx.x] = anchors;
  call.parts[3 * blockIdx.x + 1] = candidates;
  call.parts[3 * blockIdx.x + 2] = gaussians;
}

__device__ inline double between(double x, double margin) {
  return x < margin ? margin : x > 1.0 - margin ? 1.0 - margin : x;
}

// k ones among n symbols take n H(k / n) bits; the costs are its derivatives by n, times the symbols of an
// anchor, and by k.
__global__ void __launch_bounds__(BLOCK) presence_priced(PresenceCall call, unsigned parts) {
  __shared__ double scratch[BLOCK];
  double sums[3] = {0.0, 0.0, 0.0};
  for (unsigned i = threadIdx.x; i < parts; i += BLOCK)
    for (int j = 0; j < 3; ++j) sums[j] += call.parts[3 * i + j];
  for (double& sum : sums) sum = block_sum(scratch, sum);
  if (threadIdx.x != 0) return;
  const double candidates = sums[1], share = sums[2] / (candidates < 1.0 ? 1.0 : candidates);
  const double p = between(share, 1e-6), q = between(share, 1e-3);
  call.bits[0] = static_cast<float>(sums[0]);
  call.bits[1] = static_cast<float>(candidates * -(p * log2(p) + (1.0 - p) * log2(1.0 - p)));
  call.costs[0] = -static_cast<double>(call.offsets) * log2(1.0 - q);
  call.costs[1] = log2((1.0 - q) / q);
}

// Means of values where weights, 0 or 1, are: sum of products over sum of weights, 0 where there are none.
struct MeansCall {
  int32_t count;
  uint64_t n[MAX_MEANS];
  const float *values[MAX_MEANS], *weights[MAX_MEANS];
  double* means;  // [count]
};

__global__ void __launch_bounds__(BLOCK) means_found(MeansCall call) {
  __shared__ double scratch[BLOCK];
  const float *values = call.values[blockIdx.x], *weights = call.weights[blockIdx.x];
  double sum = 0.0, all = 0.0;
  for (uint64_t i = threadIdx.x; i < call.n[blockIdx.x]; i += BLOCK) {
    sum += static_cast<double>(values[i]) * static_cast<double>(weights[i]);
    all += static_cast<double>(weights[i]);
  }
  sum = block_sum(scratch, sum);
  all = block_sum(scratch, all);
  if (threadIdx.x == 0) call.means[blockIdx.x] = sum / (all < 1.0 ? 1.0 : all);
}

constexpr int MAX_SUMMANDS = 24, MAX_OPENINGS = 8, MAX_COSTS = 8;

// What every open mask pays: base plus factors times costs. Its bits are 0 and have that as their gradient.
struct Opening {
  double base;
  double factors[MAX_COSTS];
  const double* costs[MAX_COSTS];
  float* by_open;
};

// weight (share (sum of bits) + openings + bits of signs) / values, and share (sum of bits).
struct LossCall {
  int32_t summands, openings;
  double share, weight, values, signs;
  const double* relative;  // times the weight; null: 1
  const float* bits[MAX_SUMMANDS];
  const float* positive;  // the share of `signs` that are +1; null: there are none
  float *loss, *total;
  const float* by_loss;
  float *by_bits, *by_positive;  // of every summand; of the share
  Opening opening[MAX_OPENINGS];
};

__device__ inline double weight_of(const LossCall& call) {
  return call.weight * (call.relative == nullptr ? 1.0 : call.relative[0]) / call.values;
}

__global__ void loss_summed(LossCall call) {
  double sum = 0.0;
  for (int i = 0; i < call.summands; ++i) sum += static_cast<double>(call.bits[i][0]);
  sum *= call.share;
  call.total[0] = static_cast<float>(sum);
  double total = sum;
  if (call.positive != nullptr) {
    const double p = between(static_cast<double>(call.positive[0]), 1e-6);
    total += call.signs * -(p * log2(p) + (1.0 - p) * log2(1.0 - p));
  }
  call.loss[0] = static_cast<float>(weight_of(call) * total);
}

__global__ void loss_slopes(LossCall call) {
  const double by = static_cast<double>(call.by_loss[0]) * weight_of(call);
  call.by_bits[0] = static_cast<float>(by * call.share);
  if (call.by_positive != nullptr) {
    const double share = static_cast<double>(call.positive[0]), p = between(share, 1e-6);
    call.by_positive[0] = static_cast<float>(p == share ? by * call.signs * log2((1.0 - p) / p) : 0.0);
  }
  for (int i = 0; i < call.openings; ++i) {
    const Opening& opening = call.opening[i];
    double cost = opening.base;
    for (int j = 0; j < MAX_COSTS; ++j)
      if (opening.costs[j] != nullptr) cost += opening.factors[j] * opening.costs[j][0];
    opening.by_open[0] = static_cast<float>(by * cost);
  }
}

bool usable(const LossCall& call) {
  return call.summands >= 0 && call.summands <= MAX_SUMMANDS && call.openings >= 0 &&
         call.openings <= MAX_OPENINGS && call.values > 0.0;
}

}  // namespace
}  // namespace gspc

GSPC_EXPORT int gspc_rate_loss(const gspc::LossCall* given, cudaStream_t stream) {
  using namespace gspc;
  const LossCall call = *given;
  if (!usable(call)) return static_cast<int>(cudaErrorInvalidValue);
  GSPC_LAUNCH(loss_summed, dim3(1), dim3(1), stream, call);
  return launch_status();
}

GSPC_EXPORT int gspc_rate_loss_backward(const gspc::LossCall* given, cudaStream_t stream) {
  using namespace gspc;
  const LossCall call = *given;
  if (!usable(call)) return static_cast<int>(cudaErrorInvalidValue);
  GSPC_LAUNCH(loss_slopes, dim3(1), dim3(1), stream, call);
  return launch_status();
}

GSPC_EXPORT int gspc_presence(const gspc::PresenceCall* given, cudaStream_t stream) {
  using namespace gspc;
  const PresenceCall call = *given;
  if (call.n >= 1u << 30 || call.offsets < 1 || call.offsets >= 1u << 16 || call.planes < 1 || call.level < 1)
    return static_cast<int>(cudaErrorInvalidValue);
  const unsigned parts = blocks(call.n);
  if (parts > 0) GSPC_LAUNCH(presence_found, dim3(parts), dim3(BLOCK), stream, call);
  GSPC_LAUNCH(presence_priced, dim3(1), dim3(BLOCK), stream, call, parts);
  return launch_status();
}

GSPC_EXPORT int gspc_means(const gspc::MeansCall* given, cudaStream_t stream) {
  using namespace gspc;
  const MeansCall call = *given;
  if (call.count < 1 || call.count > MAX_MEANS) return static_cast<int>(cudaErrorInvalidValue);
  GSPC_LAUNCH(means_found, dim3(static_cast<unsigned>(call.count)), dim3(BLOCK), stream, call);
  return launch_status();
}
