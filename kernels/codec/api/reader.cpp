// The part of pcgs.h for streams that come in pieces.
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "codec/api/pcgs.h"
#include "codec/api/scene.hpp"
#include "codec/stream/slice_box.hpp"
#include "codec/stream/stream_reader.hpp"

struct pcgs_reader {
  std::unique_ptr<gspc::StreamReader> stream;
  std::string error;
};

namespace {

// What `work` gives, or `failed` with the reader's error set.
template <class Result, class Work>
Result guarded(pcgs_reader* reader, Result failed, Work work) {
  if (reader == nullptr) return failed;
  if (reader->stream == nullptr) return failed;  // the options were refused
  reader->error.clear();
  try {
    return work(*reader->stream);
  } catch (const std::bad_alloc&) {
    reader->error = "out of memory";
  } catch (const std::exception& error) {
    reader->error = error.what();
  }
  return failed;
}

// The reader's stream once its index is there.
const gspc::StreamReader* opened(const pcgs_reader* reader) {
  const bool there = reader != nullptr && reader->stream != nullptr && reader->stream->opened();
  return there ? reader->stream.get() : nullptr;
}

bool has_level(const gspc::StreamReader* stream, int32_t level) {
  return stream != nullptr && level >= 1 && static_cast<size_t>(level) <= stream->index().levels.size();
}

pcgs_scene* take(pcgs_reader* reader, bool part) {
  pcgs_scene* const none = nullptr;
  return guarded(reader, none, [&](gspc::StreamReader& stream) {
    stream.advance(part);
    return stream.holds_scene() ? gspc::scene_of(stream.scene()) : none;
  });
}

}  // namespace

extern "C" {

pcgs_reader* pcgs_open(const pcgs_options* options) {
  pcgs_reader* const reader = new (std::nothrow) pcgs_reader;
  if (reader == nullptr) return nullptr;
  try {
    reader->stream = std::make_unique<gspc::StreamReader>(gspc::decode_options(options));
  } catch (const gspc::StreamError& error) {
    reader->error = error.what();
  } catch (const std::bad_alloc&) {
    delete reader;
    return nullptr;
  }
  return reader;
}

void pcgs_close(pcgs_reader* reader) { delete reader; }

int32_t pcgs_feed(pcgs_reader* reader, const void* bytes, size_t size) {
  return guarded(reader, 0, [&](gspc::StreamReader& stream) {
    stream.feed(static_cast<const uint8_t*>(bytes), bytes == nullptr ? 0 : size);
    return 1;
  });
}

int32_t pcgs_feed_at(pcgs_reader* reader, uint64_t offset, const void* bytes, size_t size) {
  return guarded(reader, 0, [&](gspc::StreamReader& stream) {
    stream.feed_at(offset, static_cast<const uint8_t*>(bytes), bytes == nullptr ? 0 : size);
    return 1;
  });
}

void pcgs_limit_work(pcgs_reader* reader, uint64_t most) {
  if (reader != nullptr && reader->stream != nullptr) reader->stream->options().max_work = most;
}

void pcgs_on_work(pcgs_reader* reader, pcgs_canceled canceled, void* context) {
  if (reader == nullptr || reader->stream == nullptr) return;
  auto& asked = reader->stream->options().canceled;
  asked = nullptr;
  if (canceled != nullptr) asked = [canceled, context] { return canceled(context) != 0; };
}

pcgs_range pcgs_wanted(const pcgs_reader* reader) {
  if (reader == nullptr || reader->stream == nullptr || reader->stream->broken()) return {0, 0};
  const gspc::ByteRange range = reader->stream->wanted();
  return {range.offset, range.size};
}

int32_t pcgs_next_level(const pcgs_reader* reader) {
  return reader != nullptr && reader->stream != nullptr ? reader->stream->next_level() : 0;
}

int32_t pcgs_ready(const pcgs_reader* reader) {
  return reader != nullptr && reader->stream != nullptr && reader->stream->ready() ? 1 : 0;
}

pcgs_scene* pcgs_take_level(pcgs_reader* reader) { return take(reader, false); }
pcgs_scene* pcgs_take_slices(pcgs_reader* reader) { return take(reader, true); }

const char* pcgs_error(const pcgs_reader* reader) { return reader != nullptr ? reader->error.c_str() : ""; }

int32_t pcgs_levels(const pcgs_reader* reader) {
  const gspc::StreamReader* stream = opened(reader);
  return stream != nullptr ? static_cast<int32_t>(stream->index().levels.size()) : 0;
}

uint64_t pcgs_level_end(const pcgs_reader* reader, int32_t level) {
  const gspc::StreamReader* stream = opened(reader);
  if (!has_level(stream, level)) return 0;
  const gspc::LevelEntry& entry = stream->index().levels[static_cast<size_t>(level) - 1];
  return entry.offset + entry.length;
}

size_t pcgs_slice_count(const pcgs_reader* reader) {
  const gspc::StreamReader* stream = opened(reader);
  return stream != nullptr ? stream->index().slices() : 0;
}

int32_t pcgs_slice_box(const pcgs_reader* reader, size_t slice, double box[6]) {
  const gspc::StreamReader* stream = opened(reader);
  if (box == nullptr || stream == nullptr || slice >= stream->index().slices()) return 0;
  gspc::slice_box(stream->index(), stream->header(), slice, box);
  return 1;
}

pcgs_range pcgs_slice_range(const pcgs_reader* reader, int32_t level, size_t slice) {
  const gspc::StreamReader* stream = opened(reader);
  if (!has_level(stream, level) || slice >= stream->index().slices()) return {0, 0};
  const gspc::ByteRange range = stream->slice_range(level, slice);
  return {range.offset, range.size};
}

int32_t pcgs_choose_slices(pcgs_reader* reader, const uint8_t* chosen, size_t count) {
  return guarded(reader, 0, [&](gspc::StreamReader& stream) {
    if (chosen == nullptr) gspc::stream_fail("no slices were named");
    stream.choose(std::vector<bool>(chosen, chosen + count));
    return 1;
  });
}

}  // extern "C"
