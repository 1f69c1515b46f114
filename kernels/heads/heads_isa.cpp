#include "heads/heads_isa.hpp"

#include "common/small_gemm.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {
namespace {

// x rows of a block: feature, view direction, scaled distance.
void build_inputs(const HeadsSizes& s, const HeadsInput& in, float distance_scale, const int32_t* rows, size_t first, int count,
                  float* x) {
  for (int a = 0; a < count; ++a, x += s.inputs_p) {
    const size_t n = rows != nullptr ? static_cast<size_t>(rows[a]) : first + static_cast<size_t>(a);
    copy_floats(x, in.features + n * s.features, s.features);
    const float* anchor = in.anchors + 3 * n;
    const float dx = anchor[0] - in.center[0], dy = anchor[1] - in.center[1], dz = anchor[2] - in.center[2];
    const float distance = __builtin_sqrtf(dx * dx + dy * dy + dz * dz);
    const float inverse = 1.0f / (distance < 1e-12f ? 1e-12f : distance);  // an anchor at the camera has direction 0
    x[s.features] = dx * inverse;
    x[s.features + 1] = dy * inverse;
    x[s.features + 2] = dz * inverse;
    x[s.features + 3] = distance * distance_scale;
  }
}

// exp of the block's scalings, rows of 8.
void exp_scalings(const HeadsInput& in, const int32_t* rows, int count, float* e) {
  for (int a = 0; a < count; ++a) __builtin_memcpy(e + 8 * a, in.log_scales + 6 * static_cast<size_t>(rows[a]), 24);
  map(e, e, 8 * static_cast<size_t>(count), [](Vec v) { return vexp(v); });
}

// Adds the sum of the rows of m [count][width] to total.
void add_rows(const float* m, int count, int width, ptrdiff_t stride, float* total) {
  for (int j = 0; j < width; j += LANES) {
    Vec sum = load(total + j);
    for (int a = 0; a < count; ++a) sum += load(m + a * stride + j);
    store(total + j, sum);
  }
}

// From the gradients of one anchor's Gaussians to those of its logits, offsets, mask and scalings; the targets are zeroed.
void anchor_backward(const HeadsSizes& s, const HeadsInput& in, const HeadsSelection& sel, const HeadsOutput& out,
                     const HeadsOutputGradients& g, const HeadsGradients& to, size_t n, const float* e, float* d_opacity,
                     float* d_color, float* d_cov) {
  const Quad offset_extent = load3(e), extent = load3(e + 3);
  Quad d_offset_extent{}, d_extent{};
  const size_t row = n * s.offsets, end = static_cast<size_t>(sel.starts[n + 1]);
  for (size_t m = static_cast<size_t>(sel.starts[n]); m < end; ++m) {
    const size_t flat = static_cast<size_t>(out.index[m]);
    const size_t k = flat - row;
    const float mask = in.mask[flat], alpha = sel.alpha[flat];
    float d_mask = 0;
    if (g.opacities != nullptr) {
      const float gradient = g.opacities[m];
      d_mask = gradient * alpha;
      d_opacity[k] = gradient * mask * (1.0f - alpha * alpha);
    }
    if (g.colors != nullptr) {
      const Quad color = load3(out.colors + 3 * m);
      store3(d_color + 3 * k, load3(g.colors + 3 * m) * color * (1.0f - color));
    }
    if (g.scales != nullptr) {
      const Quad gate = load3(out.gates + 3 * m), unmasked = load3(g.scales + 3 * m) * extent * gate;
      const Quad masked = unmasked * mask;
      d_mask += sum(unmasked);
      d_extent += masked;
      store3(d_cov + 7 * k, masked * (1.0f - gate));
    }
    if (g.quats != nullptr) {
      const Quad q = load4(out.quats + 4 * m), gq = load4(g.quats + 4 * m);
      store4(d_cov + 7 * k + 3, (gq - q * sum(q * gq)) * out.inverse_norms[m]);
    }
    if (g.means != nullptr) {
      const Quad d_offset = load3(g.means + 3 * m) * offset_extent;
      store3(to.offsets + 3 * flat, d_offset);
      d_offset_extent += d_offset * load3(in.offsets + 3 * flat);
    }
    to.mask[flat] = d_mask;
  }
  store3(to.log_scales + 6 * n, d_offset_extent);
  store3(to.log_scales + 6 * n + 3, d_extent);
}

}  // namespace

