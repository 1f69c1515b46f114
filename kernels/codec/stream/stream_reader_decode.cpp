// The half of StreamReader that decodes: what its bytes are, once they are there.
#include <algorithm>
#include <utility>

#include "codec/stream/parallel.hpp"
#include "codec/stream/restore.hpp"
#include "codec/stream/stream_reader.hpp"

namespace gspc {

// The chunks in a range; where one is damaged the range is forgotten, so that it may come again.
std::vector<Chunk> StreamReader::chunks_in(ByteRange range) {
  FileWindow window = store_.around(range.offset);
  window.end = range.end();
  std::vector<Chunk> chunks;
  try {
    for (uint64_t at = range.offset; at < range.end(); at = chunks.back().end()) {
      chunks.emplace_back();
      if (!read_chunk(window, at, chunks.back()))
        stream_fail("index and chunk headers disagree at byte " + std::to_string(at));
      check_crc(chunks.back());
    }
  } catch (const StreamError&) {
    store_.drop(range);
    throw;
  }
  return chunks;
}

// The chunks of a level that are needed and there: its parameters unless they are known, then slices.
std::vector<Chunk> StreamReader::level_chunks(int level, bool part) {
  const LevelState& state = levels_[static_cast<size_t>(level) - 1];
  std::vector<Chunk> chunks;
  if (!state.plain) {
    const ByteRange all = level_range(level);
    if (!store_.holds(all)) return chunks;
    std::vector<Chunk> found;
    chunks_in(all);
    read_level(store_.around(all.offset), index_, level, found);
    for (const Chunk& chunk : found)
      if (chunk.tag == kTagSlice ? pending(chunk.slice, level) : !state.parameters) chunks.push_back(chunk);
    return chunks;
  }
  if (!state.parameters) chunks = chunks_in(parameter_range(level));
  for (size_t i = 0; i < slices_.size(); ++i) {
    const ByteRange range = slice_range(level, i);
    if (!pending(i, level) || range.size == 0 || (part && !store_.holds(range))) continue;
    const Chunk chunk = chunks_in(range).front();
    if (chunk.tag != kTagSlice || chunk.level != level || chunk.slice != i || chunk.end() != range.end())
      stream_fail_in(chunk.name(), "index and chunk header disagree");
    chunks.push_back(chunk);
  }
  return chunks;
}

bool StreamReader::pending(size_t slice, int level) const {
  return slices_[slice].chosen && slices_[slice].passed == level - 1;
}

void StreamReader::read_parameters(const std::vector<Chunk>& chunks, int level) {
  StreamChunks sorted;
  sort_level(chunks, level, index_.slices(), sorted);
  if (level > 1 && !scene_.header.holds_levels())
    stream_fail_in("chunk HEAD", "more than one level, but no trit networks");
  if (level == 1) read_head_layers(sorted, scene_);
  read_part(*sorted.networks[0],
            [&](const uint8_t* p, size_t n) { read_networks(networks_, scene_.header, stages_, p, n); });
  std::vector<uint8_t> signs =
      level > 1 ? std::move(model_->signs) : read_part(*sorted.grid, [&](const uint8_t* p, size_t n) {
        return read_grid(scene_.header.grid, p, n);
      });
  model_ = std::make_unique<StreamModel>(scene_.header, std::move(signs), networks_, stages_);
  levels_[static_cast<size_t>(level) - 1].parameters = true;
}

// Once all slices of a level are known: the index counts their anchors.
void StreamReader::check_anchors(int level) const {
  uint64_t sum = 0;
  const std::vector<uint32_t>& lengths = index_.slice_length[static_cast<size_t>(level) - 1];
  const std::vector<int64_t>& fresh = levels_[static_cast<size_t>(level) - 1].fresh;
  for (size_t i = 0; i < fresh.size(); ++i) {
    if (lengths[i] > 0 && fresh[i] < 0) return;
    if (lengths[i] > 0) sum += static_cast<uint64_t>(fresh[i]);
  }
  const uint64_t promised = index_.levels[static_cast<size_t>(level) - 1].anchors;
  if (sum != promised)
    stream_fail_in("level " + std::to_string(level), "the index counts " + std::to_string(promised) +
                                                         " anchors, its slices " + std::to_string(sum));
}

void StreamReader::check_need(const std::vector<Item>& items, int level, size_t workers) {
  const StreamHeader& h = scene_.header;
  uint64_t anchors = 0, largest = 0;
  for (const Slice& slice : slices_) anchors += slice.state.count;
  if (work_ == 0) work_ = model_work(h);
  for (const Item& item : items) {
    const uint64_t old = slices_[item.chunk.slice].state.count;
    anchors += item.parts.fresh;
    largest = std::max(largest, old + item.parts.fresh);
    work_ += slice_work(h, level, item.parts.fresh, old);
  }
  const uint64_t kept = anchors * (state_bytes(h) + scene_bytes(h, options_.symbols));
  const uint64_t each = largest * kTreeBytes + worker_bytes(h);
  check_memory(kept + workers * each + 2 * grid_entries(h.grid) + store_.bytes(), options_.max_memory,
               "decoding");
  check_work(work_, options_, level_range(level).end());
}

void StreamReader::decode(const std::vector<Item>& items, int level, size_t workers) {
  std::vector<SliceScratch> scratch(workers, SliceScratch(scene_.header));
  parallel_items(workers, items.size(), [&](size_t w, size_t i) {
    check_cancel(options_);
    const Item& item = items[i];
    Slice& slice = slices_[item.chunk.slice];
    slice.state.grow(scene_.header, slice.state.count + item.parts.fresh);
    try {
      SliceReader streams(item.parts);
      const size_t appearing = code_slice_level(
          streams, *model_, slice.state, scratch[w], level,
          slice_interval(index_, item.chunk.slice, scene_.header.position_bits), item.parts.fresh);
      if (appearing != item.parts.gaussians) stream_fail("the count of Gaussians is not what the masks say");
    } catch (const StreamError& error) {
      fail_in(item.chunk, error);
    }
    slice.level = level;
  });
}

void StreamReader::advance(bool part) {
  check_usable();
  const int level = next_level();
  if (level == 0) stream_fail("all levels are decoded already");
  if (part && !opened_) return;
  if (!opened_ || (!part && wanted().size > 0))
    stream_fail("level " + std::to_string(level) + " is not whole yet");
  LevelState& state = levels_[static_cast<size_t>(level) - 1];
  if (part && !state.parameters && state.plain && !store_.holds(parameter_range(level))) return;
  const std::vector<Chunk> chunks = level_chunks(level, part);
  if (!state.plain && chunks.empty()) return;
  try {
    std::vector<Item> items;
    std::vector<Chunk> parameters;
    for (const Chunk& chunk : chunks) {
      if (chunk.tag != kTagSlice) {
        parameters.push_back(chunk);
        continue;
      }
      items.push_back({chunk, read_slice(chunk)});
      state.fresh[chunk.slice] = items.back().parts.fresh;
    }
    check_anchors(level);
    const size_t workers = worker_count(options_.threads, items.size());
    check_need(items, level, workers);
    if (!state.parameters) read_parameters(parameters, level);
    decode(items, level, workers);
  } catch (const std::exception& error) {
    broken_ = error.what();
    throw;
  }
  const std::vector<uint32_t>& lengths = index_.slice_length[static_cast<size_t>(level) - 1];
  for (size_t i = 0; i < slices_.size(); ++i)
    if (pending(i, level) && (lengths[i] == 0 || slices_[i].level == level)) slices_[i].passed = level;
  for (const Chunk& chunk : chunks)
    if (state.plain) store_.drop({chunk.offset, chunk.end() - chunk.offset});
  if (!state.plain) store_.drop(level_range(level));
  if (next_level() > 0) check_layout(next_level());
}

DecodedStream StreamReader::scene() const {
  check_usable();
  if (model_ == nullptr) stream_fail("no level is decoded yet");
  DecodedStream out;
  out.header = scene_.header;
  out.level = level();
  out.levels_in_file = scene_.levels_in_file;
  out.heads = scene_.heads;
  out.cameras = scene_.cameras;
  out.metadata = scene_.metadata;
  out.frame = scene_.frame;
  out.swell = scene_.swell;
  std::vector<const Slice*> slices;
  std::vector<size_t> first;
  for (const Slice& slice : slices_) {
    if (!slice.chosen || slice.level == 0) continue;
    slices.push_back(&slice);
    first.push_back(out.count);
    out.count += slice.state.count;
  }
  allocate_scene(out, options_.symbols);
  const size_t workers = worker_count(options_.threads, slices.size());
  std::vector<SliceScratch> scratch(workers, SliceScratch(out.header));
  std::vector<uint64_t> hashes(slices.size());
  parallel_items(workers, slices.size(), [&](size_t w, size_t i) {
    hashes[i] = hash_slice(out.header, slices[i]->state);
    store_slice(out, *model_, slices[i]->state, slices[i]->level, scratch[w], first[i], options_.symbols);
  });
  for (uint64_t hash : hashes) out.hash = hash_words(out.hash, hash);
  return out;
}

}  // namespace gspc
