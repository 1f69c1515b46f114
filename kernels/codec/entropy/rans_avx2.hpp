// AVX2 lane kernels: four vectors of 8 lanes. Included by rans_isa.cpp only.
#pragma once

#include "codec/entropy/rans_renormalize.hpp"
#include "codec/entropy/rans_step.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {

namespace {

inline __m256i bucket_base(__m256i table, __m256i& shift) {
  const __m256i wide = _mm256_cmpgt_epi32(table, _mm256_set1_epi32(kNarrowTables - 1));
  shift = pick(_mm256_set1_epi32(kNarrowShift), _mm256_set1_epi32(kWideShift), wide);
  const __m256i stride = pick(_mm256_set1_epi32(kNarrowBuckets), _mm256_set1_epi32(kWideBuckets), wide);
  const __m256i start = pick(_mm256_set1_epi32(kNarrowBase), _mm256_set1_epi32(kWideBase), wide);
  return _mm256_add_epi32(_mm256_madd_epi16(table, stride),
                          start);  // both below 2^15: the upper halves are 0
}

// Lanes whose bucket does not say enough: one at a time.
inline __m256i search_lanes(const CodecTables& t, __m256i before, __m256i after, uint32_t lanes,
                            const uint8_t* table, int32_t* symbol, uint32_t& escaped) {
  alignas(32) uint32_t from[8], to[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(from), before);
  _mm256_store_si256(reinterpret_cast<__m256i*>(to), after);
  for (; lanes; lanes &= lanes - 1) {
    const int lane = __builtin_ctz(lanes);
    to[lane] = gaussian_step(t, from[lane], table[lane], symbol + lane);
    escaped |= symbol[lane] == kEscaped;
  }
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(to));
}

inline __m256i gaussian8(const CodecTables& t, __m256i x, const uint8_t* table, int32_t* symbol,
                         uint32_t& escaped) {
  const __m256i low16 = _mm256_set1_epi32(0xffff), one = _mm256_set1_epi32(1);
  const __m128i tables =
      _mm_and_si128(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(table)), _mm_set1_epi8(127));
  __m256i shift;
  const __m256i base = bucket_base(_mm256_cvtepu8_epi32(tables), shift);
  const __m256i slot = _mm256_and_si256(x, _mm256_set1_epi32(kTableTotal - 1));
  const __m256i left =
      _mm256_castps_si256(_mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_set1_epi32(kTableTotal), slot)));
  // Buckets are gathered as lanes 0 1 4 5 and 2 3 6 7, so that the two shuffles below give lanes in order.
  const __m256i index =
      _mm256_permute4x64_epi64(_mm256_add_epi32(_mm256_srlv_epi32(left, shift), base), 0xd8);
  const auto* buckets = reinterpret_cast<const long long*>(t.buckets.data());
  const __m256 a = _mm256_castsi256_ps(_mm256_i32gather_epi64(buckets, _mm256_castsi256_si128(index), 8));
  const __m256 b =
      _mm256_castsi256_ps(_mm256_i32gather_epi64(buckets, _mm256_extracti128_si256(index, 1), 8));
  const __m256i frequencies = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x88));
  const __m256i place = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xdd));
  const __m256i boundary = _mm256_and_si256(place, low16), frequency0 = _mm256_and_si256(frequencies, low16);
  const __m256i before = _mm256_cmpgt_epi32(boundary, slot);
  const __m256i frequency = pick(_mm256_srli_epi32(frequencies, 16), frequency0, before);
  const __m256i rest =
      _mm256_add_epi32(_mm256_sub_epi32(slot, boundary), _mm256_and_si256(frequency0, before));
  const __m256i result =
      _mm256_add_epi32(_mm256_mullo_epi32(frequency, _mm256_srli_epi32(x, kTableBits)), rest);
  const __m256i order = _mm256_add_epi32(_mm256_add_epi32(_mm256_srli_epi32(place, 16), one), before);
  const __m256i sign = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_and_si256(order, one));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(symbol),
                      _mm256_xor_si256(_mm256_srli_epi32(order, 1), sign));
  const auto search = static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(place)));
  if (__builtin_expect(search, 0)) return search_lanes(t, x, result, search, table, symbol, escaped);
  return result;
}

inline __m256i trit_bounds(const CodecTables& t, const uint16_t* table) {
  const __m128i tables = _mm_and_si128(load128(table), _mm_set1_epi16(kTritTables - 1));
  return _mm256_i32gather_epi32(reinterpret_cast<const int*>(t.trits), _mm256_cvtepu16_epi32(tables), 4);
}

