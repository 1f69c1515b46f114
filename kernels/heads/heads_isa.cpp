#include "heads/heads_isa.hpp"

#include "common/small_gemm.hpp"
#include "common/vector_math.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {
namespace {

// x rows of a block: feature, view direction, scaled distance.
void build_inputs(const HeadsSizes& s, const HeadsInput& in, float distance_scale, const int32_t* rows,
                  size_t first, int count, float* x) {
  for (int a = 0; a < count; ++a, x += s.inputs_p) {
    const size_t n = rows != nullptr ? static_cast<size_t>(rows[a]) : first + static_cast<size_t>(a);
    copy_floats(x, in.predicted + n * s.predicted, s.predicted);
    copy_floats(x + s.predicted, in.features + n * s.own, s.own);
    const float* anchor = in.anchors + 3 * n;
    const float dx = anchor[0] - in.center[0], dy = anchor[1] - in.center[1], dz = anchor[2] - in.center[2];
    const float distance = __builtin_sqrtf(dx * dx + dy * dy + dz * dz);
    const float inverse =
        1.0f / (distance < 1e-12f ? 1e-12f : distance);  // an anchor at the camera has direction 0
    x[s.features] = dx * inverse;
    x[s.features + 1] = dy * inverse;
    x[s.features + 2] = dz * inverse;
    x[s.features + 3] = distance * distance_scale;
  }
}

// exp of the block's scalings, rows of 8.
void exp_scalings(const HeadsSizes& s, const HeadsInput& in, const int32_t* rows, int count, float* e) {
  for (int a = 0; a < count; ++a) {
    const float* from = in.log_scales + static_cast<size_t>(s.scales) * rows[a];
    for (int j = 0; j < 6; ++j) e[8 * a + j] = from[s.scales == 6 ? j : 0];
  }
  map(e, e, 8 * static_cast<size_t>(count), [](Floats v) { return vexp(v); });
}

// w [kRows][stride] times h [n], n a multiple of 16; kRows of the result's lanes mean something. Beyond its
// head's units h is read, too, which are times zero: so one head's infinite unit, of a fit that has diverged,
// makes another's logits NaN.
template <int kRows>
static inline Quad products(const float* w, int stride, const float* h, int n) {
  Floats acc[4] = {};
  for (int c = 0; c < n; c += kLanes) {
    const Floats hv = load(h + c);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) acc[r] += load(w + r * stride + c) * hv;
  }
  return sums(acc[0], acc[1], acc[2], acc[3]);
}

// The drawn Gaussians of a block, each an anchor's k-th, and an order by k: so the weights of one k are used
// while they are in the L1 cache.
struct BlockGaussians {
  int n = 0;
  int32_t *anchor, *k, *order,
      *starts;  // [n] and one more, [n] and one more, [n], [K + 1]: first of each k in `order`

  BlockGaussians(int offsets, int32_t* memory) {
    const ptrdiff_t room = static_cast<ptrdiff_t>(kHeadsBlock) * offsets + 1;
    anchor = memory;
    k = anchor + room;
    order = k + room;
    starts = order + room;
  }

  void find(const HeadsSizes& s, const HeadsSelection& sel, const int32_t* rows, int count) {
    for (int a = 0; a < count; ++a) {
      const float* alpha = sel.alpha + static_cast<size_t>(rows[a]) * s.offsets;
      for (int i = 0; i < s.offsets; ++i) {  // no branch: which Gaussians are drawn is hard to predict
        anchor[n] = a;
        k[n] = i;
        n += alpha[i] > 0.0f;
      }
    }
    __builtin_memset(starts, 0, sizeof(int32_t) * (s.offsets + 1));
    for (int g = 0; g < n; ++g) ++starts[k[g]];
    int32_t end = 0;
    for (int i = 0; i <= s.offsets; ++i) starts[i] = end += starts[i];
    for (int g = n - 1; g >= 0; --g) order[--starts[k[g]]] = g;
  }
};

