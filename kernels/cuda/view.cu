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

__device__ inline bool in_view(const VisibleCall& call, uint64_t i) {
  const float *p = call.world + 3 * i, *l = call.log_scales + call.scales * i, *m = call.pose;
  // Offsets reach about exp(l[:3]), the Gaussians three standard deviations of exp(l[3:]) further.
  const bool one = call.scales == 1;
  const float margin = 2.0f * expf(one ? l[0] : largest(l)) + 3.0f * expf(one ? l[0] : largest(l + 3));
  const float x = m[0] * p[0] + m[1] * p[1] + m[2] * p[2] + m[3];
  const float y = m[4] * p[0] + m[5] * p[1] + m[6] * p[2] + m[7];
  const float z = m[8] * p[0] + m[9] * p[1] + m[10] * p[2] + m[11];
  return x > -call.left * z - margin && x < call.right * z + margin && y > -call.top * z - margin &&
         y < call.bottom * z + margin && z > call.nearest;
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
