#include "codec/format/usable.hpp"

#include <cmath>
#include <cstdint>

#include "codec/format/limits.hpp"

namespace gspc {

namespace {

// False for NaN, too.
bool within(double value, double low, double high) { return value >= low && value <= high; }

uint8_t byte_at(const std::string& text, size_t i) { return static_cast<uint8_t>(text[i]); }

// Bytes of the UTF-8 sequence at `at` (RFC 3629: shortest form, no surrogates, up to U+10FFFF); 0: there is
// none.
size_t utf8_length(const std::string& text, size_t at) {
  const uint32_t first = byte_at(text, at);
  if (first < 0x80) return 1;
  const size_t length = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
  if (length == 0 || text.size() - at < length) return 0;
  uint32_t code = first & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) {
    const uint32_t byte = byte_at(text, at + i);
    if ((byte & 0xC0) != 0x80) return 0;
    code = code << 6 | (byte & 0x3F);
  }
  const bool shortest = length < 3 || code >= (length == 3 ? 0x800u : 0x10000u);
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  return shortest && !surrogate && code <= 0x10FFFF ? length : 0;
}

// U+0000 to U+001F and U+007F to U+009F, which steer terminals.
bool control_character(const std::string& text, size_t at) {
  const uint32_t first = byte_at(text, at);
  return first < 0x20 || first == 0x7F || (first == 0xC2 && byte_at(text, at + 1) < 0xA0);
}

const char* name_error(const std::string& name) {
  if (name.size() > kMaxNameBytes) return "its name is longer than 1024 bytes";
  bool control = false;
  for (size_t at = 0, length = 0; at < name.size(); at += length) {
    length = utf8_length(name, at);
    if (length == 0) return "its name is not UTF-8 text";
    control = control || control_character(name, at);
  }
  return control ? "its name has control characters" : nullptr;
}

// Rows orthonormal and right-handed. Sums in this order and without fused products, as in Python: both sides
// must agree to the last bit.
bool rotation(const double* pose) {
  for (int i = 0; i < 3; ++i)
    for (int j = i; j < 3; ++j) {
      const double *a = pose + 4 * i, *b = pose + 4 * j;
      const double product = a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
      if (!(std::fabs(product - (i == j)) <= kMaxRotationError)) return false;
    }
  const double *a = pose, *b = pose + 4, *c = pose + 8;
  return a[0] * (b[1] * c[2] - b[2] * c[1]) + a[1] * (b[2] * c[0] - b[0] * c[2]) +
             a[2] * (b[0] * c[1] - b[1] * c[0]) >
         0;
}

bool bounded(const std::vector<float>& values) {
  for (float v : values)
    if (!within(v, -kMaxHeadFloat, kMaxHeadFloat)) return false;
  return true;
}

}  // namespace

const char* camera_error(const StoredCamera& camera) {
  if (const char* error = name_error(camera.name)) return error;
  for (uint32_t side : {camera.width, camera.height})
    if (side < 1 || side > kMaxSide) return "its width and height must be 1 to 65535 pixels";
  for (double focal : {camera.focal_x, camera.focal_y})
    if (!within(focal, kMinFocal, kMaxFocal)) return "its focal lengths must be 2^-10 to 2^30 pixels";
  for (double center : {camera.center_x, camera.center_y})
    if (!within(center, -kMaxCenter, kMaxCenter)) return "its principal point must be within 2^24 pixels";
  if (!rotation(camera.world_to_camera)) return "its pose has no rotation";
  for (int row = 0; row < 3; ++row)
    if (!within(camera.world_to_camera[4 * row + 3], -kMaxTranslation, kMaxTranslation))
      return "its pose moves by more than 2^33";
  return nullptr;
}

const char* heads_error(const StoredHeads& heads) {
  for (const HeadLayer* layer : {&heads.hidden, &heads.opacity, &heads.color, &heads.cov, &heads.shape_hidden,
                                 &heads.shape_out, &heads.appearance_hidden, &heads.appearance_out})
    if (!bounded(layer->scale) || !bounded(layer->bias)) return "scales and biases must be within 2^20";
  return bounded({heads.distance_scale}) ? nullptr : "the distance scale must be within 2^20";
}

const char* placement_error(const double step_base[3], const double origin[3], double voxel_size,
                            const float background[3]) {
  for (int i = 0; i < 3; ++i)
    if (!(step_base[i] > 0 && step_base[i] <= kMaxStep))
      return "quantization steps must be positive and at most 2^20";
  for (int i = 0; i < 3; ++i)
    if (!within(origin[i], -kMaxOrigin, kMaxOrigin)) return "the origin must be within 2^32";
  if (!(voxel_size > 0 && voxel_size <= kMaxVoxel)) return "voxel size must be positive and at most 2^11";
  for (int i = 0; i < 3; ++i)
    if (!within(background[i], 0, 1)) return "the background must be a color, 0 to 1";
  return nullptr;
}

}  // namespace gspc
