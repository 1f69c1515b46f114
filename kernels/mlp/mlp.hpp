// A small two-layer network y = W2 relu(W1 x + b1) + b2 over many rows, and its gradients.
//
// All arrays are C-contiguous float32. Work is cut into fixed blocks of rows and weight gradients are summed over fixed
// partitions in order, so every result is the same, bit for bit, for any number of threads.
#pragma once

#include <cstddef>

namespace gspc {

struct TwoLayerWeights {
  int inputs, hidden, outputs;  // I, H, O
  const float *w1, *b1;         // [H, I], [H]
  const float *w2, *b2;         // [O, H], [O]
};

struct TwoLayerGradients {
  float* x;  // [n, I] or null
  float *w1, *b1, *w2, *b2;
};

// Floats per row of the hidden activations that the forward pass keeps for the backward pass.
size_t two_layer_stride(int hidden);

// y [n, O]; hidden [n, two_layer_stride(H)].
void two_layer_forward(const TwoLayerWeights& weights, const float* x, size_t n, float* hidden, float* y);

void two_layer_backward(const TwoLayerWeights& weights, const float* x, size_t n, const float* hidden, const float* grad_y,
                        const TwoLayerGradients& gradients);

}  // namespace gspc
