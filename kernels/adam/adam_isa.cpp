#include "adam/adam.hpp"

#include "common/simd.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {
namespace {

struct Factors {
  float keep1, take1, keep2, take2, step, inverse_root, epsilon;
};

inline void update(const Factors& f, float* value, float* moment, float* square, const float* grad) {
  const Floats g = load(grad);
  const Floats m = f.keep1 * load(moment) + f.take1 * g;
  const Floats v = f.keep2 * load(square) + f.take2 * g * g;
  store(moment, m);
  store(square, v);
  store(value, load(value) - f.step * m / (vsqrt(v) * f.inverse_root + f.epsilon));
}

}  // namespace

void adam_part(const AdamTensor& tensor, size_t begin, size_t end) {
  const Factors f{tensor.beta1, 1.0f - tensor.beta1, tensor.beta2,  1.0f - tensor.beta2,
                  tensor.step,  1.0f / tensor.root,  tensor.epsilon};
  size_t i = begin;
  for (; i + kLanes <= end; i += kLanes)
    update(f, tensor.value + i, tensor.moment + i, tensor.square + i, tensor.grad + i);
  if (i == end) return;
  const size_t bytes = (end - i) * sizeof(float);
  alignas(64) float part[4][kLanes] = {};
  float* const all[3] = {tensor.value + i, tensor.moment + i, tensor.square + i};
  for (int k = 0; k < 3; ++k) __builtin_memcpy(part[k], all[k], bytes);
  __builtin_memcpy(part[3], tensor.grad + i, bytes);
  update(f, part[0], part[1], part[2], part[3]);
  for (int k = 0; k < 3; ++k) __builtin_memcpy(all[k], part[k], bytes);
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
