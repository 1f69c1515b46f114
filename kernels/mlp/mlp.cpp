#include "mlp/mlp.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "common/pack.hpp"
#include "common/parallel.hpp"
#include "mlp/mlp_isa.hpp"

namespace gspc {
namespace {

struct Packed {
  std::vector<TwoLayerPacked> networks;
  size_t scratch_floats = 0;  // of a thread: the block's rows, and what one network needs
};

Packed pack_weights(const std::vector<TwoLayerWeights>& networks) {
  thread_local Scratch scratch;
  Packed packed;
  size_t floats = 0;
  for (const TwoLayerWeights& w : networks) {
    TwoLayerPacked p{};
    p.inputs = w.inputs, p.hidden = w.hidden, p.outputs = w.outputs;
    p.inputs_p = round16(w.inputs), p.hidden_p = round16(w.hidden), p.outputs_p = round16(w.outputs);
    const size_t i = p.inputs_p, h = p.hidden_p, o = p.outputs_p;
    floats += (w.inputs + 1) * h + (w.hidden + 1) * o + w.hidden * i + w.outputs * h;
    packed.scratch_floats = std::max(packed.scratch_floats, static_cast<size_t>(kMlpBlock) * (2 * i + h + o));
    packed.networks.push_back(p);
  }
  float* at = scratch.get(floats);
  for (size_t i = 0; i < networks.size(); ++i) {
    const TwoLayerWeights& w = networks[i];
    TwoLayerPacked& p = packed.networks[i];
    p.w1_t = pack(at, w.w1, w.hidden, w.inputs, w.inputs, p.hidden_p, true);
    p.b1 = pack(at, w.b1, 1, w.hidden, w.hidden, p.hidden_p, false);
    p.w2_t = pack(at, w.w2, w.outputs, w.hidden, w.hidden, p.outputs_p, true);
    p.b2 = pack(at, w.b2, 1, w.outputs, w.outputs, p.outputs_p, false);
    p.w1 = pack(at, w.w1, w.hidden, w.inputs, w.inputs, p.inputs_p, false);
    p.w2 = pack(at, w.w2, w.outputs, w.hidden, w.hidden, p.hidden_p, false);
  }
  return packed;
}

// What the threads work in, kept by the thread that calls the kernels.
Scratch& kept_scratch() {
  thread_local Scratch kept;
  return kept;
}

// A block's scratch memory: its rows first, if they have to be gathered.
struct Block {
  const float* x;
  float* scratch;
};

Block block_of(const Packed& packed, const TwoLayerRows& rows, size_t first, size_t count, float* gathered) {
  const size_t inputs = static_cast<size_t>(packed.networks[0].inputs);
  float* const scratch = gathered + static_cast<size_t>(kMlpBlock) * packed.networks[0].inputs_p;
  if (rows.index == nullptr) return {rows.x + first * inputs, scratch};
  const int64_t* const index = rows.index + first;
  bool neighbors = true;  // as where a view shows all anchors
  for (size_t i = 1; i < count; ++i) neighbors = neighbors && index[i] == index[0] + static_cast<int64_t>(i);
  if (neighbors) return {rows.x + static_cast<size_t>(index[0]) * inputs, scratch};
  for (size_t i = 0; i < count; ++i)
    std::memcpy(gathered + i * inputs, rows.x + static_cast<size_t>(rows.index[first + i]) * inputs,
                inputs * sizeof(float));
  return {gathered, scratch};
}

size_t partial_floats(const TwoLayerPacked& p) {
  return static_cast<size_t>(p.inputs + 1) * p.hidden_p + static_cast<size_t>(p.hidden + 1) * p.outputs_p;
}

TwoLayerPartial partial_in(const TwoLayerPacked& p, float* memory) {
  TwoLayerPartial partial{};
  partial.w1_t = memory;
  partial.b1 = partial.w1_t + static_cast<size_t>(p.inputs) * p.hidden_p;
  partial.w2_t = partial.b1 + p.hidden_p;
  partial.b2 = partial.w2_t + static_cast<size_t>(p.hidden) * p.outputs_p;
  return partial;
}

void unpack_transposed(const float* from, int rows, int columns, int stride, float* to) {
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < columns; ++c) to[r * columns + c] = from[c * stride + r];
}

}  // namespace

