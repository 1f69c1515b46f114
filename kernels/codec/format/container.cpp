#include "codec/format/container.hpp"

#include <algorithm>
#include <cstring>

#include "codec/format/crc32.hpp"
#include "codec/positions/morton.hpp"

namespace gspc {

namespace {

std::string tag_name(uint32_t tag) {
  std::string name;
  for (int i = 0; i < 4; ++i) {
    const char c = static_cast<char>(tag >> (8 * i) & 0x7f);
    name += c >= 32 && c < 127 ? c : '?';
  }
  return name;
}

bool letters(uint32_t tag) {
  for (int i = 0; i < 4; ++i) {
    const uint32_t c = tag >> (8 * i) & 0xff;
    if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))) return false;
  }
  return true;
}

}  // namespace

bool read_chunk(const FileWindow& file, uint64_t offset, Chunk& chunk) {
  if (!file.holds(offset, offset + kChunkHeaderBytes)) return false;
  ByteReader in(file.at(offset), kChunkHeaderBytes, "chunk header");
  const std::string where = "chunk header at byte " + std::to_string(offset);
  chunk.offset = static_cast<size_t>(offset);
  chunk.tag = in.u32();
  chunk.level = in.u8();
  const int flags = in.u8();
  const int reserved = in.u16();
  chunk.slice = in.u32();
  chunk.length = in.u32();
  chunk.crc = in.u32();
  if (in.u32() != crc32(file.at(offset), kChunkHeaderBytes - 4)) stream_fail_in(where, "checksum error");
  if (!letters(chunk.tag) || flags != 0 || reserved != 0 || chunk.level > kMaxLevels)
    stream_fail_in(where, "malformed");
  if (chunk.length > kMaxChunkBytes) stream_fail_in(chunk.name(), "longer than 1 GiB");
  chunk.payload = file.at(offset) + kChunkHeaderBytes;
  return chunk.length <= file.end - offset - kChunkHeaderBytes;
}

void check_preamble(const uint8_t* data, size_t size) {
  const size_t n = std::min(size, sizeof kMagic);
  if (n == 0) stream_fail("the stream is empty");
  if (std::memcmp(data, kMagic, n) != 0) {
    if (n >= 5 && std::memcmp(data, kMagic, 5) == 0)
      stream_fail("line ends were changed in transfer (text mode); copy the file in binary mode");
    stream_fail("not a .pcgs stream (bad magic)");
  }
  if (size < kPreambleBytes) stream_fail("truncated inside the preamble");
  if (data[8] < 1 || data[8] > kVersionMajor)
    stream_fail("format version " + std::to_string(data[8]) + "." + std::to_string(data[9]) +
                " is not readable here (this reader knows versions 1 and 2); update gspc");
  if (data[10] != 0 || data[11] != 0) stream_fail("preamble: reserved bytes are not zero");
}

bool read_level(const FileWindow& file, const StreamIndex& index, int level, std::vector<Chunk>& chunks) {
  const LevelEntry& entry = index.levels[static_cast<size_t>(level) - 1];
  const uint64_t end = entry.offset + entry.length;
  if (!file.holds(entry.offset, end)) return false;
  const FileWindow window{file.data, file.first, end};
  uint64_t at = entry.offset;
  uint32_t next_slice = 0;
  const auto& lengths = index.slice_length[static_cast<size_t>(level) - 1];
  const auto skip_absent = [&] {
    while (next_slice < lengths.size() && lengths[next_slice] == 0) ++next_slice;
  };
  while (at < end) {
    Chunk chunk;
    if (!read_chunk(window, at, chunk))
      stream_fail("index and chunk headers disagree at byte " + std::to_string(at));
    if (chunk.level != level) stream_fail_in(chunk.name(), "lies in level " + std::to_string(level));
    if (chunk.tag == kTagSlice) {
      skip_absent();
      if (next_slice >= lengths.size() || chunk.slice != next_slice || chunk.length != lengths[next_slice])
        stream_fail_in(chunk.name(), "index and chunk header disagree");
      ++next_slice;
    } else if (chunk.slice != kNoSlice) {
      stream_fail_in(chunk.name(), "only SLIC chunks belong to a slice");
    }
    chunks.push_back(chunk);
    at = chunk.end();
  }
  skip_absent();
  if (next_slice != lengths.size())
    stream_fail_in("level " + std::to_string(level), "slices of the index are missing");
  return true;
}

