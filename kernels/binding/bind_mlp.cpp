// gspc._kernels: two-layer networks over the same rows; see mlp/mlp.hpp. A network is a list of W1, b1, W2,
// b2.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <vector>

#include "binding/arguments.hpp"
#include "mlp/mlp.hpp"

namespace {

template <class T>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
using Matrix = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Index = nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Networks = std::vector<std::vector<Array<const float>>>;

constexpr size_t kMostWidth = 4096;

void require(bool fits) {
  if (!fits)
    throw nb::value_error(
        "mlp: x [n, I], W1 [H, I], b1 [H], W2 [O, H], b2 [O], y [n, O], widths up to 4096 expected");
}

template <class T>
void require_matrix(const T& array, size_t rows, size_t columns) {
  require(array.ndim() == 2 && array.shape(0) == rows && array.shape(1) == columns);
}

template <class T>
void require_vector(const T& array, size_t size) {
  require(array.ndim() == 1 && array.shape(0) == size);
}

gspc::TwoLayerRows rows_of(const Matrix& x, const std::optional<Index>& index) {
  if (index)
    for (size_t i = 0; i < index->size(); ++i)
      if (index->data()[i] < 0 || index->data()[i] >= static_cast<int64_t>(x.shape(0)))
        throw nb::value_error("mlp: index is out of range");
  return {x.data(), index ? index->data() : nullptr, index ? index->size() : x.shape(0)};
}

std::vector<gspc::TwoLayerWeights> weights_of(const Networks& networks, size_t inputs) {
  require(!networks.empty());
  std::vector<gspc::TwoLayerWeights> found;
  for (const auto& w : networks) {
    require(w.size() == 4 && w[0].ndim() == 2 && w[2].ndim() == 2);
    const size_t h = w[0].shape(0), o = w[2].shape(0);
    for (const size_t width : {h, inputs, o}) require(width >= 1 && width <= kMostWidth);
    require_matrix(w[0], h, inputs);
    require_vector(w[1], h);
    require_matrix(w[2], o, h);
    require_vector(w[3], o);
    found.push_back({static_cast<int>(inputs), static_cast<int>(h), static_cast<int>(o), w[0].data(),
                     w[1].data(), w[2].data(), w[3].data()});
  }
  return found;
}

}  // namespace

void bind_mlp(nb::module_& m) {
  m.def(
      "mlp_stride", [](int hidden) { return gspc::two_layer_stride(hidden); }, "hidden"_a,
      "Floats in a row of the hidden activations kept.");
  m.def(
      "mlp_forward",
      [](const Matrix& x, const std::optional<Index>& index, const Networks& networks,
         const std::vector<Array<float>>& hidden, const std::vector<Array<float>>& y) {
        const gspc::TwoLayerRows rows = rows_of(x, index);
        const auto weights = weights_of(networks, x.shape(1));
        require(hidden.size() == weights.size() && y.size() == weights.size());
        std::vector<gspc::TwoLayerResult> results;
        for (size_t i = 0; i < weights.size(); ++i) {
          require_matrix(hidden[i], rows.n, gspc::two_layer_stride(weights[i].hidden));
          require_matrix(y[i], rows.n, weights[i].outputs);
          results.push_back({hidden[i].data(), y[i].data()});
        }
        nb::gil_scoped_release release;
        gspc::two_layer_forward(weights, rows, results);
      },
      "x"_a, "index"_a.none(), "networks"_a, exact("hidden"), exact("y"),
      "y [n, O] and hidden [n, mlp_stride(H)] of each network (W1 [H, I], b1, W2 [O, H], b2) at the rows "
      "index [n] (None: all) of x [N, I].");
  m.def(
      "mlp_backward",
      [](const Matrix& x, const std::optional<Index>& index, const Networks& networks,
         const std::vector<Array<const float>>& hidden, const std::vector<Array<const float>>& grad_y,
         const std::vector<std::vector<Array<float>>>& gradients, const std::optional<Array<float>>& grad_x) {
        const gspc::TwoLayerRows rows = rows_of(x, index);
        const auto weights = weights_of(networks, x.shape(1));
        require(hidden.size() == weights.size() && grad_y.size() == weights.size() &&
                gradients.size() == weights.size());
        std::vector<gspc::TwoLayerGradients> to;
        for (size_t i = 0; i < weights.size(); ++i) {
          const auto& g = gradients[i];
          require_matrix(hidden[i], rows.n, gspc::two_layer_stride(weights[i].hidden));
          require_matrix(grad_y[i], rows.n, weights[i].outputs);
          require(g.size() == 4);
          for (size_t j = 0; j < 4; ++j) require(g[j].size() == networks[i][j].size());
          to.push_back(
              {hidden[i].data(), grad_y[i].data(), g[0].data(), g[1].data(), g[2].data(), g[3].data()});
        }
        if (grad_x) require_matrix(*grad_x, rows.n, x.shape(1));
        nb::gil_scoped_release release;
        gspc::two_layer_backward(weights, rows, to, grad_x ? grad_x->data() : nullptr);
      },
      "x"_a, "index"_a.none(), "networks"_a, "hidden"_a, "grad_y"_a, exact("gradients"),
      exact("grad_x").none(),
      "Writes gradients, like networks, and grad_x [n, I] from grad_y [n, O] of each network.");
}
