// Python entries of the rasterizer. Checks of shape and type happen in gspc/ops/raster; here only what
// memory safety needs.
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/tuple.h>

#include <array>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <tuple>

#include "binding/arguments.hpp"
#include "raster/pool.hpp"
#include "raster/raster.hpp"

namespace {

using Matrix = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Vector = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Image = nb::ndarray<const float, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Array = nb::ndarray<nb::numpy, float>;
using IntArray = nb::ndarray<nb::numpy, std::int32_t>;

// A fresh numpy array on a block of the pool, which gets it back when the array dies.
template <class T>
std::pair<nb::ndarray<nb::numpy, T>, T*> pooled_array(std::initializer_list<std::size_t> shape) {
  std::size_t size = 1;
  for (std::size_t n : shape) size *= n;
  gspc::Pooled<T> block(size);
  T* data = block.get();
  nb::capsule owner(data, [](void* p) noexcept { gspc::pool_give(p); });
  block.release();
  return {nb::ndarray<nb::numpy, T>(data, shape, owner), data};
}

gspc::raster::Scene scene_of(const Matrix& means, const Matrix& quats, const Matrix& scales,
                             const Vector& opacities, const Matrix& colors) {
  const std::size_t n = means.shape(0);
  if (means.shape(1) != 3 || quats.shape(0) != n || quats.shape(1) != 4 || scales.shape(0) != n ||
      scales.shape(1) != 3 || opacities.shape(0) != n || colors.shape(0) != n || colors.shape(1) != 3)
    throw nb::value_error(
        "rasterize: means [M,3], quats [M,4], scales [M,3], opacities [M], colors [M,3] expected");
  return {static_cast<std::int64_t>(n),
          means.data(),
          quats.data(),
          scales.data(),
          opacities.data(),
          colors.data()};
}

using gspc::raster::State;
using gspc::raster::Timings;

std::tuple<Array, Array, IntArray, std::shared_ptr<State>> forward(
    const Matrix& means, const Matrix& quats, const Matrix& scales, const Vector& opacities,
    const Matrix& colors, const std::array<float, 16>& world_to_camera,
    const std::array<float, 4>& intrinsics, int width, int height, const std::array<float, 3>& background,
    Timings* timings, std::uint64_t budget) {
  const gspc::raster::Scene scene = scene_of(means, quats, scales, opacities, colors);
  gspc::raster::View view{};
  for (int i = 0; i < 3; ++i) {
    for (int k = 0; k < 3; ++k)
      view.rotation[i * 3 + k] = world_to_camera[static_cast<std::size_t>(i * 4 + k)];
    view.translation[i] = world_to_camera[static_cast<std::size_t>(i * 4 + 3)];
    view.background[i] = background[static_cast<std::size_t>(i)];
  }
  view.fx = intrinsics[0];
  view.fy = intrinsics[1];
  view.cx = intrinsics[2];
  view.cy = intrinsics[3];
  view.width = width;
  view.height = height;
  gspc::raster::require_bytes(gspc::raster::fixed_bytes(scene.count, width, height), budget);
  const auto w = static_cast<std::size_t>(width), h = static_cast<std::size_t>(height);
  auto [image, image_data] = pooled_array<float>({h, w, 3});
  auto [alpha, alpha_data] = pooled_array<float>({h, w});
  auto [radii, radii_data] = pooled_array<std::int32_t>({means.shape(0)});
  std::shared_ptr<State> state;
  {
    nb::gil_scoped_release release;
    state = gspc::raster::forward(scene, view, image_data, alpha_data, radii_data, budget, timings);
  }
  return {image, alpha, radii, state};
}

std::tuple<Array, Array, Array, Array, Array, Array> backward(const std::shared_ptr<State>& state,
                                                              const Matrix& means, const Matrix& quats,
                                                              const Matrix& scales, const Vector& opacities,
                                                              const Matrix& colors, const Image& grad_image,
                                                              const std::optional<Matrix>& grad_alpha,
                                                              Timings* timings) {
  const gspc::raster::Scene scene = scene_of(means, quats, scales, opacities, colors);
  const auto w = static_cast<std::size_t>(state->view.width),
             h = static_cast<std::size_t>(state->view.height);
  if (grad_image.shape(0) != h || grad_image.shape(1) != w || grad_image.shape(2) != 3 ||
      (grad_alpha && (grad_alpha->shape(0) != h || grad_alpha->shape(1) != w)))
    throw nb::value_error("rasterize backward: grad_image [H,W,3] and grad_alpha [H,W] expected");
  const std::size_t n = means.shape(0);
  auto [means_grad, means_data] = pooled_array<float>({n, 3});
  auto [quats_grad, quats_data] = pooled_array<float>({n, 4});
  auto [scales_grad, scales_data] = pooled_array<float>({n, 3});
  auto [opacities_grad, opacities_data] = pooled_array<float>({n});
  auto [colors_grad, colors_data] = pooled_array<float>({n, 3});
  auto [means2d_grad, means2d_data] = pooled_array<float>({n, 2});
  {
    nb::gil_scoped_release release;
    gspc::raster::backward(*state, scene, grad_image.data(), grad_alpha ? grad_alpha->data() : nullptr,
                           {means_data, quats_data, scales_data, opacities_data, colors_data, means2d_data},
                           timings);
  }
  return {means_grad, quats_grad, scales_grad, opacities_grad, colors_grad, means2d_grad};
}

std::tuple<Array, Array> repaint(const std::shared_ptr<State>& state, const Matrix& colors,
                                 Timings* timings) {
  if (static_cast<std::int64_t>(colors.shape(0)) != state->count || colors.shape(1) != 3)
    throw nb::value_error("rasterize: colors [M,3] of the same Gaussians expected");
  const auto w = static_cast<std::size_t>(state->view.width),
             h = static_cast<std::size_t>(state->view.height);
  auto [image, image_data] = pooled_array<float>({h, w, 3});
  auto [alpha, alpha_data] = pooled_array<float>({h, w});
  {
    nb::gil_scoped_release release;
    gspc::raster::repaint(*state, colors.data(), image_data, alpha_data, timings);
  }
  return {image, alpha};
}

Array backward_colors(const std::shared_ptr<State>& state, const Image& grad_image, Timings* timings) {
  if (grad_image.shape(0) != static_cast<std::size_t>(state->view.height) ||
      grad_image.shape(1) != static_cast<std::size_t>(state->view.width) || grad_image.shape(2) != 3)
    throw nb::value_error("rasterize backward: grad_image [H,W,3] expected");
  auto [colors, colors_data] = pooled_array<float>({static_cast<std::size_t>(state->count), 3});
  {
    nb::gil_scoped_release release;
    gspc::raster::backward_colors(*state, grad_image.data(), colors_data, timings);
  }
  return colors;
}

nb::list parts_of(const Timings& timings) {
  constexpr const char* kNames[] = {"projection", "sorting",           "binning",
                                    "blending",   "blending backward", "projection backward"};
  static_assert(std::size(kNames) == gspc::raster::kParts);
  nb::list parts;
  for (int i = 0; i < gspc::raster::kParts; ++i)
    parts.append(nb::make_tuple(kNames[i], timings.wall[i], timings.cpu[i]));
  return parts;
}

}  // namespace