// The part of second_layer_strip for the weights' gradients, from row kFirst. A few rows at once share the
// loads of units, and make enough sums that none waits for its last product.
template <int kFirst, int kRows, int kVectors>
GSPC_INLINE void weights_strip(const BlockGaussians& gaussians, int begin, int end, const float* d,
                               int hidden_p, const float* h, ptrdiff_t h_row, float* dw) {
  constexpr int kMost = kLanes < 16 ? 1 : 4;
  constexpr int kLeft = kRows - kFirst, kTaken = kLeft < kMost ? kLeft : kMost;
  Floats acc[kTaken][kVectors];
  for (int r = 0; r < kTaken; ++r)
    for (int v = 0; v < kVectors; ++v) acc[r][v] = load(dw + (kFirst + r) * hidden_p + v * kLanes);
  for (int i = begin; i < end; ++i) {
    const int g = gaussians.order[i];
    const float* gradients = d + g * kHeadsLogits + kFirst;
    const float* from = h + gaussians.anchor[g] * h_row;
#pragma GCC unroll 4
    for (int r = 0; r < kTaken; ++r) {
      const Floats gradient = splat(gradients[r]);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) acc[r][v] += gradient * load(from + v * kLanes);
    }
  }
  for (int r = 0; r < kTaken; ++r)
    for (int v = 0; v < kVectors; ++v) store(dw + (kFirst + r) * hidden_p + v * kLanes, acc[r][v]);
  if constexpr (kLeft > kMost)
    weights_strip<kFirst + kTaken, kRows, kVectors>(gaussians, begin, end, d, hidden_p, h, h_row, dw);
}

// Of the k-th Gaussians of a block and the kRows logits that each has of one head: from the logits' gradients
// d [kRows] in rows of kHeadsLogits, += those of the units h in [0, kLanes * kVectors) of an anchor's row,
// and of the weights w [kRows][hidden_p].
template <int kRows, int kVectors>
GSPC_INLINE void second_layer_strip(const BlockGaussians& gaussians, int k, const float* d, const float* w,
                                    int hidden_p, const float* h, float* dh, ptrdiff_t h_row, float* dw) {
  const int begin = gaussians.starts[k], end = gaussians.starts[k + 1];
  for (int i = begin; i < end; ++i) {
    const int g = gaussians.order[i];
    float* to = dh + gaussians.anchor[g] * h_row;
    Floats acc[kVectors];
    for (int v = 0; v < kVectors; ++v) acc[v] = load(to + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const Floats gradient = splat(d[g * kHeadsLogits + r]);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) acc[v] += gradient * load(w + r * hidden_p + v * kLanes);
    }
    for (int v = 0; v < kVectors; ++v) store(to + v * kLanes, acc[v]);
  }
  weights_strip<0, kRows, kVectors>(gaussians, begin, end, d, hidden_p, h, h_row, dw);
}

template <int kRows>
static void second_layer_backward(const BlockGaussians& gaussians, int k, const float* d, const float* w,
                                  int hidden_p, const float* h, float* dh, ptrdiff_t h_row, float* dw) {
  constexpr int kWide = kLanes < 16 ? 8 : 4;  // accumulators; there are 16 or 32 registers
  int c = 0;
  for (; c + kWide * kLanes <= hidden_p; c += kWide * kLanes)
    second_layer_strip<kRows, kWide>(gaussians, k, d, w + c, hidden_p, h + c, dh + c, h_row, dw + c);
  for (; c < hidden_p; c += 16)
    second_layer_strip<kRows, 16 / kLanes>(gaussians, k, d, w + c, hidden_p, h + c, dh + c, h_row, dw + c);
}

