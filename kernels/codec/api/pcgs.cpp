#include "codec/api/pcgs.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <utility>

#include "codec/api/scene.hpp"

namespace gspc {

pcgs_scene* scene_of(DecodedStream stream) {
  auto scene = std::make_unique<pcgs_scene>();
  scene->stream = std::move(stream);
  scene->heads = dequantize(scene->stream.heads);
  return scene.release();
}

DecodeOptions decode_options(const pcgs_options* options) {
  DecodeOptions decode;
  if (options == nullptr) return decode;
  if (options->upto < 0) stream_fail("levels count from 1");
  decode.upto = options->upto;
  decode.threads = options->threads;
  if (options->max_memory != 0) decode.max_memory = options->max_memory;
  return decode;
}

}  // namespace gspc

namespace {

const gspc::FloatLayer& head_of(const pcgs_scene& scene, int which) {
  switch (which) {
    case PCGS_OPACITY: return scene.heads.opacity;
    case PCGS_COLOR: return scene.heads.color;
    case PCGS_COV: return scene.heads.cov;
    default: return scene.heads.hidden;
  }
}

void report(char* error, size_t size, const char* text) {
  if (error == nullptr || size == 0) return;
  const size_t n = std::min(std::strlen(text), size - 1);
  std::memcpy(error, text, n);
  error[n] = 0;
}

// What `work` gives, or `failed` with a line in `error`.
template <class Result, class Work>
Result guarded(Result failed, char* error, size_t error_size, Work work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    report(error, error_size, "out of memory");
  } catch (const std::exception& e) {
    report(error, error_size, e.what());
  }
  return failed;
}

}  // namespace

extern "C" {

pcgs_scene* pcgs_decode(const void* data, size_t size, const pcgs_options* options, char* error,
                        size_t error_size) {
  pcgs_scene* const none = nullptr;
  return guarded(none, error, error_size, [&] {
    if (data == nullptr && size > 0) gspc::stream_fail("no data");
    const gspc::DecodeOptions decode = gspc::decode_options(options);
    return gspc::scene_of(gspc::decode_stream(static_cast<const uint8_t*>(data), size, decode));
  });
}

int32_t pcgs_estimate(const void* data, size_t size, const pcgs_options* options, pcgs_cost* cost,
                      char* error, size_t error_size) {
  return guarded(0, error, error_size, [&] {
    if (data == nullptr && size > 0) gspc::stream_fail("no data");
    const gspc::DecodeOptions decode = gspc::decode_options(options);
    const gspc::DecodeCost found = gspc::decode_cost(static_cast<const uint8_t*>(data), size, decode);
    if (cost != nullptr) *cost = {found.memory, found.work};
    return 1;
  });
}

void pcgs_free(pcgs_scene* scene) { delete scene; }

int32_t pcgs_level(const pcgs_scene* s) { return s ? s->stream.level : 0; }
int32_t pcgs_levels_in_file(const pcgs_scene* s) { return s ? s->stream.levels_in_file : 0; }
int32_t pcgs_truncated(const pcgs_scene* s) { return s && s->stream.truncated ? 1 : 0; }
uint64_t pcgs_symbol_hash(const pcgs_scene* s) { return s ? s->stream.hash : 0; }

size_t pcgs_anchor_count(const pcgs_scene* s) { return s ? s->stream.count : 0; }
int32_t pcgs_feature_count(const pcgs_scene* s) { return s ? s->stream.header.restored_features() : 0; }
int32_t pcgs_residual_count(const pcgs_scene* s) {
  return s && s->stream.header.pool.features > 0 ? s->stream.header.features() : 0;
}
int32_t pcgs_offset_count(const pcgs_scene* s) { return s ? s->stream.header.offsets() : 0; }
const float* pcgs_anchors(const pcgs_scene* s) { return s ? s->stream.anchors.data.get() : nullptr; }
const float* pcgs_features(const pcgs_scene* s) { return s ? s->stream.features.data.get() : nullptr; }
const float* pcgs_log_scales(const pcgs_scene* s) { return s ? s->stream.log_scales.data.get() : nullptr; }
const float* pcgs_offsets(const pcgs_scene* s) { return s ? s->stream.offsets.data.get() : nullptr; }
const uint8_t* pcgs_gaussian_levels(const pcgs_scene* s) {
  return s ? s->stream.gaussian_level.data.get() : nullptr;
}

pcgs_layer pcgs_head(const pcgs_scene* s, int32_t which) {
  if (s == nullptr || which < 0 || which > 3) return {0, 0, nullptr, nullptr};
  const gspc::FloatLayer& layer = head_of(*s, which);
  return {layer.in, layer.out, layer.weight.data(), layer.bias.data()};
}
float pcgs_distance_scale(const pcgs_scene* s) { return s ? s->stream.heads.distance_scale : 0; }
void pcgs_background(const pcgs_scene* s, float rgb[3]) {
  if (rgb == nullptr) return;
  for (int i = 0; i < 3; ++i) rgb[i] = s ? s->stream.header.background[i] : 0;
}

void pcgs_frame(const pcgs_scene* s, double frame[13]) {
  if (frame == nullptr) return;
  const gspc::StoredFrame stored = s ? s->stream.frame : gspc::StoredFrame{};
  frame[0] = stored.scale;
  stored.matrix(frame + 1);
  std::copy(stored.translation, stored.translation + 3, frame + 10);
}

size_t pcgs_camera_count(const pcgs_scene* s) { return s ? s->stream.cameras.size() : 0; }
pcgs_camera pcgs_camera_at(const pcgs_scene* s, size_t index) {
  pcgs_camera out{};
  out.name = "";
  if (s == nullptr || index >= s->stream.cameras.size()) return out;
  const gspc::StoredCamera& c = s->stream.cameras[index];
  out.name = c.name.c_str();
  out.width = c.width;
  out.height = c.height;
  out.focal_x = c.focal_x;
  out.focal_y = c.focal_y;
  out.center_x = c.center_x;
  out.center_y = c.center_y;
  std::memcpy(out.world_to_camera, c.world_to_camera, sizeof out.world_to_camera);
  return out;
}
const char* pcgs_metadata(const pcgs_scene* s) { return s ? s->stream.metadata.c_str() : ""; }

}  // extern "C"
