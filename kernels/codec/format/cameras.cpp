// The cams chunk: suggested cameras.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "codec/format/limits.hpp"
#include "codec/format/parameters.hpp"
#include "codec/format/stored_numbers.hpp"
#include "codec/format/usable.hpp"

namespace gspc {

namespace {

template <class Coder>
void code_double(Coder& coder, double& value) {
  uint64_t bits;
  std::memcpy(&bits, &value, 8);
  const uint32_t high = coder.raw(static_cast<uint32_t>(bits >> 32), 32);
  const uint32_t low = coder.raw(static_cast<uint32_t>(bits), 32);
  bits = static_cast<uint64_t>(high) << 32 | low;
  std::memcpy(&value, &bits, 8);
}

constexpr int kQuaternionBits = 24;
constexpr double kQuaternionUnit = 1 << (kQuaternionBits - 1);

void quaternion_matrix(const double q[4], double r[9]) {
  const double w = q[0], x = q[1], y = q[2], z = q[3];
  const double m[9] = {1 - 2 * (y * y + z * z), 2 * (x * y - w * z),     2 * (x * z + w * y),
                       2 * (x * y + w * z),     1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
                       2 * (x * z - w * y),     2 * (y * z + w * x),     1 - 2 * (x * x + y * y)};
  std::memcpy(r, m, sizeof m);
}

// Three components of 24 bits; the largest follows from the others.
struct PackedRotation {
  uint32_t largest = 0;
  int32_t rest[3] = {0, 0, 0};

