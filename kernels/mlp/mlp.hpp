// Small two-layer networks y = W2 relu(W1 x + b1) + b2 that read the same rows x, and their gradients.
//
// All arrays are C-contiguous float32. Work is cut into fixed blocks of rows and weight gradients are summed
// over fixed partitions in order, so every result is the same, bit for bit, for any number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gspc {

struct TwoLayerWeights {
  int inputs, hidden, outputs;  // I, H, O
  const float *w1, *b1;         // [H, I], [H]
  const float *w2, *b2;         // [O, H], [O]
};

// Rows [n, I] of x: all of them in order, or those of an index.
struct TwoLayerRows {
  const float* x;
  const int64_t* index;  // [n] or null
  size_t n;
};

struct TwoLayerResult {
  float* hidden;  // [n, two_layer_stride(H)], kept for the backward pass
  float* y;       // [n, O]
};

struct TwoLayerGradients {
  const float* hidden;  // of the forward pass
  const float* y;       // given, [n, O]
  float *w1, *b1, *w2, *b2;
};

// Floats per row of the hidden activations that the forward pass keeps for the backward pass.
size_t two_layer_stride(int hidden);

// One result per network.
void two_layer_forward(const std::vector<TwoLayerWeights>& networks, const TwoLayerRows& rows,
                       const std::vector<TwoLayerResult>& results);

// One gradient per network; grad_x [n, I] is their sum's, or null.
void two_layer_backward(const std::vector<TwoLayerWeights>& networks, const TwoLayerRows& rows,
                        const std::vector<TwoLayerGradients>& gradients, float* grad_x);

}  // namespace gspc
