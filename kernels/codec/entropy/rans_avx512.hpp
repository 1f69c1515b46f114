// AVX-512 (F, BW, DQ, VL) lane kernels: two vectors of 16 lanes. Included by rans_isa.cpp only.
#pragma once

#include "codec/entropy/rans_renormalize.hpp"
#include "codec/entropy/rans_step.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {

namespace {

// Index of a table's bucket for float bits 0 after their shift, and that shift.
inline __m512i bucket_base(__m512i table, __m512i& shift) {
  const __mmask16 wide = _mm512_cmpge_epi32_mask(table, _mm512_set1_epi32(kNarrowTables));
  shift = _mm512_mask_mov_epi32(_mm512_set1_epi32(kNarrowShift), wide, _mm512_set1_epi32(kWideShift));
  const __m512i stride =
      _mm512_mask_mov_epi32(_mm512_set1_epi32(kNarrowBuckets), wide, _mm512_set1_epi32(kWideBuckets));
  const __m512i start =
      _mm512_mask_mov_epi32(_mm512_set1_epi32(kNarrowBase), wide, _mm512_set1_epi32(kWideBase));
  return _mm512_add_epi32(_mm512_madd_epi16(table, stride),
                          start);  // both below 2^15: the upper halves are 0
}

// Lanes whose bucket does not say enough: one at a time.
inline __m512i search_lanes(const CodecTables& t, __m512i before, __m512i after, uint32_t lanes,
                            const uint8_t* table, int32_t* symbol, uint32_t& escaped) {
  alignas(64) uint32_t from[16], to[16];
  _mm512_store_si512(from, before);
  _mm512_store_si512(to, after);
  for (; lanes; lanes &= lanes - 1) {
    const int lane = __builtin_ctz(lanes);
    to[lane] = gaussian_step(t, from[lane], table[lane], symbol + lane);
    escaped |= symbol[lane] == kEscaped;
  }
  return _mm512_load_si512(to);
}

inline __m512i gaussian16(const CodecTables& t, __m512i x, const uint8_t* table, int32_t* symbol,
                          uint32_t& escaped) {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  const __m512i low16 = _mm512_set1_epi32(0xffff), one = _mm512_set1_epi32(1);
  const __m128i tables =
      _mm_and_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)), _mm_set1_epi8(127));
  __m512i shift;
  const __m512i base = bucket_base(_mm512_cvtepu8_epi32(tables), shift);
  const __m512i slot = _mm512_and_si512(x, _mm512_set1_epi32(kTableTotal - 1));
  const __m512i left =
      _mm512_castps_si512(_mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_set1_epi32(kTableTotal), slot)));
  const __m512i index = _mm512_add_epi32(_mm512_srlv_epi32(left, shift), base);
  const __m512i a = _mm512_i32gather_epi64(_mm512_castsi512_si256(index), t.buckets.data(), 8);
  const __m512i b = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(index, 1), t.buckets.data(), 8);
  const __m512i frequencies = _mm512_permutex2var_epi32(a, even, b),
                place = _mm512_permutex2var_epi32(a, odd, b);
  const __m512i boundary = _mm512_and_si512(place, low16), frequency0 = _mm512_and_si512(frequencies, low16);
  const __mmask16 before = _mm512_cmplt_epu32_mask(slot, boundary), after = _knot_mask16(before);
  const __m512i frequency = _mm512_mask_srli_epi32(frequency0, after, frequencies, 16);
  const __m512i offset = _mm512_sub_epi32(slot, boundary);
  const __m512i rest = _mm512_mask_add_epi32(offset, before, offset, frequency0);
  const __m512i result =
      _mm512_add_epi32(_mm512_mullo_epi32(frequency, _mm512_srli_epi32(x, kTableBits)), rest);
  const __m512i first = _mm512_srli_epi32(place, 16), order = _mm512_mask_add_epi32(first, after, first, one);
  const __m512i sign = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_and_si512(order, one));
  _mm512_storeu_si512(symbol, _mm512_xor_si512(_mm512_srli_epi32(order, 1), sign));
  const uint32_t search = _cvtmask16_u32(_mm512_movepi32_mask(place));
  if (__builtin_expect(search, 0)) return search_lanes(t, x, result, search, table, symbol, escaped);
  return result;
}