std::string Chunk::name() const {
  std::string text = "chunk " + tag_name(tag);
  if (level > 0) text += " level " + std::to_string(level);
  if (slice != kNoSlice) text += " slice " + std::to_string(slice);
  return text;
}

void check_crc(const Chunk& chunk) {
  if (crc32(chunk.payload, chunk.length) != chunk.crc) stream_fail_in(chunk.name(), "checksum error");
}

void write_preamble(std::vector<uint8_t>& file, int major, int minor) {
  file.insert(file.end(), kMagic, kMagic + sizeof kMagic);
  file.push_back(static_cast<uint8_t>(major));
  file.push_back(static_cast<uint8_t>(minor));
  file.push_back(0);
  file.push_back(0);
}

void write_chunk(std::vector<uint8_t>& file, uint32_t tag, int level, uint32_t slice,
                 const std::vector<uint8_t>& payload) {
  if (payload.size() > kMaxChunkBytes) stream_fail("a chunk would be longer than 1 GiB; use smaller slices");
  ByteWriter out;
  out.u32(tag);
  out.u8(static_cast<uint32_t>(level));
  out.u8(0);
  out.u16(0);
  out.u32(slice);
  out.u32(static_cast<uint32_t>(payload.size()));
  out.u32(crc32(payload.data(), payload.size()));
  out.u32(crc32(out.bytes.data(), out.bytes.size()));
  file.insert(file.end(), out.bytes.begin(), out.bytes.end());
  file.insert(file.end(), payload.begin(), payload.end());
}

size_t max_slices(int levels, size_t head_bytes) {
  const size_t levels_n = static_cast<size_t>(levels);
  const size_t fixed = kPreambleBytes + 2 * kChunkHeaderBytes + head_bytes + 8 + 20 * levels_n;
  return std::min(kMaxSlices, (kIndexWindow - fixed) / (8 + 4 * levels_n));
}

std::vector<uint8_t> write_index(const StreamIndex& index) {
  ByteWriter out;
  out.u8(static_cast<uint32_t>(index.levels.size()));
  out.u8(0);
  out.u16(0);
  out.u32(static_cast<uint32_t>(index.slices()));
  for (const LevelEntry& level : index.levels) {
    out.u64(level.offset);
    out.u64(level.length);
    out.u32(level.anchors);
  }
  for (uint64_t key : index.first_key) out.u64(key);
  for (const auto& lengths : index.slice_length)
    for (uint32_t length : lengths) out.u32(length);
  return out.bytes;
}

