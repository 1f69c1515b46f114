// A stream taken apart before anything is decoded: which chunk is where, which anchors each slice brings and
// how much memory that takes. Decoding, measuring and transcoding all start from it and walk its slices.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "codec/format/container.hpp"
#include "codec/format/header.hpp"
#include "codec/stream/cost.hpp"
#include "codec/stream/slice.hpp"
#include "codec/stream/slice_streams.hpp"
#include "codec/stream/stream.hpp"

namespace gspc {

// Chunks by what they are, checksums checked. They point into the container.
struct StreamChunks {
  const Chunk* cameras = nullptr;   // or none
  const Chunk* metadata = nullptr;  // or none
  const Chunk* frame = nullptr;     // or none
  const Chunk* swell = nullptr;     // or none
  const Chunk* grid = nullptr;
  const Chunk* heads = nullptr;
  std::vector<const Chunk*> networks;             // per level
  std::vector<std::vector<const Chunk*>> slices;  // [level][slice]; nullptr where a level lacks the slice
};

// What the chunks of level 0 are.
void sort_front(const std::vector<Chunk>& chunks, StreamChunks& sorted);
// What those of a level are, into `sorted` (grid, heads) and its last rows; slices are told from others.
// Throws StreamError for checksums that do not hold, and for chunks that are unknown, missing or there twice.
void sort_level(const std::vector<Chunk>& chunks, int level, size_t slices, StreamChunks& sorted);

struct StreamPlan {
  Container file;
  StreamHeader header;
  StreamChunks chunks;
  std::vector<std::vector<SliceParts>> parts;  // [level][slice]
  std::vector<size_t> first;      // anchor of each slice in stream order, then how many there are
  std::vector<int> slice_levels;  // finest level of each slice
  size_t largest = 0;             // anchors of the largest slice

  StreamPlan() = default;
  StreamPlan(StreamPlan&&) = default;
  StreamPlan(const StreamPlan&) = delete;  // chunks would point into the other one

  int levels() const { return file.whole_levels; }
  size_t slices() const { return file.index.slices(); }
  size_t anchors() const { return first.back(); }
  size_t slice_anchors(size_t slice) const { return first[slice + 1] - first[slice]; }
};

// The levels of `file` that were read; upto as read_container was given it. Throws StreamError when that
// level is not there.
StreamPlan plan_stream(Container file, StreamHeader header, int upto);
// Of a stream that lanes code.
StreamPlan plan_stream(const uint8_t* data, size_t size, int upto);

// Throws StreamError unless version and header belong together.
void check_version(const Container& file, const StreamHeader& header);

// Bytes that `workers` threads take to walk slices, and the grid.
uint64_t walk_memory(const StreamPlan& plan, size_t workers);
// Work of walking all slices, as cost.hpp counts it.
uint64_t walk_work(const StreamPlan& plan);

// Grid and networks up to the plan's level.
StreamModel read_model(const StreamPlan& plan);

// The error of a part, with the name of its chunk in front.
[[noreturn]] void fail_in(const Chunk& chunk, const StreamError& error);

template <class Read>
auto read_part(const Chunk& chunk, Read read) {
  try {
    return read(chunk.payload, static_cast<size_t>(chunk.length));
  } catch (const StreamError& error) {
    fail_in(chunk, error);
  }
}

KeyInterval slice_interval(const StreamIndex& index, size_t slice, int position_bits);

// Walks all levels of one slice, into `state`. open(level) gives the streams of a level; close(level,
// streams) is called once they are through.
template <class Open, class Close>
void walk_slice(const StreamPlan& plan, const StreamModel& model, size_t slice, SliceState& state,
                SliceScratch& scratch, Open open, Close close) {
  state.reset(model.header, plan.slice_anchors(slice));
  const KeyInterval interval = slice_interval(plan.file.index, slice, model.header.position_bits);
  for (int level = 1; level <= plan.slice_levels[slice]; ++level) {
    const size_t l = static_cast<size_t>(level) - 1;
    const SliceParts& parts = plan.parts[l][slice];
    try {
      auto streams = open(level);
      const size_t appearing = code_slice_level(streams, model, state, scratch, level, interval, parts.fresh);
      if (appearing != parts.gaussians) stream_fail("the count of Gaussians is not what the masks say");
      close(level, streams);
    } catch (const StreamError& error) {
      fail_in(*plan.chunks.slices[l][slice], error);
    }
  }
}

}  // namespace gspc
