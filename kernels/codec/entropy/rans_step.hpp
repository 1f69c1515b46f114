// One symbol of one state: the scalar form of the coder that the vector kernels repeat lane by lane.
#pragma once

#include <cstdint>
#include <cstring>

#include "codec/entropy/rans.hpp"
#include "common/isa.hpp"

namespace gspc {

constexpr size_t kRansBlock = 2048;  // symbols between two looks for escapes: still in the first cache

// Arrays are streamed once, and the hardware's own prefetching was seen not to keep up (trits 0.8 -> 1.8
// G/s).
constexpr intptr_t kPrefetch = 2048;  // bytes
inline void prefetch(const void* p) {
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<intptr_t>(p) + kPrefetch));
}
inline void prefetch_before(const void* p) {
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<intptr_t>(p) - kPrefetch));
}

inline uint16_t load_word(const uint8_t* p) { return static_cast<uint16_t>(p[0] | p[1] << 8); }

inline void store_word(uint8_t* p, uint32_t word) {
  p[0] = static_cast<uint8_t>(word);
  p[1] = static_cast<uint8_t>(word >> 8);
}

inline uint32_t bucket_index(uint32_t table, uint32_t slot) {
  const float left = static_cast<float>(static_cast<int32_t>(kTableTotal - slot));
  int32_t bits;
  std::memcpy(&bits, &left, sizeof(bits));
  const bool wide = table >= static_cast<uint32_t>(kNarrowTables);
  return static_cast<uint32_t>((bits >> (wide ? kWideShift : kNarrowShift)) +
                               (wide ? kWideBase : kNarrowBase)) +
         table * static_cast<uint32_t>(wide ? kWideBuckets : kNarrowBuckets);
}

// Decodes a symbol and leaves the state before renormalization. Tables are taken modulo 128: nothing is read
// out of bounds.
inline uint32_t gaussian_step(const CodecTables& t, uint32_t state, uint32_t table, int32_t* symbol) {
  table &= kGaussianTables - 1;
  const uint32_t slot = state & (kTableTotal - 1);
  const GaussianBucket& b = t.buckets[bucket_index(table, slot)];
  if (__builtin_expect(b.order < kSearchFlag, 1)) {
    const bool next = slot >= b.boundary;
    const uint32_t frequency = next ? b.frequency1 : b.frequency0;
    const uint32_t first = next ? b.boundary : b.boundary - b.frequency0;
    *symbol = ordered_symbol(b.order + next);
    return frequency * (state >> kTableBits) + slot - first;
  }
  const uint32_t* entry = t.entries.data() + (t.extent[table] & 0xffff);
  uint32_t order = b.order & (kSearchFlag - 1);
  while (slot >= (entry[order] & 0xffff) + (entry[order] >> 16)) ++order;
  *symbol = order == t.extent[table] >> 16 ? kEscaped : ordered_symbol(order);
  return (entry[order] >> 16) * (state >> kTableBits) + slot - (entry[order] & 0xffff);
}

inline uint32_t trit_step(const CodecTables& t, uint32_t state, uint32_t table, int8_t* trit) {
  const uint32_t slot = state & (kTableTotal - 1);
  const uint32_t bounds = t.trits[table & (kTritTables - 1)];
  const uint32_t zero = bounds & 0xffff, plus = bounds >> 16;
  // By masks: compilers turn conditions into branches here, and nothing about them is predictable.
  const uint32_t above = ((slot - zero) >> 31) - 1, top = ((slot - plus) >> 31) - 1;
  const uint32_t first = (zero & above) + ((plus - zero) & top);
  const uint32_t frequency = zero + ((plus - 2 * zero) & above) + ((kTableTotal - 2 * plus + zero) & top);
  *trit = static_cast<int8_t>(-1 - static_cast<int32_t>(above + top));
  return frequency * (state >> kTableBits) + slot - first;
}

// Entries of n symbols; true when one of them is the escape.
inline bool gaussian_entries_scalar(const CodecTables& t, const uint8_t* table, const int32_t* symbol,
                                    size_t n, uint32_t* entry) {
  bool escaped = false;
  for (size_t i = 0; i < n; ++i) {
    const uint32_t extent = t.extent[table[i] & (kGaussianTables - 1)], escape = extent >> 16;
    const uint32_t order = gaussian_order(symbol[i]);
    escaped |= order >= escape;
    entry[i] = t.entries[(extent & 0xffff) + (order < escape ? order : escape)];
  }
  return escaped;
}

inline uint32_t trit_entry(const CodecTables& t, uint32_t table, int32_t trit) {
  const uint32_t bounds = t.trits[table & (kTritTables - 1)];
  const uint32_t zero = bounds & 0xffff, plus = bounds >> 16;
  const uint32_t first = trit > 0 ? plus : trit == 0 ? zero : 0;
  const uint32_t end = trit > 0 ? kTableTotal : trit == 0 ? plus : zero;
  return (end - first) << 16 | first;
}

// Scalar, for kernels that are slow beside it.
inline void renormalize_lanes(RansLanes& lanes) {
  for (uint32_t& state : lanes.state) {
    const uint32_t renewed = state << 16 | load_word(lanes.next);
    const bool need = state < kStateLow;
    state = need ? renewed : state;
    lanes.next += need ? 2 : 0;
  }
}

// True when the state has to give up a word before a symbol of this entry.
inline bool must_emit(uint32_t state, uint32_t entry) { return state >> 18 >= entry >> 16; }

inline uint32_t encode_step(uint32_t state, uint32_t entry) {
  const uint32_t frequency = entry >> 16;
  const uint32_t q = state / frequency;
  return (q << kTableBits) + (state - q * frequency) + (entry & 0xffff);
}

}  // namespace gspc

// Whole groups of 32 symbols. Decoding stops early once fewer than 64 bytes are left before `end`; the number
// of groups done is returned. Encoding goes from the last group to the first and from `out` downwards, and
// returns the new start. `escaped` is set to a number other than 0 when a symbol was written as kEscaped.
GSPC_DECLARE_ISA(size_t gaussian_groups(const CodecTables& t, RansLanes& lanes, const uint8_t* end,
                                        const uint8_t* table, int32_t* symbol, size_t groups,
                                        uint32_t& escaped);
                 size_t trit_groups(const CodecTables& t, RansLanes& lanes, const uint8_t* end,
                                    const uint16_t* table, int8_t* trit, size_t groups);
                 uint8_t* encode_groups(uint32_t* state, const uint32_t* entry, size_t groups, uint8_t* out);
                 bool gaussian_entries(const CodecTables& t, const uint8_t* table, const int32_t* symbol,
                                       size_t n, uint32_t* entry);
                 void trit_entries(const CodecTables& t, const uint16_t* table, const int8_t* trit, size_t n,
                                   uint32_t* entry);)
