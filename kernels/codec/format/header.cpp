#include "codec/format/header.hpp"

#include "codec/format/bytes.hpp"
#include "codec/format/limits.hpp"
#include "codec/format/usable.hpp"

namespace gspc {

namespace {

constexpr size_t kFamilyBytes = 12;
constexpr int kOneScale = 8;    // in the byte of the refined attributes
constexpr int kCoderLanes = 0;  // the 32-lane coder; 1 is set aside for streams of the torchac extra

bool hidden_ok(int n, int least) { return n >= least && n <= kMaxHidden; }

constexpr char kHiddenError[] = "hidden layers must have 1 to 512 units";

}  // namespace

GridSpec StreamHeader::context_grid() const {
  GridSpec part = grid;
  part.planes.resize(grid.planes.size() - static_cast<size_t>(pool_planes));
  return part;
}

GridSpec StreamHeader::pool_grid() const {
  GridSpec part = grid;
  if (pool_planes > 0) part.planes.assign(grid.planes.end() - pool_planes, grid.planes.end());
  return part;
}

uint64_t StreamHeader::pool_grid_start() const { return pool_planes > 0 ? grid_entries(context_grid()) : 0; }

bool StreamHeader::holds_levels() const {
  for (int a : {kFeatures, kScaling, kOffsets})
    if (trit_network(a) && trit_hidden[a] == 0) return false;
  return true;
}

namespace {

const char* trits_error(const StreamHeader& h) {
  if (h.refined < 0 || h.refined > 255 || (h.refined & 8) != 0) return "unknown refined attributes";
  const int last = h.refined >> 4;
  if (last == 1 || last > kMaxLevels || (last != 0 && (h.refined & 7) == 0))
    return "no such last refined level";
  if (h.trit_model < kTritLearned || h.trit_model > kTritMixed) return "unknown trit model";
  int needed = 0, there = 0;
  for (int a : {kFeatures, kScaling, kOffsets}) {
    if (!hidden_ok(h.trit_hidden[a], 0)) return kHiddenError;
    if (h.trit_hidden[a] > 0 && !h.trit_network(a))
      return "there is a trit network for what is not refined by one";
    needed += h.trit_network(a);
    there += h.trit_hidden[a] > 0;
  }
  return there != 0 && there != needed ? "one of the trit networks is missing" : nullptr;
}

const char* chunks_error(const StreamHeader& h) {
  if (h.chunks == 0) return h.chunk_hidden == 0 ? nullptr : "hidden units of chunks, but no chunks";
  if (h.chunks < 2 || h.chunks > kMaxChunks || h.chunks > h.features)
    return "feature chunks must be 0 or 2 to 8 and at most the features";
  return hidden_ok(h.chunk_hidden, 1) ? nullptr : kHiddenError;
}

const char* pool_error(const StreamHeader& h) {
  const int planes = static_cast<int>(h.grid.planes.size());
  if (h.pool_features < 0 || h.pool_features > kMaxPool) return "pool features must be 0 to 256";
  if ((h.family == "predictive") != (h.pool_features > 0))
    return "model family and pool features do not belong together";
  if (h.pool_features == 0)
    return h.pool_hidden == 0 && h.pool_planes == 0 && h.residual_hidden == 0
               ? nullptr
               : "parts of a pool, but no pool features";
  if (!hidden_ok(h.pool_hidden, 1) || !hidden_ok(h.residual_hidden, 0)) return kHiddenError;
  if (h.residual_hidden > 0 && h.features == 0) return "a residual decoder, but no residual features";
  if (h.pool_planes < 0 || h.pool_planes >= planes)
    return "the pool must leave a plane of the grid to the contexts";
  return nullptr;
}

}  // namespace

const char* header_error(const StreamHeader& h) {
  if (h.features < (h.pool_features > 0 ? 0 : 1) || h.features > kMaxFeatures)
    return "features per anchor must be 1 to 256, or 0 with a pool";
  if (h.offsets < 1 || h.offsets > kMaxOffsets) return "offsets per anchor must be 1 to 32";
  if (h.scales != 1 && h.scales != 6) return "scaling must have 1 or 6 values";
  if (h.position_bits < 1 || h.position_bits > 21) return "position bits must be 1 to 21";
  if (!hidden_ok(h.steps_hidden, 1) || !hidden_ok(h.trunk_hidden, 1) || !hidden_ok(h.heads_hidden, 1))
    return kHiddenError;
  if (const char* error = placement_error(h.step_base, h.origin, h.voxel_size, h.background)) return error;
  if (h.grid.planes.empty()) return "the context grid has no planes";
  for (const auto check : {trits_error, chunks_error, pool_error})
    if (const char* error = check(h)) return error;
  return grid_spec_error(h.grid);
}

std::vector<uint8_t> write_header(const StreamHeader& h) {
  ByteWriter out;
  for (size_t i = 0; i < kFamilyBytes; ++i)
    out.u8(i < h.family.size() ? static_cast<uint8_t>(h.family[i]) : 0);
  out.u8(kCoderLanes);
  out.u8(static_cast<uint32_t>(h.position_bits));
  out.u16(static_cast<uint32_t>(h.features));
  out.u16(static_cast<uint32_t>(h.offsets));
  out.u16(static_cast<uint32_t>(h.steps_hidden));
  out.u16(static_cast<uint32_t>(h.trunk_hidden));
  out.u16(static_cast<uint32_t>(h.trit_hidden[kFeatures]));
  out.u16(static_cast<uint32_t>(h.trit_hidden[kScaling]));
  out.u16(static_cast<uint32_t>(h.heads_hidden));
  for (int v : {h.trit_hidden[kOffsets], h.chunk_hidden, h.pool_features, h.pool_hidden, h.residual_hidden})
    out.u16(static_cast<uint32_t>(v));
  for (int v : {h.refined | (h.scales == 1 ? kOneScale : 0), h.trit_model, h.chunks, h.pool_planes})
    out.u8(static_cast<uint32_t>(v));
  for (double v : h.step_base) out.f64(v);
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

StreamHeader read_header(const uint8_t* data, size_t size) {
  ByteReader in(data, size, "chunk HEAD");
  StreamHeader h;
  h.family.clear();
  const uint8_t* name = in.take(kFamilyBytes);
  bool ended = false;
  for (size_t i = 0; i < kFamilyBytes; ++i) {
    if (name[i] == 0) {
      ended = true;
    } else if (ended || name[i] < 33 || name[i] > 126) {
      stream_fail_in("chunk HEAD", "malformed model family");
    } else {
      h.family += static_cast<char>(name[i]);
    }
  }
  if (h.family != "plain" && h.family != "predictive")
    stream_fail("model family '" + h.family +
                "' is not known here (this reader knows 'plain' and 'predictive'); update gspc");
  const int coder = in.u8();
  if (coder == 1)
    stream_fail("symbols were coded with torchac, which this core does not read; recompress without --coder");
  if (coder != kCoderLanes) stream_fail_in("chunk HEAD", "unknown symbol coder " + std::to_string(coder));
  h.position_bits = in.u8();
  h.features = in.u16();
  h.offsets = in.u16();
  h.steps_hidden = in.u16();
  h.trunk_hidden = in.u16();
  h.trit_hidden[kFeatures] = in.u16();
  h.trit_hidden[kScaling] = in.u16();
  h.heads_hidden = in.u16();
  for (int* v :
       {&h.trit_hidden[kOffsets], &h.chunk_hidden, &h.pool_features, &h.pool_hidden, &h.residual_hidden})
    *v = in.u16();
  for (int* v : {&h.refined, &h.trit_model, &h.chunks, &h.pool_planes}) *v = in.u8();
  h.scales = (h.refined & kOneScale) != 0 ? 1 : 6;
  h.refined &= ~kOneScale;
  for (double& v : h.step_base) v = in.f64();
  for (double& v : h.origin) v = in.f64();
  h.voxel_size = in.f64();
  for (float& v : h.background) v = in.f32();
  for (int32_t& v : h.grid.box_low) v = static_cast<int32_t>(in.u32());
  for (int32_t& v : h.grid.box_size) v = static_cast<int32_t>(in.u32());
  const size_t planes = in.u16();
  if (planes > GRID_MAX_PLANES) stream_fail_in("chunk HEAD", "too many grid planes");
  for (size_t i = 0; i < planes; ++i) {
    GridPlane plane;
    plane.dims = in.u8();
    plane.log2_size = in.u8();
    plane.resolution = in.u16();
    h.grid.planes.push_back(plane);
  }
  in.finish();
  if (const char* error = header_error(h)) stream_fail_in("chunk HEAD", error);
  return h;
}

}  // namespace gspc
