#include "mlp/mlp_isa.hpp"

#include "common/small_gemm.hpp"
#include "common/vector_math.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {
namespace {

// Rows of `width` floats from rows of `from_stride` to rows of `to_stride`.
void copy_rows(const float* from, ptrdiff_t from_stride, float* to, ptrdiff_t to_stride, int count,
               int width) {
  for (int a = 0; a < count; ++a) copy_floats(to + a * to_stride, from + a * from_stride, width);
}

}  // namespace

void two_layer_forward_block(const TwoLayerPacked& w, const float* x, int count, float* hidden, float* y,
                             float* scratch) {
  gemm<Start::bias_relu>(
      {count, w.inputs, w.hidden_p / 16, x, w.inputs, 1, w.w1_t, w.hidden_p, hidden, w.hidden_p, w.b1});
  float* out = w.outputs == w.outputs_p ? y : scratch;
  gemm<Start::bias>({count, w.hidden, w.outputs_p / 16, hidden, w.hidden_p, 1, w.w2_t, w.outputs_p, out,
                     w.outputs_p, w.b2});
  if (out != y) copy_rows(out, w.outputs_p, y, w.outputs, count, w.outputs);
}

void two_layer_backward_block(const TwoLayerPacked& w, const float* x, int count, const float* hidden,
                              const float* grad_y, float* grad_x, bool add_x, const TwoLayerPartial& partial,
                              float* scratch) {
  float* dy = scratch;
  float* dh = dy + kMlpBlock * w.outputs_p;
  float* dx = dh + kMlpBlock * w.hidden_p;
  // Their first reader takes a few columns of every row, which the processor does not foresee.
  for (int i = 0; i < count * w.inputs; i += 16) __builtin_prefetch(x + i);
  __builtin_memset(dy, 0, sizeof(float) * count * w.outputs_p);
  copy_rows(grad_y, w.outputs, dy, w.outputs_p, count, w.outputs);
  gemm<Start::zero>(
      {count, w.outputs, w.hidden_p / 16, dy, w.outputs_p, 1, w.w2, w.hidden_p, dh, w.hidden_p, nullptr});
  for (int i = 0; i < count * w.hidden_p; i += kLanes)
    store(dh + i, load(hidden + i) > 0.0f ? load(dh + i) : Floats{});

  gemm<Start::add>({w.hidden, count, w.outputs_p / 16, hidden, 1, w.hidden_p, dy, w.outputs_p, partial.w2_t,
                    w.outputs_p, nullptr});
  gemm<Start::add>(
      {w.inputs, count, w.hidden_p / 16, x, 1, w.inputs, dh, w.hidden_p, partial.w1_t, w.hidden_p, nullptr});
  add_rows(dy, count, w.outputs_p, w.outputs_p, partial.b2);
  add_rows(dh, count, w.hidden_p, w.hidden_p, partial.b1);
  if (grad_x == nullptr) return;
  const bool whole = w.inputs == w.inputs_p;
  float* out = whole ? grad_x : dx;
  const ptrdiff_t row = w.inputs_p;
  if (add_x) {
    if (!whole) copy_rows(grad_x, w.inputs, dx, row, count, w.inputs);
    gemm<Start::add>({count, w.hidden, w.inputs_p / 16, dh, w.hidden_p, 1, w.w1, row, out, row, nullptr});
  } else {
    gemm<Start::zero>({count, w.hidden, w.inputs_p / 16, dh, w.hidden_p, 1, w.w1, row, out, row, nullptr});
  }
  if (!whole) copy_rows(dx, row, grad_x, w.inputs, count, w.inputs);
}

void mlp_add(float* total, const float* part, size_t n) {
  for (size_t i = 0; i < n; ++i) total[i] += part[i];
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
