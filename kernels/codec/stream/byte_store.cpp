#include "codec/stream/byte_store.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace gspc {

// The run that begins at `offset` or last before it; end() when there is none.
ByteStore::Runs::const_iterator ByteStore::run_before(uint64_t offset) const {
  const auto after = runs_.upper_bound(offset);
  return after == runs_.begin() ? runs_.end() : std::prev(after);
}

// Bytes for a gap between runs, which they fill or begin.
void ByteStore::append(uint64_t offset, const uint8_t* bytes, size_t size) {
  bytes_ += size;
  const auto before = runs_.find(offset) == runs_.end() ? run_before(offset) : runs_.end();
  const bool joins = before != runs_.end() && end_of(before) == offset;
  std::vector<uint8_t>& run = joins ? runs_[before->first] : runs_[offset];
  run.insert(run.end(), bytes, bytes + size);
  const auto next = runs_.find(offset + size);
  if (next == runs_.end()) return;
  run.insert(run.end(), next->second.begin(), next->second.end());
  runs_.erase(next);
}

void ByteStore::put(uint64_t offset, const uint8_t* bytes, size_t size) {
  const ByteRange all{offset, size};
  for (ByteRange gap = missing(all); gap.size > 0; gap = missing(all))
    append(gap.offset, bytes + (gap.offset - offset), static_cast<size_t>(gap.size));
}

void ByteStore::drop(ByteRange range) {
  auto run = runs_.lower_bound(range.offset);
  if (run != runs_.begin() && end_of(std::prev(run)) > range.offset) --run;
  while (run != runs_.end() && run->first < range.end()) {
    const uint64_t first = run->first, end = end_of(run);
    const uint64_t from = std::max(first, range.offset), until = std::min(end, range.end());
    bytes_ -= until - from;
    if (until < end) {
      const auto rest = run->second.end() - static_cast<std::ptrdiff_t>(end - until);
      runs_.emplace(until, std::vector<uint8_t>(rest, run->second.end()));
    }
    if (first < from) {
      run->second.resize(static_cast<size_t>(from - first));
      ++run;
    } else {
      run = runs_.erase(run);
    }
  }
}

FileWindow ByteStore::around(uint64_t offset) const {
  const auto run = run_before(offset);
  if (run == runs_.end() || end_of(run) <= offset) return {nullptr, offset, offset};
  return {run->second.data(), run->first, end_of(run)};
}

ByteRange ByteStore::missing(ByteRange range) const {
  uint64_t at = range.offset;
  const auto before = run_before(at);
  if (before != runs_.end()) at = std::max(at, end_of(before));
  const auto next = runs_.upper_bound(range.offset);
  const uint64_t until = next == runs_.end() ? range.end() : std::min(next->first, range.end());
  return at < until ? ByteRange{at, until - at} : ByteRange{range.end(), 0};
}

}  // namespace gspc