// First slots of +1 << 16 | of 0 for 32 trit tables: lanes 0..15 and 16..31. Tables are computed as in
// tables.cpp, from two rows of 64 held in registers: gathers from the full table take twice as long as all of
// the rest.
struct TritBounds {
  __m512i zero[2], plus[2];
  explicit TritBounds(const CodecTables& t)
      : zero{_mm512_loadu_si512(t.trit_zero), _mm512_loadu_si512(t.trit_zero + 32)},
        plus{_mm512_loadu_si512(t.trit_plus), _mm512_loadu_si512(t.trit_plus + 32)} {}
  void operator()(const uint16_t* table, __m512i& low, __m512i& high) const {
    // Blocks of four tables in the order in which the unpacking below restores.
    const __m512i blocks = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7), one = _mm512_set1_epi16(1);
    const __m512i tables = _mm512_permutexvar_epi64(blocks, _mm512_loadu_si512(table));
    const __m512i total = _mm512_set1_epi16(static_cast<int16_t>(kTableTotal));
    const __m512i rest =
        _mm512_sub_epi16(total, _mm512_permutex2var_epi16(zero[0], _mm512_srli_epi16(tables, 6), zero[1]));
    const __m512i share = _mm512_permutex2var_epi16(plus[0], tables, plus[1]);  // only the low 6 bits count
    const __m512i half = _mm512_srli_epi16(_mm512_mullo_epi16(rest, share), 15);
    const __m512i rounded = _mm512_add_epi16(_mm512_mulhi_epu16(rest, share), half);
    const __m512i last = _mm512_min_epu16(_mm512_max_epu16(rounded, one), _mm512_sub_epi16(rest, one));
    const __m512i begin = _mm512_sub_epi16(rest, last), end = _mm512_sub_epi16(total, last);
    low = _mm512_unpacklo_epi16(begin, end);
    high = _mm512_unpackhi_epi16(begin, end);
  }
};

inline __m512i trits16(__m512i x, __m512i bounds, int8_t* trit) {
  const __m512i zero = _mm512_and_si512(bounds, _mm512_set1_epi32(0xffff)),
                plus = _mm512_srli_epi32(bounds, 16);
  const __m512i slot = _mm512_and_si512(x, _mm512_set1_epi32(kTableTotal - 1));
  const __mmask16 above = _mm512_cmpge_epu32_mask(slot, zero), top = _mm512_cmpge_epu32_mask(slot, plus);
  const __m512i frequency0 = _mm512_sub_epi32(plus, zero);
  const __m512i frequency2 = _mm512_sub_epi32(_mm512_set1_epi32(kTableTotal), plus);
  const __m512i frequency =
      _mm512_mask_mov_epi32(_mm512_mask_mov_epi32(zero, above, frequency0), top, frequency2);
  const __m512i first = _mm512_mask_mov_epi32(_mm512_maskz_mov_epi32(above, zero), top, plus);
  const __m128i one = _mm_set1_epi8(1);
  const __m128i low = _mm_mask_mov_epi8(_mm_set1_epi8(-1), above, _mm_setzero_si128());
  _mm_storeu_si128(reinterpret_cast<__m128i*>(trit), _mm_mask_mov_epi8(low, top, one));
  return _mm512_add_epi32(_mm512_mullo_epi32(frequency, _mm512_srli_epi32(x, kTableBits)),
                          _mm512_sub_epi32(slot, first));
}

inline __m512i trit_entries16(__m512i bounds, const int8_t* trit) {
  const __m512i zero = _mm512_and_si512(bounds, _mm512_set1_epi32(0xffff)),
                plus = _mm512_srli_epi32(bounds, 16);
  const __m128i value = _mm_loadu_si128(reinterpret_cast<const __m128i*>(trit));
  const __mmask16 above = _mm_cmpge_epi8_mask(value, _mm_setzero_si128());
  const __mmask16 top = _mm_cmpgt_epi8_mask(value, _mm_setzero_si128());
  const __m512i first = _mm512_mask_mov_epi32(_mm512_maskz_mov_epi32(above, zero), top, plus);
  const __m512i end =
      _mm512_mask_mov_epi32(_mm512_mask_mov_epi32(zero, above, plus), top, _mm512_set1_epi32(kTableTotal));
  return _mm512_or_si512(_mm512_slli_epi32(_mm512_sub_epi32(end, first), 16), first);
}

// Writes the words of the states that must give one up, in lane order below `out`, and advances the states by
// a symbol.
inline __m512i encode16(__m512i x, __m512i entry, uint8_t*& out) {
  const __m512i frequency = _mm512_srli_epi32(entry, 16),
                first = _mm512_and_si512(entry, _mm512_set1_epi32(0xffff));
  const __m512 inverse = _mm512_div_ps(_mm512_set1_ps(1.0f), _mm512_cvtepi32_ps(frequency));
  const __mmask16 emit = _mm512_cmpge_epu32_mask(_mm512_srli_epi32(x, 18), frequency);
  const int count = _mm_popcnt_u32(emit);
  out -= 2 * count;
  const __m256i words = _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(emit, x));
  _mm256_mask_storeu_epi16(out, static_cast<__mmask16>((1u << count) - 1), words);
  x = _mm512_mask_srli_epi32(x, emit, x, 16);
  // The quotient is below 2^18 and the error of its three roundings below 2^-4: less 1/8 it is q or q - 1,
  // never more.
  const __m512 quotient =
      _mm512_sub_ps(_mm512_mul_ps(_mm512_cvtepu32_ps(x), inverse), _mm512_set1_ps(0.125f));
  const __m512i q = _mm512_cvttps_epi32(quotient);
  const __m512i rest = _mm512_sub_epi32(x, _mm512_mullo_epi32(q, frequency));
  const __m512i result = _mm512_add_epi32(_mm512_add_epi32(_mm512_slli_epi32(q, kTableBits), rest), first);
  const __mmask16 low = _mm512_cmpge_epu32_mask(rest, frequency);
  return _mm512_mask_add_epi32(result, low, result,
                               _mm512_sub_epi32(_mm512_set1_epi32(kTableTotal), frequency));
}

}  // namespace

