// Rows of per-anchor parameters for one training step: gathered with the noise that stands for quantization,
// and their gradients scattered back in one pass. Plain indexing would cost a copy per operation forward and
// atomic adds backward.
//
// Two sets of rows leave at once: `index` (ascending, no repeats; noisy) and `also` (any order, repeats
// allowed; plain), so that one full-size gradient is written for both. The noise of element (n, c) is a hash
// of (seed, n * width + c): nothing is kept for the backward pass, and results are the same, bit for bit, for
// any number of threads.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gspc {

struct RowsIndex {
  size_t n;              // rows of the parameter
  const int64_t* index;  // [v] ascending, without repeats
  size_t count;          // v
  const int64_t* also;   // [a]
  size_t also_count;     // a
};

// Null when all rows exist and `index` ascends, else what is wrong.
const char* rows_error(const RowsIndex& rows);

// out[i, c] = values[index[i], c] + scale * (step ? step[i] : 1) * noise(seed, index[i] * width + c), noise
// in [-1/2, 1/2]; out_also[i] = values[also[i]].
void rows_noisy(const RowsIndex& rows, const float* values, size_t width, const float* step, float scale,
                uint64_t seed, float* out, float* out_also);

// Writes all of grad_values [n, width] and, if there are steps, grad_step [v]. grad_out and grad_also may be
// null (zero).
void rows_noisy_backward(const RowsIndex& rows, size_t width, float scale, uint64_t seed,
                         const float* grad_out, const float* grad_also, float* grad_values, float* grad_step);

// Rows on their grids: out[i] = center[n] + k * step[n] * 3^coarser / finest with n = index[i], k the integer
// nearest to (values[n] - center[n]) * finest / step[n], ties up, divided by 3 and rounded `coarser` times;
// out_also[i] = values[also[i]].
void rows_rounded(const RowsIndex& rows, const float* values, size_t width, const float* center,
                  const float* step, size_t finest, size_t coarser, float* out, float* out_also);

// Progressive masks (PCGS Eq. 1 and 2): masks [n, K, S]; out[i, k] = 1 where sigmoid(m_0 + sum of
// softplus(m_j), 0 < j < level) > 0.01, else 0; out_also = masks[also]. Returns how many are 1 among all n *
// K. The gradient is the sigmoid's; grad_open is that of the number returned.
size_t rows_mask(const RowsIndex& rows, const float* masks, size_t offsets, size_t planes, size_t level,
                 float* out, float* out_also);
void rows_mask_backward(const RowsIndex& rows, const float* masks, size_t offsets, size_t planes,
                        size_t level, const float* grad_out, const float* grad_also, float grad_open,
                        float* grad_masks);

// Share of signs that are positive: how many of n values are >= 0, and the straight-through gradient `amount`
// where |value| <= 1, else 0.
size_t rows_count_positive(const float* values, size_t n);
void rows_within_one(const float* values, size_t n, float amount, float* to);

// A camera: world to camera, row by row; and what bounds pictures of Gaussians (gspc/ops/footprint.py).
struct RowsView {
  float rotation[9], translation[3];
  float focal[2], center[2], size[2], gain, blur, nearest, margin, slack;
};

// What is known of n anchors: world [n, 3]; log_scales [n, scales], scales 6 or 1 that stands for all of
// them; moved [n, offsets, 3], where their Gaussians lie, in units of the first three scales.
struct RowsAnchors {
  const float *world, *log_scales, *moved;
  size_t n, scales, offsets;
};

// Anchors whose Gaussians may touch the picture. index [room for n] gets theirs, ascending, and where [room
// for n, 3] their positions. Returns how many there are.
size_t rows_visible(const RowsAnchors& anchors, const RowsView& view, int64_t* index, float* where);

// Sum of the products of rows [n, 3], and to = amount times their derivatives.
double rows_product(const float* values, size_t n);
void rows_product_backward(const float* values, size_t n, float amount, float* to);

// What densification gathers of one iteration. Gaussian i of anchor visible[index[i] / K]: its summed opacity
// and, where radii[i] > 0, the length of its screen-space gradient in units of half the picture.
struct RowsStatistics {
  float *gradient, *drawn;   // [n * K]
  float *opacity, *visible;  // [n]
};
void rows_statistics(const int64_t* visible, size_t visible_count, size_t offsets, const int64_t* index,
                     size_t count, const int32_t* radii, const float* means2d_grad, const float* opacities,
                     float half_width, float half_height, const RowsStatistics& to);

}  // namespace gspc
