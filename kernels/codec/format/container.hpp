// Chunks and index of a .pcgs file: what is where, and is it whole. Contents are read elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "codec/format/bytes.hpp"
#include "codec/format/limits.hpp"

namespace gspc {

inline constexpr uint32_t kNoSlice = 0xffffffffu;

constexpr uint32_t chunk_tag(const char (&name)[5]) {
  return static_cast<uint32_t>(name[0]) | static_cast<uint32_t>(name[1]) << 8 |
         static_cast<uint32_t>(name[2]) << 16 | static_cast<uint32_t>(name[3]) << 24;
}

inline constexpr uint32_t kTagIndex = chunk_tag("INDX");
inline constexpr uint32_t kTagHead = chunk_tag("HEAD");
inline constexpr uint32_t kTagCameras = chunk_tag("cams");
inline constexpr uint32_t kTagMetadata = chunk_tag("meta");
inline constexpr uint32_t kTagFrame = chunk_tag("fram");
inline constexpr uint32_t kTagSwell = chunk_tag("swel");
inline constexpr uint32_t kTagGrid = chunk_tag("GRID");
inline constexpr uint32_t kTagHeads = chunk_tag("GHED");
inline constexpr uint32_t kTagNetworks = chunk_tag("NETS");
inline constexpr uint32_t kTagSlice = chunk_tag("SLIC");

struct Chunk {
  uint32_t tag = 0;
  int level = 0;  // 0: the whole file
  uint32_t slice = kNoSlice;
  size_t offset = 0;    // of the chunk header, from the start of the file
  uint32_t length = 0;  // of the payload
  uint32_t crc = 0;
  const uint8_t* payload = nullptr;

  size_t end() const { return offset + kChunkHeaderBytes + length; }
  // "chunk SLIC level 2 slice 3"
  std::string name() const;
  bool ancillary() const { return (tag & 0x20) != 0; }
};

struct LevelEntry {
  uint64_t offset = 0;   // of the level's first chunk
  uint64_t length = 0;   // of all its chunks
  uint32_t anchors = 0;  // that first appear here
};

// The INDX chunk.
struct StreamIndex {
  std::vector<LevelEntry> levels;
  std::vector<uint64_t> first_key;                  // per slice; the first is 0
  std::vector<std::vector<uint32_t>> slice_length;  // [level][slice]: payload bytes, 0 = not in this file

  size_t slices() const { return first_key.size(); }
  size_t payload_bytes() const { return 8 + levels.size() * 20 + slices() * (8 + 4 * levels.size()); }
};

std::vector<uint8_t> write_index(const StreamIndex& index);
StreamIndex read_index(const uint8_t* data, size_t size);

// Most slices whose index still fits the window beside a HEAD payload of head_bytes.
size_t max_slices(int levels, size_t head_bytes);

// A chunk's 24-byte header followed by its payload.
void write_chunk(std::vector<uint8_t>& file, uint32_t tag, int level, uint32_t slice,
                 const std::vector<uint8_t>& payload);
void write_preamble(std::vector<uint8_t>& file, int major, int minor);

// Throws unless the payload's checksum holds; the message names the chunk.
void check_crc(const Chunk& chunk);

// Bytes [first, end) of a file.
struct FileWindow {
  const uint8_t* data = nullptr;
  uint64_t first = 0, end = 0;

  bool holds(uint64_t begin, uint64_t until) const {
    return first <= begin && begin <= until && until <= end;
  }
  const uint8_t* at(uint64_t offset) const { return data + (offset - first); }
};

// The chunk whose header lies at `offset`; false unless header and whole payload are in the window. Throws
// StreamError for a header that is damaged or malformed.
bool read_chunk(const FileWindow& file, uint64_t offset, Chunk& chunk);

// A file taken apart as far as its bytes reach. Chunk payloads point into the caller's data.
struct Container {
  int version = 1;  // the major one
  StreamIndex index;
  Chunk index_chunk;
  Chunk head;
  std::vector<Chunk> front;                // level 0, after HEAD
  std::vector<std::vector<Chunk>> levels;  // chunks of each whole level, from level 1
  int whole_levels = 0;
  uint64_t file_bytes = 0;  // as the index says
  bool truncated = false;
};

// Preamble, INDX, HEAD and the chunks of level 0; the levels stay empty. Throws StreamError where the data
// ends before level 1 or does not begin like a stream.
Container read_front(const uint8_t* data, size_t size);

// The chunks of one level, which must agree with the index; false when the window does not hold all of it.
bool read_level(const FileWindow& file, const StreamIndex& index, int level, std::vector<Chunk>& chunks);

// The bytes that tell whether these are a stream of a version that is readable here. Throws StreamError if
// not.
void check_preamble(const uint8_t* data, size_t size);

// Reads structure up to level `upto` (0: all). Checks magic, version, chunk headers, the checksums of INDX
// and HEAD and that index and headers agree; payload checksums of other chunks are the reader's. Throws
// StreamError, among other things when no level is whole.
Container read_container(const uint8_t* data, size_t size, int upto);

}  // namespace gspc
