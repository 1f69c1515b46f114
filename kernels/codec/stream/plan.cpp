#include "codec/stream/plan.hpp"

#include <algorithm>
#include <utility>

#include "codec/format/parameters.hpp"

namespace gspc {

namespace {

void take_once(const Chunk*& place, const Chunk& chunk) {
  if (place != nullptr) stream_fail_in(chunk.name(), "appears twice");
  place = &chunk;
}

[[noreturn]] void fail_unknown(const Chunk& chunk) {
  stream_fail_in(chunk.name(), "unknown and needed to read this stream; update gspc");
}

// Slices and where their anchors go.
void plan_slices(StreamPlan& plan) {
  const StreamIndex& index = plan.file.index;
  std::vector<size_t> anchors(plan.slices(), 0);
  plan.slice_levels.assign(plan.slices(), 0);
  for (size_t l = 0; l < plan.chunks.slices.size(); ++l) {
    plan.parts.emplace_back(plan.slices());
    uint64_t sum = 0;
    for (size_t i = 0; i < plan.slices(); ++i) {
      const Chunk* chunk = plan.chunks.slices[l][i];
      if (chunk == nullptr) continue;
      plan.parts[l][i] = read_slice(*chunk);
      plan.slice_levels[i] = static_cast<int>(l) + 1;
      anchors[i] += plan.parts[l][i].fresh;
      sum += plan.parts[l][i].fresh;
    }
    if (sum != index.levels[l].anchors)
      stream_fail_in("level " + std::to_string(l + 1), "the index counts " +
                                                           std::to_string(index.levels[l].anchors) +
                                                           " anchors, its slices " + std::to_string(sum));
  }
  size_t at = 0;
  for (size_t n : anchors) {
    plan.first.push_back(at);
    at += n;
    plan.largest = std::max(plan.largest, n);
  }
  plan.first.push_back(at);
}

}  // namespace

void sort_front(const std::vector<Chunk>& chunks, StreamChunks& sorted) {
  for (const Chunk& chunk : chunks) {
    check_crc(chunk);
    if (chunk.tag == kTagCameras) take_once(sorted.cameras, chunk);
    else if (chunk.tag == kTagMetadata) take_once(sorted.metadata, chunk);
    else if (chunk.tag == kTagFrame) take_once(sorted.frame, chunk);
    else if (chunk.tag == kTagSwell) take_once(sorted.swell, chunk);
    else if (!chunk.ancillary()) fail_unknown(chunk);
  }
}

void sort_level(const std::vector<Chunk>& chunks, int level, size_t slices, StreamChunks& sorted) {
  const Chunk* networks = nullptr;
  std::vector<const Chunk*> found(slices, nullptr);
  for (const Chunk& chunk : chunks) {
    check_crc(chunk);
    if (chunk.tag == kTagSlice) found[chunk.slice] = &chunk;
    else if (chunk.tag == kTagNetworks) take_once(networks, chunk);
    else if (chunk.tag == kTagGrid && level == 1) take_once(sorted.grid, chunk);
    else if (chunk.tag == kTagHeads && level == 1) take_once(sorted.heads, chunk);
    else if (!chunk.ancillary()) fail_unknown(chunk);
  }
  const bool first = sorted.grid != nullptr && sorted.heads != nullptr;
  if (networks == nullptr || (level == 1 && !first))
    stream_fail_in("level " + std::to_string(level), "a chunk of parameters is missing");
  sorted.networks.push_back(networks);
  sorted.slices.push_back(std::move(found));
}

void fail_in(const Chunk& chunk, const StreamError& error) {
  stream_fail_in(error.place.empty() ? chunk.name() : error.place, error.problem);
}

void check_version(const Container& file, const StreamHeader& header) {
  if (file.version != header.version())
    stream_fail_in("chunk HEAD",
                   "its refinement is not that of format version " + std::to_string(file.version));
}

StreamPlan plan_stream(Container file, StreamHeader header, int upto) {
  check_version(file, header);
  StreamPlan plan;
  plan.file = std::move(file);
  plan.header = std::move(header);
  const int levels = static_cast<int>(plan.file.index.levels.size());
  if (upto > levels)
    stream_fail("level " + std::to_string(upto) + " was asked for, the stream has " + std::to_string(levels));
  if (upto > plan.levels())
    stream_fail("truncated: level " + std::to_string(upto) + " was asked for, the last whole one is " +
                std::to_string(plan.levels()));
  if (plan.file.index.first_key.back() >> (3 * plan.header.position_bits))
    stream_fail_in("chunk INDX", "slices beyond the positions");
  sort_front(plan.file.front, plan.chunks);
  for (int level = 1; level <= plan.levels(); ++level)
    sort_level(plan.file.levels[static_cast<size_t>(level) - 1], level, plan.slices(), plan.chunks);
  plan_slices(plan);
  return plan;
}

StreamPlan plan_stream(const uint8_t* data, size_t size, int upto) {
  Container file = read_container(data, size, upto);
  StreamHeader header = read_header(file.head.payload, file.head.length);
  return plan_stream(std::move(file), std::move(header), upto);
}

uint64_t walk_memory(const StreamPlan& plan, size_t workers) {
  const uint64_t anchor = state_bytes(plan.header) + kTreeBytes;
  return workers * (plan.largest * anchor + worker_bytes(plan.header)) + 2 * grid_entries(plan.header.grid);
}

uint64_t walk_work(const StreamPlan& plan) {
  uint64_t work = model_work(plan.header);
  std::vector<uint64_t> old(plan.slices());
  for (size_t l = 0; l < plan.parts.size(); ++l)
    for (size_t i = 0; i < plan.slices(); ++i) {
      if (static_cast<int>(l) >= plan.slice_levels[i]) continue;
      const uint64_t fresh = plan.parts[l][i].fresh;
      work += slice_work(plan.header, static_cast<int>(l) + 1, fresh, old[i]);
      old[i] += fresh;
    }
  return work;
}

StreamModel read_model(const StreamPlan& plan) {
  const StreamHeader& header = plan.header;
  if (plan.levels() > 1 && !header.holds_levels())
    stream_fail_in("chunk HEAD", "more than one level, but no trit networks");
  Networks networks(header, plan.levels());
  Stages stages;
  for (int level = 1; level <= plan.levels(); ++level)
    read_part(*plan.chunks.networks[static_cast<size_t>(level) - 1],
              [&](const uint8_t* p, size_t n) { read_networks(networks, header, stages, p, n); });
  return {
      header,
      read_part(*plan.chunks.grid, [&](const uint8_t* p, size_t n) { return read_grid(header.grid, p, n); }),
      networks, std::move(stages)};
}

KeyInterval slice_interval(const StreamIndex& index, size_t slice, int position_bits) {
  const uint64_t end = uint64_t{1} << (3 * position_bits);
  return {index.first_key[slice], slice + 1 < index.slices() ? index.first_key[slice + 1] : end};
}

}  // namespace gspc