  void matrix(double r[9]) const {
    double q[4];
    double sum = 0;
    for (int i = 0, j = 0; i < 4; ++i) {
      if (static_cast<uint32_t>(i) == largest) continue;
      q[i] = rest[j++] / kQuaternionUnit;
      sum += q[i] * q[i];
    }
    q[largest] = std::sqrt(sum < 1 ? 1 - sum : 0);
    quaternion_matrix(q, r);
  }
};

void matrix_quaternion(const double* m, double q[4]) {  // rows of [R | t]: stride 4
  const double xx = m[0], yy = m[5], zz = m[10];
  const double squares[4] = {1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz};
  int best = 0;
  for (int i = 1; i < 4; ++i)
    if (squares[i] > squares[best]) best = i;
  const double s = std::sqrt(squares[best]) / 2;
  const double f = 1 / (4 * s);
  const double a = (m[9] - m[6]) * f, b = (m[2] - m[8]) * f,
               c = (m[4] - m[1]) * f;  // w x, w y, w z (times 4 s)
  const double ab = (m[1] + m[4]) * f, ac = (m[2] + m[8]) * f, bc = (m[6] + m[9]) * f;
  const double table[4][4] = {{s, a, b, c}, {a, s, ab, ac}, {b, ab, s, bc}, {c, ac, bc, s}};
  std::memcpy(q, table[best], sizeof table[best]);
}

// False when [R | t] is not a rotation to 2^-21.
bool pack_rotation(const double* m, PackedRotation& packed) {
  double q[4];
  matrix_quaternion(m, q);
  packed.largest = 0;
  for (uint32_t i = 1; i < 4; ++i)
    if (std::fabs(q[i]) > std::fabs(q[packed.largest])) packed.largest = i;
  const double flip = q[packed.largest] < 0 ? -1 : 1;
  for (int i = 0, j = 0; i < 4; ++i) {
    if (static_cast<uint32_t>(i) == packed.largest) continue;
    const double v = flip * q[i] * kQuaternionUnit;
    if (!(std::fabs(v) < kQuaternionUnit)) return false;
    packed.rest[j++] = static_cast<int32_t>(std::floor(v + 0.5));
  }
  double r[9];
  packed.matrix(r);
  for (int i = 0; i < 9; ++i)
    if (!(std::fabs(r[i] - m[i / 3 * 4 + i % 3]) < 1.0 / (1 << 21))) return false;
  return true;
}

template <class Coder>
void code_pose(Coder& coder, double* pose) {
  PackedRotation packed;
  const bool rigid = coder.raw(pack_rotation(pose, packed), 1) != 0;
  if (rigid) {
    packed.largest = coder.raw(packed.largest, 2);
    for (int32_t& v : packed.rest)
      v = static_cast<int32_t>(
              coder.raw(static_cast<uint32_t>(v + (1 << (kQuaternionBits - 1))), kQuaternionBits)) -
          (1 << (kQuaternionBits - 1));
    double r[9];
    packed.matrix(r);
    for (int i = 0; i < 9; ++i) pose[i / 3 * 4 + i % 3] = r[i];
  } else {
    for (int i = 0; i < 9; ++i) code_double(coder, pose[i / 3 * 4 + i % 3]);
  }
  for (int row = 0; row < 3; ++row) {
    double& t = pose[row * 4 + 3];
    t = float_from(coder.raw(float_bits(static_cast<float>(t)), 32));
  }
}

struct CameraModels {
  ExpGolombModel prefix, suffix;
  DigitTree<8> letter;
};

// A name: how many bytes it shares with the one before, how many follow, and those.
template <class Coder>
void code_name(Coder& coder, CameraModels& models, const std::string& before, std::string& name) {
  uint32_t shared = 0;
  while (shared < before.size() && shared < name.size() && before[shared] == name[shared]) ++shared;
  const uint32_t rest = static_cast<uint32_t>(name.size()) - shared;
  shared = coder.number(models.prefix, shared);
  // Of a longer name than there may be one byte too many is enough for camera_error to refuse it.
  const uint32_t more = std::min<uint32_t>(coder.number(models.suffix, rest), kMaxNameBytes + 1);
  if (shared > before.size()) stream_fail("malformed camera name");
  const std::string old = name;
  std::string result = before.substr(0, shared);
  for (uint32_t i = 0; i < more; ++i) {
    const size_t at = shared + i;
    const uint32_t c = at < old.size() ? static_cast<uint8_t>(old[at]) : 0;
    result += static_cast<char>(models.letter.code(coder, c));
  }
  name = result;
}

void check_count(size_t count) {
  if (count > kMaxCameras) stream_fail("more than 64 cameras");
}

void check_camera(const StoredCamera& camera, size_t index) {
  if (const char* error = camera_error(camera))
    stream_fail("camera " + std::to_string(index + 1) + ": " + error);
}

template <class Coder>
void code_cameras(Coder& coder, std::vector<StoredCamera>& cameras) {
  const uint32_t count = coder.raw(static_cast<uint32_t>(cameras.size()), 8);
  check_count(count);
  cameras.resize(count);
  CameraModels models;
  StoredCamera before;
  for (StoredCamera& camera : cameras) {
    code_name(coder, models, before.name, camera.name);
    const bool same = coder.raw(camera.width == before.width && camera.height == before.height &&
                                    camera.focal_x == before.focal_x && camera.focal_y == before.focal_y &&
                                    camera.center_x == before.center_x && camera.center_y == before.center_y,
                                1) != 0;
    if (same) {
      camera.width = before.width;
      camera.height = before.height;
      camera.focal_x = before.focal_x;
      camera.focal_y = before.focal_y;
      camera.center_x = before.center_x;
      camera.center_y = before.center_y;
    } else {
      camera.width = coder.raw(camera.width, 16);
      camera.height = coder.raw(camera.height, 16);
      for (double* v : {&camera.focal_x, &camera.focal_y, &camera.center_x, &camera.center_y})
        code_double(coder, *v);
    }
    code_pose(coder, camera.world_to_camera);
    check_camera(camera, static_cast<size_t>(&camera - cameras.data()));
    before = camera;
  }
}

}  // namespace

std::vector<uint8_t> write_cameras(std::vector<StoredCamera> cameras) {
  // Before anything is cut to the bits it has in the stream.
  check_count(cameras.size());
  for (size_t i = 0; i < cameras.size(); ++i) check_camera(cameras[i], i);
  BinaryEncoder coder;
  code_cameras(coder, cameras);
  return coder.finish();
}

std::vector<StoredCamera> read_cameras(const uint8_t* data, size_t size) {
  BinaryDecoder coder(data, size);
  std::vector<StoredCamera> cameras;
  code_cameras(coder, cameras);
  check_end(coder);
  return cameras;
}

}  // namespace gspc
