// What a view shows of the anchors, and what is counted over its Gaussians: the CUDA twin of kernels/rows as
// far as that is about views.
#include "rows.cuh"

#include "scan.cuh"

namespace gspc {
namespace {

__device__ inline float largest(const float* three) {
  const float ab = three[0] > three[1] ? three[0] : three[1];
  return ab > three[2] ? ab : three[2];
}

// Whether Gaussians of standard deviation `sigma` may touch the picture that lie within `reach` of `p`, in
// the camera's coordinates. What is no number is in no view.
__device__ inline bool may_touch(const VisibleCall& call, const float* p, float reach, float sigma) {
  const float far = p[2] + reach, near = p[2] - reach > call.nearest ? p[2] - reach : call.nearest;
  const float size = call.gain * sigma / near, radius = sqrtf(size * size + call.blur) + call.margin;
  bool inside = far >= call.nearest;
  for (int axis = 0; axis < 2; ++axis) {
    const float low = p[axis] - reach, high = p[axis] + reach;
    const float left = low / (low < 0.0f ? near : far), right = high / (high > 0.0f ? near : far);
    inside = inside && call.focal[axis] * right + call.center[axis] + radius >= 0.0f &&
             call.focal[axis] * left + call.center[axis] - radius <= call.size[axis];
  }
  return inside;
}

__device__ inline bool in_view(const VisibleCall& call, uint64_t i) {
  const float *w = call.world + 3 * i, *l = call.log_scales + call.scales * i, *m = call.pose;
  const bool one = call.scales == 1;
  float p[3], far_away = 0.0f, longest = 0.0f;
  for (int axis = 0; axis < 3; ++axis) {
    p[axis] = m[4 * axis] * w[0] + m[4 * axis + 1] * w[1] + m[4 * axis + 2] * w[2] + m[4 * axis + 3];
    far_away += fabsf(p[axis]) + fabsf(m[4 * axis + 3]);
  }
  const float slack = call.slack * far_away, sigma = expf(one ? l[0] : largest(l + 3));
  // What is in view however near its Gaussians lie needs no look at them.
  if (may_touch(call, p, slack, sigma)) return true;
  const float scale[3] = {expf(l[0]), expf(l[one ? 0 : 1]), expf(l[one ? 0 : 2])};
  const float* moved = call.moved + 3 * call.offsets * i;
  for (uint64_t k = 0; k < call.offsets; ++k) {
    const float x = moved[3 * k] * scale[0], y = moved[3 * k + 1] * scale[1], z = moved[3 * k + 2] * scale[2];
    const float squared = x * x + y * y + z * z;
    if (!(squared <= longest)) longest = squared;  // a NaN stays, and brings nothing into view
  }
  return may_touch(call, p, sqrtf(longest) + slack, sigma);
}

__global__ void __launch_bounds__(BLOCK) visible_counted(VisibleCall call) {
  __shared__ uint32_t scratch[BLOCK];
  const uint64_t i = thread_number();
  const bool seen = i < call.n && in_view(call, i);
  if (i < call.n) call.seen[i] = seen ? 1 : 0;
  const uint32_t count = block_sum(scratch, seen ? 1u : 0u);
  if (threadIdx.x == 0) call.counts[blockIdx.x] = count;
}

__global__ void __launch_bounds__(BLOCK) visible_listed(VisibleCall call) {
  __shared__ uint32_t scratch[BLOCK];
  const uint64_t i = thread_number();
  const bool seen = i < call.n && call.seen[i] != 0;
  const uint64_t at = call.counts[blockIdx.x] + block_before(scratch, seen ? 1u : 0u);
  if (!seen) return;
  call.index[at] = static_cast<int64_t>(i);
  for (int axis = 0; axis < 3; ++axis) call.where[3 * at + axis] = call.world[3 * i + axis];
}

__device__ inline uint64_t there(const int64_t* count, uint64_t room) {
  return count == nullptr ? room : static_cast<uint64_t>(count[0]);
}

// A thread for every Gaussian, and for every visible anchor. The first Gaussian of an anchor adds up the
// opacities of all.
__global__ void __launch_bounds__(BLOCK) statistics_added(StatisticsCall call) {
  const uint64_t i = thread_number(), count = there(call.count, call.room), k = call.offsets;
  if (i < call.visible_count) call.seen[call.visible[i]] += 1.0f;
  if (i >= count) return;
  const uint64_t row = static_cast<uint64_t>(call.index[i]) / k;
  const uint64_t n = static_cast<uint64_t>(call.visible[row]);
  if (call.radii[i] > 0) {
    const uint64_t slot = n * k + static_cast<uint64_t>(call.index[i]) % k;
    const float x = call.means2d_grad[2 * i] * call.half_width,
                y = call.means2d_grad[2 * i + 1] * call.half_height;
    call.gradient[slot] += sqrtf(x * x + y * y);
    call.drawn[slot] += 1.0f;
  }
  if (i > 0 && static_cast<uint64_t>(call.index[i - 1]) / k == row) return;
  float opacity = 0.0f;
  for (uint64_t j = i; j < count && static_cast<uint64_t>(call.index[j]) / k == row; ++j)
    opacity += call.opacities[j];
  call.opacity[n] += opacity;
}

__global__ void __launch_bounds__(BLOCK) products_added(ProductCall call) {
  __shared__ double scratch[BLOCK];
  const uint64_t count = there(call.count, call.room), step = static_cast<uint64_t>(gridDim.x) * BLOCK;
  double sum = 0.0;
  for (uint64_t i = thread_number(); i < count; i += step)
    sum += static_cast<double>(call.values[3 * i] * call.values[3 * i + 1] * call.values[3 * i + 2]);
  sum = block_sum(scratch, sum);
  if (threadIdx.x == 0) call.parts[blockIdx.x] = sum / static_cast<double>(count > 0 ? count : 1);
}

__global__ void __launch_bounds__(BLOCK) product_slopes(ProductCall call) {
  const uint64_t i = thread_number(), count = there(call.count, call.room);
  if (i >= call.room) return;
  const float *v = call.values + 3 * i,
              amount = i < count
                           ? call.by_mean[0] * static_cast<float>(call.factor) / static_cast<float>(count)
                           : 0.0f;
  float* by = call.by_values + 3 * i;
  by[0] = i < count ? amount * v[1] * v[2] : 0.0f;
  by[1] = i < count ? amount * v[0] * v[2] : 0.0f;
  by[2] = i < count ? amount * v[0] * v[1] : 0.0f;
}

}  // namespace
}  // namespace gspc

