// What other tools read. Columns, units and fixed-point numbers as in gspc/splats/ply.py and spz.py, which
// the tests read these files with.
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <new>
#include <utility>

#include "cli/gaussians.hpp"
#include "codec/format/bytes.hpp"

namespace gspc::cli {
namespace {

constexpr float kDegreeZero = 0.28209479177387814f;  // the first harmonic: color = 0.5 + this * f_dc
constexpr float kAlmostOpaque = 0.9999f;             // its logit is finite
constexpr float kThinnest = 1e-30f;
constexpr int kFractionBits = 12, kPositionBits = 23;
constexpr float kSpzColor = 0.15f;

float logit(float opacity) {
  const float p = std::min(opacity, kAlmostOpaque);
  return std::log(p) - std::log1p(-p);
}

float harmonic(float color) { return (color - 0.5f) / kDegreeZero; }

float log_scale(float scale) { return std::log(std::max(scale, kThinnest)); }

uint8_t as_byte(float value) { return static_cast<uint8_t>(std::clamp(std::nearbyint(value), 0.0f, 255.0f)); }

// Fractional bits of positions, as fine as an eighth of the median scale and as wide as the scene.
int fraction_bits(const PlainGaussians& g) {
  float reach = 1e-30f;
  for (const float x : g.means) reach = std::max(reach, std::abs(x));
  std::vector<float> scales(g.scales);
  std::nth_element(scales.begin(), scales.begin() + scales.size() / 2, scales.end());
  const int whole = std::max(static_cast<int>(std::ceil(std::log2(reach) + 1e-6)), -1);
  const int worth = static_cast<int>(std::ceil(3 - std::log2(std::max(scales[scales.size() / 2], 1e-9f))));
  const int bits = std::min({std::max(kFractionBits, worth), kPositionBits - whole, kPositionBits});
  if (bits < 0) throw Failure(kInput, "the scene is too wide for SPZ, whose positions end at 2^23");
  return bits;
}

// A unit quaternion in 32 bits: which component of xyzw is the largest, and the other three with a sign and 9
// bits of magnitude over sqrt(1/2) each.
uint32_t smallest_three(const float xyzw[4]) {
  int largest = 0;
  for (int i = 1; i < 4; ++i)
    if (std::abs(xyzw[i]) > std::abs(xyzw[largest])) largest = i;
  uint32_t word = static_cast<uint32_t>(largest);
  for (int i = 0; i < 4; ++i) {
    if (i == largest) continue;
    const float value = xyzw[largest] < 0 ? -xyzw[i] : xyzw[i];
    const auto magnitude = static_cast<uint32_t>(std::nearbyint(std::abs(value) * (511 / std::sqrt(0.5f))));
    word = word << 10 | (value < 0 ? 512u : 0u) | std::min(magnitude, 511u);
  }
  return word;
}

Bytes gzip(const Bytes& plain) {
  z_stream stream{};
  constexpr int kGzip = 15 + 16;
  if (deflateInit2(&stream, 6, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::bad_alloc();
  Bytes packed(deflateBound(&stream, plain.size()));
  stream.next_in = const_cast<uint8_t*>(plain.data());
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = packed.data();
  stream.avail_out = static_cast<uInt>(packed.size());
  const int state = deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  if (state != Z_STREAM_END) throw std::bad_alloc();
  return packed;
}

}  // namespace

Bytes write_ply(const PlainGaussians& g) {
  std::string head = "ply\nformat binary_little_endian 1.0\nelement vertex " + std::to_string(g.count) + "\n";
  for (const char* name : {"x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity",
                           "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"})
    head += std::string("property float ") + name + "\n";
  head += "end_header\n";
  ByteWriter out;
  out.bytes.assign(head.begin(), head.end());
  out.bytes.reserve(head.size() + 68 * g.count);
  for (size_t i = 0; i < g.count; ++i) {
    for (int a = 0; a < 3; ++a) out.f32(g.means[3 * i + a]);
    for (int a = 0; a < 3; ++a) out.f32(0);  // normals, which nobody reads
    for (int a = 0; a < 3; ++a) out.f32(harmonic(g.colors[3 * i + a]));
    out.f32(logit(g.opacities[i]));
    for (int a = 0; a < 3; ++a) out.f32(log_scale(g.scales[3 * i + a]));
    for (int a = 0; a < 4; ++a) out.f32(g.quats[4 * i + a]);
  }
  return std::move(out.bytes);
}

Bytes write_spz(const PlainGaussians& g) {
  constexpr int kVersion = 3, kDegree = 0, kFlags = 0, kReserved = 0;
  const int fraction = fraction_bits(g);
  ByteWriter out;
  out.bytes = {'N', 'G', 'S', 'P'};
  out.u32(kVersion);
  out.u32(static_cast<uint32_t>(g.count));
  for (const int value : {kDegree, fraction, kFlags, kReserved}) out.u8(static_cast<uint32_t>(value));
  for (size_t i = 0; i < 3 * g.count; ++i) {
    const double mirrored = i % 3 == 0 ? g.means[i] : -static_cast<double>(g.means[i]);
    const auto fixed =
        static_cast<uint32_t>(static_cast<int32_t>(std::nearbyint(std::ldexp(mirrored, fraction))));
    out.u16(fixed & 0xFFFF);
    out.u8(fixed >> 16 & 0xFF);
  }
  // 255 of 255 is an infinite logit to many readers.
  for (const float opacity : g.opacities) out.u8(std::min<uint8_t>(as_byte(opacity * 255), 254));
  for (const float color : g.colors) out.u8(as_byte((harmonic(color) * kSpzColor + 0.5f) * 255));
  for (const float scale : g.scales) out.u8(as_byte((log_scale(scale) + 10) * 16));
  for (size_t i = 0; i < g.count; ++i) {
    const float* wxyz = &g.quats[4 * i];
    const float xyzw[4] = {wxyz[1], -wxyz[2], -wxyz[3], wxyz[0]};
    out.u32(smallest_three(xyzw));
  }
  return gzip(out.bytes);
}

}  // namespace gspc::cli
