// Lane kernels of mixtures, once per instruction set: vectors of the set's width.
#include "codec/entropy/mixture.hpp"
#include "codec/entropy/rans_step.hpp"

#if defined(GSPC_ISA_IS_v3) || defined(GSPC_ISA_IS_v4)
#include "codec/entropy/rans_renormalize.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {

namespace {

constexpr int kVectors = kRansLanes / kLanes;

// product16: products of the lower halves; the upper half of b must be 0. Half the latency of a product of 32
// bits.
#if defined(GSPC_ISA_IS_v4)
inline Ints product16(Ints a, Ints b) { return (Ints)_mm512_madd_epi16((__m512i)a, (__m512i)b); }
inline Words renewed(Words x, const uint8_t*& next) { return (Words)renormalize((__m512i)x, next); }
inline Ints widen(const uint8_t* p) { return (Ints)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)p)); }
inline Ints widen(const int16_t* p) {
  return (Ints)_mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i*)p));
}
#else
inline Ints product16(Ints a, Ints b) { return (Ints)_mm256_madd_epi16((__m256i)a, (__m256i)b); }
inline Words renewed(Words x, const uint8_t*& next) { return (Words)renormalize((__m256i)x, next); }
inline Ints widen(const uint8_t* p) { return (Ints)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)p)); }
inline Ints widen(const int16_t* p) {
  return (Ints)_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i*)p));
}
#endif

// MixtureTable for kLanes symbols; symbols count from their lowest one here.
struct Tables {
  Ints low, count, range, weight, mean[2], limit[2], whole[2], part[2];

  void load(const CodecTables& t, const Mixture& m) {
    Ints from[2], to[2];
    for (int c = 0; c < 2; ++c) {
      const Ints i = widen(m.scale[c]) & (kGaussianTables - 1), reaches = gather(t.reach, i);
      const Ints reach = reaches & 0xffff, inverse = gather(t.inverse_sigma, i);
      limit[c] = (Ints)((Words)reaches >> 16);
      whole[c] = inverse >> 12;
      part[c] = inverse & 4095;
      mean[c] = widen(m.mean[c]);
      from[c] = (mean[c] - reach) >> 4;
      to[c] = (mean[c] + reach + 15) >> 4;
    }
    weight = widen(m.weight);
    low = smaller(from[0], from[1]);
    count = smaller(larger(to[0], to[1]) - low + 1, Ints{} + kMixtureSpan);
    range = static_cast<int32_t>(kMixtureEnd) - count;
    for (Ints& m16 : mean) m16 += 8 - 16 * low;
  }

  // N at 1/16 steps x from the lowest symbol's centre less a half. Clamped x and its factors fit 16 bits.
  Ints normal(const CodecTables& t, Ints x, int c) const {
    const Ints inside = smaller(larger(x - mean[c], -limit[c]), limit[c]);
    const Ints z = product16(inside, whole[c]) + (product16(inside, part[c]) >> 12);
    const Ints entry = gather(t.normal + kNormalHalf + kNormalPadding, z >> 8);
    return (Ints)((Words)entry >> 8) + (product16(z & 255, entry & 255) >> 8);
  }

  // First slot of symbol k, 0 <= k < count.
  Ints first(const CodecTables& t, Ints k) const {
    const Ints x = k << 4, n0 = normal(t, x, 0), n1 = normal(t, x, 1);
    const Words sum = (Words)((n0 << 8) + weight * (n1 - n0));
    return (k + (Ints)((sum >> 6) * (Words)range >> 18)) & (k > 0);
  }
};

