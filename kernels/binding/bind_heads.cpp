// gspc._kernels: the fused Gaussian heads. Array lists keep the order of heads.hpp's structs; every size is
// checked here.
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "binding/arguments.hpp"
#include "heads/heads.hpp"

namespace {

template <class T>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
using Inputs = std::vector<Array<const float>>;
using Outputs = std::vector<Array<float>>;
using MaybeInputs = std::vector<std::optional<Array<const float>>>;

void need(bool condition, const char* what) {
  if (!condition) throw nb::value_error((std::string("heads: wrong size of ") + what).c_str());
}

// Everything a call needs, checked: shape, weights and inputs.
struct Call {
  gspc::HeadsShape shape;
  gspc::HeadsWeights weights;
  gspc::HeadsInput input;

  // weights: w1 b1 w_opacity b_opacity w_color b_color w_cov b_cov; inputs: features log_scales offsets mask
  // anchors, and predicted where the first features lie apart
  Call(const Inputs& w, float distance_scale, const Inputs& in, const std::array<float, 3>& center) {
    need(w.size() == 8 && (in.size() == 5 || in.size() == 6), "the array lists");
    need(in.size() == 5 || (in[5].ndim() == 2 && in[5].shape(0) == in[0].shape(0)), "predicted");
    need(in[0].ndim() == 2 && in[3].ndim() == 2 && w[0].ndim() == 2 && w[2].ndim() == 2, "the inputs");
    const size_t p = in.size() == 6 ? in[5].shape(1) : 0;
    const size_t n = in[0].shape(0), f = p + in[0].shape(1), k = in[3].shape(1), h = w[2].shape(1);
    need(f >= 1 && f <= 4096 && k >= 1 && k <= 1024 && h >= 1 && h <= 4096,
         "F, K or H (limits 4096, 1024, 4096)");
    need(n * k < (1ull << 31), "N * K (limit 2^31)");
    need(in[1].ndim() == 2 && in[1].shape(0) == n && (in[1].shape(1) == 6 || in[1].shape(1) == 1),
         "log_scales");
    need(in[2].size() == 3 * n * k, "offsets");
    need(in[3].size() == n * k, "mask");
    need(in[4].size() == 3 * n, "anchors");
    need(w[0].shape(0) == 3 * h && w[0].shape(1) == f + 4 && w[1].size() == 3 * h, "w1, b1");
    need(w[2].size() == k * h && w[3].size() == k, "w_opacity, b_opacity");
    need(w[4].size() == 3 * k * h && w[5].size() == 3 * k, "w_color, b_color");
    need(w[6].size() == 7 * k * h && w[7].size() == 7 * k, "w_cov, b_cov");
    shape = {static_cast<int>(f), static_cast<int>(k), static_cast<int>(h), static_cast<int>(p),
             static_cast<int>(in[1].shape(1))};
    weights = {w[0].data(), w[1].data(), w[2].data(), w[3].data(),   w[4].data(),
               w[5].data(), w[6].data(), w[7].data(), distance_scale};
    input = {n,
             p > 0 ? in[5].data() : nullptr,
             in[0].data(),
             in[1].data(),
             in[2].data(),
             in[3].data(),
             in[4].data(),
             {center[0], center[1], center[2]}};
  }

  gspc::HeadsSelection selection(const Array<float>& alpha, const Array<int32_t>& starts,
                                 const Array<int32_t>& active, size_t n_active) const {
    need(alpha.size() == input.n * shape.offsets, "alpha");
    need(starts.size() == input.n + 1 && active.size() == input.n && n_active <= input.n, "starts or active");
    return {alpha.data(), starts.data(), active.data(), n_active};
  }
};

// outputs: means quats scales opacities colors gates inverse_norms
gspc::HeadsOutput read_output(const Array<int64_t>& index, const Outputs& out) {
  const size_t m = index.size();
  need(out.size() == 7, "the output list");
  const size_t widths[7] = {3, 4, 3, 1, 3, 3, 1};
  for (int i = 0; i < 7; ++i) need(out[i].size() == m * widths[i], "an output");
  return {index.data(),  out[0].data(), out[1].data(), out[2].data(),
          out[3].data(), out[4].data(), out[5].data(), out[6].data()};
}

}  // namespace