// Returns the state; `trit` gets the trits less 1, as 32-bit lanes. Both boundaries of a lane are compared at
// once, as 16-bit halves; the distances to the nearest ones on both sides are the least of the two halves.
inline __m256i trits8(const CodecTables& t, __m256i x, const uint16_t* table, __m256i& trit) {
  const __m256i bounds = trit_bounds(t, table);
  const __m256i twice = _mm256_setr_epi8(0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13,  //
                                         0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13);
  const __m256i total = _mm256_set1_epi16(static_cast<int16_t>(kTableTotal));
  const __m256i slot = _mm256_and_si256(_mm256_shuffle_epi8(x, twice), _mm256_set1_epi16(kTableTotal - 1));
  const __m256i below = _mm256_cmpgt_epi16(bounds, slot);  // -1 where true
  const __m256i back = _mm256_sub_epi16(slot, _mm256_andnot_si256(below, bounds));
  const __m256i ahead = _mm256_sub_epi16(_mm256_max_epi16(_mm256_andnot_si256(below, total), bounds), slot);
  const __m256i rest = _mm256_min_epi16(back, _mm256_srli_epi32(back, 16));
  const __m256i frequency = _mm256_add_epi32(rest, _mm256_min_epi16(ahead, _mm256_srli_epi32(ahead, 16)));
  trit = _mm256_madd_epi16(below, _mm256_set1_epi16(1));
  return _mm256_add_epi32(_mm256_mullo_epi32(frequency, _mm256_srli_epi32(x, kTableBits)), rest);
}

inline __m256i encode8(__m256i x, __m256i entry, uint8_t*& out) {
  const __m256i frequency = _mm256_srli_epi32(entry, 16), low16 = _mm256_set1_epi32(0xffff);
  const __m256 inverse = _mm256_div_ps(_mm256_set1_ps(1.0f), _mm256_cvtepi32_ps(frequency));
  const __m256i keep = _mm256_cmpgt_epi32(frequency, _mm256_srli_epi32(x, 18));
  const auto mask = 255u ^ static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(keep)));
  const __m256i low = _mm256_and_si256(x, low16);
  const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  // Words before the packed ones are garbage that later words overwrite.
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out - 16),
                   _mm_shuffle_epi8(words, load128(kShuffles.pack[mask])));
  out -= 2 * _mm_popcnt_u32(mask);
  x = pick(_mm256_srli_epi32(x, 16), x, keep);
  // See rans_avx512.hpp. Halves of 16 bits convert exactly, so that their sum is rounded once.
  const __m256 high = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_srli_epi32(x, 16)), _mm256_set1_ps(65536.0f));
  const __m256 value = _mm256_add_ps(high, _mm256_cvtepi32_ps(_mm256_and_si256(x, low16)));
  const __m256i q = _mm256_cvttps_epi32(_mm256_sub_ps(_mm256_mul_ps(value, inverse), _mm256_set1_ps(0.125f)));
  const __m256i rest = _mm256_sub_epi32(x, _mm256_mullo_epi32(q, frequency));
  const __m256i first = _mm256_and_si256(entry, low16);
  const __m256i result = _mm256_add_epi32(_mm256_add_epi32(_mm256_slli_epi32(q, kTableBits), rest), first);
  const __m256i fits = _mm256_cmpgt_epi32(frequency, rest);
  const __m256i more = _mm256_sub_epi32(_mm256_set1_epi32(kTableTotal), frequency);
  return _mm256_add_epi32(result, _mm256_andnot_si256(fits, more));
}

}  // namespace

size_t gaussian_groups(const CodecTables& t, RansLanes& lanes, const uint8_t* end, const uint8_t* table,
                       int32_t* symbol, size_t groups, uint32_t& escaped) {
  const uint8_t* next = lanes.next;
  __m256i x[4];
  for (int v = 0; v < 4; ++v) x[v] = load256(lanes.state + 8 * v);
  size_t done = 0;
  for (; done < groups && end - next >= 2 * kRansLanes; ++done, table += kRansLanes, symbol += kRansLanes) {
    prefetch(table);
    for (int v = 0; v < 4; ++v) x[v] = gaussian8(t, x[v], table + 8 * v, symbol + 8 * v, escaped);
    for (int v = 0; v < 4; ++v) x[v] = renormalize(x[v], next);
  }
  for (int v = 0; v < 4; ++v) _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes.state + 8 * v), x[v]);
  lanes.next = next;
  return done;
}

