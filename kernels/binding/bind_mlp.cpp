// gspc._kernels: the two-layer network; see mlp/mlp.hpp.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <optional>

#include "mlp/mlp.hpp"

namespace nb = nanobind;

namespace {

template <class T, int D>
using Array = nb::ndarray<T, nb::ndim<D>, nb::c_contig, nb::device::cpu>;
using Matrix = Array<const float, 2>;
using Row = Array<const float, 1>;

constexpr size_t MAX_WIDTH = 4096;

template <class T>
bool shaped(const T& array, size_t rows, size_t columns) {
  return array.shape(0) == rows && array.shape(1) == columns;
}

void require(bool fits) {
  if (!fits) throw nb::value_error("mlp: x [n, I], W1 [H, I], b1 [H], W2 [O, H], b2 [O], y [n, O], widths up to 4096 expected");
}

gspc::TwoLayerWeights weights_of(const Matrix& w1, const Row& b1, const Matrix& w2, const Row& b2) {
  const size_t h = w1.shape(0), i = w1.shape(1), o = w2.shape(0);
  require(w2.shape(1) == h && b1.shape(0) == h && b2.shape(0) == o);
  for (const size_t width : {h, i, o}) require(width >= 1 && width <= MAX_WIDTH);
  return {static_cast<int>(i), static_cast<int>(h), static_cast<int>(o), w1.data(), b1.data(), w2.data(), b2.data()};
}

}  // namespace

void bind_mlp(nb::module_& m) {
  m.def("mlp_stride", [](int hidden) { return gspc::two_layer_stride(hidden); });
  m.def("mlp_forward", [](const Matrix& x, const Matrix& w1, const Row& b1, const Matrix& w2, const Row& b2,
                          const Array<float, 2>& hidden, const Array<float, 2>& y) {
    const gspc::TwoLayerWeights w = weights_of(w1, b1, w2, b2);
    const size_t n = x.shape(0);
    require(shaped(x, n, w.inputs) && shaped(hidden, n, gspc::two_layer_stride(w.hidden)) && shaped(y, n, w.outputs));
    nb::gil_scoped_release release;
    gspc::two_layer_forward(w, x.data(), n, hidden.data(), y.data());
  });
  m.def(
      "mlp_backward",
      [](const Matrix& x, const Matrix& w1, const Row& b1, const Matrix& w2, const Row& b2, const Matrix& hidden,
         const Matrix& grad_y, const std::optional<Array<float, 2>>& grad_x, const Array<float, 2>& grad_w1,
         const Array<float, 1>& grad_b1, const Array<float, 2>& grad_w2, const Array<float, 1>& grad_b2) {
        const gspc::TwoLayerWeights w = weights_of(w1, b1, w2, b2);
        const size_t n = x.shape(0);
        require(shaped(x, n, w.inputs) && shaped(hidden, n, gspc::two_layer_stride(w.hidden)) && shaped(grad_y, n, w.outputs) &&
                (!grad_x || shaped(*grad_x, n, w.inputs)) && shaped(grad_w1, w.hidden, w.inputs) &&
                shaped(grad_w2, w.outputs, w.hidden) && grad_b1.shape(0) == b1.shape(0) && grad_b2.shape(0) == b2.shape(0));
        nb::gil_scoped_release release;
        gspc::two_layer_backward(w, x.data(), n, hidden.data(), grad_y.data(),
                                 {grad_x ? grad_x->data() : nullptr, grad_w1.data(), grad_b1.data(), grad_w2.data(),
                                  grad_b2.data()});
      },
      nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg(),
      nb::arg(), nb::arg());
}
