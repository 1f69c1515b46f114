// Lane kernels of mixtures, once per instruction set: vectors of the set's width, written in GCC's vector extensions.
#include "codec/mixture.hpp"
#include "codec/rans_step.hpp"

#if defined(GSPC_ISA_IS_v3) || defined(GSPC_ISA_IS_v4)
#include <immintrin.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // gcc 12, in its own intrinsics
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

namespace gspc::GSPC_ISA_NAMESPACE {

namespace {

#if defined(GSPC_ISA_IS_v4)
constexpr int kWidth = 16;
#else
constexpr int kWidth = 8;
#endif
typedef int32_t Ints __attribute__((vector_size(4 * kWidth)));
typedef uint32_t Words __attribute__((vector_size(4 * kWidth)));

#if defined(GSPC_ISA_IS_v4)
inline Ints gather(const uint32_t* base, Ints i) { return (Ints)_mm512_i32gather_epi32((__m512i)i, base, 4); }
inline bool any(Ints mask) { return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0; }
inline Ints widen(const uint8_t* p) { return (Ints)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)p)); }
inline Ints widen(const int16_t* p) { return (Ints)_mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i*)p)); }
#else
inline Ints gather(const uint32_t* base, Ints i) { return (Ints)_mm256_i32gather_epi32((const int*)base, (__m256i)i, 4); }
inline bool any(Ints mask) { return !_mm256_testz_si256((__m256i)mask, (__m256i)mask); }
inline Ints widen(const uint8_t* p) { return (Ints)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)p)); }
inline Ints widen(const int16_t* p) { return (Ints)_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i*)p)); }
#endif
inline Ints load(const int32_t* p) {
  Ints v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}
template <class T, class V>
inline void store(T* p, V v) { __builtin_memcpy(p, &v, sizeof(v)); }
inline Ints smaller(Ints a, Ints b) { return a < b ? a : b; }
inline Ints larger(Ints a, Ints b) { return a > b ? a : b; }

// MixtureTable for kWidth symbols.
struct Tables {
  const CodecTables& t;
  Ints low, high, range, weight, mean[2], limit[2], inverse[2];

  Tables(const CodecTables& tables, const Mixture& m) : t(tables) {
    Ints from[2], to[2];
    for (int c = 0; c < 2; ++c) {
      const Ints i = widen(m.scale[c]) & (kGaussianTables - 1), reaches = gather(t.reach, i);
      const Ints reach = reaches & 0xffff;
      limit[c] = (Ints)((Words)reaches >> 16);
      inverse[c] = gather(t.inverse_sigma, i);
      mean[c] = widen(m.mean[c]);
      from[c] = (mean[c] - reach) >> 4;
      to[c] = (mean[c] + reach + 15) >> 4;
    }
    weight = widen(m.weight);
    low = smaller(from[0], from[1]);
    high = smaller(larger(to[0], to[1]), low + (kMixtureSpan - 1));
    range = static_cast<int32_t>(kMixtureEnd) - (high - low + 1);
  }

  Ints normal(Ints x, int c) const {
    const Ints inside = smaller(larger(x - mean[c], -limit[c]), limit[c]);
    const Ints bound = Ints{} + kNormalLimit, z = smaller(larger(inside * inverse[c] >> 12, -bound), bound);
    const Ints entry = gather(t.normal, (z >> 8) + kNormalHalf);
    return (entry >> 8) + ((entry & 255) * (z & 255) >> 8);
  }

  // First slot of k, low <= k <= high.
  Ints first(Ints k) const {
    const Ints x = 16 * k - 8;
    const Words sum = (Words)((256 - weight) * normal(x, 0) + weight * normal(x, 1));
    return (k - low + (Ints)((sum >> 6) * (Words)range >> 18)) & (k > low);
  }
};

// Decodes kWidth symbols by bisection; the states are left before renormalization.
inline void decode(const CodecTables& t, uint32_t* state, const Mixture& m, int32_t* symbol, uint32_t& escaped) {
  const Tables tables(t, m);
  const Words x = (Words)load(reinterpret_cast<const int32_t*>(state));
  const Ints slot = (Ints)(x & (kTableTotal - 1)), one = Ints{} + 1;
  Ints low = tables.low, high = tables.high + 1, from = Ints{}, to = Ints{} + static_cast<int32_t>(kMixtureEnd);
  while (any(high - low > 1)) {
    const Ints middle = (low + high) >> 1, first = tables.first(middle), above = slot >= first;
    low = above ? middle : low;
    from = above ? first : from;
    high = above ? high : middle;
    to = above ? to : first;
  }
  const Ints escape = slot == static_cast<int32_t>(kMixtureEnd);
  from = escape ? slot : from;
  to = escape ? slot + one : to;
  store(symbol, escape ? Ints{} + kEscaped : low);
  store(state, (Words)(to - from) * (x >> kTableBits) + (Words)(slot - from));
  escaped |= any(escape);
}

}  // namespace

size_t mixture_groups(const CodecTables& t, RansLanes& lanes, const uint8_t* end, const Mixture& mixture, int32_t* symbol,
                      size_t groups, uint32_t& escaped) {
  size_t done = 0;
  for (; done < groups && end - lanes.next >= 2 * kLanes; ++done, symbol += kLanes) {
    for (int lane = 0; lane < kLanes; lane += kWidth)
      decode(t, lanes.state + lane, mixture.from(done * kLanes + lane), symbol + lane, escaped);
    renormalize_lanes(lanes);
  }
  return done;
}

bool mixture_entries(const CodecTables& t, const Mixture& mixture, const int32_t* symbol, size_t n, uint32_t* entry) {
  bool escaped = false;
  const Ints end = Ints{} + static_cast<int32_t>(kMixtureEnd);
  size_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    const Tables tables(t, mixture.from(i));
    const Ints k = load(symbol + i), outside = (k < tables.low) | (k > tables.high);
    const Ints inside = smaller(larger(k, tables.low), tables.high);
    const Ints next = inside < tables.high ? tables.first(inside + 1) : end;
    const Ints from = outside ? end : tables.first(inside), to = outside ? end + 1 : next;
    store(entry + i, (to - from) << 16 | from);
    escaped |= any(outside);
  }
  for (; i < n; ++i) {
    entry[i] = mixture_entry(t, mixture.from(i), symbol[i]);
    escaped |= (entry[i] & 0xffff) == kMixtureEnd;
  }
  return escaped;
}

}  // namespace gspc::GSPC_ISA_NAMESPACE

#else

namespace gspc::GSPC_ISA_NAMESPACE {

size_t mixture_groups(const CodecTables& t, RansLanes& lanes, const uint8_t* end, const Mixture& mixture, int32_t* symbol,
                      size_t groups, uint32_t& escaped) {
  size_t done = 0;
  for (; done < groups && end - lanes.next >= 2 * kLanes; ++done, symbol += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      lanes.state[lane] = mixture_step(t, lanes.state[lane], mixture.from(done * kLanes + lane), symbol + lane);
      escaped |= symbol[lane] == kEscaped;
    }
    renormalize_lanes(lanes);
  }
  return done;
}

bool mixture_entries(const CodecTables& t, const Mixture& mixture, const int32_t* symbol, size_t n, uint32_t* entry) {
  bool escaped = false;
  for (size_t i = 0; i < n; ++i) {
    entry[i] = mixture_entry(t, mixture.from(i), symbol[i]);
    escaped |= (entry[i] & 0xffff) == kMixtureEnd;
  }
  return escaped;
}

}  // namespace gspc::GSPC_ISA_NAMESPACE

#endif
