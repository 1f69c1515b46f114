// Writing of rANS streams; see rans.hpp.
#include "codec/entropy/rans.hpp"

#include <algorithm>
#include <cstring>

#include "codec/entropy/rans_step.hpp"

namespace gspc {

namespace {

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
  for (size_t start = 0; start < n; start += kRansBlock) {
    const size_t count = std::min(kRansBlock, n - start);
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

}  // namespace gspc
