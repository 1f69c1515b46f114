// Adam (Kingma & Ba 2015) over many tensors at once: values, moments and squares pass through the caches a
// single time.
#pragma once

#include <cstddef>
#include <vector>

#include "common/isa.hpp"

namespace gspc {

// moment = b1 moment + (1 - b1) grad; square = b2 square + (1 - b2) grad^2;
// value -= step moment / (sqrt(square) / root + epsilon), where step = rate / (1 - b1^t) and root = sqrt(1 -
// b2^t).
struct AdamTensor {
  float *value, *moment, *square;  // [n], updated
  const float* grad;               // [n]
  size_t n;
  float step, root, beta1, beta2, epsilon;
};

void adam(const std::vector<AdamTensor>& tensors);

}  // namespace gspc

GSPC_DECLARE_ISA(
    // Elements [begin, end).
    void adam_part(const AdamTensor& tensor, size_t begin, size_t end);)
