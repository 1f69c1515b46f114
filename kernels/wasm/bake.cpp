// Baking: one plain Gaussian with harmonics for what a neural one shows to several cameras.
//
// Each camera counts for a Gaussian as much as the Gaussian counts in the camera's picture: how much of a
// coarse picture it covers, times the light that passes what lies before it. gspc's own baking
// (gspc/splats/baking.py) takes these shares from its rasterizer and mends colors afterwards; this one is for
// where neither rasterizer nor time is at hand.
#include <algorithm>
#include <cmath>
#include <new>
#include <numeric>
#include <vector>

#include "wasm/view.h"
#include "wasm/view_parts.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {
namespace {

constexpr int kMostTerms = 16;      // of harmonics of degree 3
constexpr float kNear = 0.01f;      // where gspc's rasterizer stops drawing
constexpr float kCell = 4;          // pixels along a side of the coarse picture's cells
constexpr int kWidest = 6;          // cells on each side of its middle that a Gaussian is laid over
constexpr float kUnseen = 1e-4f;    // gain of a camera that has the Gaussian in view, but covered
constexpr float kOpaque = 0.9999f;  // the rasterizer stops at 0.999
constexpr float kRidge[4] = {1e-6f, 2e-4f, 1e-3f, 4e-3f};  // by degree, against a sum of weights of one

// Values of the basis of degree 0 to 3 (gspc/splats/harmonics.py) along a unit direction.
void basis(const float* d, int degree, float* out) {
  const float x = d[0], y = d[1], z = d[2], xx = x * x, yy = y * y, zz = z * z;
  out[0] = 0.28209479f;
  if (degree < 1) return;
  out[1] = -0.48860251f * y;
  out[2] = 0.48860251f * z;
  out[3] = -0.48860251f * x;
  if (degree < 2) return;
  out[4] = 1.09254843f * x * y;
  out[5] = -1.09254843f * y * z;
  out[6] = 0.31539157f * (2 * zz - xx - yy);
  out[7] = -1.09254843f * x * z;
  out[8] = 0.54627422f * (xx - yy);
  if (degree < 3) return;
  out[9] = -0.59004359f * y * (3 * xx - yy);
  out[10] = 2.89061144f * x * y * z;
  out[11] = -0.45704580f * y * (4 * zz - xx - yy);
  out[12] = 0.37317633f * z * (2 * zz - 3 * xx - 3 * yy);
  out[13] = -0.45704580f * x * (4 * zz - xx - yy);
  out[14] = 1.44530572f * z * (xx - yy);
  out[15] = -0.59004359f * x * (xx - 3 * yy);
}

// A Gaussian in a camera's coarse picture, in cells.
struct Spot {
  float u, v, depth, deviation;
};

class CoarsePicture {
 public:
  explicit CoarsePicture(const pcgs_eye& camera)
      : camera_(camera),
        width_(static_cast<int>(std::ceil(camera.width / kCell))),
        height_(static_cast<int>(std::ceil(camera.height / kCell))),
        light_(static_cast<size_t>(width_) * height_, 1.0f) {}

  // Where a Gaussian lies; false where it is out of the picture.
  bool find(const float* mean, float deviation, Spot& spot) const {
    const float* const m = camera_.world_to_camera;
    float at[3];
    for (int r = 0; r < 3; ++r)
      at[r] = m[4 * r] * mean[0] + m[4 * r + 1] * mean[1] + m[4 * r + 2] * mean[2] + m[4 * r + 3];
    if (!(at[2] > kNear)) return false;
    spot.depth = at[2];
    spot.u = (camera_.focal_x * at[0] / at[2] + camera_.center_x) / kCell;
    spot.v = (camera_.focal_y * at[1] / at[2] + camera_.center_y) / kCell;
    const float pixels = deviation * camera_.focal_x / at[2];
    spot.deviation = std::sqrt(pixels * pixels + 0.3f) / kCell;  // as wide as the rasterizer blurs it
    return spot.u > -1 && spot.v > -1 && spot.u < width_ + 1 && spot.v < height_ + 1;
  }