// From the gradients of one anchor's Gaussians to those of their logits, rows of d which advances, and of
// offsets, mask and scalings, which are zero before.
void anchor_backward(const HeadsSizes& s, const HeadsInput& in, const HeadsSelection& sel,
                     const HeadsOutput& out, const HeadsOutputGradients& g, const HeadsGradients& to,
                     size_t n, const float* e, float*& d) {
  const Quad offset_extent = load3(e), extent = load3(e + 3);
  Quad d_offset_extent{}, d_extent{};
  const size_t end = static_cast<size_t>(sel.starts[n + 1]);
  for (size_t m = static_cast<size_t>(sel.starts[n]); m < end; ++m, d += kHeadsLogits) {
    const size_t flat = static_cast<size_t>(out.index[m]);
    const float mask = in.mask[flat], alpha = sel.alpha[flat];
    float d_mask = 0, d_opacity = 0;
    Quad d_quat{}, d_gate{}, d_color{};
    if (g.opacities != nullptr) {
      const float gradient = g.opacities[m];
      d_mask = gradient * alpha;
      d_opacity = gradient * mask * (1.0f - alpha * alpha);
    }
    if (g.colors != nullptr) {
      const Quad color = load3(out.colors + 3 * m);
      d_color = load3(g.colors + 3 * m) * color * (1.0f - color);
    }
    if (g.scales != nullptr) {
      const Quad gate = load3(out.gates + 3 * m), unmasked = load3(g.scales + 3 * m) * extent * gate;
      const Quad masked = unmasked * mask;
      d_mask += sum(unmasked);
      d_extent += masked;
      d_gate = masked * (1.0f - gate);
    }
    if (g.quats != nullptr) {
      const Quad q = load4(out.quats + 4 * m), gq = load4(g.quats + 4 * m);
      d_quat = (gq - q * sum(q * gq)) * out.inverse_norms[m];
    }
    if (g.means != nullptr) {
      const Quad d_offset = load3(g.means + 3 * m) * offset_extent;
      store3(to.offsets + 3 * flat, d_offset);
      d_offset_extent += d_offset * load3(in.offsets + 3 * flat);
    }
    to.mask[flat] = d_mask;
    store4(d, d_gate);  // the rows of the heads' weights: cov, color, opacity
    store4(d + 3, d_quat);
    store4(d + 7, d_color);
    d[10] = d_opacity;
  }
  if (s.scales == 6) {
    store3(to.log_scales + 6 * n, d_offset_extent);
    store3(to.log_scales + 6 * n + 3, d_extent);
  } else {
    const Quad d = d_offset_extent + d_extent;
    to.log_scales[n] = d[0] + d[1] + d[2];
  }
}

}  // namespace

void heads_select_block(const HeadsSizes& s, const HeadsPacked& w, const HeadsInput& in, const int32_t* rows,
                        size_t first, int count, float* alpha, int32_t* counts, float* scratch) {
  float* x = scratch;
  float* h = x + kHeadsBlock * s.inputs_p;
  float* logits = h + kHeadsBlock * s.hidden_p;
  build_inputs(s, in, w.distance_scale, rows, first, count, x);
  gemm<Start::bias_relu>({count, s.inputs, s.hidden_p / 16, x, s.inputs_p, 1, w.w1_opacity_t, s.hidden_p, h,
                          s.hidden_p, w.b1_opacity});
  gemm<Start::bias>({count, s.hidden, s.opacity_p / 16, h, s.hidden_p, 1, w.w_opacity_t, s.opacity_p, logits,
                     s.opacity_p, w.b_opacity});
  map(logits, logits, static_cast<size_t>(count) * s.opacity_p, [](Floats v) { return vtanh(v); });
  for (int a = 0; a < count; ++a) {
    const size_t n = rows != nullptr ? static_cast<size_t>(rows[a]) : first + static_cast<size_t>(a);
    const float* mask = in.mask + n * s.offsets;
    float* row = alpha + n * s.offsets;
    int32_t kept = 0;
    for (int k = 0; k < s.offsets; ++k) {
      const float value = logits[a * s.opacity_p + k];
      const bool keep = value > 0.0f && mask[k] > 0.5f;
      row[k] = keep ? value : 0.0f;
      kept += keep;
    }
    counts[n] = kept;
  }
}

