#include "mlp/mlp.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "common/scratch.hpp"
#include "mlp/mlp_isa.hpp"

namespace gspc {
namespace {

constexpr int round_up(int n) { return (n + 15) / 16 * 16; }

int64_t divide_up(int64_t n, int64_t by) { return (n + by - 1) / by; }

// Copies a matrix [rows, columns] into zeroed rows of `stride`, as it is or transposed. Advances `at`.
const float* pack(float*& at, const float* m, int rows, int columns, int stride, bool transposed) {
  float* const out = at;
  const int out_rows = transposed ? columns : rows;
  std::memset(out, 0, sizeof(float) * out_rows * stride);
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < columns; ++c) out[transposed ? c * stride + r : r * stride + c] = m[r * columns + c];
  at += static_cast<size_t>(out_rows) * stride;
  return out;
}

TwoLayerPacked pack_weights(const TwoLayerWeights& w) {
  thread_local Scratch scratch;
  TwoLayerPacked p{};
  p.inputs = w.inputs, p.hidden = w.hidden, p.outputs = w.outputs;
  p.inputs_p = round_up(w.inputs), p.hidden_p = round_up(w.hidden), p.outputs_p = round_up(w.outputs);
  const size_t h = p.hidden_p, o = p.outputs_p;
  float* at = scratch.get((w.inputs + 1) * h + (w.hidden + 1) * o + w.hidden * static_cast<size_t>(p.inputs_p) + w.outputs * h);
  p.w1_t = pack(at, w.w1, w.hidden, w.inputs, p.hidden_p, true);
  p.b1 = pack(at, w.b1, 1, w.hidden, p.hidden_p, false);
  p.w2_t = pack(at, w.w2, w.outputs, w.hidden, p.outputs_p, true);
  p.b2 = pack(at, w.b2, 1, w.outputs, p.outputs_p, false);
  p.w1 = pack(at, w.w1, w.hidden, w.inputs, p.inputs_p, false);
  p.w2 = pack(at, w.w2, w.outputs, w.hidden, p.hidden_p, false);
  return p;
}

float* block_scratch(const TwoLayerPacked& p) {
  thread_local Scratch scratch;
  return scratch.get(static_cast<size_t>(MLP_BLOCK) * (p.inputs_p + p.hidden_p + p.outputs_p));
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

size_t two_layer_stride(int hidden) { return static_cast<size_t>(round_up(hidden)); }

void two_layer_forward(const TwoLayerWeights& weights, const float* x, size_t n, float* hidden, float* y) {
  const TwoLayerPacked packed = pack_weights(weights);
  const int64_t blocks = divide_up(static_cast<int64_t>(n), MLP_BLOCK);
#pragma omp parallel for schedule(dynamic, 4)
  for (int64_t block = 0; block < blocks; ++block) {
    const size_t first = static_cast<size_t>(block) * MLP_BLOCK;
    GSPC_DISPATCH(two_layer_forward_block)
    (packed, x + first * packed.inputs, static_cast<int>(std::min<size_t>(MLP_BLOCK, n - first)),
     hidden + first * packed.hidden_p, y + first * packed.outputs, block_scratch(packed));
  }
}

void two_layer_backward(const TwoLayerWeights& weights, const float* x, size_t n, const float* hidden, const float* grad_y,
                        const TwoLayerGradients& gradients) {
  constexpr int64_t MAX_PARTS = 64;
  const TwoLayerPacked packed = pack_weights(weights);
  const int64_t blocks = divide_up(static_cast<int64_t>(n), MLP_BLOCK);
  const int64_t blocks_per_part = std::max<int64_t>(divide_up(blocks, MAX_PARTS), 1);  // never depends on the threads
  const int64_t parts = divide_up(blocks, blocks_per_part);
  const size_t floats = static_cast<size_t>(packed.inputs + 1) * packed.hidden_p +
                        static_cast<size_t>(packed.hidden + 1) * packed.outputs_p;
  thread_local Scratch scratch;
  float* const partials = scratch.get(floats * static_cast<size_t>(std::max<int64_t>(parts, 1)));
  if (parts == 0) std::memset(partials, 0, floats * sizeof(float));
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t part = 0; part < parts; ++part) {
    float* memory = partials + static_cast<size_t>(part) * floats;
    std::memset(memory, 0, floats * sizeof(float));
    const TwoLayerPartial partial = partial_in(packed, memory);
    const size_t end = std::min(n, static_cast<size_t>((part + 1) * blocks_per_part) * MLP_BLOCK);
    for (size_t first = static_cast<size_t>(part * blocks_per_part) * MLP_BLOCK; first < end; first += MLP_BLOCK)
      GSPC_DISPATCH(two_layer_backward_block)
      (packed, x + first * packed.inputs, static_cast<int>(std::min<size_t>(MLP_BLOCK, end - first)),
       hidden + first * packed.hidden_p, grad_y + first * packed.outputs,
       gradients.x != nullptr ? gradients.x + first * packed.inputs : nullptr, partial, block_scratch(packed));
  }
  for (int64_t part = 1; part < parts; ++part)
    GSPC_DISPATCH(mlp_add)(partials, partials + static_cast<size_t>(part) * floats, floats);
  const TwoLayerPartial total = partial_in(packed, partials);
  unpack_transposed(total.w1_t, packed.hidden, packed.inputs, packed.hidden_p, gradients.w1);
  unpack_transposed(total.w2_t, packed.outputs, packed.hidden, packed.outputs_p, gradients.w2);
  std::memcpy(gradients.b1, total.b1, packed.hidden * sizeof(float));
  std::memcpy(gradients.b2, total.b2, packed.outputs * sizeof(float));
}

}  // namespace gspc
