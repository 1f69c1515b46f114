#include "harmonics/harmonics.hpp"

#include <algorithm>
#include <cmath>

#include "common/parallel.hpp"

namespace gspc {
namespace {

constexpr size_t kBatch = 512;  // Gaussians of a task
constexpr float kC0 = 0.28209479177387814f;
constexpr float kC1 = 0.4886025119029199f;
constexpr float kC2[3] = {1.0925484305920792f, 0.31539156525252005f, 0.5462742152960396f};
constexpr float kC3[5] = {0.5900435899266435f, 2.890611442640554f, 0.4570457994644658f, 0.3731763325901154f,
                          1.445305721320277f};

// The basis along a unit direction.
inline void basis_at(const float* d, size_t coefficients, float* out) {
  const float x = d[0], y = d[1], z = d[2];
  out[0] = kC0;
  if (coefficients < 4) return;
  out[1] = -kC1 * y;
  out[2] = kC1 * z;
  out[3] = -kC1 * x;
  if (coefficients < 9) return;
  const float xx = x * x, yy = y * y, zz = z * z;
  out[4] = kC2[0] * x * y;
  out[5] = -kC2[0] * y * z;
  out[6] = kC2[1] * (2 * zz - xx - yy);
  out[7] = -kC2[0] * x * z;
  out[8] = kC2[2] * (xx - yy);
  if (coefficients < 16) return;
  out[9] = -kC3[0] * y * (3 * xx - yy);
  out[10] = kC3[1] * x * y * z;
  out[11] = -kC3[2] * y * (4 * zz - xx - yy);
  out[12] = kC3[3] * z * (2 * zz - 3 * xx - 3 * yy);
  out[13] = -kC3[2] * x * (4 * zz - xx - yy);
  out[14] = kC3[4] * z * (xx - yy);
  out[15] = -kC3[0] * x * (xx - 3 * yy);
}

// Calls work(i, basis) for every Gaussian, on all threads.
template <class Work>
void each(const HarmonicsView& view, const Work& work) {
  const auto batches = static_cast<int64_t>((view.n + kBatch - 1) / kBatch);
  parallel_for(batches, [&](int64_t batch) {
    const size_t begin = static_cast<size_t>(batch) * kBatch, end = std::min(begin + kBatch, view.n);
    for (size_t i = begin; i < end; ++i) {
      float ray[3], basis[kMostHarmonics];
      for (size_t a = 0; a < 3; ++a) ray[a] = view.means[3 * i + a] - view.center[a];
      const float length = std::sqrt(ray[0] * ray[0] + ray[1] * ray[1] + ray[2] * ray[2]);
      for (float& part : ray) part /= std::max(length, 1e-12f);
      basis_at(ray, view.coefficients, basis);
      work(i, basis);
    }
  });
}

// Solves normal x = target for the three columns of target, in place; normal is symmetric and, for its ridge,
// positive definite. By its Cholesky factor, in double precision: a Gaussian that two cameras see has all its
// directions but two from the ridge, a millionth of the weights.
void solve(size_t c, double (*normal)[kMostHarmonics], double (*target)[3]) {
  for (size_t j = 0; j < c; ++j) {
    for (size_t k = 0; k < j; ++k) normal[j][j] -= normal[j][k] * normal[j][k];
    normal[j][j] = std::sqrt(std::max(normal[j][j], 1e-30));
    for (size_t i = j + 1; i < c; ++i) {
      for (size_t k = 0; k < j; ++k) normal[i][j] -= normal[i][k] * normal[j][k];
      normal[i][j] /= normal[j][j];
    }
  }
  for (size_t j = 0; j < c; ++j)
    for (size_t a = 0; a < 3; ++a) {
      for (size_t k = 0; k < j; ++k) target[j][a] -= normal[j][k] * target[k][a];
      target[j][a] /= normal[j][j];
    }
  for (size_t j = c; j-- > 0;)
    for (size_t a = 0; a < 3; ++a) {
      for (size_t k = j + 1; k < c; ++k) target[j][a] -= normal[k][j] * target[k][a];
      target[j][a] /= normal[j][j];
    }
}

}  // namespace

bool harmonics_valid(size_t coefficients) {
  return coefficients == 1 || coefficients == 4 || coefficients == 9 || coefficients == 16;
}

void harmonics_colors(const HarmonicsView& view, const float* sh, float* colors) {
  each(view, [&](size_t i, const float* basis) {
    const float* own = sh + 3 * view.coefficients * i;
    float sum[3] = {0.5f, 0.5f, 0.5f};
    for (size_t c = 0; c < view.coefficients; ++c)
      for (size_t a = 0; a < 3; ++a) sum[a] += basis[c] * own[3 * c + a];
    std::copy_n(sum, 3, colors + 3 * i);
  });
}

void harmonics_gradient(const HarmonicsView& view, const float* colors, float* gradient) {
  each(view, [&](size_t i, const float* basis) {
    float* own = gradient + 3 * view.coefficients * i;
    for (size_t c = 0; c < view.coefficients; ++c)
      for (size_t a = 0; a < 3; ++a) own[3 * c + a] = basis[c] * colors[3 * i + a];
  });
}

void harmonics_correct(const HarmonicsView& view, const float* error, const float* pixels, float few,
                       float largest, float* sh) {
  each(view, [&](size_t i, const float* basis) {
    if (std::all_of(error + 3 * i, error + 3 * i + 3, [](float x) { return x == 0; })) return;
    float square = 0;
    for (size_t c = 0; c < view.coefficients; ++c) square += basis[c] * basis[c];
    float step[3];
    for (size_t a = 0; a < 3; ++a)
      step[a] = std::clamp(error[3 * i + a] / (pixels[i] + few), -largest, largest) / square;
    float* own = sh + 3 * view.coefficients * i;
    for (size_t c = 0; c < view.coefficients; ++c)
      for (size_t a = 0; a < 3; ++a) own[3 * c + a] += basis[c] * step[a];
  });
}

void harmonics_fit(size_t views, size_t n, size_t coefficients, const float* directions, const float* weights,
                   const float* colors, const float* ridge, float* sh) {
  const auto batches = static_cast<int64_t>((n + kBatch - 1) / kBatch);
  parallel_for(batches, [&](int64_t batch) {
    const size_t begin = static_cast<size_t>(batch) * kBatch, end = std::min(begin + kBatch, n);
    for (size_t i = begin; i < end; ++i) {
      double normal[kMostHarmonics][kMostHarmonics] = {}, target[kMostHarmonics][3] = {};
      for (size_t v = 0; v < views; ++v) {
        const size_t at = v * n + i;
        if (weights[at] == 0) continue;
        float basis[kMostHarmonics];
        basis_at(directions + 3 * at, coefficients, basis);
        for (size_t c = 0; c < coefficients; ++c) {
          const double scaled = static_cast<double>(weights[at]) * static_cast<double>(basis[c]);
          for (size_t k = 0; k <= c; ++k) normal[c][k] += scaled * static_cast<double>(basis[k]);
          for (size_t a = 0; a < 3; ++a)
            target[c][a] += scaled * (static_cast<double>(colors[3 * at + a]) - 0.5);
        }
      }
      for (size_t c = 0; c < coefficients; ++c) normal[c][c] += static_cast<double>(ridge[c]);
      solve(coefficients, normal, target);
      for (size_t c = 0; c < coefficients; ++c)
        for (size_t a = 0; a < 3; ++a) sh[3 * (coefficients * i + c) + a] = static_cast<float>(target[c][a]);
    }
  });
}

}  // namespace gspc
