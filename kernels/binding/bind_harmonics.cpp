// gspc._kernels: spherical harmonics of plain Gaussians; see harmonics/harmonics.hpp.
#include <nanobind/stl/array.h>

#include <array>

#include "binding/arguments.hpp"
#include "harmonics/harmonics.hpp"

namespace {

template <class T, int D>
using Array = nb::ndarray<T, nb::ndim<D>, nb::c_contig, nb::device::cpu>;
using Matrix = Array<const float, 2>;

template <class Sh>
gspc::HarmonicsView view_of(const Matrix& means, const std::array<float, 3>& center, const Sh& sh) {
  const size_t n = means.shape(0);
  require(means.shape(1) == 3 && sh.shape(0) == n && sh.shape(2) == 3 && gspc::harmonics_valid(sh.shape(1)),
          "harmonics: means [M, 3] and sh [M, C, 3] expected, C of 1, 4, 9 or 16");
  return {n, sh.shape(1), means.data(), center};
}

}  // namespace

void bind_harmonics(nb::module_& m) {
  m.def(
      "harmonics_colors",
      [](const Matrix& means, const std::array<float, 3>& center, const Array<const float, 3>& sh,
         const Array<float, 2>& colors) {
        const gspc::HarmonicsView view = view_of(means, center, sh);
        require(shaped(colors, view.n, 3), "harmonics: colors [M, 3] expected");
        nb::gil_scoped_release release;
        gspc::harmonics_colors(view, sh.data(), colors.data());
      },
      "means"_a, "center"_a, "sh"_a, exact("colors"),
      "colors [M, 3] = 0.5 + sh [M, C, 3] along the ways from center to means [M, 3].");
  m.def(
      "harmonics_gradient",
      [](const Matrix& means, const std::array<float, 3>& center, const Matrix& colors,
         const Array<float, 3>& gradient) {
        const gspc::HarmonicsView view = view_of(means, center, gradient);
        require(shaped(colors, view.n, 3), "harmonics: colors [M, 3] expected");
        nb::gil_scoped_release release;
        gspc::harmonics_gradient(view, colors.data(), gradient.data());
      },
      "means"_a, "center"_a, "colors"_a, exact("gradient"),
      "gradient [M, C, 3] by sh of a loss whose gradient by the colors is colors [M, 3].");
  m.def(
      "harmonics_correct",
      [](const Matrix& means, const std::array<float, 3>& center, const Matrix& error,
         const Array<const float, 1>& pixels, float few, float largest, const Array<float, 3>& sh) {
        const gspc::HarmonicsView view = view_of(means, center, sh);
        require(shaped(error, view.n, 3) && pixels.shape(0) == view.n,
                "harmonics: error [M, 3] and pixels [M] expected");
        nb::gil_scoped_release release;
        gspc::harmonics_correct(view, error.data(), pixels.data(), few, largest, sh.data());
      },
      "means"_a, "center"_a, "error"_a, "pixels"_a, "few"_a, "largest"_a, exact("sh"),
      "Adds to sh [M, C, 3] the least that changes colors by error [M, 3] / (pixels [M] + few), each at most "
      "largest.");
  m.def(
      "harmonics_fit",
      [](const Array<const float, 3>& directions, const Matrix& weights, const Array<const float, 3>& colors,
         const Array<const float, 1>& ridge, const Array<float, 3>& sh) {
        const size_t views = weights.shape(0), n = weights.shape(1), c = sh.shape(1);
        const auto fits = [&](const Array<const float, 3>& a) {
          return a.shape(0) == views && a.shape(1) == n && a.shape(2) == 3;
        };
        require(fits(directions) && fits(colors) && sh.shape(0) == n && sh.shape(2) == 3 &&
                    gspc::harmonics_valid(c) && ridge.shape(0) == c,
                "harmonics: directions and colors [V, M, 3], weights [V, M], ridge [C], sh [M, C, 3] "
                "expected");
        nb::gil_scoped_release release;
        gspc::harmonics_fit(views, n, c, directions.data(), weights.data(), colors.data(), ridge.data(),
                            sh.data());
      },
      "directions"_a, "weights"_a, "colors"_a, "ridge"_a, exact("sh"),
      "sh [M, C, 3] of the weighted least squares of colors [V, M, 3] - 0.5 along directions [V, M, 3].");
}
