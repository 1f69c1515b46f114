// Per-instruction-set parts of the fused heads; see heads.hpp. One call works on one block of anchors.
//
// The first layer is small matrix products C[m][16 g] = sum_k A(m, k) B[k][16 g] with A broadcast and B in
// whole groups of 16 floats, anchors along m (or k, for weight gradients): no transposes are needed, only
// weights packed once per call. Of the second layer only the rows of drawn Gaussians are worked on, one
// Gaussian at a time with the hidden units across the lanes: a trained anchor draws two or three of its ten.
#pragma once

#include "common/isa.hpp"
#include "heads/heads.hpp"

namespace gspc {

// Anchors per block: a multiple of the products' row counts; activations stay in the L1 cache.
constexpr int kHeadsBlock = 48;

// Floats for the gradients of a Gaussian's 11 logits: scale, quat, color, opacity.
constexpr int kHeadsLogits = 12;

// Sizes derived from a shape. "p" = rounded up to 16.
struct HeadsSizes {
  int features, offsets, hidden, predicted, scales, own, inputs;  // F, K, H, P, Z, F - P, D = F + 4
  int features_p, inputs_p, hidden_p, opacity_p;
  int hidden2_p, hidden3_p;  // rows of two and three stacked blocks of H units, with room to read H_p from
                             // the last one's start
  explicit HeadsSizes(const HeadsShape& shape);
  size_t partial_floats() const;  // one partition's weight gradients
  size_t scratch_floats() const;  // one thread's blocks
};

// Weights in the order the products read them; padding is zero.
struct HeadsPacked {
  const float *w1_opacity_t, *b1_opacity;    // [D][hidden_p], [hidden_p]
  const float *w1_rest_t, *b1_rest;          // [D][hidden2_p]: color and cov units
  const float *w1_t, *b1;                    // [D][hidden3_p]
  const float* w1;                           // [3H][features_p]: the feature columns only
  const float *w_opacity_t, *b_opacity;      // [H][opacity_p], [opacity_p]
  const float *w_opacity, *w_color, *w_cov;  // [K | 3K | 7K][hidden_p]
  const float *b_color, *b_cov;              // [3K], [7K]
  float distance_scale;
};

// One partition's weight gradients, shaped like the packed weights: the first layer's are transposed.
struct HeadsPartial {
  float *w1_t, *b1, *w_opacity, *b_opacity, *w_color, *b_color, *w_cov, *b_cov;
  HeadsPartial(const HeadsSizes& sizes, float* memory);
};

}  // namespace gspc

GSPC_DECLARE_ISA(
    // Rows rows[0..count) (or first.. when rows is null): alpha of each, and the number of kept Gaussians in
    // counts[n].
    void heads_select_block(const HeadsSizes& sizes, const HeadsPacked& packed, const HeadsInput& input,
                            const int32_t* rows, size_t first, int count, float* alpha, int32_t* counts,
                            float* scratch);
    // The Gaussians of the active anchors [first, first + count).
    void heads_forward_block(const HeadsSizes& sizes, const HeadsPacked& packed, const HeadsInput& input,
                             const HeadsSelection& selection, size_t first, int count,
                             const HeadsOutput& output, float* scratch);
    // Gradients of the active anchors [first, first + count), whose input gradients are zero; weight
    // gradients are added to partial.
    void heads_backward_block(const HeadsSizes& sizes, const HeadsPacked& packed, const HeadsInput& input,
                              const HeadsSelection& selection, const HeadsOutput& output,
                              const HeadsOutputGradients& grad_output, const HeadsGradients& gradients,
                              size_t first, int count, const HeadsPartial& partial, float* scratch);
    // total[i] += part[i]
    void heads_add(float* total, const float* part, size_t n);)