void bind_heads(nb::module_& m) {
  m.def(
      "heads_select",
      [](const Inputs& weights, float distance_scale, const Inputs& inputs,
         const std::array<float, 3>& center, const std::optional<Array<const uint8_t>>& visible,
         const Array<float>& alpha, const Array<int32_t>& starts, const Array<int32_t>& active) {
        const Call call(weights, distance_scale, inputs, center);
        gspc::HeadsSelection selection = call.selection(alpha, starts, active, 0);
        need(!visible || visible->size() == call.input.n, "visible");
        nb::gil_scoped_release release;
        const size_t total = gspc::heads_select(call.shape, call.weights, call.input,
                                                visible ? visible->data() : nullptr, selection);
        return std::pair<size_t, size_t>(total, selection.n_active);
      },
      "weights"_a, "distance_scale"_a, "inputs"_a, "center"_a, "visible"_a.none(), exact("alpha"),
      exact("starts"), exact("active"),
      "Writes alpha [N, K], starts [N + 1] and active [N]; returns the number of Gaussians M and of active "
      "anchors. weights: W1 [3H, F + 4], b1, W [K, H] and b of opacity, [3K, H] of color, [7K, H] of cov; "
      "inputs: features [N, F - P], log_scales [N, 6 or 1], offsets [N, K, 3], mask [N, K], anchors [N, 3], "
      "and predicted [N, P] if P > 0.");
  m.def(
      "heads_forward",
      [](const Inputs& weights, float distance_scale, const Inputs& inputs,
         const std::array<float, 3>& center, const Array<float>& alpha, const Array<int32_t>& starts,
         const Array<int32_t>& active, size_t n_active, const Array<int64_t>& index, const Outputs& out) {
        const Call call(weights, distance_scale, inputs, center);
        const gspc::HeadsSelection selection = call.selection(alpha, starts, active, n_active);
        const gspc::HeadsOutput output = read_output(index, out);
        need(index.size() == static_cast<size_t>(starts.data()[call.input.n]), "the outputs");
        nb::gil_scoped_release release;
        gspc::heads_forward(call.shape, call.weights, call.input, selection, output);
      },
      "weights"_a, "distance_scale"_a, "inputs"_a, "center"_a, exact("alpha"), exact("starts"),
      exact("active"), "n_active"_a, exact("index"), exact("outputs"),
      "Writes index [M] and outputs: means [M, 3], quats [M, 4], scales [M, 3], opacities [M], colors [M, "
      "3], gates [M, 3], inverse_norms [M].");
  m.def(
      "heads_backward",
      [](const Inputs& weights, float distance_scale, const Inputs& inputs,
         const std::array<float, 3>& center, const Array<float>& alpha, const Array<int32_t>& starts,
         const Array<int32_t>& active, size_t n_active, const Array<int64_t>& index, const Outputs& out,
         const MaybeInputs& grad_out, const Outputs& gradients) {
        const Call call(weights, distance_scale, inputs, center);
        const gspc::HeadsSelection selection = call.selection(alpha, starts, active, n_active);
        const gspc::HeadsOutput output = read_output(index, out);
        need(index.size() == static_cast<size_t>(starts.data()[call.input.n]), "the outputs");
        need(grad_out.size() == 5 && gradients.size() == 12 + (inputs.size() == 6), "the gradient lists");
        const float* g[5];
        for (int i = 0; i < 5; ++i) {
          need(!grad_out[i] || grad_out[i]->size() == out[i].size(), "an output gradient");
          g[i] = grad_out[i] ? grad_out[i]->data() : nullptr;
        }
        for (int i = 0; i < 4; ++i) need(gradients[i].size() == inputs[i].size(), "an input gradient");
        for (int i = 0; i < 8; ++i) need(gradients[4 + i].size() == weights[i].size(), "a weight gradient");
        if (inputs.size() == 6) need(gradients[12].size() == inputs[5].size(), "an input gradient");
        const gspc::HeadsOutputGradients grad_output{g[0], g[1], g[2], g[3], g[4]};
        const auto& d = gradients;
        const gspc::HeadsGradients to{call.shape.predicted > 0 ? d[12].data() : nullptr,
                                      d[0].data(),
                                      d[1].data(),
                                      d[2].data(),
                                      d[3].data(),
                                      d[4].data(),
                                      d[5].data(),
                                      d[6].data(),
                                      d[7].data(),
                                      d[8].data(),
                                      d[9].data(),
                                      d[10].data(),
                                      d[11].data()};
        nb::gil_scoped_release release;
        gspc::heads_backward(call.shape, call.weights, call.input, selection, output, grad_output, to);
      },
      "weights"_a, "distance_scale"_a, "inputs"_a, "center"_a, exact("alpha"), exact("starts"),
      exact("active"), "n_active"_a, exact("index"), exact("outputs"), "grad_outputs"_a, exact("gradients"),
      "Writes gradients: of the first four inputs, of the weights, and of predicted if given. grad_outputs: "
      "of the first five outputs, each or None.");
}
