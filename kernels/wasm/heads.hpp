// The heads of an anchor for one eye after another (pcgs(5), HEADS).
//
// A hidden unit is relu(w x + b) with x = (features, direction, distance). The features' part of w x + b
// never changes, so it is kept for each anchor, and a new eye costs four products for each unit. Scenes whose
// kept part would not fit a phone compute it again for each eye.
#ifndef GSPC_WASM_HEADS_HPP
#define GSPC_WASM_HEADS_HPP

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "common/simd.hpp"
#include "common/vector_math.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {

constexpr size_t kMostKept = size_t{128} << 20;  // bytes

inline int padded(int n) { return (n + kLanes - 1) / kLanes * kLanes; }

// A layer's weights as columns of padded outputs, so that a vector holds neighboring outputs of one input.
struct Columns {
  int inputs = 0, width = 0;
  std::vector<float> weight, bias;  // [inputs, width], [width]
  // For each vector of outputs the inputs that any of them reads: units of the pool and of the residual
  // decoder each read only a part of the features.
  std::vector<int> first, last;

  void fill(const float* w, const float* b, int outputs, int in, int features) {
    inputs = in;
    width = padded(outputs);
    weight.assign(static_cast<size_t>(inputs) * width, 0.0f);
    bias.assign(width, 0.0f);
    std::memcpy(bias.data(), b, sizeof(float) * outputs);
    first.assign(width / kLanes, features);
    last.assign(width / kLanes, 0);
    for (int o = 0; o < outputs; ++o)
      for (int i = 0; i < inputs; ++i) {
        const float value = w[static_cast<size_t>(o) * inputs + i];
        weight[static_cast<size_t>(i) * width + o] = value;
        if (value == 0 || i >= features) continue;
        first[o / kLanes] = std::min(first[o / kLanes], i);
        last[o / kLanes] = std::max(last[o / kLanes], i + 1);
      }
  }
};

// A second layer: rows padded to whole vectors.
struct Rows {
  int width = 0;
  std::vector<float> weight, bias;  // [outputs, width], [outputs]

  void fill(const float* w, const float* b, int outputs, int inputs) {
    width = padded(inputs);
    weight.assign(static_cast<size_t>(outputs) * width, 0.0f);
    for (int o = 0; o < outputs; ++o)
      std::memcpy(&weight[static_cast<size_t>(o) * width], w + static_cast<size_t>(o) * inputs,
                  sizeof(float) * inputs);
    bias.assign(b, b + outputs);
  }
  // Outputs o to o + 3; `h` has `width` floats. Rows beyond the last one are read as the last one.
  Quad four(int o, const float* h) const {
    const int end = static_cast<int>(bias.size()) - 1;
    const float* rows[4];
    for (int r = 0; r < 4; ++r) rows[r] = &weight[static_cast<size_t>(std::min(o + r, end)) * width];
    Floats sum[4] = {};
    for (int c = 0; c < width; c += kLanes) {
      const Floats v = load(h + c);
      for (int r = 0; r < 4; ++r) sum[r] = fma(load(rows[r] + c), v, sum[r]);
    }
    Quad out = sums(sum[0], sum[1], sum[2], sum[3]);
    for (int r = 0; r < 4; ++r) out[r] += bias[std::min(o + r, end)];
    return out;
  }
};

// What an eye sees of a Gaussian.
struct Seen {
  float scale[3], quat[4], rgb[3], alpha;
};

struct Heads {
  int anchors, features, offsets, hidden;
  float distance_scale;
  Columns first;
  Rows opacity, color, cov;
  std::vector<float> positions, own, extents;  // [N, 3], [N, F] unless kept, [N, 3] exp of the scales
  std::vector<float> kept;                     // [N, width] or nothing
  std::vector<int> starts;                     // [N + 1] first Gaussian of each anchor
  std::vector<uint8_t> which;                  // [M] the offset's number
  std::vector<float> means;                    // [M, 3]

  // The features' part of the hidden layer of one anchor, [width].
  void prepare(const float* x, float* out) const {
    const int width = first.width;
    for (int o = 0; o < width; o += kLanes) {
      Floats sum = load(&first.bias[o]);
      const int end = first.last[o / kLanes];
      for (int i = first.first[o / kLanes]; i < end; ++i)
        sum = fma(splat(x[i]), load(&first.weight[static_cast<size_t>(i) * width + o]), sum);
      store(out + o, sum);
    }
  }

