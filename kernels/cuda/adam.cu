// Adam over many tensors at once: the CUDA twin of kernels/adam, whose header has the formulas. What a launch
// needs to know of its tensors travels with it, so that nothing has to be copied to the device first;
// gspc/ops/optimizer/cuda.py has the same fields in the same order.
#include "launch.cuh"

namespace gspc {
namespace {

constexpr int MAX_TENSORS = 55;  // a launch takes four kilobytes of arguments
constexpr int EACH = 4;          // elements of a thread

struct AdamTensor {
  float *value, *moment, *square;  // [n], updated
  const float* grad;               // [n]
  uint64_t n;
  // What is kept of the moments, and what is taken of the gradient: 1 less that, which float32 would round.
  float step, root, keep1, keep2, epsilon, take1, take2;
};

struct AdamCall {
  int32_t tensors;
  AdamTensor tensor[MAX_TENSORS];
};

__device__ __host__ inline uint64_t blocks_of(const AdamTensor& tensor) {
  return (tensor.n + BLOCK * EACH - 1) / (BLOCK * EACH);
}

__global__ void __launch_bounds__(BLOCK) adam_steps(AdamCall call) {
  uint64_t block = blockIdx.x;
  int number = 0;
  for (; block >= blocks_of(call.tensor[number]); ++number) block -= blocks_of(call.tensor[number]);
  const AdamTensor& t = call.tensor[number];
  const float inverse_root = 1.0f / t.root;
  for (int j = 0; j < EACH; ++j) {
    const uint64_t i = (block * EACH + j) * BLOCK + threadIdx.x;
    if (i >= t.n) return;
    const float g = t.grad[i];
    const float m = t.keep1 * t.moment[i] + t.take1 * g;
    const float v = t.keep2 * t.square[i] + t.take2 * g * g;
    t.moment[i] = m;
    t.square[i] = v;
    t.value[i] -= t.step * m / (sqrtf(v) * inverse_root + t.epsilon);
  }
}

}  // namespace
}  // namespace gspc

GSPC_EXPORT int gspc_adam(const gspc::AdamCall* given, cudaStream_t stream) {
  using namespace gspc;
  const AdamCall call = *given;
  if (call.tensors < 0 || call.tensors > MAX_TENSORS) return static_cast<int>(cudaErrorInvalidValue);
  uint64_t all = 0;
  for (int i = 0; i < call.tensors; ++i) all += blocks_of(call.tensor[i]);
  if (all >= 1u << 31) return static_cast<int>(cudaErrorInvalidValue);
  if (all > 0) GSPC_LAUNCH(adam_steps, dim3(static_cast<unsigned>(all)), dim3(BLOCK), stream, call);
  return launch_status();
}
