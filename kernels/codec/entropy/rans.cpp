#include "codec/entropy/rans.hpp"

#include <algorithm>
#include <cstring>

#include "codec/entropy/rans_step.hpp"

namespace gspc {

namespace {

constexpr size_t kBlock = 2048;  // symbols between two looks for escapes: still in the first cache
constexpr size_t kSafety =
    2 * kRansLanes;  // bytes a group may read or a vector store may touch beyond its words

int exponent(uint32_t state) { return 15 - __builtin_clz(state); }

// Bitwise or of all values: below a power of two exactly when all of them are.
template <class T>
T any_bits(const T* values, size_t n) {
  constexpr size_t kLine = 64 / sizeof(T);
  T all = 0;
  size_t i = 0;
  for (; i + kLine <= n; i += kLine) {
    prefetch(values + i);
    for (size_t k = 0; k < kLine; ++k) all |= values[i + k];
  }
  for (; i < n; ++i) all |= values[i];
  return all;
}

// ---- writing
// -------------------------------------------------------------------------------------------------------

struct Tail {
  uint16_t words[kTailWords] = {};
  int count = 0;
};

// Codes as many trailing entries as fit into kTailWords words and returns how many symbols are left to the
// lanes.
size_t encode_tail(const uint32_t* entries, size_t symbols, Tail& tail) {
  uint32_t state = kStateLow;
  uint16_t emitted[kTailWords];
  int count = 0;
  size_t left = symbols;
  const size_t stop = left > kTailSymbols ? left - kTailSymbols : 0;
  while (left > stop) {
    const uint32_t entry = entries[left - 1];
    if (must_emit(state, entry)) {
      if (count + 2 == kTailWords) break;
      emitted[count++] = static_cast<uint16_t>(state);
      state >>= 16;
    }
    state = encode_step(state, entry);
    --left;
  }
  tail.words[0] = static_cast<uint16_t>(state >> 16);
  tail.words[1] = static_cast<uint16_t>(state);
  for (int i = 0; i < count; ++i) tail.words[2 + i] = emitted[count - 1 - i];
  tail.count = count + 2;
  return left;
}

// Codes the first `symbols` entries, whose runs are given, backwards from `out`.
uint8_t* encode_lanes(uint32_t* state, const uint32_t* entries, const std::vector<size_t>& runs,
                      size_t symbols, uint8_t* out) {
  size_t run = 0, start = 0;
  while (run < runs.size() && start + runs[run] < symbols) start += runs[run++];
  size_t end = symbols;
  while (end > 0) {
    const size_t rest = (end - start) % kRansLanes;
    for (size_t lane = rest; lane-- > 0;) {
      const uint32_t entry = entries[end - rest + lane];
      if (must_emit(state[lane], entry)) {
        store_word(out -= 2, state[lane]);
        state[lane] >>= 16;
      }
      state[lane] = encode_step(state[lane], entry);
    }
    out = GSPC_DISPATCH(encode_groups)(state, entries + start, (end - start) / kRansLanes, out);
    end = start;
    if (run > 0) start -= runs[--run];
  }
  return out;
}

void append_varint(std::vector<uint8_t>& out, uint64_t value) {
  for (; value >= 128; value >>= 7) out.push_back(static_cast<uint8_t>(value | 128));
  out.push_back(static_cast<uint8_t>(value));
}

void append_states(std::vector<uint8_t>& out, const uint32_t* state) {
  for (int lane = 0; lane < kRansLanes; lane += 2)
    out.push_back(static_cast<uint8_t>(exponent(state[lane]) | exponent(state[lane + 1]) << 4));
  uint64_t pending = 0;
  int bits = 0;
  for (int lane = 0; lane < kRansLanes; ++lane) {
    const int width = 16 + exponent(state[lane]);
    pending |= static_cast<uint64_t>(state[lane] ^ 1u << width) << bits;
    for (bits += width; bits >= 8; bits -= 8, pending >>= 8) out.push_back(static_cast<uint8_t>(pending));
  }
  if (bits > 0) out.push_back(static_cast<uint8_t>(pending));
}

}  // namespace

bool valid_tables(const uint8_t* table, size_t n) { return any_bits(table, n) < kGaussianTables; }
bool valid_tables(const uint16_t* table, size_t n) { return any_bits(table, n) < kTritTables; }

bool valid_trits(const int8_t* trit, size_t n) {
  int8_t low = 0, high = 0;
  for (size_t i = 0; i < n; ++i) {
    low = std::min(low, trit[i]);
    high = std::max(high, trit[i]);
  }
  return low >= -1 && high <= 1;
}

void RansEncoder::gaussian(const uint8_t* table, const int32_t* symbol, size_t n,
                           std::vector<uint32_t>& escapes) {
  if (n == 0) return;
  const CodecTables& t = codec_tables();
  const size_t offset = entries_.size();
  entries_.grow(offset, n);
  for (size_t start = 0; start < n; start += kBlock) {
    const size_t count = std::min(kBlock, n - start);
    if (!GSPC_DISPATCH(gaussian_entries)(t, table + start, symbol + start, count,
                                         entries_.data() + offset + start))
      continue;
    for (size_t i = start; i < start + count; ++i)
      if (gaussian_order(symbol[i]) >= t.extent[table[i] & (kGaussianTables - 1)] >> 16)
        escapes.push_back(static_cast<uint32_t>(i));
  }
  runs_.push_back(n);
}

void RansEncoder::trits(const uint16_t* table, const int8_t* trit, size_t n) {
  if (n == 0) return;
  const size_t offset = entries_.size();
  entries_.grow(offset, n);
  GSPC_DISPATCH(trit_entries)(codec_tables(), table, trit, n, entries_.data() + offset);
  runs_.push_back(n);
}

void RansEncoder::mixture(const Mixture& mixture, const int32_t* symbol, size_t n,
                          std::vector<uint32_t>& escapes) {
  if (n == 0) return;
  const size_t offset = entries_.size();
  entries_.grow(offset, n);
  uint32_t* const entry = entries_.data() + offset;
  if (GSPC_DISPATCH(mixture_entries)(codec_tables(), mixture, symbol, n, entry))
    for (size_t i = 0; i < n; ++i)
      if ((entry[i] & 0xffff) == kMixtureEnd) escapes.push_back(static_cast<uint32_t>(i));
  runs_.push_back(n);
}

std::vector<uint8_t> RansEncoder::finish() {
  std::vector<uint8_t> out;
  if (entries_.size() > 0) {
    Tail tail;
    const size_t symbols = encode_tail(entries_.data(), entries_.size(), tail);
    append_varint(out, symbols);
    if (symbols == 0) {
      out.resize(1 + 2 * static_cast<size_t>(tail.count));
      for (int i = 0; i < tail.count; ++i) store_word(out.data() + 1 + 2 * i, tail.words[i]);
    } else {
      alignas(64) uint32_t state[kRansLanes];
      for (int lane = 0; lane < kRansLanes; ++lane) state[lane] = kStateLow | tail.words[lane];
      const size_t capacity = 2 * symbols + 2 * kSafety;
      words_.grow(0, capacity);
      uint8_t* const last = words_.data() + capacity - kSafety;
      const uint8_t* const first = encode_lanes(state, entries_.data(), runs_, symbols, last);
      append_states(out, state);
      out.insert(out.end(), first, static_cast<const uint8_t*>(last));
    }
  }
  entries_.grow(0, 0);
  runs_.clear();
  return out;
}

// ---- reading
// -------------------------------------------------------------------------------------------------------

RansDecoder::RansDecoder(const uint8_t* data, size_t size) {
  lanes_.next = end_ = padding_;
  std::memset(padding_, 0, sizeof(padding_));
  for (uint32_t& state : lanes_.state) state = kStateLow;
  empty_ = size == 0;
  if (empty_) return;
  size_t used = 0;
  int shift = 0;
  while (used < size && shift < 56 && (data[used] & 128)) {
    lane_symbols_ |= static_cast<uint64_t>(data[used++] & 127) << shift;
    shift += 7;
  }
  // A longer number, or one with leading zeros, is not what an encoder writes.
  if (used == size || (data[used] & 128) || (used > 0 && data[used] == 0)) {
    damaged_ = true;
    lane_symbols_ = 0;
    return;
  }
  lane_symbols_ |= static_cast<uint64_t>(data[used++]) << shift;
  in_lanes_ = lane_symbols_ > 0;
  if (in_lanes_) {
    parse_states(data + used, size - used);
    return;
  }
  const size_t words = (size - used) / 2;
  if ((size - used) % 2 || words < 2 || words > kTailWords) {
    damaged_ = true;
    return;
  }
  tail_count_ = static_cast<int>(words);
  for (int i = 0; i < tail_count_; ++i) tail_words_[i] = load_word(data + used + 2 * i);
}

void RansDecoder::parse_states(const uint8_t* data, size_t size) {
  int total = 0;
  for (int i = 0; i < kRansLanes / 2 && size >= kRansLanes / 2; ++i)
    total += 32 + (data[i] & 15) + (data[i] >> 4);
  const size_t used = kRansLanes / 2 + (static_cast<size_t>(total) + 7) / 8;
  if (size < used || (size - used) % 2) {
    damaged_ = true;
    lane_symbols_ = 0;
    return;
  }
  const uint8_t* bytes = data + kRansLanes / 2;
  uint64_t pending = 0;
  int bits = 0;
  for (int lane = 0; lane < kRansLanes; ++lane) {
    const int width = 16 + (data[lane / 2] >> (lane % 2 * 4) & 15);
    for (; bits < width; bits += 8) pending |= static_cast<uint64_t>(*bytes++) << bits;
    lanes_.state[lane] = 1u << width | (static_cast<uint32_t>(pending) & ((1u << width) - 1));
    pending >>= width;
    bits -= width;
  }
  damaged_ = pending != 0;  // padding
  lanes_.next = data + used;
  end_ = data + size;
}

// Fewer than 64 bytes are left: goes on in a padded copy of them. False once the words are used up and more
// were read.
bool RansDecoder::near_end() {
  if (!padded_) {
    const auto left = static_cast<size_t>(end_ - lanes_.next);
    if (left > 0) std::memmove(padding_, lanes_.next, left);
    lanes_.next = padding_;
    end_ = padding_ + left;
    padded_ = true;
  }
  if (lanes_.next > end_) damaged_ = true;
  return !damaged_;
}

// Decodes up to n symbols in lanes and returns how many. kernel(i, groups, end) does whole groups, step(i,
// state) one symbol.
template <class Kernel, class Step>
size_t RansDecoder::lanes(size_t n, Kernel kernel, Step step) {
  const size_t count = static_cast<size_t>(std::min<uint64_t>(n, lane_symbols_));
  size_t i = 0;
  while (i < count && !damaged_) {
    const size_t groups = (count - i) / kRansLanes;
    // In the padded copy a group may always read on: the position is checked after it.
    if (groups > 0) {
      if (!padded_) {
        i += kRansLanes * kernel(i, groups, end_);
        if (end_ - lanes_.next < 2 * kRansLanes) near_end();
      } else {
        i += kRansLanes * kernel(i, 1, lanes_.next + 2 * kRansLanes);
        near_end();
      }
      continue;
    }
    if (!padded_ && end_ - lanes_.next < 2 * kRansLanes && !near_end()) break;
    for (int lane = 0; i < count; ++lane, ++i) {
      uint32_t& state = lanes_.state[lane];
      state = step(i, state);
      if (state < kStateLow) {
        state = state << 16 | load_word(lanes_.next);
        lanes_.next += 2;
      }
    }
    if (padded_) near_end();
  }
  lane_symbols_ -= count;
  return damaged_ ? i : count;
}

uint16_t RansDecoder::word() {
  if (tail_next_ < tail_count_) return tail_words_[tail_next_++];
  damaged_ = true;
  return 0;
}

void RansDecoder::start_tail() {
  if (tail_started_) return;
  tail_started_ = true;
  if (lanes_.next != end_) damaged_ = true;
  if (in_lanes_) {
    tail_count_ = kTailWords;
    for (int lane = 0; lane < kRansLanes; ++lane) {
      if (lanes_.state[lane] >> 16 != 1) damaged_ = true;
      tail_words_[lane] = static_cast<uint16_t>(lanes_.state[lane]);
    }
  }
  tail_state_ = static_cast<uint32_t>(word()) << 16;
  tail_state_ |= word();
  if (tail_state_ < kStateLow) damaged_ = true;
}

// Lanes, then the tail; zeros after damage. Returns how many symbols were decoded.
template <class Kernel, class Step>
size_t RansDecoder::run(int32_t* symbol, size_t n, Kernel kernel, Step step) {
  size_t i = lanes(n, kernel, step);
  if (i < n && lane_symbols_ == 0) start_tail();
  for (; i < n && !damaged_; ++i) {
    tail_state_ = step(i, tail_state_);
    if (tail_state_ < kStateLow) tail_state_ = tail_state_ << 16 | word();
  }
  std::fill(symbol + i, symbol + n, 0);
  return i;
}

namespace {

void collect_escapes(int32_t* symbol, size_t n, size_t start, std::vector<uint32_t>& escapes) {
  for (size_t k = 0; k < n; ++k)
    if (symbol[k] == kEscaped) {
      symbol[k] = 0;
      escapes.push_back(static_cast<uint32_t>(start + k));
    }
}

}  // namespace

// Both go on in blocks that end on a group, so that lanes go on where they were.
void RansDecoder::gaussian(const uint8_t* table, int32_t* symbol, size_t n, std::vector<uint32_t>& escapes) {
  const CodecTables& t = codec_tables();
  for (size_t start = 0; start < n; start += kBlock, table += kBlock, symbol += kBlock) {
    const size_t count = std::min(kBlock, n - start);
    uint32_t escaped = 0;
    const size_t done = run(
        symbol, count,
        [&](size_t at, size_t groups, const uint8_t* end) {
          return GSPC_DISPATCH(gaussian_groups)(t, lanes_, end, table + at, symbol + at, groups, escaped);
        },
        [&](size_t at, uint32_t state) {
          const uint32_t x = gaussian_step(t, state, table[at], symbol + at);
          escaped |= symbol[at] == kEscaped;
          return x;
        });
    if (escaped) collect_escapes(symbol, done, start, escapes);
  }
}

void RansDecoder::mixture(const Mixture& mixture, int32_t* symbol, size_t n, std::vector<uint32_t>& escapes) {
  const CodecTables& t = codec_tables();
  for (size_t start = 0; start < n; start += kBlock, symbol += kBlock) {
    const size_t count = std::min(kBlock, n - start);
    const Mixture block = mixture.from(start);
    uint32_t escaped = 0;
    const size_t done = run(
        symbol, count,
        [&](size_t at, size_t groups, const uint8_t* end) {
          return GSPC_DISPATCH(mixture_groups)(t, lanes_, end, block.from(at), symbol + at, groups, escaped);
        },
        [&](size_t at, uint32_t state) {
          const uint32_t x = mixture_step(t, state, block.from(at), symbol + at);
          escaped |= symbol[at] == kEscaped;
          return x;
        });
    if (escaped) collect_escapes(symbol, done, start, escapes);
  }
}

void RansDecoder::trits(const uint16_t* table, int8_t* trit, size_t n) {
  const CodecTables& t = codec_tables();
  size_t i = lanes(
      n,
      [&](size_t at, size_t groups, const uint8_t* end) {
        return GSPC_DISPATCH(trit_groups)(t, lanes_, end, table + at, trit + at, groups);
      },
      [&](size_t at, uint32_t state) { return trit_step(t, state, table[at], trit + at); });
  if (i < n && lane_symbols_ == 0) start_tail();
  for (; i < n && !damaged_; ++i) {
    tail_state_ = trit_step(t, tail_state_, table[i], trit + i);
    if (tail_state_ < kStateLow) tail_state_ = tail_state_ << 16 | word();
  }
  std::fill(trit + i, trit + n, static_cast<int8_t>(0));
}

bool RansDecoder::finished() const {
  if (damaged_ || lane_symbols_ > 0) return false;
  if (empty_) return true;
  if (!tail_started_ || tail_state_ != kStateLow) return false;
  for (int i = tail_next_; i < tail_count_; ++i)
    if (tail_words_[i] != 0) return false;
  return in_lanes_ || tail_next_ == tail_count_;
}

}  // namespace gspc
