// Reads everything that a decoded scene offers, so that sanitizers see all of it.
#pragma once

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "codec/api/pcgs.h"

namespace gspc::fuzz {

inline void finite(const float* values, size_t count) {
  for (size_t i = 0; i < count; ++i)
    if (!std::isfinite(values[i])) std::abort();
}

inline void use(const pcgs_scene* scene) {
  const size_t n = pcgs_anchor_count(scene), k = static_cast<size_t>(pcgs_offset_count(scene));
  finite(pcgs_anchors(scene), 3 * n);
  finite(pcgs_features(scene), n * static_cast<size_t>(pcgs_feature_count(scene)));
  finite(pcgs_log_scales(scene), 6 * n);
  finite(pcgs_offsets(scene), 3 * n * k);
  for (size_t i = 0; i < n * k; ++i)
    if (pcgs_gaussian_levels(scene)[i] > pcgs_level(scene)) std::abort();
  for (int which = PCGS_HIDDEN; which <= PCGS_COV; ++which) {
    const pcgs_layer layer = pcgs_head(scene, which);
    finite(layer.weight, static_cast<size_t>(layer.inputs) * static_cast<size_t>(layer.outputs));
    finite(layer.bias, static_cast<size_t>(layer.outputs));
  }
  for (size_t i = 0; i < pcgs_camera_count(scene); ++i) {
    const pcgs_camera camera = pcgs_camera_at(scene, i);
    if (std::strlen(camera.name) > 1024 || !(camera.focal_x > 0) || camera.width == 0) std::abort();
  }
  if (std::strlen(pcgs_metadata(scene)) > (1u << 20)) std::abort();
}

}  // namespace gspc::fuzz
