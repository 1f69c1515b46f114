#include "codec/stream/stream_reader.hpp"

#include <algorithm>

#include "codec/stream/restore.hpp"

namespace gspc {

namespace {

constexpr uint64_t kFarthestByte = uint64_t{1} << 42;  // an index cannot name one beyond
constexpr uint64_t kIndexHeaderEnd = kPreambleBytes + kChunkHeaderBytes;

struct Front {
  ByteRange now;         // what has to be there to know more: INDX, then all that lies before level 1
  uint64_t first_level;  // where level 1 ends, once INDX is there
};

Front front_of(const ByteStore& store) {
  const FileWindow bytes = store.around(0);
  if (bytes.end < kIndexHeaderEnd) return {{0, kIndexHeaderEnd}, 0};
  Chunk chunk;
  const bool whole = read_chunk(bytes, kPreambleBytes, chunk);
  if (chunk.tag != kTagIndex) stream_fail("the first chunk is not INDX");
  if (chunk.end() > kIndexWindow) stream_fail("INDX and HEAD do not fit the first 16 KiB");
  if (!whole) return {{0, chunk.end()}, 0};
  check_crc(chunk);
  const LevelEntry first = read_index(chunk.payload, chunk.length).levels[0];
  return {{0, first.offset}, first.offset + first.length};
}

}  // namespace

StreamReader::StreamReader(const DecodeOptions& options) : options_(options) {
  if (options.upto < 0) stream_fail("levels count from 1");
}

void StreamReader::check_usable() const {
  if (!broken_.empty()) stream_fail(broken_);
}

void StreamReader::feed(const uint8_t* bytes, size_t size) {
  feed_at(fed_, bytes, size);
  fed_ += size;
}

void StreamReader::feed_at(uint64_t offset, const uint8_t* bytes, size_t size) {
  check_usable();
  try {
    const uint64_t end = opened_ ? file_bytes_ : kFarthestByte;
    if (size > end || offset > end - size) stream_fail("bytes follow the end of the stream");
    store_.put(offset, bytes, size);
    if (!opened_) open();
    const int next = next_level();
    if (opened_ && next > 0) check_layout(next);
  } catch (const StreamError& error) {
    broken_ = error.what();
    throw;
  }
}

// Reads what lies before level 1 as soon as it is there.
void StreamReader::open() {
  const FileWindow bytes = store_.around(0);
  if (bytes.end < kPreambleBytes) return;
  check_preamble(bytes.data, static_cast<size_t>(bytes.end));
  const Front front = front_of(store_);
  if (front.first_level == 0 || !store_.holds(front.now)) return;
  const Container file = read_front(bytes.data, static_cast<size_t>(bytes.end));
  const size_t levels = file.index.levels.size();
  if (options_.upto > static_cast<int>(levels))
    stream_fail("level " + std::to_string(options_.upto) + " was asked for, the stream has " +
                std::to_string(levels));
  if (bytes.end > file.file_bytes) stream_fail("bytes follow the end of the stream");
  scene_.header = read_header(file.head.payload, file.head.length);
  check_version(file, scene_.header);
  if (file.index.first_key.back() >> (3 * scene_.header.position_bits))
    stream_fail_in("chunk INDX", "slices beyond the positions");
  StreamChunks chunks;
  sort_front(file.front, chunks);
  read_surroundings(chunks, scene_);
  scene_.levels_in_file = static_cast<int>(levels);
  index_ = file.index;
  file_bytes_ = file.file_bytes;
  networks_ = Networks(scene_.header, scene_.header.holds_levels() ? scene_.levels_in_file : 1);
  levels_.resize(levels);
  for (LevelState& level : levels_) level.fresh.assign(index_.slices(), -1);
  slices_.resize(index_.slices());
  opened_ = true;
  store_.drop(front.now);
}

void StreamReader::choose(const std::vector<bool>& slices) {
  if (slices.size() != slices_.size()) stream_fail("a flag for each slice is needed");
  for (size_t i = 0; i < slices.size(); ++i) slices_[i].chosen = slices[i];
  if (next_level() > 0) check_layout(next_level());
}

int StreamReader::level() const {
  int level = 0;
  while (level < static_cast<int>(levels_.size()) && levels_[static_cast<size_t>(level)].parameters) ++level;
  for (const Slice& slice : slices_)
    if (slice.chosen) level = std::min(level, slice.passed);
  return level;
}

int StreamReader::next_level() const {
  if (!opened_) return 1;
  const int last = options_.upto > 0 ? options_.upto : scene_.levels_in_file;
  return level() < last ? level() + 1 : 0;
}

// ---- where the bytes of a level lie ----

ByteRange StreamReader::level_range(int level) const {
  const LevelEntry& entry = index_.levels[static_cast<size_t>(level) - 1];
  return {entry.offset, entry.length};
}

// What a level holds before its slices, if it holds nothing between or behind them.
ByteRange StreamReader::parameter_range(int level) const {
  ByteRange range = level_range(level);
  uint64_t slices = 0;
  for (uint32_t length : index_.slice_length[static_cast<size_t>(level) - 1])
    if (length > 0) slices += kChunkHeaderBytes + length;
  range.size -= std::min(range.size, slices);
  return range;
}

ByteRange StreamReader::slice_range(int level, size_t slice) const {
  const std::vector<uint32_t>& lengths = index_.slice_length[static_cast<size_t>(level) - 1];
  uint64_t at = parameter_range(level).end();
  for (size_t i = 0; i < slice; ++i)
    if (lengths[i] > 0) at += kChunkHeaderBytes + lengths[i];
  return {at, lengths[slice] > 0 ? kChunkHeaderBytes + uint64_t{lengths[slice]} : 0};
}

// Whether a level's parameters fill the place before its slices. They do unless there are chunks that this
// version does not know; then all of the level is needed to find its slices.
void StreamReader::check_layout(int level) {
  LevelState& state = levels_[static_cast<size_t>(level) - 1];
  const ByteRange range = parameter_range(level);
  if (state.parameters || !state.plain || !store_.holds(range)) return;
  FileWindow window = store_.around(range.offset);
  window.end = range.end();
  try {
    for (uint64_t at = range.offset; at < range.end();) {
      Chunk chunk;
      state.plain = read_chunk(window, at, chunk) && chunk.tag != kTagSlice;
      if (!state.plain) return;
      at = chunk.end();
    }
  } catch (const StreamError&) {
    state.plain = false;  // the reader of the whole level says what is wrong
  }
}

// Where what a level still needs lies, in order; pieces that touch are one.
std::vector<ByteRange> StreamReader::needed(int level) const {
  const LevelState& state = levels_[static_cast<size_t>(level) - 1];
  if (!state.plain) return {level_range(level)};
  std::vector<ByteRange> ranges;
  const auto add = [&](ByteRange range) {
    if (range.size == 0) return;
    if (!ranges.empty() && ranges.back().end() == range.offset) ranges.back().size += range.size;
    else ranges.push_back(range);
  };
  ByteRange at = parameter_range(level);
  if (!state.parameters) add(at);
  const std::vector<uint32_t>& lengths = index_.slice_length[static_cast<size_t>(level) - 1];
  for (size_t i = 0; i < slices_.size(); ++i) {
    at = {at.end(), lengths[i] > 0 ? kChunkHeaderBytes + uint64_t{lengths[i]} : 0};
    if (slices_[i].chosen && slices_[i].passed == level - 1) add(at);
  }
  return ranges;
}

ByteRange StreamReader::wanted() const {
  if (!opened_) {
    const Front front = front_of(store_);
    return store_.missing({0, std::max(front.now.size, front.first_level)});
  }
  const int level = next_level();
  if (level == 0) return {file_bytes_, 0};
  for (const ByteRange& range : needed(level)) {
    const ByteRange gap = store_.missing(range);
    if (gap.size > 0) return gap;
  }
  return {level_range(level).end(), 0};
}

}  // namespace gspc