void bind_raster(nb::module_& m) {
  nb::set_leak_warnings(
      false);  // an interrupted step may leave a state in a traceback until the interpreter is gone
  nb::exception<gspc::raster::OverBudget>(m, "RasterBudgetError", PyExc_MemoryError);
  nb::class_<State>(m, "RasterState")
      .def_ro("pairs", &State::pairs, "(Gaussian, tile) pairs that were listed")
      .def_prop_ro(
          "contributions",
          [](const State& s) {
            std::int64_t n = 0;
            for (std::int64_t i = 0; i < s.pairs; ++i)
              n += __builtin_popcount(s.masks[static_cast<std::size_t>(i)]);
            return n;
          },
          "(Gaussian, block of pixels) pairs that contributed to the image")
      .def_ro("bytes", &State::held, "of memory that it and its pictures take, at most")
      .def_prop_ro("tiles", [](const State& s) { return s.tiles_x * s.tiles_y; });
  nb::class_<Timings>(m, "RasterTimings", "Collects the times of the calls that it is given to.")
      .def(nb::init<>())
      .def_prop_ro("parts", &parts_of, "(part, wall seconds, CPU seconds) of the calls that were given this");
  m.def("raster_forward", &forward, "means"_a, "quats"_a, "scales"_a, "opacities"_a, "colors"_a,
        "world_to_camera"_a, "intrinsics"_a, "width"_a, "height"_a, "background"_a, "timings"_a = nb::none(),
        "budget"_a = gspc::raster::kNoBudget,
        "Image [H, W, 3], alpha [H, W], radii [M] and what the backward pass needs. means [M, 3], quats [M, "
        "4] (wxyz), scales [M, 3], opacities [M], colors [M, 3]; world_to_camera [16] row by row; intrinsics "
        "fx, fy, cx, cy. Raises RasterBudgetError before more than budget bytes are taken, here and in the "
        "backward pass.");
  m.def("raster_backward", &backward, "state"_a, "means"_a, "quats"_a, "scales"_a, "opacities"_a, "colors"_a,
        "grad_image"_a, "grad_alpha"_a.none(), "timings"_a = nb::none(),
        "Gradients by means, quats, scales, opacities, colors and by means in pixels [M, 2], from grad_image "
        "[H, W, 3] and grad_alpha [H, W].");
  m.def("raster_repaint", &repaint, "state"_a, "colors"_a, "timings"_a = nb::none(),
        "Image [H, W, 3] and alpha [H, W] of the same Gaussians and camera with other colors [M, 3]. Changes "
        "the state: gradients from here on are those of this image.");
  m.def("raster_backward_colors", &backward_colors, "state"_a, "grad_image"_a, "timings"_a = nb::none(),
        "Gradients by the colors alone [M, 3], from grad_image [H, W, 3].");
  m.def("pool_kept_bytes", &gspc::pool_kept_bytes, "Bytes of large blocks kept for the next calls.");
  m.def("pool_trim", &gspc::pool_trim, "Gives the kept blocks back to the system.");
}
