// Per-instruction-set parts of the two-layer network; see mlp.hpp. One call works on one block of rows.
#pragma once

#include "common/isa.hpp"
#include "mlp/mlp.hpp"

namespace gspc {

// Rows per block: a multiple of the products' row counts; two blocks of inputs fit the L1 cache.
constexpr int kMlpBlock = 48;

// Sizes and weights in the order the products read them; "p" = rounded up to 16, padding is zero.
struct TwoLayerPacked {
  int inputs, hidden, outputs, inputs_p, hidden_p, outputs_p;
  const float *w1_t, *b1;  // [I][hidden_p], [hidden_p]
  const float *w2_t, *b2;  // [H][outputs_p], [outputs_p]
  const float* w1;         // [H][inputs_p]
  const float* w2;         // [O][hidden_p]
};

// One partition's weight gradients, transposed like the packed weights.
struct TwoLayerPartial {
  float *w1_t, *b1, *w2_t, *b2;
};

}  // namespace gspc

GSPC_DECLARE_ISA(void two_layer_forward_block(const TwoLayerPacked& weights, const float* x, int count,
                                              float* hidden, float* y, float* scratch);
                 // grad_x may be null, and is written or added to; weight gradients are added to partial.
                 void two_layer_backward_block(const TwoLayerPacked& weights, const float* x, int count,
                                               const float* hidden, const float* grad_y, float* grad_x,
                                               bool add_x, const TwoLayerPartial& partial, float* scratch);
                 // total[i] += part[i]
                 void mlp_add(float* total, const float* part, size_t n);)