size_t two_layer_stride(int hidden) { return static_cast<size_t>(round16(hidden)); }

void two_layer_forward(const std::vector<TwoLayerWeights>& networks, const TwoLayerRows& rows,
                       const std::vector<TwoLayerResult>& results) {
  const Packed packed = pack_weights(networks);
  const ThreadScratch scratch(kept_scratch(), packed.scratch_floats);
  parallel_for_dynamic(divide_up(static_cast<int64_t>(rows.n), kMlpBlock), 4, [&](int64_t block) {
    const size_t first = static_cast<size_t>(block) * kMlpBlock,
                 count = std::min<size_t>(kMlpBlock, rows.n - first);
    const Block at = block_of(packed, rows, first, count, scratch.mine());
    for (size_t i = 0; i < networks.size(); ++i) {
      const TwoLayerPacked& p = packed.networks[i];
      GSPC_DISPATCH(two_layer_forward_block)
      (p, at.x, static_cast<int>(count), results[i].hidden + first * p.hidden_p,
       results[i].y + first * p.outputs, at.scratch);
    }
  });
}

void two_layer_backward(const std::vector<TwoLayerWeights>& networks, const TwoLayerRows& rows,
                        const std::vector<TwoLayerGradients>& gradients, float* grad_x) {
  // Of weight gradients: each is zeroed and added up, which a few blocks of rows must be worth.
  constexpr int64_t kMostParts = 32, kLeastBlocks = 8;
  const Packed packed = pack_weights(networks);
  const int64_t blocks = divide_up(static_cast<int64_t>(rows.n), kMlpBlock);
  const int64_t blocks_per_part =
      std::max(divide_up(blocks, kMostParts), kLeastBlocks);  // never depends on the threads
  const int64_t parts = divide_up(blocks, blocks_per_part);
  size_t floats = 0;
  for (const TwoLayerPacked& p : packed.networks) floats += partial_floats(p);
  thread_local Scratch kept_partials;
  const ThreadScratch scratch(kept_scratch(), packed.scratch_floats);
  float* const partials = kept_partials.get(floats * static_cast<size_t>(std::max<int64_t>(parts, 1)));
  if (parts == 0) std::memset(partials, 0, floats * sizeof(float));
  parallel_for_dynamic(parts, 1, [&](int64_t part) {
    float* const memory = partials + static_cast<size_t>(part) * floats;
    std::memset(memory, 0, floats * sizeof(float));
    const size_t end = std::min(rows.n, static_cast<size_t>((part + 1) * blocks_per_part) * kMlpBlock);
    for (size_t first = static_cast<size_t>(part * blocks_per_part) * kMlpBlock; first < end;
         first += kMlpBlock) {
      const size_t count = std::min<size_t>(kMlpBlock, end - first);
      const Block at = block_of(packed, rows, first, count, scratch.mine());
      float* next = memory;
      for (size_t i = 0; i < networks.size(); ++i) {
        const TwoLayerPacked& p = packed.networks[i];
        GSPC_DISPATCH(two_layer_backward_block)
        (p, at.x, static_cast<int>(count), gradients[i].hidden + first * p.hidden_p,
         gradients[i].y + first * p.outputs, grad_x != nullptr ? grad_x + first * p.inputs : nullptr, i > 0,
         partial_in(p, next), at.scratch);
        next += partial_floats(p);
      }
    }
  });
  for (int64_t part = 1; part < parts; ++part)
    GSPC_DISPATCH(mlp_add)(partials, partials + static_cast<size_t>(part) * floats, floats);
  float* next = partials;
  for (size_t i = 0; i < networks.size(); ++i) {
    const TwoLayerPacked& p = packed.networks[i];
    const TwoLayerPartial total = partial_in(p, next);
    unpack_transposed(total.w1_t, p.hidden, p.inputs, p.hidden_p, gradients[i].w1);
    unpack_transposed(total.w2_t, p.outputs, p.hidden, p.outputs_p, gradients[i].w2);
    std::memcpy(gradients[i].b1, total.b1, p.hidden * sizeof(float));
    std::memcpy(gradients[i].b2, total.b2, p.outputs * sizeof(float));
    next += partial_floats(p);
  }
}

}  // namespace gspc
