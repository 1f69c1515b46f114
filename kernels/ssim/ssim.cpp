#include "ssim/ssim.hpp"

#include <algorithm>
#include <vector>

#include "common/parallel.hpp"
#include "raster/pool.hpp"

namespace gspc::ssim {

Score compare(Job job, const Weights& weights) {
  const double count = 3.0 * job.width * job.height;
  job.l1_scale = static_cast<float>(weights.l1 / count);
  job.squares_scale = static_cast<float>(2.0 * weights.squares / count);
  job.ssim_scale = static_cast<float>(weights.ssim / count);
  // Values of a row do not depend on the strip it is in: strips may follow the number of threads.
  const int strips = std::max(1, std::min(omp_get_max_threads(), (job.height + 31) / 32));
  const std::int64_t each = scratch_floats(job.width);
  Pooled<float> scratch(static_cast<std::size_t>(each) * strips);
  std::vector<double> l1(static_cast<std::size_t>(job.height)), ssim(static_cast<std::size_t>(job.height));
  parallel_for(strips, [&](int64_t s) {
    const auto row = [&](int64_t k) { return static_cast<int>(job.height * k / strips); };
    GSPC_DISPATCH(ssim_rows)(job, row(s), row(s + 1), scratch.get() + each * s, l1.data(), ssim.data());
  });
  Score score;
  for (int y = 0; y < job.height; ++y) {
    score.l1 += l1[static_cast<std::size_t>(y)];
    score.ssim += ssim[static_cast<std::size_t>(y)];
  }
  score.l1 /= count;
  score.ssim /= count;
  return score;
}

double squared_error(const Job& job) {
  constexpr std::int64_t kPart = 4096;  // fixed, so the sum does not depend on threads
  const std::int64_t count = static_cast<std::int64_t>(job.height) * job.width * 3,
                     parts = (count + kPart - 1) / kPart;
  std::vector<double> sums(static_cast<std::size_t>(parts));
  parallel_for(parts, [&](std::int64_t part) {
    sums[static_cast<std::size_t>(part)] =
        GSPC_DISPATCH(squared_part)(job, part * kPart, std::min(count, (part + 1) * kPart));
  });
  double total = 0.0;
  for (double sum : sums) total += sum;
  return total / static_cast<double>(count);
}

std::int64_t scratch_floats(int width) {
  const std::int64_t row = (static_cast<std::int64_t>(width) * 3 + 2 * 16 + 31) / 16 * 16;
  return row * (4 + 4 * 11 + 3 + 3 * 11);
}

}  // namespace gspc::ssim