void heads_forward_block(const HeadsSizes& s, const HeadsPacked& w, const HeadsInput& in,
                         const HeadsSelection& sel, size_t first, int count, const HeadsOutput& out,
                         float* scratch) {
  float* x = scratch;
  float* h = x + kHeadsBlock * s.inputs_p;
  float* e = h + kHeadsBlock * s.hidden2_p;
  const int32_t* rows = sel.active + first;
  build_inputs(s, in, w.distance_scale, rows, 0, count, x);
  gemm<Start::bias_relu>({count, s.inputs, s.hidden2_p / 16, x, s.inputs_p, 1, w.w1_rest_t, s.hidden2_p, h,
                          s.hidden2_p, w.b1_rest});
  exp_scalings(s, in, rows, count, e);

  BlockGaussians gaussians(s.offsets,
                           reinterpret_cast<int32_t*>(e + 8 * kHeadsBlock + 6 * kHeadsBlock * s.offsets));
  gaussians.find(s, sel, rows, count);
  const size_t begin = static_cast<size_t>(sel.starts[rows[0]]), drawn = static_cast<size_t>(gaussians.n);
  for (int g = 0; g < gaussians.n; ++g)
    out.index[begin + g] = static_cast<int64_t>(rows[gaussians.anchor[g]]) * s.offsets + gaussians.k[g];
  // Logits side by side: sigmoids and norms then run over whole vectors.
  float *colors = e + 8 * kHeadsBlock, *gates = colors + 3 * kHeadsBlock * s.offsets;
  for (int k = 0; k < s.offsets; ++k) {
    const float *w_color = w.w_color + 3 * k * s.hidden_p, *w_cov = w.w_cov + 7 * k * s.hidden_p;
    const Quad b_color = load3(w.b_color + 3 * k), b_gate = load3(w.b_cov + 7 * k),
               b_quat = load4(w.b_cov + 7 * k + 3);
    for (int i = gaussians.starts[k]; i < gaussians.starts[k + 1]; ++i) {
      const int g = gaussians.order[i];
      const float *h_color = h + gaussians.anchor[g] * s.hidden2_p, *h_cov = h_color + s.hidden;
      store3(colors + 3 * g, products<3>(w_color, s.hidden_p, h_color, s.hidden_p) + b_color);
      store3(gates + 3 * g, products<3>(w_cov, s.hidden_p, h_cov, s.hidden_p) + b_gate);
      const Quad q = products<4>(w_cov + 3 * s.hidden_p, s.hidden_p, h_cov, s.hidden_p) + b_quat;
      store4(out.quats + 4 * (begin + g), q);
      out.inverse_norms[begin + g] = sum(q * q);
    }
  }
  map(colors, out.colors + 3 * begin, 3 * drawn, [](Floats v) { return vsigmoid(v); });
  map(gates, out.gates + 3 * begin, 3 * drawn, [](Floats v) { return vsigmoid(v); });
  map(out.inverse_norms + begin, out.inverse_norms + begin, drawn, [](Floats v) {
    const Floats norm = vsqrt(v);
    return 1.0f / (norm < 1e-12f ? splat(1e-12f) : norm);
  });
  size_t m = begin;
  for (int a = 0; a < count; ++a) {
    const size_t n = static_cast<size_t>(rows[a]);
    const size_t end = static_cast<size_t>(sel.starts[n + 1]);
    const Quad anchor = load3(in.anchors + 3 * n), offset_extent = load3(e + 8 * a),
               extent = load3(e + 8 * a + 3);
    for (; m < end; ++m) {
      const size_t flat = static_cast<size_t>(out.index[m]);
      const float mask = in.mask[flat];
      out.opacities[m] = sel.alpha[flat] * mask;
      store3(out.scales + 3 * m, extent * load3(out.gates + 3 * m) * mask);
      store3(out.means + 3 * m, anchor + load3(in.offsets + 3 * flat) * offset_extent);
      store4(out.quats + 4 * m, load4(out.quats + 4 * m) * out.inverse_norms[m]);
    }
  }
}