  // Hidden units of one anchor in three blocks of `stride` floats, zeros between them.
  void units(const float* prepared, const float* anchor, const float* eye, float* out, int stride) const {
    const float d[3] = {anchor[0] - eye[0], anchor[1] - eye[1], anchor[2] - eye[2]};
    const float distance = std::sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
    const float inverse = 1.0f / (distance < 1e-12f ? 1e-12f : distance);
    const float x[4] = {d[0] * inverse, d[1] * inverse, d[2] * inverse, distance * distance_scale};
    const float* w = &first.weight[static_cast<size_t>(features) * first.width];
    const auto unit = [&](int o) {
      Floats sum = load(prepared + o);
      for (int i = 0; i < 4; ++i) sum = fma(splat(x[i]), load(w + i * first.width + o), sum);
      return vmax(sum, Floats{});
    };
    if (hidden % kLanes == 0) {
      for (int block = 0; block < 3; ++block)
        for (int h = 0; h < hidden; h += kLanes) store(out + block * stride + h, unit(block * hidden + h));
      return;
    }
    for (int o = 0; o < 3 * hidden; o += kLanes) {
      const Floats v = unit(o);
      for (int j = 0; j < kLanes && o + j < 3 * hidden; ++j)
        out[(o + j) / hidden * stride + (o + j) % hidden] = v[j];
    }
  }

  Seen gaussian(int n, int k, float alpha, const float* color_units, const float* cov_units) const {
    const Quad rgb = color.four(3 * k, color_units);
    const Quad low = cov.four(7 * k, cov_units), high = cov.four(7 * k + 4, cov_units);
    const Floats tone = vsigmoid(rgb), gate = vsigmoid(low);
    const float q[4] = {low[3], high[0], high[1], high[2]};
    const float norm = std::sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
    const float inverse = 1.0f / (norm < 1e-12f ? 1e-12f : norm);
    Seen seen;
    for (int a = 0; a < 3; ++a) seen.scale[a] = extents[static_cast<size_t>(n) * 3 + a] * gate[a];
    for (int a = 0; a < 4; ++a) seen.quat[a] = q[a] * inverse;
    for (int a = 0; a < 3; ++a) seen.rgb[a] = tone[a];
    seen.alpha = alpha;
    return seen;
  }

  // Calls take(number of a Gaussian, what is seen of it) for all of them in order; NULL: it is not drawn.
  template <class Take>
  void look(const float* eye, Take take) const {
    const int stride = padded(hidden);
    std::vector<float> memory(static_cast<size_t>(3) * stride + first.width, 0.0f);
    float* const blocks = memory.data();
    float* const scratch = blocks + 3 * stride;
    for (int n = 0; n < anchors; ++n) {
      if (starts[n] == starts[n + 1]) continue;
      const float* prepared = scratch;
      if (kept.empty()) prepare(&own[static_cast<size_t>(n) * features], scratch);
      else prepared = &kept[static_cast<size_t>(n) * first.width];
      units(prepared, &positions[static_cast<size_t>(n) * 3], eye, blocks, stride);
      Quad logits{};
      int have = -1;
      for (int g = starts[n]; g < starts[n + 1]; ++g) {
        if (which[g] / 4 != have) {  // four opacities at a time
          have = which[g] / 4;
          logits = (Quad)vtanh((Floats)opacity.four(4 * have, blocks));
        }
        const float alpha = logits[which[g] % 4];
        if (alpha > 0) {
          const Seen seen = gaussian(n, which[g], alpha, blocks + stride, blocks + 2 * stride);
          take(g, &seen);
        } else {
          take(g, nullptr);
        }
      }
    }
  }
};

static_assert(kLanes == 4, "four outputs of a layer are one vector");

inline void place(Heads& view, const float* log_scales, const float* offsets, const uint8_t* levels) {
  const int k = view.offsets;
  view.starts.assign(1, 0);
  for (int n = 0; n < view.anchors; ++n) {
    const float* scale = log_scales + static_cast<size_t>(n) * 6;
    for (int a = 0; a < 3; ++a) view.extents.push_back(std::exp(scale[3 + a]));
    const float reach[3] = {std::exp(scale[0]), std::exp(scale[1]), std::exp(scale[2])};
    for (int i = 0; i < k; ++i) {
      const size_t at = static_cast<size_t>(n) * k + i;
      if (levels[at] == 0) continue;
      view.which.push_back(static_cast<uint8_t>(i));
      for (int a = 0; a < 3; ++a)
        view.means.push_back(view.positions[static_cast<size_t>(n) * 3 + a] + offsets[at * 3 + a] * reach[a]);
    }
    view.starts.push_back(static_cast<int>(view.which.size()));
  }
}

inline void fill_layers(Heads& view, const float* w) {
  const int f = view.features + 4, h = view.hidden, k = view.offsets;
  view.first.fill(w, w + static_cast<size_t>(3) * h * f, 3 * h, f, view.features);
  w += static_cast<size_t>(3) * h * (f + 1);
  Rows* const layers[3] = {&view.opacity, &view.color, &view.cov};
  const int outputs[3] = {k, 3 * k, 7 * k};
  for (int i = 0; i < 3; ++i) {
    layers[i]->fill(w, w + static_cast<size_t>(outputs[i]) * h, outputs[i], h);
    w += static_cast<size_t>(outputs[i]) * (h + 1);
  }
}

}  // namespace gspc::GSPC_ISA_NAMESPACE

#endif