GSPC_EXPORT int gspc_rows_visible(const gspc::VisibleCall* given, cudaStream_t stream) {
  using namespace gspc;
  const VisibleCall call = *given;
  if (call.n >= 1u << 30 || (call.scales != 1 && call.scales != 6)) return INVALID;
  const unsigned parts = blocks(call.n);
  if (parts > 0) GSPC_LAUNCH(visible_counted, dim3(parts), dim3(BLOCK), stream, call);
  GSPC_LAUNCH(counts_added, dim3(1), dim3(BLOCK), stream, call.counts, parts, call.total);
  if (parts > 0) GSPC_LAUNCH(visible_listed, dim3(parts), dim3(BLOCK), stream, call);
  return launch_status();
}

GSPC_EXPORT int gspc_rows_statistics(const gspc::StatisticsCall* given, cudaStream_t stream) {
  using namespace gspc;
  const StatisticsCall call = *given;
  if (call.offsets < 1 || call.room >= 1u << 31) return INVALID;
  const uint64_t most = call.room > call.visible_count ? call.room : call.visible_count;
  if (most > 0) GSPC_LAUNCH(statistics_added, dim3(blocks(most)), dim3(BLOCK), stream, call);
  return launch_status();
}

GSPC_EXPORT int gspc_rows_product(const gspc::ProductCall* given, cudaStream_t stream) {
  using namespace gspc;
  const ProductCall call = *given;
  const unsigned parts = few_blocks(call.room);
  GSPC_LAUNCH(products_added, dim3(parts), dim3(BLOCK), stream, call);
  GSPC_LAUNCH(parts_added, dim3(1), dim3(BLOCK), stream, call.parts, parts, call.factor, call.mean);
  return launch_status();
}

GSPC_EXPORT int gspc_rows_product_backward(const gspc::ProductCall* given, cudaStream_t stream) {
  using namespace gspc;
  const ProductCall call = *given;
  if (call.room > 0) GSPC_LAUNCH(product_slopes, dim3(blocks(call.room)), dim3(BLOCK), stream, call);
  return launch_status();
}