size_t gaussian_groups(const CodecTables& t, RansLanes& lanes, const uint8_t* end, const uint8_t* table,
                       int32_t* symbol, size_t groups, uint32_t& escaped) {
  const uint8_t* next = lanes.next;
  __m512i x0 = _mm512_load_si512(lanes.state), x1 = _mm512_load_si512(lanes.state + 16);
  size_t done = 0;
  for (; done < groups && end - next >= 2 * kRansLanes; ++done, table += kRansLanes, symbol += kRansLanes) {
    prefetch(table);
    x0 = gaussian16(t, x0, table, symbol, escaped);
    x1 = gaussian16(t, x1, table + 16, symbol + 16, escaped);
    x0 = renormalize(x0, next);
    x1 = renormalize(x1, next);
  }
  _mm512_store_si512(lanes.state, x0);
  _mm512_store_si512(lanes.state + 16, x1);
  lanes.next = next;
  return done;
}

size_t trit_groups(const CodecTables& t, RansLanes& lanes, const uint8_t* end, const uint16_t* table,
                   int8_t* trit, size_t groups) {
  const TritBounds bounds(t);
  const uint8_t* next = lanes.next;
  __m512i x0 = _mm512_load_si512(lanes.state), x1 = _mm512_load_si512(lanes.state + 16);
  size_t done = 0;
  for (; done < groups && end - next >= 2 * kRansLanes; ++done, table += kRansLanes, trit += kRansLanes) {
    __m512i low, high;
    bounds(table, low, high);
    prefetch(table);
    x0 = trits16(x0, low, trit);
    x1 = trits16(x1, high, trit + 16);
    x0 = renormalize(x0, next);
    x1 = renormalize(x1, next);
  }
  _mm512_store_si512(lanes.state, x0);
  _mm512_store_si512(lanes.state + 16, x1);
  lanes.next = next;
  return done;
}

uint8_t* encode_groups(uint32_t* state, const uint32_t* entry, size_t groups, uint8_t* out) {
  __m512i x0 = _mm512_loadu_si512(state), x1 = _mm512_loadu_si512(state + 16);
  entry += groups * kRansLanes;
  for (size_t group = 0; group < groups; ++group) {
    entry -= kRansLanes;
    prefetch_before(entry);
    x1 = encode16(x1, _mm512_loadu_si512(entry + 16), out);
    x0 = encode16(x0, _mm512_loadu_si512(entry), out);
  }
  _mm512_storeu_si512(state, x0);
  _mm512_storeu_si512(state + 16, x1);
  return out;
}

bool gaussian_entries(const CodecTables& t, const uint8_t* table, const int32_t* symbol, size_t n,
                      uint32_t* entry) {
  __mmask16 escaped = 0;
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    prefetch(table + i);
    prefetch(symbol + i);
    const __m128i tables =
        _mm_and_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table + i)), _mm_set1_epi8(127));
    const __m512i extent = _mm512_i32gather_epi32(_mm512_cvtepu8_epi32(tables), t.extent, 4);
    const __m512i k = _mm512_loadu_si512(symbol + i), escape = _mm512_srli_epi32(extent, 16);
    const __m512i order = _mm512_xor_si512(_mm512_add_epi32(k, k), _mm512_srai_epi32(k, 31));
    escaped = _kor_mask16(escaped, _mm512_cmpge_epu32_mask(order, escape));
    const __m512i index = _mm512_add_epi32(_mm512_and_si512(extent, _mm512_set1_epi32(0xffff)),
                                           _mm512_min_epu32(order, escape));
    _mm512_storeu_si512(entry + i, _mm512_i32gather_epi32(index, t.entries.data(), 4));
  }
  return gaussian_entries_scalar(t, table + i, symbol + i, n - i, entry + i) | (escaped != 0);
}

void trit_entries(const CodecTables& t, const uint16_t* table, const int8_t* trit, size_t n,
                  uint32_t* entry) {
  const TritBounds bounds(t);
  size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    __m512i low, high;
    bounds(table + i, low, high);
    prefetch(table + i);
    _mm512_storeu_si512(entry + i, trit_entries16(low, trit + i));
    _mm512_storeu_si512(entry + i + 16, trit_entries16(high, trit + i + 16));
  }
  for (; i < n; ++i) entry[i] = trit_entry(t, table[i], trit[i]);
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