  // How much the picture gains from a Gaussian by its opacity, which then dims what lies behind.
  float lay(const Spot& spot, float alpha) {
    // A cell blurs what is smaller than itself, so such a Gaussian covers a part of it.
    const float spread = spot.deviation * spot.deviation + 1.0f / 12;
    const float peak = spot.deviation * spot.deviation / spread;
    const int reach = std::min(kWidest, static_cast<int>(std::ceil(2 * std::sqrt(spread))));
    const int column = static_cast<int>(std::floor(spot.u)), row = static_cast<int>(std::floor(spot.v));
    float gain = 0;
    for (int y = std::max(row - reach, 0); y <= std::min(row + reach, height_ - 1); ++y)
      for (int x = std::max(column - reach, 0); x <= std::min(column + reach, width_ - 1); ++x) {
        const float dx = x + 0.5f - spot.u, dy = y + 0.5f - spot.v;
        const float cover = peak * std::exp(-0.5f * (dx * dx + dy * dy) / spread);
        float& light = light_[static_cast<size_t>(y) * width_ + x];
        gain += light * cover;
        light *= 1 - std::min(alpha * cover, 0.999f);
      }
    return gain;
  }

 private:
  const pcgs_eye& camera_;
  int width_, height_;
  std::vector<float> light_;  // that has not been stopped yet
};

// Sums over cameras for each Gaussian.
class Sums {
 public:
  Sums(size_t count, int degree)
      : degree_(degree),
        terms_((degree + 1) * (degree + 1)),
        each_(kFixed + terms_ * (terms_ + 7) / 2),
        values_(count * each_) {}

  void add(size_t g, const float* direction, float gain, const Seen& seen) {
    float* const at = &values_[g * each_];
    at[kGain] += gain;
    const float w = gain * seen.alpha;
    if (w <= 0) return;
    at[kWeight] += w;
    for (int a = 0; a < 3; ++a) at[kScale + a] += w * std::log(std::max(seen.scale[a], 1e-30f));
    float along = 0;
    for (int a = 0; a < 4; ++a) along += at[kQuat + a] * seen.quat[a];
    const float sign = along < 0 ? -w : w;  // q and -q are the same rotation
    for (int a = 0; a < 4; ++a) at[kQuat + a] += sign * seen.quat[a];
    float y[kMostTerms];
    basis(direction, degree_, y);
    float* matrix = at + kFixed;
    for (int i = 0; i < terms_; ++i)
      for (int j = 0; j <= i; ++j) *matrix++ += w * y[i] * y[j];
    for (int i = 0; i < terms_; ++i)
      for (int c = 0; c < 3; ++c) *matrix++ += w * y[i] * (seen.rgb[c] - 0.5f);
  }

  // Scale, quaternion and opacity of a Gaussian, and its harmonics; opacity 0 where no camera saw it.
  void solve(size_t g, float* plain, float* harmonics) const {
    const float* const at = &values_[g * each_];
    const float weight = at[kWeight];
    if (!(weight > 0)) return;
    float norm = 0;
    for (int a = 0; a < 4; ++a) norm += at[kQuat + a] * at[kQuat + a];
    for (int a = 0; a < 3; ++a) plain[a] = std::exp(at[kScale + a] / weight);
    for (int a = 0; a < 4; ++a) plain[3 + a] = at[kQuat + a] / std::sqrt(std::max(norm, 1e-30f));
    plain[7] = std::min(weight / at[kGain], kOpaque);
    fit(at + kFixed, weight, harmonics);
  }

 private:
  enum { kGain, kWeight, kScale, kQuat = kScale + 3, kFixed = kQuat + 4 };

