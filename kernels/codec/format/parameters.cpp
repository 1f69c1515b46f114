#include "codec/format/parameters.hpp"

#include <cmath>
#include <cstring>

#include "codec/entropy/binary.hpp"
#include "codec/format/limits.hpp"
#include "codec/format/stream_error.hpp"

namespace gspc {

namespace {

uint32_t float_bits(float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, 4);
  return bits;
}

float float_from(uint32_t bits) {
  float v;
  std::memcpy(&v, &bits, 4);
  return v;
}

// `bits` binary digits, most significant first, each with a model that knows the digits before it.
template <int bits>
struct DigitTree {
  BinaryModel models[1 << bits];

  template <class Coder>
  uint32_t code(Coder& coder, uint32_t value) {
    uint32_t node = 1;
    for (int i = bits - 1; i >= 0; --i)
      node = node << 1 | static_cast<uint32_t>(coder.bit(models[node], static_cast<int>(value >> i & 1)));
    return node - (1u << bits);
  }
};

// Weights -127..127: number of magnitude digits, the two below the leading one, the rest raw, sign raw.
struct WeightModel {
  DigitTree<3> length;
  DigitTree<2> top[8];

  template <class Coder>
  void code(Coder& coder, int8_t& weight) {
    const uint32_t magnitude = static_cast<uint32_t>(weight < 0 ? -weight : weight);
    uint32_t digits = 0;
    while (magnitude >> digits) ++digits;
    digits = length.code(coder, digits);
    uint32_t value = digits > 0 ? 1 : 0;
    const int below = static_cast<int>(digits) - 1;
    if (below == 1) {
      value = 2 | static_cast<uint32_t>(coder.bit(top[digits].models[1], static_cast<int>(magnitude & 1)));
    } else if (below >= 2) {
      value = 4 | top[digits].code(coder, magnitude >> (below - 2) & 3);
      value = value << (below - 2) | coder.raw(magnitude & ((1u << (below - 2)) - 1), below - 2);
    }
    if (value == 0) {
      weight = 0;
    } else {
      weight =
          static_cast<int8_t>(coder.raw(weight < 0, 1) ? -static_cast<int>(value) : static_cast<int>(value));
    }
  }
};

// Floats of one kind in one layer: how many mantissa digits are in use, then per float sign, exponent and
// those digits.
template <class Coder>
void code_floats(Coder& coder, std::vector<float>& values) {
  uint32_t used = 0;
  for (float v : values) used |= float_bits(v);
  uint32_t digits = 23;
  while (digits > 0 && !(used >> (23 - digits) & 1)) --digits;
  digits = coder.raw(digits, 5);
  if (digits > 23) stream_fail("malformed float");
  DigitTree<8> exponent;
  BinaryModel sign;
  for (float& v : values) {
    const uint32_t bits = float_bits(v);
    const uint32_t s = static_cast<uint32_t>(coder.bit(sign, static_cast<int>(bits >> 31)));
    const uint32_t e = exponent.code(coder, bits >> 23 & 255);
    const uint32_t m = coder.raw((bits & 0x7fffff) >> (23 - digits), static_cast<int>(digits));
    if (e == 255) stream_fail("a stored float is not finite");
    v = float_from(s << 31 | e << 23 | m << (23 - digits));
  }
}

template <class Coder>
void code_weights(Coder& coder, std::vector<int8_t>& weights) {
  WeightModel model;
  for (int8_t& w : weights) model.code(coder, w);
}

template <class Coder>
void code_rows(Coder& coder, IntegerLayer& layer) {
  code_weights(coder, layer.weight);
  ExpGolombModel model;
  for (int32_t& b : layer.bias) b = coder.signed_number(model, b);
}

template <class Coder>
void code_gain(Coder& coder, Gain& gain) {
  gain.shift = static_cast<uint8_t>(coder.raw(gain.shift, 6));
  ExpGolombModel model;
  for (int16_t& m : gain.multiplier) {
    const int32_t v = coder.signed_number(model, m);
    if (v < -32768 || v > 32767) stream_fail("a multiplier is beyond 16 bits");
    m = static_cast<int16_t>(v);
  }
}

template <class Coder>
void code_networks(Coder& coder, Networks& n, int level) {
  const size_t s = static_cast<size_t>(level);
  if (level == 1) {
    for (IntegerLayer* layer : {&n.steps_hidden, &n.steps_out, &n.trunk, &n.center, &n.scale}) {
      code_rows(coder, *layer);
      code_gain(coder, layer->gains[0]);
    }
    for (auto& chunk : n.chunks) {
      code_rows(coder, chunk.hidden);
      code_rows(coder, chunk.out);
      code_gain(coder, chunk.out.gains[0]);
    }
    if (n.pool.out.out > 0)
      for (IntegerLayer* layer : {&n.pool.hidden, &n.pool.out}) {
        code_rows(coder, *layer);
        code_gain(coder, layer->gains[0]);
      }
  }
  code_gain(coder, n.trunk.gains[s]);
  for (auto& chunk : n.chunks) code_gain(coder, chunk.hidden.gains[s - 1]);
  if (level < 2) return;
  if (level == 2) {
    for (auto& trits : n.trits)
      if (trits.out.out > 0)
        for (IntegerLayer* layer : {&trits.hidden, &trits.out}) code_rows(coder, *layer);
    for (auto& trits : n.trits)
      if (trits.out.out > 0) code_gain(coder, trits.out.gains[0]);
  }
  for (auto& trits : n.trits)
    if (trits.out.out > 0) code_gain(coder, trits.hidden.gains[s - 2]);
}

// Signs do not drift along a table: plain counts cost less than an adaptive window.
struct SignModel {
  uint32_t ones = 1, total = 2;