void heads_backward_block(const HeadsSizes& s, const HeadsPacked& w, const HeadsInput& in,
                          const HeadsSelection& sel, const HeadsOutput& out,
                          const HeadsOutputGradients& grad_output, const HeadsGradients& to, size_t first,
                          int count, const HeadsPartial& partial, float* scratch) {
  float* x = scratch;
  float* h = x + kHeadsBlock * s.inputs_p;
  float* dh = h + kHeadsBlock * s.hidden3_p;
  float* dx = dh + kHeadsBlock * s.hidden3_p;
  float* e = dx + kHeadsBlock * s.features_p;
  float* d = e + kHeadsBlock * 8;
  const int32_t* rows = sel.active + first;
  const int stride = s.hidden3_p, hidden = s.hidden;
  build_inputs(s, in, w.distance_scale, rows, 0, count, x);
  gemm<Start::bias_relu>(
      {count, s.inputs, s.hidden3_p / 16, x, s.inputs_p, 1, w.w1_t, s.hidden3_p, h, stride, w.b1});
  exp_scalings(s, in, rows, count, e);

  BlockGaussians gaussians(s.offsets, reinterpret_cast<int32_t*>(d + static_cast<ptrdiff_t>(kHeadsBlock) *
                                                                         s.offsets * kHeadsLogits));
  gaussians.find(s, sel, rows, count);
  float* next = d;
  for (int a = 0; a < count; ++a)
    anchor_backward(s, in, sel, out, grad_output, to, static_cast<size_t>(rows[a]), e + 8 * a, next);

  // Blocks of units overhang to the right by the padding of their weights, which is zero.
  __builtin_memset(dh, 0, sizeof(float) * count * stride);
  for (int k = 0; k < s.offsets; ++k) {
    const ptrdiff_t row = static_cast<ptrdiff_t>(k) * s.hidden_p;
    second_layer_backward<1>(gaussians, k, d + 10, w.w_opacity + row, s.hidden_p, h, dh, stride,
                             partial.w_opacity + row);
    second_layer_backward<3>(gaussians, k, d + 7, w.w_color + 3 * row, s.hidden_p, h + hidden, dh + hidden,
                             stride, partial.w_color + 3 * row);
    second_layer_backward<7>(gaussians, k, d, w.w_cov + 7 * row, s.hidden_p, h + 2 * hidden, dh + 2 * hidden,
                             stride, partial.w_cov + 7 * row);
    Quad b_gate{}, b_quat{}, b_color{};
    float b_opacity = 0;
    for (int i = gaussians.starts[k]; i < gaussians.starts[k + 1]; ++i) {
      const float* logits = d + gaussians.order[i] * kHeadsLogits;
      b_gate += load3(logits);
      b_quat += load4(logits + 3);
      b_color += load3(logits + 7);
      b_opacity += logits[10];
    }
    store3(partial.b_cov + 7 * k, load3(partial.b_cov + 7 * k) + b_gate);
    store4(partial.b_cov + 7 * k + 3, load4(partial.b_cov + 7 * k + 3) + b_quat);
    store3(partial.b_color + 3 * k, load3(partial.b_color + 3 * k) + b_color);
    partial.b_opacity[k] += b_opacity;
  }
  for (int j = 0; j < count * stride; j += kLanes)
    store(dh + j, load(h + j) > 0.0f ? load(dh + j) : Floats{});

  gemm<Start::add>(
      {s.inputs, count, s.hidden3_p / 16, x, 1, s.inputs_p, dh, stride, partial.w1_t, s.hidden3_p, nullptr});
  add_rows(dh, count, s.hidden3_p, stride, partial.b1);

  gemm<Start::zero>(
      {count, 3 * hidden, s.features_p / 16, dh, stride, 1, w.w1, s.features_p, dx, s.features_p, nullptr});
  for (int a = 0; a < count; ++a) {
    const float* row = dx + a * s.features_p;
    copy_floats(to.predicted + static_cast<size_t>(rows[a]) * s.predicted, row, s.predicted);
    copy_floats(to.features + static_cast<size_t>(rows[a]) * s.own, row + s.predicted, s.own);
  }
}

void heads_add(float* total, const float* part, size_t n) {
  for (size_t i = 0; i < n; ++i) total[i] += part[i];
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
