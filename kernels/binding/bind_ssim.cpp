// Python entry of the photometric comparison.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>

#include <optional>
#include <tuple>
#include <variant>

#include "binding/arguments.hpp"
#include "raster/pool.hpp"
#include "ssim/ssim.hpp"

namespace {

using Image = nb::ndarray<const float, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Bytes = nb::ndarray<const std::uint8_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Array = nb::ndarray<nb::numpy, float>;

template <class Other>
void check_shapes(const Image& image, const Other& target) {
  if (image.shape(2) != 3 || image.shape(0) < 1 || image.shape(1) < 1 || image.shape(0) > 65536 ||
      image.shape(1) > 65536)
    throw nb::value_error("ssim: an image [H,W,3] of 1..65536 pixels a side expected");
  for (std::size_t i = 0; i < 3; ++i)
    if (target.shape(i) != image.shape(i))
      throw nb::value_error("ssim: image and target must have the same shape");
}

using Target = std::variant<Bytes, Image>;

gspc::ssim::Job job_of(const Image& image, const Target& target) {
  gspc::ssim::Job job;
  job.image = image.data();
  if (const Bytes* bytes = std::get_if<Bytes>(&target)) {
    check_shapes(image, *bytes);
    job.target_bytes = bytes->data();
  } else {
    check_shapes(image, std::get<Image>(target));
    job.target_floats = std::get<Image>(target).data();
  }
  job.height = static_cast<int>(image.shape(0));
  job.width = static_cast<int>(image.shape(1));
  return job;
}

// l1, ssim, and the gradient of l1_weight * l1 + squares_weight * squares + ssim_weight * ssim.
std::tuple<double, double, std::optional<Array>> compare(const Image& image, const Target& target,
                                                         float l1_weight, float squares_weight,
                                                         float ssim_weight, bool gradient) {
  gspc::ssim::Job job = job_of(image, target);
  std::optional<Array> out;
  if (gradient) {
    gspc::Pooled<float> block(image.size());
    job.gradient = block.get();
    nb::capsule owner(job.gradient, [](void* p) noexcept { gspc::pool_give(p); });
    block.release();
    out = Array(job.gradient, {image.shape(0), image.shape(1), 3}, owner);
  }
  gspc::ssim::Score score;
  {
    nb::gil_scoped_release release;
    score = gspc::ssim::compare(job, {l1_weight, squares_weight, ssim_weight});
  }
  return {score.l1, score.ssim, out};
}

}  // namespace

void bind_ssim(nb::module_& m) {
  m.def("photometric", &compare, "image"_a, "target"_a, "l1_weight"_a, "squares_weight"_a, "ssim_weight"_a,
        "gradient"_a,
        "L1 and SSIM of image [H, W, 3] against target (float32, or bytes / 255), and the gradient [H, W, 3] "
        "of their weighted sum with the mean squared error if wanted.");
  m.def(
      "squared_error",
      [](const Image& image, const Target& target) {
        const gspc::ssim::Job job = job_of(image, target);
        nb::gil_scoped_release release;
        return gspc::ssim::squared_error(job);
      },
      "image"_a, "target"_a, "Mean over H W 3 of (clamped image - target)^2.");
}
