#include "codec/entropy/tables.hpp"

#include <cstring>

namespace gspc {

namespace {

#include "codec/entropy/tables_data.inc"

int float_bits(uint32_t t) {
  const float value = static_cast<float>(t);  // exact: t <= 2^14
  int32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

// Buckets are visited from the one of slot 0 (largest t) down; `order` follows the symbol that covers the
// first slot.
void fill_buckets(const uint32_t* entries, uint32_t count, int shift, GaussianBucket* out) {
  const int low = 127 << (23 - shift);
  const int top = float_bits(kTableTotal) >> shift;
  uint32_t order = 0, start = 0;
  for (int bucket = top; bucket >= low; --bucket) {
    uint32_t end = start;  // first slot of the next bucket
    if (bucket == low) {
      end = kTableTotal;
    } else {
      const int32_t bits = bucket << shift;
      float smallest;
      std::memcpy(&smallest, &bits, sizeof(bits));
      const auto whole = static_cast<uint32_t>(smallest);
      const uint32_t t = whole + (static_cast<float>(whole) < smallest);
      end = kTableTotal - t + 1;
    }
    while (order + 1 < count && (entries[order + 1] & 0xffff) <= start) ++order;
    const uint32_t boundary = (entries[order] & 0xffff) + (entries[order] >> 16);
    const bool one = order + 1 < count && boundary < end;
    const bool search =
        order + 1 >= count || (one && (order + 2 >= count || (entries[order + 2] & 0xffff) < end));
    GaussianBucket& b = out[bucket - low];
    b.frequency0 = static_cast<uint16_t>(entries[order] >> 16);
    b.frequency1 = static_cast<uint16_t>(order + 1 < count ? entries[order + 1] >> 16 : 0);
    b.boundary = static_cast<uint16_t>(boundary);
    b.order = static_cast<uint16_t>(order | (search ? kSearchFlag : 0));
    start = end;
  }
}

}  // namespace

CodecTables::CodecTables() : trit_zero(kTritZero), trit_plus(kTritPlus), inverse_sigma(kInverseSigma) {
  const uint16_t* half = kHalves;
  for (int i = 0; i < kGaussianTables; ++i) {
    const uint32_t count = 2 * kSupport[i] + 2u;
    extent[i] = (count - 1) << 16 | static_cast<uint32_t>(entries.size());
    uint32_t slot = 0;
    for (uint32_t order = 0; order < count; ++order) {
      const uint32_t frequency = order + 1 < count ? half[(order + 1) / 2] : half[kSupport[i] + 1];
      entries.push_back(frequency << 16 | slot);
      slot += frequency;
    }
    half += kSupport[i] + 2;
  }
  buckets.resize(static_cast<size_t>(kNarrowTables) * kNarrowBuckets +
                 static_cast<size_t>(kGaussianTables - kNarrowTables) * kWideBuckets);
  GaussianBucket* out = buckets.data();
  for (int i = 0; i < kGaussianTables; ++i) {
    const bool narrow = i < kNarrowTables;
    fill_buckets(entries.data() + (extent[i] & 0xffff), 2 * kSupport[i] + 2u,
                 narrow ? kNarrowShift : kWideShift, out);
    out += narrow ? kNarrowBuckets : kWideBuckets;
  }
  for (int a = 0; a < 64; ++a)
    for (int b = 0; b < 64; ++b) {
      const uint32_t rest = kTableTotal - kTritZero[a];
      uint32_t plus = (rest * kTritPlus[b] + 32768u) >> 16;
      if (plus < 1) plus = 1;
      if (plus > rest - 1) plus = rest - 1;
      trits[a * 64 + b] = (kTableTotal - plus) << 16 | (rest - plus);
    }
  const auto normal_at = [](int i) { return i >= 0 ? kNormal[i] : 65536u - kNormal[-i]; };
  for (int i = -kNormalHalf - kNormalPadding; i <= kNormalHalf + kNormalPadding; ++i) {
    const int at = i < -kNormalHalf ? -kNormalHalf : i > kNormalHalf ? kNormalHalf : i;
    const uint32_t value = normal_at(at);
    normal[i + kNormalHalf + kNormalPadding] =
        value << 8 | (at == i && i < kNormalHalf ? normal_at(i + 1) - value : 0u);
  }
  // Beyond 4.5 sigma nothing changes: x / 16 sigma >= 4.5 is x * inverse_sigma / 2^12 >= 4.5 * 2^15. The
  // limit exceeds that by 1 at most, z by inverse_sigma / 2^12 <= 2^14: 64 entries.
  for (int i = 0; i < kGaussianTables; ++i) {
    const uint32_t limit = (static_cast<uint32_t>(kNormalHalf) << 20) / kInverseSigma[i] + 1;
    reach[i] = limit << 16 | kReach[i];
  }
}

const CodecTables& codec_tables() {
  static const CodecTables tables;
  return tables;
}

int32_t gaussian_support(int table) { return kSupport[table & (kGaussianTables - 1)]; }
const uint16_t* step_table() { return kStep; }
const int16_t* log_step_table() { return kLogStep; }
const uint32_t* inverse_step_table() { return kInverseStep; }
const uint8_t* mixture_weight_table() { return kMixtureWeight; }
const uint32_t* trit_zero_edges() { return kTritZeroEdge; }
const uint32_t* trit_plus_edges() { return kTritPlusEdge; }
uint32_t inverse3(int level) { return level >= 1 && level <= kTableLevels ? kInverse3[level] : 0; }
int32_t log3(int level) { return level >= 1 && level <= kTableLevels ? kLog3[level] : 0; }

}  // namespace gspc
