// Neural Gaussians of a view from the heads' logits, and back: the CUDA twin of kernels/heads, whose header
// has the formulas; the networks before it are those of mlp.cu. Drawn Gaussians move up into arrays with room
// for all, and how many there are stays on the device, so that nobody waits for it: what lies behind them has
// opacity 0, and rasterizers drop it.
#include "heads.cuh"

#include "scan.cuh"

namespace gspc {
namespace {

__device__ inline uint64_t thread_number() { return static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x; }

__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

__device__ inline float logit(const HeadsLogits& logits, uint64_t n, uint64_t c) {
  const float own = logits.of[n * logits.stride + c];
  return logits.also == nullptr ? own : own + logits.also[n * logits.also_stride + c];
}

__device__ inline float extent(const HeadsCall& call, uint64_t n, int j) {
  return expf(call.log_scales[n * call.scales + (call.scales == 1 ? 0 : j)]);
}

__global__ void __launch_bounds__(BLOCK) heads_viewed(HeadsCall call) {
  const uint64_t n = thread_number();
  if (n >= call.n) return;
  float toward[3], square = 0.0f;
  for (int axis = 0; axis < 3; ++axis) {
    toward[axis] = call.anchors[3 * n + axis] - call.center[axis];
    square += toward[axis] * toward[axis];
  }
  const float distance = sqrtf(square);
  // An anchor at the camera has direction 0.
  for (int axis = 0; axis < 3; ++axis)
    call.view[4 * n + axis] = toward[axis] / (distance < 1e-12f ? 1e-12f : distance);
  call.view[4 * n + 3] = distance * call.distance_scale;
}

__global__ void __launch_bounds__(BLOCK) heads_selected(HeadsCall call) {
  __shared__ uint32_t scratch[BLOCK];
  const uint64_t n = thread_number();
  uint32_t kept = 0;
  if (n < call.n) {
    const bool seen = call.visible == nullptr || call.visible[n] != 0;
    for (uint64_t k = 0; k < call.offsets; ++k) {
      const uint64_t at = n * call.offsets + k;
      const float value = tanhf(logit(call.opacity, n, k));
      const bool keep = seen && value > 0.0f && call.mask[at] > 0.5f;
      call.alpha[at] = keep ? value : 0.0f;
      kept += keep ? 1 : 0;
    }
  }
  const uint32_t before = block_before(scratch, kept);
  if (n < call.n) call.starts[n] = before;
  if (threadIdx.x == BLOCK - 1) call.counts[blockIdx.x] = before + kept;
}

// Where Gaussian `at` of all n K lies among those that are drawn.
__device__ inline uint64_t rank_of(const HeadsCall& call, uint64_t n, uint64_t at) {
  uint64_t rank = call.counts[n / BLOCK] + call.starts[n];
  for (uint64_t i = n * call.offsets; i < at; ++i) rank += call.alpha[i] > 0.0f ? 1 : 0;
  return rank;
}

__device__ inline void leave_empty(const HeadsCall& call, uint64_t m) {
  call.index[m] = 0;
  call.opacities[m] = 0.0f;
  call.quats[4 * m] = 1.0f;
  for (int j = 0; j < 3; ++j) {
    call.quats[4 * m + 1 + j] = 0.0f;
    call.means[3 * m + j] = call.sizes[3 * m + j] = call.colors[3 * m + j] = 0.0f;
  }
}

__device__ inline float inverse_norm(const float* q) {
  const float norm = sqrtf(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
  return 1.0f / (norm < 1e-12f ? 1e-12f : norm);
}

__global__ void __launch_bounds__(BLOCK) heads_filled(HeadsCall call) {
  const uint64_t at = thread_number();
  if (at >= call.n * call.offsets) return;
  if (at >= static_cast<uint64_t>(call.total[0])) leave_empty(call, at);
  const float alpha = call.alpha[at];
  if (!(alpha > 0.0f)) return;
  const uint64_t n = at / call.offsets, k = at - n * call.offsets, m = rank_of(call, n, at);
  const float mask = call.mask[at];
  call.index[m] = static_cast<int64_t>(at);
  call.opacities[m] = alpha * mask;
  float q[4];
  for (int j = 0; j < 4; ++j) q[j] = logit(call.cov, n, 7 * k + 3 + j);
  const float inverse = inverse_norm(q);
  for (int j = 0; j < 4; ++j) call.quats[4 * m + j] = q[j] * inverse;
  for (int j = 0; j < 3; ++j) {
    call.means[3 * m + j] = call.anchors[3 * n + j] + call.places[3 * at + j] * extent(call, n, j);
    call.sizes[3 * m + j] = extent(call, n, 3 + j) * sigmoid(logit(call.cov, n, 7 * k + j)) * mask;
    call.colors[3 * m + j] = sigmoid(logit(call.color, n, 3 * k + j));
  }
}

__device__ inline float given(const float* by, uint64_t at) { return by == nullptr ? 0.0f : by[at]; }

// Derivatives by a Gaussian's logits, offset and mask; 0 of those that are not drawn.
__global__ void __launch_bounds__(BLOCK) heads_slopes(HeadsCall call) {
  const uint64_t at = thread_number();
  if (at >= call.n * call.offsets) return;
  const uint64_t n = at / call.offsets, k = at - n * call.offsets;
  float* by_opacity = call.by_opacity_color + n * 4 * call.offsets + k;
  float* by_color = call.by_opacity_color + n * 4 * call.offsets + call.offsets + 3 * k;
  float* by_cov = call.by_cov + n * 7 * call.offsets + 7 * k;
  const float alpha = call.alpha[at], mask = call.mask[at];
  if (!(alpha > 0.0f)) {
    by_opacity[0] = call.by_mask[at] = 0.0f;
    for (int j = 0; j < 3; ++j) by_color[j] = call.by_places[3 * at + j] = 0.0f;
    for (int j = 0; j < 7; ++j) by_cov[j] = 0.0f;
    return;
  }
  const uint64_t m = rank_of(call, n, at);
  const float by_alpha = given(call.by_opacities, m);
  by_opacity[0] = by_alpha * mask * (1.0f - alpha * alpha);
  float by_mask = by_alpha * alpha;
  for (int j = 0; j < 3; ++j) {
    const float color = sigmoid(logit(call.color, n, 3 * k + j));
    by_color[j] = given(call.by_colors, 3 * m + j) * color * (1.0f - color);
    const float gate = sigmoid(logit(call.cov, n, 7 * k + j));
    const float unmasked = given(call.by_sizes, 3 * m + j) * extent(call, n, 3 + j) * gate;
    by_mask += unmasked;
    by_cov[j] = unmasked * mask * (1.0f - gate);
    call.by_places[3 * at + j] = given(call.by_means, 3 * m + j) * extent(call, n, j);
  }
  call.by_mask[at] = by_mask;
  float q[4], along = 0.0f;
  for (int j = 0; j < 4; ++j) q[j] = logit(call.cov, n, 7 * k + 3 + j);
  const float inverse = inverse_norm(q);
  for (int j = 0; j < 4; ++j) along += q[j] * inverse * given(call.by_quats, 4 * m + j);
  for (int j = 0; j < 4; ++j)
    by_cov[3 + j] = (given(call.by_quats, 4 * m + j) - q[j] * inverse * along) * inverse;
}

// Derivatives by an anchor's log scales: of all its Gaussians.
__global__ void __launch_bounds__(BLOCK) heads_extent_slopes(HeadsCall call) {
  const uint64_t n = thread_number();
  if (n >= call.n) return;
  float by[6] = {};
  uint64_t m = call.counts[n / BLOCK] + call.starts[n];
  for (uint64_t k = 0; k < call.offsets; ++k) {
    const uint64_t at = n * call.offsets + k;
    if (!(call.alpha[at] > 0.0f)) continue;
    for (int j = 0; j < 3; ++j) {
      by[j] += call.by_places[3 * at + j] * call.places[3 * at + j];
      by[3 + j] += given(call.by_sizes, 3 * m + j) * extent(call, n, 3 + j) *
                   sigmoid(logit(call.cov, n, 7 * k + j)) * call.mask[at];
    }
    ++m;
  }
  if (call.scales == 1) call.by_log_scales[n] = by[0] + by[1] + by[2] + by[3] + by[4] + by[5];
  else
    for (int j = 0; j < 6; ++j) call.by_log_scales[6 * n + j] = by[j];
}

bool usable(const HeadsCall& call) {
  return call.n * call.offsets < 1u << 31 && call.n < 1u << 31 && call.offsets > 0 &&
         call.offsets < 1u << 16 && (call.scales == 1 || call.scales == 6);
}

}  // namespace
}  // namespace gspc

GSPC_EXPORT int gspc_heads_view(const gspc::HeadsCall* given, cudaStream_t stream) {
  using namespace gspc;
  const HeadsCall call = *given;
  if (!usable(call)) return static_cast<int>(cudaErrorInvalidValue);
  if (call.n > 0) GSPC_LAUNCH(heads_viewed, dim3(blocks(call.n)), dim3(BLOCK), stream, call);
  return launch_status();
}

GSPC_EXPORT int gspc_heads_forward(const gspc::HeadsCall* given, cudaStream_t stream) {
  using namespace gspc;
  const HeadsCall call = *given;
  if (!usable(call)) return static_cast<int>(cudaErrorInvalidValue);
  const unsigned parts = blocks(call.n);
  if (parts > 0) GSPC_LAUNCH(heads_selected, dim3(parts), dim3(BLOCK), stream, call);
  GSPC_LAUNCH(counts_added, dim3(1), dim3(BLOCK), stream, call.counts, parts, call.total);
  if (parts > 0) GSPC_LAUNCH(heads_filled, dim3(blocks(call.n * call.offsets)), dim3(BLOCK), stream, call);
  return launch_status();
}

GSPC_EXPORT int gspc_heads_backward(const gspc::HeadsCall* given, cudaStream_t stream) {
  using namespace gspc;
  const HeadsCall call = *given;
  if (!usable(call)) return static_cast<int>(cudaErrorInvalidValue);
  if (call.n == 0) return 0;
  GSPC_LAUNCH(heads_slopes, dim3(blocks(call.n * call.offsets)), dim3(BLOCK), stream, call);
  GSPC_LAUNCH(heads_extent_slopes, dim3(blocks(call.n)), dim3(BLOCK), stream, call);
  return launch_status();
}
