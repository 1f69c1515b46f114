// Fused SSIM and L1 of an image against its photograph, with their gradient and that of the squared error, in
// one pass over the rows.
// SSIM (Wang et al. 2004): 11-tap Gaussian window, sigma 1.5, zero padding, C1 = 0.01^2, C2 = 0.03^2, mean
// over H W 3.
#pragma once

#include <cstdint>

#include "common/isa.hpp"

namespace gspc::ssim {

struct Job {
  const float* image = nullptr;                // [H, W, 3]
  const std::uint8_t* target_bytes = nullptr;  // [H, W, 3], value / 255; or
  const float* target_floats = nullptr;        // [H, W, 3]
  int width = 0, height = 0;
  float l1_scale = 0.0f, squares_scale = 0.0f, ssim_scale = 0.0f;  // of the sums, for the gradient
  float* gradient = nullptr;                                       // [H, W, 3] or null
};

struct Score {
  double l1 = 0.0, ssim = 0.0;  // means over H W 3
};

// What the gradient that is written when asked for is of: a weighted sum of means over H W 3.
struct Weights {
  float l1 = 0.0f, squares = 0.0f, ssim = 0.0f;  // squares: (image - target)^2, the image as it is
};
// Bit-equal for any number of threads.
Score compare(Job job, const Weights& weights);

// Mean over H W 3 of (clamped image - target)^2, the image clamped to [0, 1]. Bit-equal for any number of
// threads.
double squared_error(const Job& job);

// Floats of scratch that ssim_rows needs for one strip.
std::int64_t scratch_floats(int width);

}  // namespace gspc::ssim

GSPC_DECLARE_ISA(
    // Rows [begin, end): adds nothing, sets l1_rows and ssim_rows (sums over each row) and the gradient of
    // these rows.
    void ssim_rows(const ssim::Job& job, int begin, int end, float* scratch, double* l1_rows,
                   double* ssim_rows);
    // Sum of squared differences of values [begin, end).
    double squared_part(const ssim::Job& job, std::int64_t begin, std::int64_t end);)
