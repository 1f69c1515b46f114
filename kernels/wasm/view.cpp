// Views: the heads of a scene, and what an eye sees as textures hold it.
#include "wasm/view.h"

#include <cstring>
#include <memory>
#include <new>

#include "wasm/view_parts.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {
namespace {

// Half float of a float, rounded to nearest even; what is too small becomes 0 or subnormal, too large
// infinite.
uint16_t half(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  const uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  if (magnitude >= 0x47800000u) return static_cast<uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x38800000u) {  // the addition shifts and rounds the mantissa of subnormal numbers
    float small;
    std::memcpy(&small, &magnitude, 4);
    small += 0.5f;
    std::memcpy(&bits, &small, 4);
    return static_cast<uint16_t>(sign | (bits - 0x3f000000u));
  }
  const uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
  return static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
}

void fill_textures(pcgs_view& view, const float* eye) {
  view.look(eye, [&](int g, const Seen* seen) {
    uint16_t* const shape = &view.shapes[static_cast<size_t>(g) * 8];
    uint16_t* const color = &view.colors[static_cast<size_t>(g) * 4];
    if (seen == nullptr) {
      std::memset(color, 0, 8);
      return;
    }
    for (int a = 0; a < 3; ++a) shape[a] = half(seen->scale[a]);
    for (int a = 0; a < 4; ++a) shape[3 + a] = half(seen->quat[a]);
    for (int a = 0; a < 3; ++a) color[a] = half(seen->rgb[a]);
    color[3] = half(seen->alpha);
  });
}

}  // namespace
}  // namespace gspc::GSPC_ISA_NAMESPACE

extern "C" {

pcgs_view* pcgs_view_make(const pcgs_view_sizes* sizes, const float* anchors, const float* features,
                          const float* log_scales, const float* offsets, const uint8_t* levels,
                          const float* weights, float distance_scale) {
  try {
    auto view = std::make_unique<pcgs_view>();
    view->anchors = sizes->anchors;
    view->features = sizes->features;
    view->offsets = sizes->offsets;
    view->hidden = sizes->hidden;
    view->distance_scale = distance_scale;
    const size_t n = static_cast<size_t>(sizes->anchors), f = static_cast<size_t>(sizes->features);
    view->positions.assign(anchors, anchors + n * 3);
    fill_layers(*view, weights);
    place(*view, log_scales, offsets, levels);
    view->shapes.assign(view->which.size() * 8, 0);
    view->colors.assign(view->which.size() * 4, 0);
    const size_t width = static_cast<size_t>(view->first.width);
    if (n * width * sizeof(float) > gspc::GSPC_ISA_NAMESPACE::kMostKept) {
      view->own.assign(features, features + n * f);
      return view.release();
    }
    view->kept.resize(n * width);
    for (size_t i = 0; i < n; ++i) view->prepare(features + i * f, &view->kept[i * width]);
    return view.release();
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void pcgs_view_free(pcgs_view* view) { delete view; }

int32_t pcgs_view_count(const pcgs_view* view) { return view ? static_cast<int32_t>(view->which.size()) : 0; }
const float* pcgs_view_means(const pcgs_view* view) { return view ? view->means.data() : nullptr; }

int32_t pcgs_view_look(pcgs_view* view, float x, float y, float z) {
  if (view == nullptr) return 0;
  const float eye[3] = {x, y, z};
  gspc::GSPC_ISA_NAMESPACE::fill_textures(*view, eye);
  return 1;
}

const uint16_t* pcgs_view_shapes(const pcgs_view* view) { return view ? view->shapes.data() : nullptr; }
const uint16_t* pcgs_view_colors(const pcgs_view* view) { return view ? view->colors.data() : nullptr; }

}  // extern "C"