// Decodes a group by bisection; the states are left before renormalization. The vectors of a group go in
// step: each one's gathers and products wait for the step before, so that a vector alone would leave most of
// the processor idle.
inline void decode(const CodecTables& t, Words (&x)[kVectors], const Mixture& m, int32_t* symbol,
                   uint32_t& escaped) {
  Tables tables[kVectors];
  Ints slot[kVectors], low[kVectors], high[kVectors], from[kVectors], to[kVectors], widest = Ints{};
  for (int v = 0; v < kVectors; ++v) {
    tables[v].load(t, m.from(v * kLanes));
    slot[v] = (Ints)(x[v] & (kTableTotal - 1));
    low[v] = from[v] = Ints{};
    high[v] = tables[v].count;
    to[v] = Ints{} + static_cast<int32_t>(kMixtureEnd);
    widest = larger(widest, high[v]);
  }
  for (; any(widest > 1); widest = (widest + 1) >> 1) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const Ints middle = (low[v] + high[v]) >> 1, first = tables[v].first(t, middle),
                 below = first > slot[v];
      low[v] = below ? low[v] : middle;
      from[v] = below ? from[v] : first;
      high[v] = below ? middle : high[v];
      to[v] = below ? first : to[v];
    }
  }
  Ints escapes = Ints{};
  for (int v = 0; v < kVectors; ++v) {
    const Ints escape = slot[v] == static_cast<int32_t>(kMixtureEnd);
    const Ints start = escape ? slot[v] : from[v], size = escape ? Ints{} + 1 : to[v] - from[v];
    store(symbol + v * kLanes, escape ? Ints{} + kEscaped : tables[v].low + low[v]);
    x[v] = (Words)size * (x[v] >> kTableBits) + (Words)(slot[v] - start);
    escapes |= escape;
  }
  escaped |= any(escapes);
}

}  // namespace

size_t mixture_groups(const CodecTables& t, RansLanes& lanes, const uint8_t* end, const Mixture& mixture,
                      int32_t* symbol, size_t groups, uint32_t& escaped) {
  Words x[kVectors];
  for (int v = 0; v < kVectors; ++v) x[v] = load(lanes.state + v * kLanes);
  const uint8_t* next = lanes.next;
  size_t done = 0;
  for (; done < groups && end - next >= 2 * kRansLanes; ++done, symbol += kRansLanes) {
    decode(t, x, mixture.from(done * kRansLanes), symbol, escaped);
    for (int v = 0; v < kVectors; ++v) x[v] = renewed(x[v], next);
  }
  for (int v = 0; v < kVectors; ++v) store(lanes.state + v * kLanes, x[v]);
  lanes.next = next;
  return done;
}

bool mixture_entries(const CodecTables& t, const Mixture& mixture, const int32_t* symbol, size_t n,
                     uint32_t* entry) {
  bool escaped = false;
  const Ints end = Ints{} + static_cast<int32_t>(kMixtureEnd);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    Tables tables;
    tables.load(t, mixture.from(i));
    // Far symbols wrap around to where they are outside as well.
    const Ints k = (Ints)((Words)load(symbol + i) - (Words)tables.low), last = tables.count - 1;
    const Ints outside = (Words)k > (Words)last, inside = outside ? last : k;
    const Ints next = inside < last ? tables.first(t, inside + 1) : end;
    const Ints from = outside ? end : tables.first(t, inside), to = outside ? end + 1 : next;
    store(entry + i, (Words)((to - from) << 16 | from));
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

size_t mixture_groups(const CodecTables& t, RansLanes& lanes, const uint8_t* end, const Mixture& mixture,
                      int32_t* symbol, size_t groups, uint32_t& escaped) {
  size_t done = 0;
  for (; done < groups && end - lanes.next >= 2 * kRansLanes; ++done, symbol += kRansLanes) {
    for (int lane = 0; lane < kRansLanes; ++lane) {
      lanes.state[lane] =
          mixture_step(t, lanes.state[lane], mixture.from(done * kRansLanes + lane), symbol + lane);
      escaped |= symbol[lane] == kEscaped;
    }
    renormalize_lanes(lanes);
  }
  return done;
}

bool mixture_entries(const CodecTables& t, const Mixture& mixture, const int32_t* symbol, size_t n,
                     uint32_t* entry) {
  bool escaped = false;
  for (size_t i = 0; i < n; ++i) {
    entry[i] = mixture_entry(t, mixture.from(i), symbol[i]);
    escaped |= (entry[i] & 0xffff) == kMixtureEnd;
  }
  return escaped;
}

}  // namespace gspc::GSPC_ISA_NAMESPACE

#endif
