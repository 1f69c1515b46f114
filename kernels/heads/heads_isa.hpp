// Per-instruction-set parts of the fused heads; see heads.hpp. One call works on one block of anchors.
//
// Everything is a small matrix product C[m][16 g] = sum_k A(m, k) B[k][16 g] with A broadcast and B in whole groups of 16
// floats, anchors along m (or k, for weight gradients): no transposes are needed, only weights packed once per call.
#pragma once

#include "common/isa.hpp"
#include "heads/heads.hpp"

namespace gspc {

constexpr int HEADS_BLOCK = 48;  // anchors per block: a multiple of the products' row counts; activations stay in the L1 cache

constexpr int HEADS_MAX_OFFSETS = 1024;

constexpr int heads_round(int n) { return (n + 15) / 16 * 16; }

// Sizes derived from a shape. "p" = rounded up to 16.
struct HeadsSizes {
  int features, offsets, hidden, inputs;  // F, K, H, D = F + 4
  int features_p, inputs_p, hidden_p, hidden2_p, hidden3_p, opacity_p, color_p, cov_p;
  int hidden_stride;  // of rows that hold the three stacked blocks and the overhang of the last one
  explicit HeadsSizes(const HeadsShape& shape);
  size_t partial_floats() const;  // one partition's weight gradients
  size_t scratch_floats() const;  // one thread's blocks
};

// Weights in the order the products read them; padding is zero.
struct HeadsPacked {
  const float *w1_opacity_t, *b1_opacity;  // [D][hidden_p], [hidden_p]
  const float *w1_rest_t, *b1_rest;        // [D][hidden2_p]: color and cov units
  const float *w1_t, *b1;                  // [D][hidden3_p]
  const float* w1;                         // [3H][features_p]: the feature columns only
  const float *w_opacity_t, *b_opacity;    // [H][opacity_p]
  const float *w_color_t, *b_color;        // [H][color_p]
  const float *w_cov_t, *b_cov;            // [H][cov_p]
  const float *w_opacity, *w_color, *w_cov;  // [K | 3K | 7K][hidden_p]
  float distance_scale;
};

// One partition's weight gradients, transposed like the packed weights.
struct HeadsPartial {
  float *w1_t, *b1, *w_opacity_t, *b_opacity, *w_color_t, *b_color, *w_cov_t, *b_cov;
  HeadsPartial(const HeadsSizes& sizes, float* memory);
};

}  // namespace gspc

GSPC_DECLARE_ISA(
    // Rows rows[0..count) (or first.. when rows is null): alpha of each, and the number of kept Gaussians in counts[n].
    void heads_select_block(const HeadsSizes& sizes, const HeadsPacked& packed, const HeadsInput& input, const int32_t* rows,
                            size_t first, int count, float* alpha, int32_t* counts, float* scratch);
    // The Gaussians of the active anchors [first, first + count).
    void heads_forward_block(const HeadsSizes& sizes, const HeadsPacked& packed, const HeadsInput& input,
                             const HeadsSelection& selection, size_t first, int count, const HeadsOutput& output,
                             float* scratch);
    // Gradients of the active anchors [first, first + count), whose input gradients are zero; weight gradients are added to partial.
    void heads_backward_block(const HeadsSizes& sizes, const HeadsPacked& packed, const HeadsInput& input,
                              const HeadsSelection& selection, const HeadsOutput& output,
                              const HeadsOutputGradients& grad_output, const HeadsGradients& gradients, size_t first, int count,
                              const HeadsPartial& partial, float* scratch);
    // total[i] += part[i]
    void heads_add(float* total, const float* part, size_t n);)
