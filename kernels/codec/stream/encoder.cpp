#include <algorithm>
#include <cstdlib>
#include <utility>

#include "codec/positions/morton.hpp"
#include "codec/stream/parallel.hpp"
#include "codec/stream/plan.hpp"
#include "codec/stream/stream.hpp"

namespace gspc {

namespace {

using KeyedAnchor = std::pair<uint64_t, uint32_t>;  // Morton key, index in the scene

std::vector<KeyedAnchor> sorted_anchors(SceneSource& scene) {
  std::vector<KeyedAnchor> anchors(scene.count);
  uint32_t any = 1;
  for (size_t n = 0; n < scene.count; ++n) {
    uint32_t p[3];
    for (size_t a = 0; a < 3; ++a) {
      p[a] = static_cast<uint32_t>(scene.positions[3 * n + a]);
      if (p[a] >> kMaxPositionBits) stream_fail("anchor " + std::to_string(n) + " lies outside [0, 2^21)");
      any |= p[a];
    }
    anchors[n] = {morton_key(p[0], p[1], p[2]), static_cast<uint32_t>(n)};
  }
  int bits = 1;
  while (any >> bits) ++bits;
  scene.header.position_bits = bits;
  std::sort(anchors.begin(), anchors.end());
  for (size_t i = 1; i < anchors.size(); ++i)
    if (anchors[i].first == anchors[i - 1].first)
      stream_fail("anchors " + std::to_string(anchors[i - 1].second) + " and " +
                  std::to_string(anchors[i].second) + " have the same position");
  return anchors;
}

void check_symbols(const int32_t* k, size_t n, const char* name) {
  for (size_t i = 0; i < n; ++i)
    if (k[i] > kMaxSymbol || k[i] < -kMaxSymbol) stream_fail_in(name, "a symbol is beyond 23 bits");
}

void check_stages(const SceneSource& scene) {
  int last = 0;
  bool follow = scene.stages.size() == static_cast<size_t>(scene.levels) && scene.stages[0] == 1;
  for (int stage : scene.stages) {
    follow = follow && stage - last <= 1 && stage >= last && (stage > last || scene.header.selective);
    last = stage;
  }
  if (!follow) stream_fail("the stages of levels begin with 1 and grow by 1 at most");
}

// Of an attribute of an anchor that appears at level `first`: refinements[t - 1] brings the step of stage
// t + 1.
void check_refinements(const SceneSource& scene, const Attribute& attribute, int first,
                       const uint8_t* refinements) {
  const auto stage_of = [&](int level) { return scene.stages[static_cast<size_t>(level) - 1]; };
  int last = first;
  bool ended = false;
  for (int t = attribute.step_level(stage_of(first)); t < scene.stages.back(); ++t) {
    const int level = refinements[t - 1];
    if (level == 0) {
      ended = true;
      continue;
    }
    if (ended || level <= last || level > scene.levels || attribute.step_level(stage_of(level)) <= t)
      stream_fail("refinements are not in the order of their levels and stages");
    last = level;
  }
}

void check_source(const SceneSource& scene, int levels) {
  if (scene.levels < 1 || scene.levels > kMaxLevels) stream_fail("a scene has 1 to 8 levels");
  if (levels < 1 || levels > scene.levels) stream_fail("no such level: " + std::to_string(levels));
  if (const char* error = header_error(scene.header)) stream_fail(error);
  check_stages(scene);
  if (levels > 1 && !scene.header.holds_levels()) stream_fail("more than one level needs trit networks");
  if (scene.count > size_t{1} << 30) stream_fail("too many anchors");
  if (scene.cameras.size() > kMaxCameras) stream_fail("more than 64 cameras");
  if (scene.metadata.size() > kMaxMetadataBytes) stream_fail("metadata is longer than 1 MiB");
  const char* const names[3] = {"features", "scaling", "offsets"};
  for (int a : {kFeatures, kScaling, kOffsets})
    check_symbols(scene.symbols[a], scene.count * static_cast<size_t>(scene.header[a].values), names[a]);
}

// Anchors [begin, end) in order of appearance up to `levels`.
SliceSource slice_source(const SceneSource& scene, int levels, const KeyedAnchor* begin,
                         const KeyedAnchor* end) {
  const size_t k = static_cast<size_t>(scene.header.offsets());
  SliceSource source;
  source.final_stage = scene.stages.back();
  std::vector<std::vector<uint32_t>> rows(static_cast<size_t>(levels));
  source.keys.resize(static_cast<size_t>(levels));
  for (const KeyedAnchor* anchor = begin; anchor != end; ++anchor) {
    int first = 0;
    const uint8_t* alive = scene.gaussian_level + anchor->second * k;
    for (size_t i = 0; i < k; ++i) {
      if (alive[i] > scene.levels) stream_fail("a Gaussian appears after the last level");
      if (alive[i] != 0 && (first == 0 || alive[i] < first)) first = alive[i];
    }
    if (first == 0) stream_fail("anchor " + std::to_string(anchor->second) + " has no Gaussian at any level");
    if (first > levels) continue;
    source.keys[static_cast<size_t>(first) - 1].push_back(anchor->first);
    rows[static_cast<size_t>(first) - 1].push_back(anchor->second);
  }
  for (const auto& level : rows)
    for (size_t n : level) {
      source.gaussian_level.insert(source.gaussian_level.end(), scene.gaussian_level + n * k,
                                   scene.gaussian_level + (n + 1) * k);
      for (int a : {kFeatures, kScaling, kOffsets}) {
        const size_t values = static_cast<size_t>(scene.header[a].values);
        const int32_t* symbols = scene.symbols[a] + n * values;
        source.symbols[a].insert(source.symbols[a].end(), symbols, symbols + values);
      }
      if (!scene.header.selective) continue;
      const int first = static_cast<int>(&level - rows.data()) + 1;
      for (size_t a = 0; a < kAttributes; ++a) {
        const uint8_t* refinements = scene.refined_at + (n * kAttributes + a) * scene.refinements();
        check_refinements(scene, scene.header.attributes[a], first, refinements);
        source.refined_at.insert(source.refined_at.end(), refinements, refinements + scene.refinements());
      }
    }
  return source;
}

// What was coded, as a payload. The streams are empty again afterwards.
std::vector<uint8_t> finish_slice(SliceWriter& streams, size_t fresh, size_t gaussians) {
  const std::vector<uint8_t> positions = streams.positions.finish(), masks = streams.masks.finish(),
                             escapes = streams.escapes.finish(), lanes = streams.lanes.finish();
  const auto bytes = [](const std::vector<uint8_t>& v) { return SliceParts::Bytes{v.data(), v.size()}; };
  return write_slice({static_cast<uint32_t>(fresh), static_cast<uint32_t>(gaussians), bytes(positions),
                      bytes(masks), bytes(escapes), bytes(lanes)});
}

struct EncodedSlices {
  std::vector<std::vector<std::vector<uint8_t>>> payload;  // [level][slice]
  std::vector<std::vector<uint32_t>> fresh;
};

EncodedSlices encode_slices(const SceneSource& scene, const StreamModel& model, const StreamIndex& index,
                            int levels, const std::vector<KeyedAnchor>& anchors, size_t per_slice,
                            int threads) {
  const size_t slices = index.slices();
  const size_t levels_n = static_cast<size_t>(levels);
  EncodedSlices out;
  out.payload.assign(levels_n, std::vector<std::vector<uint8_t>>(slices));
  out.fresh.assign(levels_n, std::vector<uint32_t>(slices));
  const size_t workers = worker_count(threads, slices);
  std::vector<SliceState> states(workers);
  std::vector<SliceScratch> scratch(workers, SliceScratch(model.header));
  parallel_items(workers, slices, [&](size_t w, size_t i) {
    const size_t begin = std::min(anchors.size(), i * per_slice),
                 end = std::min(anchors.size(), begin + per_slice);
    const SliceSource source = slice_source(scene, levels, anchors.data() + begin, anchors.data() + end);
    states[w].reset(model.header, end - begin);
    const KeyInterval interval = slice_interval(index, i, model.header.position_bits);
    for (int level = 1; level <= levels; ++level) {
      const size_t l = static_cast<size_t>(level) - 1;
      SliceWriter streams;
      streams.source = &source;
      streams.gaussians = static_cast<size_t>(std::count(
          source.gaussian_level.begin(), source.gaussian_level.end(), static_cast<uint8_t>(level)));
      const size_t fresh = source.keys[l].size();
      const size_t gaussians =
          code_slice_level(streams, model, states[w], scratch[w], level, interval, fresh);
      out.payload[l][i] = finish_slice(streams, fresh, gaussians);
      out.fresh[l][i] = static_cast<uint32_t>(fresh);
    }
  });
  return out;
}

}  // namespace

std::vector<uint8_t> encode_stream(SceneSource& scene, int levels, size_t slice_anchors, int threads) {
  const std::vector<KeyedAnchor> anchors = sorted_anchors(scene);
  check_source(scene, levels);
  const std::vector<uint8_t> head = write_header(scene.header);
  // Slices do not depend on how many levels are asked for, so that dropping levels later gives the same file.
  const size_t most = max_slices(scene.levels, head.size());
  size_t per_slice = std::max<size_t>(1, slice_anchors);
  per_slice = std::max(per_slice, (anchors.size() + most - 1) / most);
  StreamIndex index;
  for (size_t at = 0; at < anchors.size() || at == 0; at += per_slice)
    index.first_key.push_back(at == 0 ? 0 : anchors[at].first);

  std::vector<std::vector<uint8_t>> networks;
  for (int level = 1; level <= levels; ++level)
    networks.push_back(write_networks(scene.networks, scene.header, scene.stages, level));
  const StreamModel model(scene.header, scene.signs, scene.networks, scene.stages);
  EncodedSlices slices = encode_slices(scene, model, index, levels, anchors, per_slice, threads);

  std::vector<uint8_t> front;
  if (!scene.cameras.empty()) write_chunk(front, kTagCameras, 0, kNoSlice, write_cameras(scene.cameras));
  if (!scene.metadata.empty())
    write_chunk(front, kTagMetadata, 0, kNoSlice,
                std::vector<uint8_t>(scene.metadata.begin(), scene.metadata.end()));
  if (!scene.frame.identity()) write_chunk(front, kTagFrame, 0, kNoSlice, write_frame(scene.frame));
  if (!scene.swell.empty()) write_chunk(front, kTagSwell, 0, kNoSlice, write_swell(scene.swell));
  std::vector<std::vector<uint8_t>> level_bytes(static_cast<size_t>(levels));
  for (int level = 1; level <= levels; ++level) {
    const size_t l = static_cast<size_t>(level) - 1;
    std::vector<uint8_t>& bytes = level_bytes[l];
    if (level == 1) {
      write_chunk(bytes, kTagGrid, 1, kNoSlice, write_grid(scene.header.grid, scene.signs));
      write_chunk(bytes, kTagHeads, 1, kNoSlice, write_heads(scene.heads));
    }
    write_chunk(bytes, kTagNetworks, level, kNoSlice, networks[l]);
    LevelEntry entry;
    std::vector<uint32_t> lengths;
    for (size_t i = 0; i < index.slices(); ++i) {
      write_chunk(bytes, kTagSlice, level, static_cast<uint32_t>(i), slices.payload[l][i]);
      lengths.push_back(static_cast<uint32_t>(slices.payload[l][i].size()));
      entry.anchors += slices.fresh[l][i];
    }
    entry.length = bytes.size();
    index.levels.push_back(entry);
    index.slice_length.push_back(std::move(lengths));
  }

  uint64_t at = kPreambleBytes + 2 * kChunkHeaderBytes + index.payload_bytes() + head.size() + front.size();
  for (LevelEntry& entry : index.levels) {
    entry.offset = at;
    at += entry.length;
  }
  std::vector<uint8_t> file;
  file.reserve(at);
  write_preamble(file, scene.header.version(), scene.swell.empty() ? kVersionMinor : kSwellMinor);
  write_chunk(file, kTagIndex, 0, kNoSlice, write_index(index));
  write_chunk(file, kTagHead, 0, kNoSlice, head);
  file.insert(file.end(), front.begin(), front.end());
  for (const auto& bytes : level_bytes) file.insert(file.end(), bytes.begin(), bytes.end());
  return file;
}

std::vector<uint8_t> truncate_stream(const uint8_t* data, size_t size, int levels) {
  const Container file = read_container(data, size, levels);
  if (levels < 1 || levels > static_cast<int>(file.index.levels.size()))
    stream_fail("the stream has " + std::to_string(file.index.levels.size()) + " levels; level " +
                std::to_string(levels) + " is not among them");
  if (file.whole_levels < levels)
    stream_fail("truncated: level " + std::to_string(levels) + " is not whole, only " +
                std::to_string(file.whole_levels));
  const size_t keep = static_cast<size_t>(levels);
  StreamIndex index = file.index;
  index.levels.resize(keep);
  index.slice_length.resize(keep);
  const uint64_t before = file.index.payload_bytes() - index.payload_bytes();
  for (LevelEntry& entry : index.levels) entry.offset -= before;
  for (const Chunk& chunk : file.front) check_crc(chunk);
  for (const auto& chunks : file.levels)
    for (const Chunk& chunk : chunks) check_crc(chunk);
  std::vector<uint8_t> out;
  write_preamble(out, file.version, data[9]);  // a newer minor version stays what it is
  write_chunk(out, kTagIndex, 0, kNoSlice, write_index(index));
  const LevelEntry& last = file.index.levels[keep - 1];
  out.insert(out.end(), data + file.head.offset, data + last.offset + last.length);
  return out;
}

}  // namespace gspc