  template <class Coder>
  int code(Coder& coder, int bit) {
    bit = coder.code((ones << 16) / total, bit);
    ones += static_cast<uint32_t>(bit);
    if (++total == 1u << 15) {
      ones = ones > 1 ? ones >> 1 : 1;
      total >>= 1;
    }
    return bit;
  }
};

// Signs of one feature of one plane share four models, by the signs of the two entries before.
template <class Coder>
void code_signs(Coder& coder, const GridSpec& spec, std::vector<uint8_t>& table) {
  size_t start = 0;
  for (const GridPlane& plane : spec.planes) {
    const size_t entries = grid_entries(plane);
    SignModel models[kGridFeatures][4];
    uint32_t one = 0, two = 0;  // the entry before and the one before that
    for (size_t i = start; i < start + entries; ++i) {
      uint32_t signs = 0;
      for (int f = 0; f < kGridFeatures; ++f) {
        const uint32_t context = (one >> f & 1) << 1 | (two >> f & 1);
        signs |= static_cast<uint32_t>(models[f][context].code(coder, table[i] >> f & 1)) << f;
      }
      table[i] = static_cast<uint8_t>(signs);
      two = one;
      one = signs;
    }
    start += entries;
  }
}

template <class Coder>
void code_head(Coder& coder, HeadLayer& layer) {
  code_weights(coder, layer.weight);
  code_floats(coder, layer.scale);
  code_floats(coder, layer.bias);
}

template <class Coder>
void code_heads(Coder& coder, StoredHeads& heads) {
  each_head_layer(heads, [&](const char*, HeadLayer& layer) { code_head(coder, layer); });
  std::vector<float> distance{heads.distance_scale};
  code_floats(coder, distance);
  heads.distance_scale = distance[0];
}

// ---- cameras ----

template <class Coder>
void code_double(Coder& coder, double& value) {
  uint64_t bits;
  std::memcpy(&bits, &value, 8);
  const uint32_t high = coder.raw(static_cast<uint32_t>(bits >> 32), 32);
  const uint32_t low = coder.raw(static_cast<uint32_t>(bits), 32);
  bits = static_cast<uint64_t>(high) << 32 | low;
  std::memcpy(&value, &bits, 8);
  if (!std::isfinite(value)) stream_fail("a camera is not finite");
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
    const float narrow = float_from(coder.raw(float_bits(static_cast<float>(t)), 32));
    if (!std::isfinite(narrow)) stream_fail("a camera is not finite");
    t = narrow;
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
  const uint32_t more = coder.number(models.suffix, rest);
  if (shared > before.size() || more > 1024) stream_fail("malformed camera name");
  const std::string old = name;
  std::string result = before.substr(0, shared);
  for (uint32_t i = 0; i < more; ++i) {
    const size_t at = shared + i;
    const uint32_t c = at < old.size() ? static_cast<uint8_t>(old[at]) : 0;
    result += static_cast<char>(models.letter.code(coder, c));
  }
  name = result;
}

template <class Coder>
void code_cameras(Coder& coder, std::vector<StoredCamera>& cameras) {
  const uint32_t count = coder.raw(static_cast<uint32_t>(cameras.size()), 8);
  if (count > kMaxCameras) stream_fail("more than 64 cameras");
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
    if (camera.width == 0 || camera.height == 0) stream_fail("a camera has no pixels");
    code_pose(coder, camera.world_to_camera);
    before = camera;
  }
}

