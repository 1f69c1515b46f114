// Mutations of whole streams that keep their structure: payloads are what changes, and checksums, lengths and
// the index are made to fit them again. Without that nearly every mutant ends at its first checksum.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "codec/format/container.hpp"
#include "codec/format/stream_error.hpp"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace gspc::fuzz {

using Bytes = std::vector<uint8_t>;

struct Piece {
  uint32_t tag = 0, slice = kNoSlice;
  int level = 0;
  Bytes payload;
};

// The chunks of a stream whose headers are whole, whatever their payloads hold; empty if there are none.
inline std::vector<Piece> take_apart(const uint8_t* data, size_t size) {
  std::vector<Piece> pieces;
  const FileWindow file{data, 0, size};
  try {
    Chunk chunk;
    for (uint64_t at = kPreambleBytes; read_chunk(file, at, chunk); at = chunk.end())
      pieces.push_back(
          {chunk.tag, chunk.slice, chunk.level, Bytes(chunk.payload, chunk.payload + chunk.length)});
  } catch (const StreamError&) {}
  return pieces;
}

// Number of anchors that a slice says it has: its payload begins with it.
inline uint32_t anchors_of(const Bytes& payload) {
  uint32_t value = 0;
  for (size_t i = 0; i < payload.size() && i < 5; ++i) {
    value |= static_cast<uint32_t>(payload[i] & 127) << (7 * i);
    if (payload[i] < 128) break;
  }
  return value;
}

// Makes the index say where the pieces lie. An index that does not parse stays as it is.
inline void repair_index(std::vector<Piece>& pieces) {
  if (pieces.empty() || pieces[0].tag != kTagIndex) return;
  StreamIndex index;
  try {
    index = read_index(pieces[0].payload.data(), pieces[0].payload.size());
  } catch (const StreamError&) {
    return;
  }
  const size_t levels = index.levels.size();
  std::vector<uint64_t> length(levels + 1, 0), anchors(levels + 1, 0);
  for (auto& row : index.slice_length) std::fill(row.begin(), row.end(), 0);
  for (const Piece& piece : pieces) {
    const size_t level = std::min(static_cast<size_t>(piece.level), levels);
    length[level] += kChunkHeaderBytes + piece.payload.size();
    if (piece.tag != kTagSlice || level == 0) continue;
    anchors[level] += anchors_of(piece.payload);
    if (piece.slice < index.slices())
      index.slice_length[level - 1][piece.slice] = static_cast<uint32_t>(piece.payload.size());
  }
  uint64_t at = kPreambleBytes + length[0];
  for (size_t level = 1; level <= levels; ++level) {
    index.levels[level - 1] = {at, length[level], static_cast<uint32_t>(anchors[level])};
    at += length[level];
  }
  pieces[0].payload = write_index(index);
}

// The major version that a stream says it has.
inline int version_of(const uint8_t* data, size_t size) { return size > 8 ? data[8] : kVersionMajor; }

inline Bytes put_together(const std::vector<Piece>& pieces, int version) {
  Bytes file;
  write_preamble(file, version, kVersionMinor);
  for (const Piece& piece : pieces) write_chunk(file, piece.tag, piece.level, piece.slice, piece.payload);
  return file;
}

inline void mutate_payload(Bytes& payload, size_t room) {
  const size_t size = payload.size();
  payload.resize(std::max<size_t>(size + room, 1));
  payload.resize(LLVMFuzzerMutate(payload.data(), size, payload.size()));
}

// One change: mostly of a payload, sometimes of which chunks there are and in which order.
inline void mutate(std::vector<Piece>& pieces, std::mt19937& random) {
  const auto any = [&](size_t from) { return from + random() % (pieces.size() - from); };
  switch (random() % 32) {
    case 0:
      if (pieces.size() > 3) pieces.erase(pieces.begin() + static_cast<std::ptrdiff_t>(any(1)));
      break;
    case 1: std::swap(pieces[any(0)], pieces[any(0)]); break;
    case 2: {
      const Piece copy = pieces[any(0)];
      pieces.insert(pieces.begin() + static_cast<std::ptrdiff_t>(any(0)), copy);
      break;
    }
    case 3: {
      Piece& piece = pieces[any(0)];
      piece.level = static_cast<int>(random() % 9);
      piece.slice = random() % 4 ? piece.slice : random() % 5;
      break;
    }
    case 4:
    case 5:  // the header decides what everything else means
      mutate_payload(pieces[std::min<size_t>(1, pieces.size() - 1)].payload, 0);
      break;
    case 6: {  // the counts at the beginning of a slice
      Bytes& payload = pieces[any(0)].payload;
      if (!payload.empty())
        payload[random() % std::min<size_t>(payload.size(), 8)] = static_cast<uint8_t>(random());
      break;
    }
    default: mutate_payload(pieces[any(0)].payload, random() % 3 ? 0 : 32);
  }
}

inline size_t give(const Bytes& made, uint8_t* data, size_t max_size) {
  if (made.size() > max_size) return 0;
  std::memcpy(data, made.data(), made.size());
  return made.size();
}

inline size_t mutate_stream(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<Piece> pieces = take_apart(data, size);
  if (pieces.size() < 2 || random() % 64 == 0) return LLVMFuzzerMutate(data, size, max_size);
  for (unsigned changes = 1 + random() % 3; changes > 0 && !pieces.empty(); --changes) mutate(pieces, random);
  if (random() % 16) repair_index(pieces);
  const int version = version_of(data, size) ^ (random() % 64 == 0 ? 3 : 0);  // 1 for 2, and 2 for 1
  const size_t made = give(put_together(pieces, version), data, max_size);
  return made > 0 ? made : LLVMFuzzerMutate(data, size, max_size);
}

// Payloads of one stream in the place of those of another.
inline size_t cross_streams(const uint8_t* first, size_t first_size, const uint8_t* second,
                            size_t second_size, uint8_t* out, size_t max_size, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<Piece> pieces = take_apart(first, first_size);
  const std::vector<Piece> others = take_apart(second, second_size);
  if (pieces.empty() || others.empty()) return 0;
  for (Piece& piece : pieces) {
    const Piece& other = others[random() % others.size()];
    if (other.tag == piece.tag && random() % 2) piece.payload = other.payload;
  }
  repair_index(pieces);
  return give(put_together(pieces, version_of(first, first_size)), out, max_size);
}

}  // namespace gspc::fuzz

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  return gspc::fuzz::mutate_stream(data, size, max_size, seed);
}

extern "C" size_t LLVMFuzzerCustomCrossOver(const uint8_t* first, size_t first_size, const uint8_t* second,
                                            size_t second_size, uint8_t* out, size_t max_size,
                                            unsigned seed) {
  return gspc::fuzz::cross_streams(first, first_size, second, second_size, out, max_size, seed);
}
