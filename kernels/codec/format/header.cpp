#include "codec/format/header.hpp"

#include <string>

#include "codec/format/bytes.hpp"
#include "codec/format/limits.hpp"
#include "codec/format/usable.hpp"

namespace gspc {

namespace {

constexpr size_t kFamilyBytes = 12;
constexpr char kPlain[] = "plain", kPredictive[] = "predictive";
constexpr int kCoderLanes = 0;  // the 32-lane coder; 1 is set aside for streams of the torchac extra

// The byte of refined attributes: a bit for each, one for a single log scale, and from bit 4 on the last
// level that refines, 0 for all.
constexpr int kOneScale = 8, kLastShift = 4;

// The byte of trit models names all attributes' at once; its top bit says that refinement is selective.
constexpr int kSelective = 128;
constexpr TritModel kTritModels[][kAttributes] = {
    {TritModel::learned, TritModel::learned, TritModel::learned},
    {TritModel::gaussian, TritModel::gaussian, TritModel::gaussian},
    {TritModel::unbounded, TritModel::unbounded, TritModel::unbounded},
    {TritModel::learned, TritModel::gaussian, TritModel::gaussian},
};
constexpr int kTritModelCount = sizeof kTritModels / sizeof kTritModels[0];

// The byte that names the attributes' trit models, or -1.
int trit_models_byte(const StreamShape& s) {
  for (int i = 0; i < kTritModelCount; ++i) {
    bool same = true;
    for (size_t a = 0; a < kAttributes; ++a) same = same && s.attributes[a].trit_model == kTritModels[i][a];
    if (same) return i;
  }
  return -1;
}

// The last level that refines, the same for all that are refined, or -1.
int last_refined(const StreamShape& s) {
  int last = kNever;
  for (const Attribute& a : s.attributes) {
    if (!a.refined()) continue;
    if (last != kNever && last != a.refined_until) return -1;
    last = a.refined_until;
  }
  return last;
}

int refined_byte(const StreamShape& s) {
  int byte = s.scales() == 1 ? kOneScale : 0;
  for (size_t a = 0; a < kAttributes; ++a) byte |= s.attributes[a].refined() ? 1 << a : 0;
  const int last = last_refined(s);
  return byte | (last == kNever ? 0 : last << kLastShift);
}

void set_refined(StreamShape& s, int byte) {
  const int last = byte >> kLastShift, bits = byte & 7;
  if (last == kNever || last > kMaxLevels || (last != kAllLevels && bits == 0))
    stream_fail_in("chunk HEAD", "no such last refined level");
  for (size_t a = 0; a < kAttributes; ++a)
    s.attributes[a].refined_until = (bits >> a & 1) != 0 ? last : kNever;
}

void set_trit_models(StreamShape& s, int byte) {
  if (byte >= kTritModelCount) stream_fail_in("chunk HEAD", "unknown trit model");
  for (size_t a = 0; a < kAttributes; ++a) s.attributes[a].trit_model = kTritModels[byte][a];
}

}  // namespace

const char* header_error(const StreamHeader& h) {
  if (const char* error = shape_error(h)) return error;
  if (last_refined(h) < 0) return "refined attributes must have the same last refined level";
  if (trit_models_byte(h) < 0) return "this format has no code for these trit models";
  if (h.position_bits < 1 || h.position_bits > kMaxPositionBits) return "position bits must be 1 to 21";
  double steps[kAttributes];
  for (size_t a = 0; a < kAttributes; ++a) steps[a] = h.attributes[a].step_base;
  return placement_error(steps, h.origin, h.voxel_size, h.background);
}

std::vector<uint8_t> write_header(const StreamHeader& h) {
  ByteWriter out;
  const std::string family = h.predictive() ? kPredictive : kPlain;
  for (size_t i = 0; i < kFamilyBytes; ++i) out.u8(i < family.size() ? static_cast<uint8_t>(family[i]) : 0);
  out.u8(kCoderLanes);
  out.u8(static_cast<uint32_t>(h.position_bits));
  for (int v : {h.features(), h.offsets(), h.steps_hidden, h.trunk_hidden, h[kFeatures].hidden,
                h[kScaling].hidden, h.heads_hidden, h[kOffsets].hidden, h.groups.hidden, h.pool.features,
                h.pool.hidden, h.residual_hidden})
    out.u16(static_cast<uint32_t>(v));
  const int trits = trit_models_byte(h) | (h.selective ? kSelective : 0);
  for (int v : {refined_byte(h), trits, h.groups.count, h.pool.planes}) out.u8(static_cast<uint32_t>(v));
  for (const Attribute& a : h.attributes) out.f64(a.step_base);
  for (double v : h.origin) out.f64(v);
  out.f64(h.voxel_size);
  for (float v : h.background) out.f32(v);
  for (int32_t v : h.grid.box_low) out.u32(static_cast<uint32_t>(v));
  for (int32_t v : h.grid.box_size) out.u32(static_cast<uint32_t>(v));
  out.u16(static_cast<uint32_t>(h.grid.planes.size()));
  for (const GridPlane& plane : h.grid.planes) {
    out.u8(static_cast<uint32_t>(plane.dims));
    out.u8(static_cast<uint32_t>(plane.log2_size));
    out.u16(static_cast<uint32_t>(plane.resolution));
  }
  return out.bytes;
}

namespace {

std::string read_family(ByteReader& in) {
  std::string family;
  const uint8_t* name = in.take(kFamilyBytes);
  bool ended = false;
  for (size_t i = 0; i < kFamilyBytes; ++i) {
    if (name[i] == 0) {
      ended = true;
    } else if (ended || name[i] < 33 || name[i] > 126) {
      stream_fail_in("chunk HEAD", "malformed model family");
    } else {
      family += static_cast<char>(name[i]);
    }
  }
  if (family != kPlain && family != kPredictive)
    stream_fail("model family '" + family +
                "' is not known here (this reader knows 'plain' and 'predictive'); update gspc");
  return family;
}

void read_coder(ByteReader& in) {
  const int coder = in.u8();
  if (coder == 1)
    stream_fail("symbols were coded with torchac, which this core does not read; recompress without --coder");
  if (coder != kCoderLanes) stream_fail_in("chunk HEAD", "unknown symbol coder " + std::to_string(coder));
}

GridSpec read_grid_spec(ByteReader& in) {
  GridSpec grid{};
  for (int32_t& v : grid.box_low) v = static_cast<int32_t>(in.u32());
  for (int32_t& v : grid.box_size) v = static_cast<int32_t>(in.u32());
  const size_t planes = in.u16();
  if (planes > kGridMaxPlanes) stream_fail_in("chunk HEAD", "too many grid planes");
  for (size_t i = 0; i < planes; ++i) {
    GridPlane plane;
    plane.dims = in.u8();
    plane.log2_size = in.u8();
    plane.resolution = in.u16();
    grid.planes.push_back(plane);
  }
  return grid;
}

}  // namespace

StreamHeader read_header(const uint8_t* data, size_t size) {
  ByteReader in(data, size, "chunk HEAD");
  StreamHeader h;
  const std::string family = read_family(in);
  read_coder(in);
  h.position_bits = in.u8();
  h[kFeatures].values = in.u16();
  h[kOffsets].values = 3 * in.u16();
  for (int* v : {&h.steps_hidden, &h.trunk_hidden, &h[kFeatures].hidden, &h[kScaling].hidden, &h.heads_hidden,
                 &h[kOffsets].hidden, &h.groups.hidden, &h.pool.features, &h.pool.hidden, &h.residual_hidden})
    *v = in.u16();
  const int refined = in.u8();
  set_refined(h, refined);
  h[kScaling].values = (refined & kOneScale) != 0 ? 1 : 6;
  const int trits = in.u8();
  h.selective = (trits & kSelective) != 0;
  set_trit_models(h, trits & ~kSelective);
  h.groups.count = in.u8();
  h.pool.planes = in.u8();
  for (Attribute& a : h.attributes) a.step_base = in.f64();
  for (double& v : h.origin) v = in.f64();
  h.voxel_size = in.f64();
  for (float& v : h.background) v = in.f32();
  h.grid = read_grid_spec(in);
  in.finish();
  if ((family == kPredictive) != h.predictive())
    stream_fail_in("chunk HEAD", "model family and pool features do not belong together");
  if (const char* error = header_error(h)) stream_fail_in("chunk HEAD", error);
  return h;
}

}  // namespace gspc