size_t trit_groups(const CodecTables& t, RansLanes& lanes, const uint8_t* end, const uint16_t* table,
                   int8_t* trit, size_t groups) {
  const uint8_t* next = lanes.next;
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  __m256i x[4], value[4];
  for (int v = 0; v < 4; ++v) x[v] = load256(lanes.state + 8 * v);
  size_t done = 0;
  for (; done < groups && end - next >= 2 * kRansLanes; ++done, table += kRansLanes, trit += kRansLanes) {
    prefetch(table);
    for (int v = 0; v < 4; ++v) x[v] = trits8(t, x[v], table + 8 * v, value[v]);
    for (int v = 0; v < 4; ++v) x[v] = renormalize(x[v], next);
    const __m256i words =
        _mm256_packs_epi16(_mm256_packs_epi32(value[0], value[1]), _mm256_packs_epi32(value[2], value[3]));
    const __m256i trits = _mm256_add_epi8(_mm256_permutevar8x32_epi32(words, order), _mm256_set1_epi8(1));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(trit), trits);
  }
  for (int v = 0; v < 4; ++v) _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes.state + 8 * v), x[v]);
  lanes.next = next;
  return done;
}

uint8_t* encode_groups(uint32_t* state, const uint32_t* entry, size_t groups, uint8_t* out) {
  __m256i x[4];
  for (int v = 0; v < 4; ++v) x[v] = load256(state + 8 * v);
  entry += groups * kRansLanes;
  for (size_t group = 0; group < groups; ++group) {
    entry -= kRansLanes;
    prefetch_before(entry);
    for (int v = 3; v >= 0; --v) x[v] = encode8(x[v], load256(entry + 8 * v), out);
  }
  for (int v = 0; v < 4; ++v) _mm256_storeu_si256(reinterpret_cast<__m256i*>(state + 8 * v), x[v]);
  return out;
}

bool gaussian_entries(const CodecTables& t, const uint8_t* table, const int32_t* symbol, size_t n,
                      uint32_t* entry) {
  __m256i inside = _mm256_set1_epi32(-1);
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m128i tables =
        _mm_and_si128(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(table + i)), _mm_set1_epi8(127));
    const __m256i extent =
        _mm256_i32gather_epi32(reinterpret_cast<const int*>(t.extent), _mm256_cvtepu8_epi32(tables), 4);
    const __m256i k = load256(symbol + i), escape = _mm256_srli_epi32(extent, 16);
    const __m256i order = _mm256_xor_si256(_mm256_add_epi32(k, k), _mm256_srai_epi32(k, 31));
    const __m256i clipped = _mm256_min_epu32(order, escape);
    inside = _mm256_and_si256(inside, _mm256_cmpgt_epi32(escape, clipped));
    const __m256i index = _mm256_add_epi32(_mm256_and_si256(extent, _mm256_set1_epi32(0xffff)), clipped);
    const __m256i value = _mm256_i32gather_epi32(reinterpret_cast<const int*>(t.entries.data()), index, 4);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(entry + i), value);
  }
  const bool escaped = _mm256_movemask_epi8(inside) != -1;
  return gaussian_entries_scalar(t, table + i, symbol + i, n - i, entry + i) | escaped;
}

void trit_entries(const CodecTables& t, const uint16_t* table, const int8_t* trit, size_t n,
                  uint32_t* entry) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256i bounds = trit_bounds(t, table + i);
    const __m256i zero = _mm256_and_si256(bounds, _mm256_set1_epi32(0xffff)),
                  plus = _mm256_srli_epi32(bounds, 16);
    const __m256i value = _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(trit + i)));
    const __m256i below = _mm256_srai_epi32(value, 31),
                  top = _mm256_cmpgt_epi32(value, _mm256_setzero_si256());
    const __m256i first = pick(_mm256_andnot_si256(below, zero), plus, top);
    const __m256i end = pick(pick(plus, zero, below), _mm256_set1_epi32(kTableTotal), top);
    const __m256i frequency = _mm256_slli_epi32(_mm256_sub_epi32(end, first), 16);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(entry + i), _mm256_or_si256(frequency, first));
  }
  for (; i < n; ++i) entry[i] = trit_entry(t, table[i], trit[i]);
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
