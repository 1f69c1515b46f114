#include "heads/heads.hpp"

#include <algorithm>
#include <cstring>

#include "common/pack.hpp"
#include "common/parallel.hpp"
#include "heads/heads_isa.hpp"

namespace gspc {
namespace {

// What the threads work in, kept by the thread that calls the kernels.
Scratch& kept_scratch() {
  thread_local Scratch kept;
  return kept;
}

HeadsPacked pack_weights(const HeadsSizes& s, const HeadsWeights& w) {
  thread_local Scratch scratch;
  const size_t d = s.inputs, h = s.hidden, k = s.offsets;
  float* at = scratch.get((d + 1) * (s.hidden_p + s.hidden2_p + s.hidden3_p) + 3 * h * s.features_p +
                          (h + 1) * s.opacity_p + 11 * k * s.hidden_p);
  const int hidden = s.hidden, offsets = s.offsets, inputs = s.inputs;
  HeadsPacked p{};
  p.w1_opacity_t = pack(at, w.w1, hidden, inputs, inputs, s.hidden_p, true);
  p.w1_rest_t = pack(at, w.w1 + h * d, 2 * hidden, inputs, inputs, s.hidden2_p, true);
  p.w1_t = pack(at, w.w1, 3 * hidden, inputs, inputs, s.hidden3_p, true);
  p.w1 = pack(at, w.w1, 3 * hidden, s.features, inputs, s.features_p, false);
  p.b1_opacity = pack(at, w.b1, 1, hidden, hidden, s.hidden_p, false);
  p.b1_rest = pack(at, w.b1 + h, 1, 2 * hidden, 2 * hidden, s.hidden2_p, false);
  p.b1 = pack(at, w.b1, 1, 3 * hidden, 3 * hidden, s.hidden3_p, false);
  p.w_opacity_t = pack(at, w.w_opacity, offsets, hidden, hidden, s.opacity_p, true);
  p.b_opacity = pack(at, w.b_opacity, 1, offsets, offsets, s.opacity_p, false);
  p.w_opacity = pack(at, w.w_opacity, offsets, hidden, hidden, s.hidden_p, false);
  p.w_color = pack(at, w.w_color, 3 * offsets, hidden, hidden, s.hidden_p, false);
  p.w_cov = pack(at, w.w_cov, 7 * offsets, hidden, hidden, s.hidden_p, false);
  p.b_color = w.b_color;
  p.b_cov = w.b_cov;
  p.distance_scale = w.distance_scale;
  return p;
}

void zero_rows(const HeadsSizes& s, const HeadsGradients& g, size_t begin, size_t end) {
  if (begin >= end) return;
  const size_t n = end - begin, k = s.offsets;
  if (s.predicted > 0) std::memset(g.predicted + begin * s.predicted, 0, n * s.predicted * sizeof(float));
  std::memset(g.features + begin * s.own, 0, n * s.own * sizeof(float));
  std::memset(g.log_scales + begin * s.scales, 0, n * s.scales * sizeof(float));
  std::memset(g.offsets + begin * 3 * k, 0, n * 3 * k * sizeof(float));
  std::memset(g.mask + begin * k, 0, n * k * sizeof(float));
}

void unpack_rows(const float* from, int rows, int columns, int stride, float* to) {
  for (int r = 0; r < rows; ++r) std::memcpy(to + r * columns, from + r * stride, columns * sizeof(float));
}

void unpack_partial(const HeadsSizes& s, const HeadsPartial& p, const HeadsGradients& g) {
  const int h = s.hidden, k = s.offsets;
  for (int r = 0; r < 3 * h; ++r)
    for (int c = 0; c < s.inputs; ++c) g.w1[r * s.inputs + c] = p.w1_t[c * s.hidden3_p + r];
  unpack_rows(p.w_opacity, k, h, s.hidden_p, g.w_opacity);
  unpack_rows(p.w_color, 3 * k, h, s.hidden_p, g.w_color);
  unpack_rows(p.w_cov, 7 * k, h, s.hidden_p, g.w_cov);
  std::memcpy(g.b1, p.b1, 3 * h * sizeof(float));
  std::memcpy(g.b_opacity, p.b_opacity, k * sizeof(float));
  std::memcpy(g.b_color, p.b_color, 3 * k * sizeof(float));
  std::memcpy(g.b_cov, p.b_cov, 7 * k * sizeof(float));
}

}  // namespace

HeadsSizes::HeadsSizes(const HeadsShape& shape)
    : features(shape.features),
      offsets(shape.offsets),
      hidden(shape.hidden),
      predicted(shape.predicted),
      scales(shape.scales),
      own(features - predicted),
      inputs(features + 4),
      features_p(round16(features)),
      inputs_p(round16(inputs)),
      hidden_p(round16(hidden)),
      opacity_p(round16(offsets)),
      hidden2_p(round16(hidden + hidden_p)),
      hidden3_p(round16(2 * hidden + hidden_p)) {}

size_t HeadsSizes::partial_floats() const {
  return static_cast<size_t>(inputs + 1) * hidden3_p + 11 * static_cast<size_t>(offsets) * (hidden_p + 1);
}

size_t HeadsSizes::scratch_floats() const {
  return static_cast<size_t>(kHeadsBlock) *
             (inputs_p + 2 * hidden3_p + opacity_p + features_p + 8 + (kHeadsLogits + 3) * offsets) +
         static_cast<size_t>(offsets) + 64;
}

HeadsPartial::HeadsPartial(const HeadsSizes& s, float* memory) {
  const size_t d = s.inputs, k = s.offsets, h = s.hidden_p;
  w1_t = memory;
  b1 = w1_t + d * s.hidden3_p;
  w_opacity = b1 + s.hidden3_p;
  w_color = w_opacity + k * h;
  w_cov = w_color + 3 * k * h;
  b_opacity = w_cov + 7 * k * h;
  b_color = b_opacity + k;
  b_cov = b_color + 3 * k;
}

size_t heads_select(const HeadsShape& shape, const HeadsWeights& weights, const HeadsInput& input,
                    const uint8_t* visible, HeadsSelection& selection) {
  const HeadsSizes sizes(shape);
  const HeadsPacked packed = pack_weights(sizes, weights);
  int32_t* counts = selection.starts + 1;
  size_t rows = input.n;
  if (visible != nullptr) {  // the list of visible anchors lies in `active` until that is filled
    rows = 0;
    for (size_t n = 0; n < input.n; ++n) {
      counts[n] = 0;
      if (visible[n] != 0) selection.active[rows++] = static_cast<int32_t>(n);
    }
  }
  const ThreadScratch scratch(kept_scratch(), sizes.scratch_floats());
  parallel_for_dynamic(divide_up(static_cast<int64_t>(rows), kHeadsBlock), 4, [&](int64_t block) {
    const size_t first = static_cast<size_t>(block) * kHeadsBlock;
    const int count = static_cast<int>(std::min<size_t>(kHeadsBlock, rows - first));
    GSPC_DISPATCH(heads_select_block)
    (sizes, packed, input, visible != nullptr ? selection.active + first : nullptr, first, count,
     selection.alpha, counts, scratch.mine());
  });
  selection.starts[0] = 0;
  selection.n_active = 0;
  int32_t total = 0;
  for (size_t n = 0; n < input.n; ++n) {
    if (counts[n] > 0) selection.active[selection.n_active++] = static_cast<int32_t>(n);
    counts[n] = total += counts[n];
  }
  return static_cast<size_t>(total);
}

void heads_forward(const HeadsShape& shape, const HeadsWeights& weights, const HeadsInput& input,
                   const HeadsSelection& selection, const HeadsOutput& output) {
  const HeadsSizes sizes(shape);
  const HeadsPacked packed = pack_weights(sizes, weights);
  const ThreadScratch scratch(kept_scratch(), sizes.scratch_floats());
  parallel_for_dynamic(
      divide_up(static_cast<int64_t>(selection.n_active), kHeadsBlock), 4, [&](int64_t block) {
        const size_t first = static_cast<size_t>(block) * kHeadsBlock;
        const int count = static_cast<int>(std::min<size_t>(kHeadsBlock, selection.n_active - first));
        GSPC_DISPATCH(heads_forward_block)(sizes, packed, input, selection, first, count, output,
                                           scratch.mine());
      });
}

void heads_backward(const HeadsShape& shape, const HeadsWeights& weights, const HeadsInput& input,
                    const HeadsSelection& selection, const HeadsOutput& output,
                    const HeadsOutputGradients& grad_output, const HeadsGradients& gradients) {
  constexpr int64_t kMostParts = 32;  // of weight gradients, each zeroed and added up
  const HeadsSizes sizes(shape);
  const HeadsPacked packed = pack_weights(sizes, weights);
  const int64_t active = static_cast<int64_t>(selection.n_active);
  const int64_t blocks = divide_up(active, kHeadsBlock);
  const int64_t blocks_per_part =
      std::max<int64_t>(divide_up(blocks, kMostParts), 1);  // never depends on the threads
  const int64_t parts = divide_up(blocks, blocks_per_part);
  const size_t part_floats = sizes.partial_floats();
  thread_local Scratch kept_partials;
  float* const partials = kept_partials.get(part_floats * static_cast<size_t>(parts + 1));
  const ThreadScratch scratch(kept_scratch(), sizes.scratch_floats());
  if (parts == 0) {
    zero_rows(sizes, gradients, 0, input.n);
    std::memset(partials, 0, part_floats * sizeof(float));
  }
  parallel_for_dynamic(parts, 1, [&](int64_t part) {
    float* memory = partials + static_cast<size_t>(part) * part_floats;
    std::memset(memory, 0, part_floats * sizeof(float));
    const HeadsPartial partial(sizes, memory);
    const int64_t begin = part * blocks_per_part * kHeadsBlock;
    const int64_t end = std::min(active, begin + blocks_per_part * kHeadsBlock);
    for (int64_t first = begin; first < end; first += kHeadsBlock) {
      const int64_t last = std::min<int64_t>(first + kHeadsBlock, end);
      // This block's anchors, those without Gaussians before each of them, and after the very last.
      zero_rows(sizes, gradients, first == 0 ? 0 : static_cast<size_t>(selection.active[first - 1]) + 1,
                last == active ? input.n : static_cast<size_t>(selection.active[last - 1]) + 1);
      GSPC_DISPATCH(heads_backward_block)
      (sizes, packed, input, selection, output, grad_output, gradients, static_cast<size_t>(first),
       static_cast<int>(last - first), partial, scratch.mine());
    }
  });
  constexpr size_t kRun = 2048;  // floats that one item adds up over all parts
  parallel_for(divide_up(static_cast<int64_t>(part_floats), kRun), [&](int64_t run) {
    const size_t start = static_cast<size_t>(run) * kRun, count = std::min(kRun, part_floats - start);
    for (int64_t part = 1; part < parts; ++part)
      GSPC_DISPATCH(heads_add)(partials + start, partials + static_cast<size_t>(part) * part_floats + start,
                               count);
  });
  unpack_partial(sizes, HeadsPartial(sizes, partials), gradients);
}

}  // namespace gspc
