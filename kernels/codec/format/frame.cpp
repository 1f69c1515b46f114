#include "codec/format/frame.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "codec/format/bytes.hpp"
#include "codec/format/limits.hpp"

namespace gspc {

bool StoredFrame::identity() const {
  return scale == 1 && rotation[0] == 1 && translation[0] == 0 && translation[1] == 0 && translation[2] == 0;
}

void StoredFrame::matrix(double rows[9]) const {
  const double w = rotation[0], x = rotation[1], y = rotation[2], z = rotation[3];
  const double m[9] = {1 - 2 * (y * y + z * z), 2 * (x * y - w * z),     2 * (x * z + w * y),
                       2 * (x * y + w * z),     1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
                       2 * (x * z - w * y),     2 * (y * z + w * x),     1 - 2 * (x * x + y * y)};
  std::copy(m, m + 9, rows);
}

const char* frame_error(const StoredFrame& f) {
  if (!(f.scale >= kMinFrameScale && f.scale <= kMaxFrameScale)) return "its scale must be 2^-64 to 2^32";
  double squares = 0;
  for (double q : f.rotation) squares += q * q;
  if (!(std::fabs(squares - 1) < 1e-6)) return "its rotation is no unit quaternion";
  for (double t : f.translation)
    if (!(std::fabs(t) <= kMaxOrigin)) return "its translation must be within 2^32";
  return nullptr;
}

std::vector<uint8_t> write_frame(const StoredFrame& f) {
  if (const char* error = frame_error(f)) stream_fail(std::string("frame: ") + error);
  ByteWriter out;
  out.f64(f.scale);
  for (double q : f.rotation) out.f64(q);
  for (double t : f.translation) out.f64(t);
  return out.bytes;
}

StoredFrame read_frame(const uint8_t* data, size_t size) {
  ByteReader in(data, size, "chunk fram");
  StoredFrame f;
  f.scale = in.f64();
  for (double& q : f.rotation) q = in.f64();
  for (double& t : f.translation) t = in.f64();
  in.finish();
  if (const char* error = frame_error(f)) stream_fail(std::string("chunk fram: ") + error);
  return f;
}

}  // namespace gspc