void check_end(const BinaryDecoder& coder, const char* name) {
  if (!coder.finished()) stream_fail(std::string("chunk ") + name + ": does not end where its contents do");
}

}  // namespace

void check_networks(const Networks& n, int level) {
  const size_t s = static_cast<size_t>(level);
  const auto check = [](const IntegerLayer& layer, const std::string& name) {
    check_rows(layer, name);
    check_gain(layer, 0, name);
  };
  const char* const trit_names[3] = {"trit_features", "trit_scaling", "trit_offsets"};
  const auto chunk_name = [](size_t i) { return "chunk " + std::to_string(i + 1); };
  if (level == 1) {
    check(n.steps_hidden, "steps");
    check(n.steps_out, "steps output");
    check(n.trunk, "trunk");
    check(n.center, "center");
    check(n.scale, "scale");
    for (size_t i = 0; i < n.chunks.size(); ++i) {
      check_rows(n.chunks[i].hidden, chunk_name(i));
      check(n.chunks[i].out, chunk_name(i) + " output");
    }
    if (n.pool.out.out > 0) {
      check(n.pool.hidden, "pool");
      check(n.pool.out, "pool output");
    }
  }
  check_gain(n.trunk, s, "trunk");
  for (size_t i = 0; i < n.chunks.size(); ++i) check_gain(n.chunks[i].hidden, s - 1, chunk_name(i));
  if (level < 2) return;
  for (size_t a = 0; a < 3; ++a) {
    if (n.trits[a].out.out == 0) continue;
    if (level == 2) {
      check_rows(n.trits[a].hidden, trit_names[a]);
      check(n.trits[a].out, std::string(trit_names[a]) + " output");
    }
    check_gain(n.trits[a].hidden, s - 2, trit_names[a]);
  }
}

StoredHeads::StoredHeads(const StreamShape& s)
    : hidden((s.residual_hidden > 0 ? s.pool.features : s.restored_features()) + 4, 3 * s.heads_hidden),
      opacity(s.heads_hidden, s.offsets()),
      color(s.heads_hidden, 3 * s.offsets()),
      cov(s.heads_hidden, 7 * s.offsets()),
      residual(s.residual_hidden > 0) {
  if (!residual) return;
  shape_hidden = HeadLayer(s.features() + 4, s.residual_hidden);
  shape_out = HeadLayer(s.residual_hidden, 7 * s.offsets());
  appearance_hidden = HeadLayer(s.features() + 4, s.residual_hidden);
  appearance_out = HeadLayer(s.residual_hidden, 4 * s.offsets());
}

std::vector<uint8_t> write_grid(const GridSpec& spec, const std::vector<uint8_t>& table) {
  BinaryEncoder coder;
  std::vector<uint8_t> copy = table;
  code_signs(coder, spec, copy);
  return coder.finish();
}

std::vector<uint8_t> read_grid(const GridSpec& spec, const uint8_t* data, size_t size) {
  BinaryDecoder coder(data, size);
  std::vector<uint8_t> table = grid_sign_table(spec);
  code_signs(coder, spec, table);
  check_end(coder, "GRID");
  return table;
}

std::vector<uint8_t> write_networks(Networks& networks, int level) {
  check_networks(networks, level);
  BinaryEncoder coder;
  code_networks(coder, networks, level);
  return coder.finish();
}

void read_networks(Networks& networks, int level, const uint8_t* data, size_t size) {
  BinaryDecoder coder(data, size);
  code_networks(coder, networks, level);
  check_end(coder, "NETS");
  check_networks(networks, level);
}

std::vector<uint8_t> write_heads(StoredHeads& heads) {
  check_heads(heads);
  BinaryEncoder coder;
  code_heads(coder, heads);
  return coder.finish();
}

StoredHeads read_heads(const StreamShape& shape, const uint8_t* data, size_t size) {
  BinaryDecoder coder(data, size);
  StoredHeads heads(shape);
  code_heads(coder, heads);
  check_end(coder, "GHED");
  check_heads(heads);
  return heads;
}

std::vector<uint8_t> write_cameras(std::vector<StoredCamera> cameras) {
  BinaryEncoder coder;
  code_cameras(coder, cameras);
  return coder.finish();
}

std::vector<StoredCamera> read_cameras(const uint8_t* data, size_t size) {
  BinaryDecoder coder(data, size);
  std::vector<StoredCamera> cameras;
  code_cameras(coder, cameras);
  check_end(coder, "cams");
  return cameras;
}

}  // namespace gspc
