// Reading of rANS streams; see rans.hpp.
#include <algorithm>
#include <cstring>

#include "codec/entropy/rans.hpp"
#include "codec/entropy/rans_step.hpp"

namespace gspc {

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
  for (size_t start = 0; start < n; start += kRansBlock, table += kRansBlock, symbol += kRansBlock) {
    const size_t count = std::min(kRansBlock, n - start);
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
  for (size_t start = 0; start < n; start += kRansBlock, symbol += kRansBlock) {
    const size_t count = std::min(kRansBlock, n - start);
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
