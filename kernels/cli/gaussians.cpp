#include "cli/gaussians.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "heads/heads.hpp"

namespace gspc::cli {
namespace {

HeadsWeights weights_of(const pcgs_scene* scene) {
  const pcgs_layer hidden = pcgs_head(scene, PCGS_HIDDEN), opacity = pcgs_head(scene, PCGS_OPACITY);
  const pcgs_layer color = pcgs_head(scene, PCGS_COLOR), cov = pcgs_head(scene, PCGS_COV);
  return {hidden.weight, hidden.bias,  opacity.weight,
          opacity.bias,  color.weight, color.bias,
          cov.weight,    cov.bias,     pcgs_distance_scale(scene)};
}

// Where a camera [R | t] stands: -R^T t.
void camera_center(const pcgs_camera& camera, float center[3]) {
  const double* m = camera.world_to_camera;
  for (int axis = 0; axis < 3; ++axis)
    center[axis] = static_cast<float>(-(m[axis] * m[3] + m[4 + axis] * m[7] + m[8 + axis] * m[11]));
}

std::string without_suffix(const std::string& name) {
  const size_t dot = name.rfind('.');
  return dot == std::string::npos || dot == 0 ? name : name.substr(0, dot);
}

// Positions of a scene are exact enough in float32 up to this many of its units from the origin.
constexpr double kFarInFloat32 = 1024;

using Quat = std::array<double, 4>;  // wxyz

// The unit quaternion of a rotation matrix, from its largest component so that nothing is divided by a small
// number.
Quat quat_of(const double m[9]) {
  const double squares[4] = {1 + m[0] + m[4] + m[8], 1 + m[0] - m[4] - m[8], 1 - m[0] + m[4] - m[8],
                             1 - m[0] - m[4] + m[8]};  // 4 w^2, 4 x^2, 4 y^2, 4 z^2
  const int largest = static_cast<int>(std::max_element(squares, squares + 4) - squares);
  const double wx = m[7] - m[5], wy = m[2] - m[6], wz = m[3] - m[1];  // 4 times the products
  const double xy = m[1] + m[3], xz = m[2] + m[6], yz = m[5] + m[7];
  const double products[4][4] = {
      {squares[0], wx, wy, wz}, {wx, squares[1], xy, xz}, {wy, xy, squares[2], yz}, {wz, xz, yz, squares[3]}};
  const double scale = 0.5 / std::sqrt(squares[largest]);
  Quat q;
  for (int i = 0; i < 4; ++i) q[i] = products[largest][i] * scale;
  return q;
}

Quat product(const Quat& a, const Quat& b) {
  return {a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
          a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
          a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
          a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0]};
}

// From the scene's own coordinates to the user's.
void to_user(const pcgs_scene* scene, PlainGaussians& g) {
  double frame[13];
  pcgs_frame(scene, frame);
  const double scale = frame[0], *rotation = frame + 1;
  double* shift = frame + 10;
  // Formats of splats hold float32 or less, in which the coordinates of maps would come out in steps of half
  // a meter.
  const double farthest = std::max({std::abs(shift[0]), std::abs(shift[1]), std::abs(shift[2])});
  if (farthest > kFarInFloat32 * scale)
    for (int a = 0; a < 3; ++a) g.moved[a] = std::nearbyint(shift[a]);
  for (int a = 0; a < 3; ++a) shift[a] -= g.moved[a];
  const Quat turn = quat_of(rotation);
  for (size_t i = 0; i < g.count; ++i) {
    float *mean = &g.means[3 * i], *quat = &g.quats[4 * i];
    const double own[3] = {mean[0], mean[1], mean[2]};
    for (int a = 0; a < 3; ++a) {
      const double* row = rotation + 3 * a;
      mean[a] = static_cast<float>(scale * (row[0] * own[0] + row[1] * own[1] + row[2] * own[2]) + shift[a]);
      g.scales[3 * i + a] = static_cast<float>(scale * g.scales[3 * i + a]);
    }
    const Quat turned = product(turn, {quat[0], quat[1], quat[2], quat[3]});
    std::transform(turned.begin(), turned.end(), quat, [](double part) { return static_cast<float>(part); });
  }
}

}  // namespace

size_t find_camera(const pcgs_scene* scene, const std::string& view) {
  const size_t count = pcgs_camera_count(scene);
  if (count == 0)
    throw Failure(kInput, "the scene suggests no cameras, so there is no place to see its Gaussians from");
  for (size_t i = 0; i < count; ++i)
    if (view == pcgs_camera_at(scene, i).name) return i;
  for (size_t i = 0; i < count; ++i)
    if (view == without_suffix(pcgs_camera_at(scene, i).name)) return i;
  char* end = nullptr;
  const unsigned long number = std::strtoul(view.c_str(), &end, 10);
  const bool digits = !view.empty() && view.find_first_not_of("0123456789") == std::string::npos;
  if (digits && *end == 0 && number < count) return number;
  throw Failure(kUsage, "--view '" + view + "' is not there; the views are 0 to " +
                            std::to_string(count - 1) + " or names like '" + pcgs_camera_at(scene, 0).name +
                            "'");
}

PlainGaussians gaussians_for(const pcgs_scene* scene, const pcgs_camera& camera) {
  const size_t n = pcgs_anchor_count(scene), k = static_cast<size_t>(pcgs_offset_count(scene));
  const HeadsWeights weights = weights_of(scene);
  const HeadsShape shape{pcgs_feature_count(scene), static_cast<int>(k),
                         pcgs_head(scene, PCGS_OPACITY).inputs, 0, 6};
  std::vector<float> mask(n * k), alpha(n * k);
  std::transform(pcgs_gaussian_levels(scene), pcgs_gaussian_levels(scene) + n * k, mask.begin(),
                 [](uint8_t level) { return level != 0 ? 1.0f : 0.0f; });
  std::vector<int32_t> starts(n + 1), active(n);
  HeadsInput input{n,
                   nullptr,
                   pcgs_features(scene),
                   pcgs_log_scales(scene),
                   pcgs_offsets(scene),
                   mask.data(),
                   pcgs_anchors(scene),
                   {}};
  camera_center(camera, input.center);
  HeadsSelection selection{alpha.data(), starts.data(), active.data(), 0};
  PlainGaussians g;
  g.count = heads_select(shape, weights, input, nullptr, selection);
  g.means.resize(3 * g.count);
  g.quats.resize(4 * g.count);
  g.scales.resize(3 * g.count);
  g.opacities.resize(g.count);
  g.colors.resize(3 * g.count);
  std::vector<int64_t> index(g.count);
  std::vector<float> gates(3 * g.count), inverse_norms(g.count);
  heads_forward(shape, weights, input, selection,
                {index.data(), g.means.data(), g.quats.data(), g.scales.data(), g.opacities.data(),
                 g.colors.data(), gates.data(), inverse_norms.data()});
  for (size_t i = 0; i < g.count; ++i) {  // heads can give no rotation at all, which other tools do not read
    float* quat = &g.quats[4 * i];
    if (std::all_of(quat, quat + 4, [](float part) { return part == 0; })) quat[0] = 1;
  }
  to_user(scene, g);
  return g;
}

}  // namespace gspc::cli
