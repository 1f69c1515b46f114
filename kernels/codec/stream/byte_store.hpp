// The bytes of a file that have come so far, in whatever pieces and order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "codec/format/container.hpp"

namespace gspc {

// Bytes [offset, offset + size) of a file.
struct ByteRange {
  uint64_t offset = 0, size = 0;

  uint64_t end() const { return offset + size; }
};

class ByteStore {
 public:
  // Bytes that are there already stay as they are.
  void put(uint64_t offset, const uint8_t* bytes, size_t size);
  // Forgets what lies in the range.
  void drop(ByteRange range);
  // The longest run of bytes that begins at or before `offset` and holds it; empty when it is not there.
  FileWindow around(uint64_t offset) const;
  bool holds(ByteRange range) const { return around(range.offset).holds(range.offset, range.end()); }
  // The first bytes of the range that are not there, as many as lie side by side; size 0: all are there.
  ByteRange missing(ByteRange range) const;
  uint64_t bytes() const { return bytes_; }

 private:
  using Runs = std::map<uint64_t, std::vector<uint8_t>>;  // by offset; runs neither touch nor overlap
  static uint64_t end_of(Runs::const_iterator run) { return run->first + run->second.size(); }
  Runs::const_iterator run_before(uint64_t offset) const;
  void append(uint64_t offset, const uint8_t* bytes, size_t size);

  Runs runs_;
  uint64_t bytes_ = 0;
};

}  // namespace gspc
