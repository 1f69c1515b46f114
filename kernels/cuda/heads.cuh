// Everything that a call of the kernels of heads is about; gspc/ops/heads/cuda.py has the same fields in the
// same order. Device pointers, float32 unless said otherwise; what is not needed is null or 0.
#pragma once

#include "launch.cuh"

namespace gspc {

// Logits [n, w] in rows `stride` apart, and others that are added to them.
struct HeadsLogits {
  const float *of, *also;
  uint64_t stride, also_stride;
};

struct HeadsCall {
  uint64_t n, offsets, scales;                        // N, K, Z
  const float *anchors, *log_scales, *places, *mask;  // [N, 3], [N, Z], [N, K, 3] offsets, [N, K]
  const uint8_t* visible;                             // [N] which anchors are looked at; null: all
  float center[3], distance_scale;
  float* view;                      // [N, 4] direction and scaled distance, what networks read of the camera
  HeadsLogits opacity, color, cov;  // [N, K], [N, 3K], [N, 7K]
  float* alpha;                     // [N, K] opacities of Gaussians that are drawn, 0 of the others
  uint32_t *starts, *counts;        // [N] first Gaussian of an anchor within its block; of blocks
  int64_t* total;                   // [1] M
  int64_t* index;                   // [N K] as everything here; what lies beyond M is empty
  float *means, *quats, *sizes, *opacities, *colors;
  const float *by_means, *by_quats, *by_sizes, *by_opacities, *by_colors;
  float *by_log_scales, *by_places, *by_mask;
  float *by_opacity_color, *by_cov;  // by the logits: [N, K + 3K], [N, 7K]
};

}  // namespace gspc