  // Least squares with a ridge, by Cholesky's decomposition of the normal equations.
  void fit(const float* matrix, float weight, float* out) const {
    float lower[kMostTerms][kMostTerms];
    const float* const right = matrix + terms_ * (terms_ + 1) / 2;
    for (int i = 0; i < terms_; ++i) {
      const int l = i == 0 ? 0 : i < 4 ? 1 : i < 9 ? 2 : 3;
      for (int j = 0; j <= i; ++j) {
        float sum = *matrix++ / weight + (i == j ? kRidge[l] : 0);
        for (int k = 0; k < j; ++k) sum -= lower[i][k] * lower[j][k];
        lower[i][j] = i == j ? std::sqrt(std::max(sum, 1e-9f)) : sum / lower[j][j];
      }
    }
    for (int c = 0; c < 3; ++c) {
      for (int i = 0; i < terms_; ++i) {
        float sum = right[3 * i + c] / weight;
        for (int k = 0; k < i; ++k) sum -= lower[i][k] * out[3 * k + c];
        out[3 * i + c] = sum / lower[i][i];
      }
      for (int i = terms_ - 1; i >= 0; --i) {
        float sum = out[3 * i + c];
        for (int k = i + 1; k < terms_; ++k) sum -= lower[k][i] * out[3 * k + c];
        out[3 * i + c] = sum / lower[i][i];
      }
    }
  }

  int degree_, terms_, each_;
  std::vector<float> values_;
};

void center_of(const float* m, float* center) {
  for (int a = 0; a < 3; ++a) center[a] = -(m[a] * m[3] + m[4 + a] * m[7] + m[8 + a] * m[11]);
}

float mean_scale(const Seen& seen) { return std::cbrt(seen.scale[0] * seen.scale[1] * seen.scale[2]); }

void add_camera(const pcgs_view& view, const pcgs_eye& camera, std::vector<Seen>& shown, Sums& sums) {
  float eye[3];
  center_of(camera.world_to_camera, eye);
  view.look(eye, [&](int g, const Seen* seen) {
    if (seen) shown[g] = *seen;
    else shown[g].alpha = 0;  // keeps the size that another camera saw
  });
  CoarsePicture picture(camera);
  std::vector<Spot> spots(shown.size());
  std::vector<int> order;
  for (size_t g = 0; g < shown.size(); ++g)
    if (picture.find(&view.means[3 * g], mean_scale(shown[g]), spots[g]))
      order.push_back(static_cast<int>(g));
  std::sort(order.begin(), order.end(), [&](int a, int b) { return spots[a].depth < spots[b].depth; });
  for (const int g : order) {
    float direction[3], squares = 0;
    for (int a = 0; a < 3; ++a) {
      direction[a] = view.means[3 * static_cast<size_t>(g) + a] - eye[a];
      squares += direction[a] * direction[a];
    }
    for (float& part : direction) part /= std::sqrt(std::max(squares, 1e-24f));
    const float gain = picture.lay(spots[g], shown[g].alpha) + kUnseen;
    sums.add(static_cast<size_t>(g), direction, gain, shown[g]);
  }
}

void bake(pcgs_view& view, const pcgs_eye* cameras, int count, int degree) {
  const size_t gaussians = view.which.size();
  const size_t terms = static_cast<size_t>(degree + 1) * (degree + 1);
  Sums sums(gaussians, degree);
  std::vector<Seen> shown(gaussians, Seen{});
  for (int i = 0; i < count; ++i) add_camera(view, cameras[i], shown, sums);
  view.plain.assign(gaussians * 8, 0.0f);
  view.harmonics.assign(gaussians * terms * 3, 0.0f);
  for (size_t g = 0; g < gaussians; ++g) sums.solve(g, &view.plain[g * 8], &view.harmonics[g * terms * 3]);
}

}  // namespace
}  // namespace gspc::GSPC_ISA_NAMESPACE

extern "C" {

int32_t pcgs_view_bake(pcgs_view* view, const pcgs_eye* cameras, int32_t count, int32_t degree) {
  if (view == nullptr || count < 1 || degree < 0 || degree > 3) return 0;
  try {
    gspc::GSPC_ISA_NAMESPACE::bake(*view, cameras, count, degree);
    return 1;
  } catch (const std::bad_alloc&) {
    return 0;
  }
}

const float* pcgs_view_plain(const pcgs_view* view) { return view ? view->plain.data() : nullptr; }
const float* pcgs_view_harmonics(const pcgs_view* view) { return view ? view->harmonics.data() : nullptr; }

}  // extern "C"