void heads_select_block(const HeadsSizes& s, const HeadsPacked& w, const HeadsInput& in, const int32_t* rows, size_t first,
                        int count, float* alpha, int32_t* counts, float* scratch) {
  float* x = scratch;
  float* h = x + HEADS_BLOCK * s.inputs_p;
  float* logits = h + HEADS_BLOCK * s.hidden_p;
  build_inputs(s, in, w.distance_scale, rows, first, count, x);
  gemm<Start::bias_relu>({count, s.inputs, s.hidden_p / 16, x, s.inputs_p, 1, w.w1_opacity_t, s.hidden_p, h, s.hidden_p,
                          w.b1_opacity});
  gemm<Start::bias>({count, s.hidden, s.opacity_p / 16, h, s.hidden_p, 1, w.w_opacity_t, s.opacity_p, logits, s.opacity_p,
                     w.b_opacity});
  map(logits, logits, static_cast<size_t>(count) * s.opacity_p, [](Vec v) { return vtanh(v); });
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

void heads_forward_block(const HeadsSizes& s, const HeadsPacked& w, const HeadsInput& in, const HeadsSelection& sel,
                         size_t first, int count, const HeadsOutput& out, float* scratch) {
  float* x = scratch;
  float* h = x + HEADS_BLOCK * s.inputs_p;
  float* color = h + HEADS_BLOCK * s.hidden2_p;
  float* cov = color + HEADS_BLOCK * s.color_p;
  float* e = cov + HEADS_BLOCK * s.cov_p;
  const int32_t* rows = sel.active + first;
  build_inputs(s, in, w.distance_scale, rows, 0, count, x);
  gemm<Start::bias_relu>({count, s.inputs, s.hidden2_p / 16, x, s.inputs_p, 1, w.w1_rest_t, s.hidden2_p, h, s.hidden2_p,
                          w.b1_rest});
  gemm<Start::bias>({count, s.hidden, s.color_p / 16, h, s.hidden2_p, 1, w.w_color_t, s.color_p, color, s.color_p, w.b_color});
  gemm<Start::bias>(
      {count, s.hidden, s.cov_p / 16, h + s.hidden, s.hidden2_p, 1, w.w_cov_t, s.cov_p, cov, s.cov_p, w.b_cov});
  exp_scalings(in, rows, count, e);

  // The logits of kept Gaussians move together; sigmoids and norms then run over whole vectors.
  const size_t begin = static_cast<size_t>(sel.starts[rows[0]]);
  float *colors = e + 8 * HEADS_BLOCK, *gates = colors + 3 * HEADS_BLOCK * s.offsets + 16;
  int32_t kept[HEADS_MAX_OFFSETS + 1];
  size_t m = begin;
  for (int a = 0; a < count; ++a) {
    const size_t row = static_cast<size_t>(rows[a]) * s.offsets;
    int n_kept = 0;
    for (int k = 0; k < s.offsets; ++k) {  // no branch: which Gaussians are drawn is hard to predict
      kept[n_kept] = k;
      n_kept += sel.alpha[row + k] > 0.0f;
    }
    const float *cov_row = cov + a * s.cov_p, *color_row = color + a * s.color_p;
    for (int i = 0; i < n_kept; ++i, ++m, colors += 3, gates += 3) {
      const int k = kept[i];
      out.index[m] = static_cast<int64_t>(row) + k;
      store4(colors, load4(color_row + 3 * k));
      store4(gates, load4(cov_row + 7 * k));
      const Quad q = load4(cov_row + 7 * k + 3);
      store4(out.quats + 4 * m, q);
      out.inverse_norms[m] = sum(q * q);
    }
  }
  const size_t drawn = m - begin;
  map(colors - 3 * drawn, out.colors + 3 * begin, 3 * drawn, [](Vec v) { return vsigmoid(v); });
  map(gates - 3 * drawn, out.gates + 3 * begin, 3 * drawn, [](Vec v) { return vsigmoid(v); });
  map(out.inverse_norms + begin, out.inverse_norms + begin, drawn, [](Vec v) {
    const Vec norm = vsqrt(v);
    return 1.0f / (norm < 1e-12f ? splat(1e-12f) : norm);
  });
  m = begin;
  for (int a = 0; a < count; ++a) {
    const size_t n = static_cast<size_t>(rows[a]);
    const size_t end = static_cast<size_t>(sel.starts[n + 1]);
    const Quad anchor = load3(in.anchors + 3 * n), offset_extent = load3(e + 8 * a), extent = load3(e + 8 * a + 3);
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

void heads_backward_block(const HeadsSizes& s, const HeadsPacked& w, const HeadsInput& in, const HeadsSelection& sel,
                          const HeadsOutput& out, const HeadsOutputGradients& grad_output, const HeadsGradients& to,
                          size_t first, int count, const HeadsPartial& partial, float* scratch) {
  float* x = scratch;
  float* h = x + HEADS_BLOCK * s.inputs_p;
  float* dh = h + HEADS_BLOCK * s.hidden_stride;
  float* opacity = dh + HEADS_BLOCK * s.hidden_stride;
  float* color = opacity + HEADS_BLOCK * s.opacity_p;
  float* cov = color + HEADS_BLOCK * s.color_p;
  float* dx = cov + HEADS_BLOCK * s.cov_p;
  float* e = dx + HEADS_BLOCK * s.features_p;
  const int32_t* rows = sel.active + first;
  const int stride = s.hidden_stride, hidden = s.hidden;
  build_inputs(s, in, w.distance_scale, rows, 0, count, x);
  gemm<Start::bias_relu>({count, s.inputs, s.hidden3_p / 16, x, s.inputs_p, 1, w.w1_t, s.hidden3_p, h, stride, w.b1});
  exp_scalings(in, rows, count, e);

  __builtin_memset(opacity, 0, sizeof(float) * HEADS_BLOCK * (s.opacity_p + s.color_p + s.cov_p));
  for (int a = 0; a < count; ++a)
    anchor_backward(s, in, sel, out, grad_output, to, static_cast<size_t>(rows[a]), e + 8 * a, opacity + a * s.opacity_p,
                    color + a * s.color_p, cov + a * s.cov_p);

  // Blocks overhang to the right by their padding, which is zero; the next block overwrites it.
  gemm<Start::zero>({count, s.offsets, s.hidden_p / 16, opacity, s.opacity_p, 1, w.w_opacity, s.hidden_p, dh, stride, nullptr});
  gemm<Start::zero>(
      {count, 3 * s.offsets, s.hidden_p / 16, color, s.color_p, 1, w.w_color, s.hidden_p, dh + hidden, stride, nullptr});
  gemm<Start::zero>(
      {count, 7 * s.offsets, s.hidden_p / 16, cov, s.cov_p, 1, w.w_cov, s.hidden_p, dh + 2 * hidden, stride, nullptr});
  for (int a = 0; a < count; ++a)
    for (int j = 0; j < s.hidden3_p; j += LANES) {
      const ptrdiff_t at = static_cast<ptrdiff_t>(a) * stride + j;
      store(dh + at, load(h + at) > 0.0f ? load(dh + at) : Vec{});
    }

  gemm<Start::add>({hidden, count, s.opacity_p / 16, h, 1, stride, opacity, s.opacity_p, partial.w_opacity_t, s.opacity_p,
                    nullptr});
  gemm<Start::add>(
      {hidden, count, s.color_p / 16, h + hidden, 1, stride, color, s.color_p, partial.w_color_t, s.color_p, nullptr});
  gemm<Start::add>(
      {hidden, count, s.cov_p / 16, h + 2 * hidden, 1, stride, cov, s.cov_p, partial.w_cov_t, s.cov_p, nullptr});
  gemm<Start::add>({s.inputs, count, s.hidden3_p / 16, x, 1, s.inputs_p, dh, stride, partial.w1_t, s.hidden3_p, nullptr});
  add_rows(opacity, count, s.opacity_p, s.opacity_p, partial.b_opacity);
  add_rows(color, count, s.color_p, s.color_p, partial.b_color);
  add_rows(cov, count, s.cov_p, s.cov_p, partial.b_cov);
  add_rows(dh, count, s.hidden3_p, stride, partial.b1);

  gemm<Start::zero>({count, 3 * hidden, s.features_p / 16, dh, stride, 1, w.w1, s.features_p, dx, s.features_p, nullptr});
  for (int a = 0; a < count; ++a)
    copy_floats(to.features + static_cast<size_t>(rows[a]) * s.features, dx + a * s.features_p, s.features);
}

void heads_add(float* total, const float* part, size_t n) {
  for (size_t i = 0; i < n; ++i) total[i] += part[i];
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