StreamIndex read_index(const uint8_t* data, size_t size) {
  ByteReader in(data, size, "chunk INDX");
  StreamIndex index;
  const size_t levels = in.u8();
  if (in.u8() != 0 || in.u16() != 0) stream_fail_in("chunk INDX", "reserved bytes are not zero");
  const size_t slices = in.u32();
  if (levels < 1 || levels > kMaxLevels)
    stream_fail_in("chunk INDX", "1 to 8 levels, not " + std::to_string(levels));
  if (slices < 1 || slices > kMaxSlices)
    stream_fail_in("chunk INDX", "1 to 2048 slices, not " + std::to_string(slices));
  if (size != 8 + levels * 20 + slices * (8 + 4 * levels))
    stream_fail_in("chunk INDX", "length does not fit its contents");
  uint64_t end = 0;
  uint64_t anchors = 0;
  for (size_t i = 0; i < levels; ++i) {
    LevelEntry level;
    level.offset = in.u64();
    level.length = in.u64();
    level.anchors = in.u32();
    if (level.length > uint64_t{1} << 40 || level.offset > uint64_t{1} << 41 ||
        (i > 0 && level.offset != end))
      stream_fail_in("chunk INDX", "level " + std::to_string(i + 1) + " does not follow the one before");
    end = level.offset + level.length;
    anchors += level.anchors;
    index.levels.push_back(level);
  }
  if (anchors > 0x7fffffffu) stream_fail_in("chunk INDX", "too many anchors");
  for (size_t i = 0; i < slices; ++i) {
    const uint64_t key = in.u64();
    if (i == 0 ? key != 0 : key <= index.first_key.back())
      stream_fail_in("chunk INDX", "slices are not in order");
    if (key >> (3 * kMaxPositionBits)) stream_fail_in("chunk INDX", "slice beyond 21 bits per axis");
    index.first_key.push_back(key);
  }
  for (size_t l = 0; l < levels; ++l) {
    std::vector<uint32_t> lengths(slices);
    for (size_t i = 0; i < slices; ++i) {
      lengths[i] = in.u32();
      if (lengths[i] == 0 && l + 1 < levels)
        stream_fail_in("chunk INDX", "only the last level may lack slices");
    }
    index.slice_length.push_back(std::move(lengths));
  }
  in.finish();
  return index;
}

Container read_front(const uint8_t* data, size_t size) {
  check_preamble(data, size);
  Container file;
  file.version = data[8];
  const FileWindow window{data, 0, size};
  if (!read_chunk(window, kPreambleBytes, file.index_chunk)) stream_fail("truncated inside the index");
  if (file.index_chunk.tag != kTagIndex) stream_fail("the first chunk is not INDX");
  check_crc(file.index_chunk);
  file.index = read_index(file.index_chunk.payload, file.index_chunk.length);
  if (!read_chunk(window, file.index_chunk.end(), file.head)) stream_fail("truncated inside the header");
  if (file.head.tag != kTagHead) stream_fail("the second chunk is not HEAD");
  if (file.index_chunk.level != 0 || file.head.level != 0 || file.index_chunk.slice != kNoSlice ||
      file.head.slice != kNoSlice)
    stream_fail("INDX and HEAD must belong to no level or slice");
  check_crc(file.head);
  if (file.head.end() > kIndexWindow) stream_fail("INDX and HEAD do not fit the first 16 KiB");

  const uint64_t begin = file.index.levels[0].offset;
  size_t at = file.head.end();
  if (begin < at) stream_fail("index and chunk headers disagree: level 1 begins before the header ends");
  while (at < begin) {
    Chunk chunk;
    if (!read_chunk(window, at, chunk)) stream_fail("truncated before level 1");
    if (chunk.level != 0 || chunk.slice != kNoSlice || chunk.end() > begin)
      stream_fail_in(chunk.name(), "index and chunk headers disagree");
    file.front.push_back(chunk);
    at = chunk.end();
  }
  const LevelEntry& last = file.index.levels.back();
  file.file_bytes = last.offset + last.length;
  return file;
}

Container read_container(const uint8_t* data, size_t size, int upto) {
  Container file = read_front(data, size);
  const int levels = static_cast<int>(file.index.levels.size());
  if (size > file.file_bytes)
    stream_fail(std::to_string(size - file.file_bytes) + " bytes follow the end of the stream");
  file.truncated = size < file.file_bytes;
  const int wanted = upto > 0 ? std::min(upto, levels) : levels;
  for (int level = 1; level <= wanted; ++level) {
    std::vector<Chunk> chunks;
    if (!read_level({data, 0, size}, file.index, level, chunks)) break;
    file.levels.push_back(std::move(chunks));
    file.whole_levels = level;
  }
  if (file.whole_levels == 0) {
    const uint64_t need = file.index.levels[0].offset + file.index.levels[0].length;
    stream_fail("truncated: level 1 ends at byte " + std::to_string(need) + ", there are " +
                std::to_string(size));
  }
  return file;
}

}  // namespace gspc
