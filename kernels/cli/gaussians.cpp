#include "cli/gaussians.hpp"

#include <algorithm>
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
  return g;
}

}  // namespace gspc::cli
