// Spherical harmonics of plain Gaussians, degree 0 to 3: colors towards a camera, and what baking does to
// them (gspc/splats/harmonics.py has the basis, its order and its signs). n Gaussians, C = (degree + 1)^2.
#pragma once

#include <array>
#include <cstddef>

namespace gspc {

constexpr size_t kMostHarmonics = 16;  // C of degree 3

// Whether C belongs to a degree from 0 to 3.
bool harmonics_valid(size_t coefficients);

// Gaussians as a camera at `center` sees them: the basis is taken along the way from there.
struct HarmonicsView {
  size_t n, coefficients;
  const float* means;  // [n, 3]
  std::array<float, 3> center;
};

// colors [n, 3] = 0.5 + basis . sh [n, C, 3], not clamped.
void harmonics_colors(const HarmonicsView& view, const float* sh, float* colors);

// gradient [n, C, 3] of a loss by sh, from that by the colors [n, 3].
void harmonics_gradient(const HarmonicsView& view, const float* colors, float* gradient);

// Changes sh by the least that changes colors by error [n, 3] / (pixels [n] + few), each at most `largest`.
void harmonics_correct(const HarmonicsView& view, const float* error, const float* pixels, float few,
                       float largest, float* sh);

// sh [n, C, 3] of the weighted least squares of colors [V, n, 3] - 0.5 along directions [V, n, 3], weights
// [V, n], with ridge [C] on the diagonal of the normal matrix.
void harmonics_fit(size_t views, size_t n, size_t coefficients, const float* directions, const float* weights,
                   const float* colors, const float* ridge, float* sh);

}  // namespace gspc
