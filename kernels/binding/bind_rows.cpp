// gspc._kernels: gathered and scattered rows of per-anchor parameters; see rows/rows.hpp.
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <array>
#include <optional>

#include "binding/arguments.hpp"
#include "rows/rows.hpp"

namespace {

template <class T, int D>
using Array = nb::ndarray<T, nb::ndim<D>, nb::c_contig, nb::device::cpu>;
using Index = Array<const int64_t, 1>;
using Matrix = Array<const float, 2>;
using Optional = std::optional<Matrix>;

constexpr size_t kMostPlanes = 8;

gspc::RowsIndex rows_of(size_t n, const Index& index, const Index& also) {
  const gspc::RowsIndex rows{n, index.data(), index.shape(0), also.data(), also.shape(0)};
  if (const char* error = gspc::rows_error(rows)) throw nb::value_error(error);
  return rows;
}

const float* data(const Optional& array) { return array ? array->data() : nullptr; }

}  // namespace

void bind_rows(nb::module_& m) {
  m.def(
      "rows_noisy",
      [](const Matrix& values, const Index& index, const Index& also,
         const std::optional<Array<const float, 1>>& step, float scale, uint64_t seed,
         const Array<float, 2>& out, const Array<float, 2>& out_also) {
        const size_t width = values.shape(1);
        require(shaped(out, index.shape(0), width) && shaped(out_also, also.shape(0), width) &&
                    (!step || step->shape(0) == index.shape(0)),
                "rows: values [N, W], step [v], out [v, W] and [a, W] expected");
        const gspc::RowsIndex rows = rows_of(values.shape(0), index, also);
        nb::gil_scoped_release release;
        gspc::rows_noisy(rows, values.data(), width, step ? step->data() : nullptr, scale, seed, out.data(),
                         out_also.data());
      },
      "values"_a, "index"_a, "also"_a, "step"_a.none(), "scale"_a, "seed"_a, exact("out"), exact("out_also"),
      "out [v, W] = values [N, W] of the rows index [v] plus scale * step [v] * noise; out_also [a, W] = "
      "values of the rows also [a].");
  m.def(
      "rows_noisy_backward",
      [](const Index& index, const Index& also, float scale, uint64_t seed, const Optional& grad_out,
         const Optional& grad_also, const Array<float, 2>& grad_values,
         const std::optional<Array<float, 1>>& grad_step) {
        const size_t width = grad_values.shape(1);
        require(shaped(grad_out, index.shape(0), width) && shaped(grad_also, also.shape(0), width) &&
                    (!grad_step || grad_step->shape(0) == index.shape(0)),
                "rows: gradients [v, W], [a, W], [N, W] and [v] expected");
        const gspc::RowsIndex rows = rows_of(grad_values.shape(0), index, also);
        nb::gil_scoped_release release;
        gspc::rows_noisy_backward(rows, width, scale, seed, data(grad_out), data(grad_also),
                                  grad_values.data(), grad_step ? grad_step->data() : nullptr);
      },
      "index"_a, "also"_a, "scale"_a, "seed"_a, "grad_out"_a.none(), "grad_also"_a.none(),
      exact("grad_values"), exact("grad_step").none(),
      "Writes grad_values [N, W] and grad_step [v] from grad_out [v, W] and grad_also [a, W] (None: zero).");
  m.def(
      "rows_rounded",
      [](const Matrix& values, const Index& index, const Index& also, const Matrix& center,
         const Array<const float, 1>& step, size_t finest, size_t coarser, const Array<float, 2>& out,
         const Array<float, 2>& out_also) {
        const size_t n = values.shape(0), width = values.shape(1);
        size_t widest = 1;
        for (size_t j = 0; j < std::min(coarser, kMostPlanes); ++j) widest *= 3;
        require(coarser < kMostPlanes && finest >= widest && finest % widest == 0,
                "rows: finest is no multiple of 3^coarser");
        require(shaped(center, n, width) && step.shape(0) == n && shaped(out, index.shape(0), width) &&
                    shaped(out_also, also.shape(0), width),
                "rows: values and center [N, W], step [N], out [v, W] and [a, W] expected");
        const gspc::RowsIndex rows = rows_of(n, index, also);
        nb::gil_scoped_release release;
        gspc::rows_rounded(rows, values.data(), width, center.data(), step.data(), finest, coarser,
                           out.data(), out_also.data());
      },
      "values"_a, "index"_a, "also"_a, "center"_a, "step"_a, "finest"_a, "coarser"_a, exact("out"),
      exact("out_also"),
      "out [v, W] = rows index [v] of values [N, W] on their grids of step [N] / finest, `coarser` levels "
      "up, around center [N, W]; out_also [a, W] = the rows also [a].");
  m.def(
      "rows_mask",
      [](const Array<const float, 3>& masks, const Index& index, const Index& also, size_t level,
         const Array<float, 2>& out, const Array<float, 3>& out_also) {
        const size_t k = masks.shape(1), s = masks.shape(2);
        require(level >= 1 && level <= std::min(s, kMostPlanes) && shaped(out, index.shape(0), k) &&
                    shaped(out_also, also.shape(0), k) && out_also.shape(2) == s,
                "rows: masks [N, K, S], 1 <= level <= S <= 8, out [v, K] and [a, K, S] expected");
        const gspc::RowsIndex rows = rows_of(masks.shape(0), index, also);
        nb::gil_scoped_release release;
        return gspc::rows_mask(rows, masks.data(), k, s, level, out.data(), out_also.data());
      },
      "masks"_a, "index"_a, "also"_a, "level"_a, exact("out"), exact("out_also"),
      "out [v, K] = 0 or 1 from masks [N, K, S] of the rows index [v] at a level; out_also [a, K, S] = the "
      "rows also [a]. Returns how many of N K are 1.");
  m.def(
      "rows_mask_backward",
      [](const Array<const float, 3>& masks, const Index& index, const Index& also, size_t level,
         const Optional& grad_out, const std::optional<Array<const float, 3>>& grad_also, float grad_open,
         const Array<float, 3>& grad_masks) {
        const size_t k = masks.shape(1), s = masks.shape(2);
        require(level >= 1 && level <= std::min(s, kMostPlanes) && shaped(grad_out, index.shape(0), k) &&
                    (!grad_also || (shaped(*grad_also, also.shape(0), k) && grad_also->shape(2) == s)) &&
                    shaped(grad_masks, masks.shape(0), k) && grad_masks.shape(2) == s,
                "rows: masks [N, K, S], 1 <= level <= S <= 8, gradients [v, K], [a, K, S] and [N, K, S] "
                "expected");
        const gspc::RowsIndex rows = rows_of(masks.shape(0), index, also);
        nb::gil_scoped_release release;
        gspc::rows_mask_backward(rows, masks.data(), k, s, level, data(grad_out),
                                 grad_also ? grad_also->data() : nullptr, grad_open, grad_masks.data());
      },
      "masks"_a, "index"_a, "also"_a, "level"_a, "grad_out"_a.none(), "grad_also"_a.none(), "grad_open"_a,
      exact("grad_masks"),
      "Writes grad_masks [N, K, S] from grad_out [v, K], grad_also [a, K, S] (None: zero) and grad_open, by "
      "the number that are 1.");
  m.def(
      "rows_count_positive",
      [](const Matrix& values) {
        nb::gil_scoped_release release;
        return gspc::rows_count_positive(values.data(), values.size());
      },
      "values"_a, "How many of values [n, m] are >= 0.");
  m.def(
      "rows_within_one",
      [](const Matrix& values, float amount, const Array<float, 2>& to) {
        require(to.size() == values.size(), "rows: values and their gradient of one size expected");
        nb::gil_scoped_release release;
        gspc::rows_within_one(values.data(), values.size(), amount, to.data());
      },
      "values"_a, "amount"_a, exact("out"), "out [n, m] = amount where |values [n, m]| <= 1, else 0.");
  m.def(
      "rows_visible",
      [](const Matrix& world, const Matrix& log_scales, const Matrix& offsets,
         const Array<const float, 2>& pose, const std::array<float, 11>& bounds,
         const Array<int64_t, 1>& index, const Array<float, 2>& where) {
        const size_t n = world.shape(0), scales = log_scales.shape(1);
        require(
            shaped(world, n, 3) && log_scales.shape(0) == n && (scales == 1 || scales == 6) &&
                offsets.shape(0) == n && offsets.shape(1) % 3 == 0 && pose.shape(0) >= 3 &&
                pose.shape(1) == 4 && index.shape(0) == n && shaped(where, n, 3),
            "rows: world [N, 3], log scales [N, 1] or [N, 6], offsets [N, 3 K], pose [4, 4], index [N] and "
            "positions [N, 3] expected");
        gspc::RowsView view{{},
                            {},
                            {bounds[0], bounds[1]},
                            {bounds[2], bounds[3]},
                            {bounds[4], bounds[5]},
                            bounds[6],
                            bounds[7],
                            bounds[8],
                            bounds[9],
                            bounds[10]};
        for (size_t row = 0; row < 3; ++row) {
          for (size_t column = 0; column < 3; ++column) view.rotation[3 * row + column] = pose(row, column);
          view.translation[row] = pose(row, 3);
        }
        const gspc::RowsAnchors anchors{world.data(), log_scales.data(),   offsets.data(), n,
                                        scales,       offsets.shape(1) / 3};
        nb::gil_scoped_release release;
        return gspc::rows_visible(anchors, view, index.data(), where.data());
      },
      "world"_a, "log_scales"_a, "offsets"_a, "pose"_a, "bounds"_a, exact("index"), exact("where"),
      "Anchors of world [N, 3], log_scales [N, 1 or 6] and offsets [N, 3 K] whose Gaussians may touch the "
      "picture of a camera of pose [4, 4] (world to camera) and bounds (focal lengths, center and size of x "
      "and y, gain, blur, near, margin, slack): the first of index [N] and where [N, 3]. Returns how many.");
  m.def(
      "rows_product",
      [](const Matrix& values) {
        require(values.shape(1) == 3, "rows: values [n, 3] expected");
        nb::gil_scoped_release release;
        return gspc::rows_product(values.data(), values.shape(0));
      },
      "values"_a, "Sum over rows of values [n, 3] of their products.");
  m.def(
      "rows_product_backward",
      [](const Matrix& values, float amount, const Array<float, 2>& to) {
        require(values.shape(1) == 3 && shaped(to, values.shape(0), 3),
                "rows: values and their gradient [n, 3] expected");
        nb::gil_scoped_release release;
        gspc::rows_product_backward(values.data(), values.shape(0), amount, to.data());
      },
      "values"_a, "amount"_a, exact("out"), "out [n, 3] = amount times the derivatives of rows_product.");
  m.def(
      "rows_statistics",
      [](const Index& visible, const Index& index, const Array<const int32_t, 1>& radii,
         const Matrix& means2d_grad, const Array<const float, 1>& opacities, float half_width,
         float half_height, const Array<float, 1>& gradient, const Array<float, 1>& drawn,
         const Array<float, 1>& opacity, const Array<float, 1>& seen) {
        const size_t anchors = opacity.shape(0), count = index.shape(0);
        require(anchors > 0 && seen.shape(0) == anchors && gradient.shape(0) % anchors == 0 &&
                    drawn.shape(0) == gradient.shape(0) && gradient.shape(0) > 0 && radii.shape(0) == count &&
                    shaped(means2d_grad, count, 2) && opacities.shape(0) == count,
                "rows: statistics [N * K] and [N], Gaussians [M] expected");
        const size_t offsets = gradient.shape(0) / anchors;
        rows_of(anchors, visible, visible);
        const gspc::RowsIndex gaussians{visible.shape(0) * offsets, index.data(), count, nullptr, 0};
        if (const char* error = gspc::rows_error(gaussians)) throw nb::value_error(error);
        nb::gil_scoped_release release;
        gspc::rows_statistics(visible.data(), visible.shape(0), offsets, index.data(), count, radii.data(),
                              means2d_grad.data(), opacities.data(), half_width, half_height,
                              {gradient.data(), drawn.data(), opacity.data(), seen.data()});
      },
      "visible"_a, "index"_a, "radii"_a, "means2d_grad"_a, "opacities"_a, "half_width"_a, "half_height"_a,
      exact("gradient"), exact("drawn"), exact("opacity"), exact("seen"),
      "Adds what densification gathers, from the Gaussians index [M] of the anchors visible [v], to gradient "
      "and drawn [N K], opacity and seen [N].");
}
