// Fused Gaussian heads: from anchors to the neural Gaussians of one view, and back.
//
// Per anchor (method section 1): d = anchor - center, x = [feature (F), d / |d| (3), |d| * distance_scale], h
// = relu(w1 x + b1) with three stacked hidden blocks of H units (opacity, color, cov), then per Gaussian k
//   a = tanh(opacity), kept iff a > 0 and mask > 0.5;  opacity = a * mask;  color = sigmoid(color)
//   scale = exp(l[3:6]) * sigmoid(cov[0:3]) * mask;  quat = normalize(cov[3:7]);  mean = anchor + offset *
//   exp(l[0:3]).
// All arrays are C-contiguous float32. Work is cut into fixed blocks of anchors and weight gradients are
// summed over fixed partitions in order, so every result is the same, bit for bit, for any number of threads.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gspc {

struct HeadsShape {
  int features, offsets, hidden;  // F, K, H
  int predicted;                  // P of the F features lie in an array of their own
  int scales;                     // Z: 6 log scales of an anchor, or 1 that stands for all of them
};

struct HeadsWeights {
  const float *w1, *b1;                // [3H, F + 4], [3H]
  const float *w_opacity, *b_opacity;  // [K, H], [K]
  const float *w_color, *b_color;      // [3K, H], [3K]
  const float *w_cov, *b_cov;          // [7K, H], [7K]
  float distance_scale;
};

struct HeadsInput {
  size_t n;                 // anchors
  const float* predicted;   // [N, P], the first features
  const float* features;    // [N, F - P], the others
  const float* log_scales;  // [N, Z]
  const float* offsets;     // [N, K, 3]
  const float* mask;        // [N, K]
  const float* anchors;     // [N, 3]
  float center[3];          // of the camera
};

// Which Gaussians are drawn; kept by the caller for the later calls.
struct HeadsSelection {
  float* alpha;     // [N, K] tanh opacity of kept Gaussians, 0 for the others (rows of skipped anchors stay
                    // unwritten)
  int32_t* starts;  // [N + 1] first Gaussian of each anchor
  int32_t* active;  // [N] the anchors with at least one Gaussian, ascending
  size_t n_active;
};

struct HeadsOutput {
  int64_t* index;        // [M] n * K + k, ascending
  float* means;          // [M, 3]
  float* quats;          // [M, 4] normalized; zero stays zero
  float* scales;         // [M, 3]
  float* opacities;      // [M]
  float* colors;         // [M, 3]
  float* gates;          // [M, 3] sigmoid(cov[0:3]), for the backward pass
  float* inverse_norms;  // [M] 1 / max(|cov[3:7]|, 1e-12), for the backward pass
};

struct HeadsOutputGradients {  // any may be null: no gradient
  const float *means, *quats, *scales, *opacities, *colors;
};

struct HeadsGradients {  // all written completely
  float *predicted, *features, *log_scales, *offsets, *mask;
  float *w1, *b1, *w_opacity, *b_opacity, *w_color, *b_color, *w_cov, *b_cov;
};

// Step one: the opacities of all anchors (of those with visible[n] != 0, if given). Fills the selection,
// returns M.
size_t heads_select(const HeadsShape& shape, const HeadsWeights& weights, const HeadsInput& input,
                    const uint8_t* visible, HeadsSelection& selection);

// Step two: the M Gaussians.
void heads_forward(const HeadsShape& shape, const HeadsWeights& weights, const HeadsInput& input,
                   const HeadsSelection& selection, const HeadsOutput& output);

void heads_backward(const HeadsShape& shape, const HeadsWeights& weights, const HeadsInput& input,
                    const HeadsSelection& selection, const HeadsOutput& output,
                    const HeadsOutputGradients& grad_output, const HeadsGradients& gradients);

}  // namespace gspc
