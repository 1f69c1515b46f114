// The pinned integer tables of the format and the lookup structures expanded from them at first use. Integers
// only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gspc {

constexpr int kTableBits = 14;  // frequencies of a table add up to 2^14
constexpr uint32_t kTableTotal = 1u << kTableBits;
constexpr int kGaussianTables = 128;  // table i: zero mean, sigma = 2^(-3 + i/12) steps
constexpr int kTritTables = 64 * 64;  // table a * 64 + b: p0 = sigmoid((a-32)/4), p+ = sigmoid((b-32)/8)
constexpr int kTableLevels = 8;
constexpr int kNormalHalf = 576;    // the normal distribution is tabled up to 4.5 sigma in steps of 1/128
constexpr int kNormalPadding = 64;  // entries beyond, which the largest |x| of interest can reach

// Symbols of a Gaussian table in the order of their slots: 0, -1, 1, -2, 2, ... -R, R, escape. Most probable
// first, so that boundaries get denser towards the last slot and a logarithmic bucket of what is left holds
// at most one of them.
inline uint32_t gaussian_order(int32_t k) {
  return (static_cast<uint32_t>(k) << 1) ^ static_cast<uint32_t>(k >> 31);
}
inline int32_t ordered_symbol(uint32_t order) {
  return static_cast<int32_t>(order >> 1) ^ -static_cast<int32_t>(order & 1);
}

// Buckets of the inverse: t = 2^14 - slot as a float, its exponent and `bits` leading bits of the mantissa.
constexpr int kNarrowTables = 80;  // tables below this one have 2^4 buckets an octave, the others 2^7
constexpr int kNarrowShift = 23 - 4, kWideShift = 23 - 7;
constexpr int kNarrowBuckets = (kTableBits << 4) + 1, kWideBuckets = (kTableBits << 7) + 1;
// Index of a bucket: table * buckets + (float bits >> shift) + base.
constexpr int kNarrowBase = -(127 << 4);
constexpr int kWideBase = kNarrowTables * (kNarrowBuckets - kWideBuckets) - (127 << 7);

// What decoding needs of a bucket, if it holds at most one boundary between symbols and not the escape.
struct GaussianBucket {
  uint16_t frequency0, frequency1;  // of the symbol at the bucket's start and of the next one
  uint16_t boundary;                // first slot of the next symbol
  uint16_t order;                   // of the symbol at the start; top bit: search from here instead
};
constexpr uint16_t kSearchFlag = 0x8000;

struct CodecTables {
  uint32_t extent[kGaussianTables];  // order of the escape, 2R + 1, << 16 | index of the table's first entry
  std::vector<uint32_t> entries;     // frequency << 16 | first slot, in slot order; 2R + 2 a table
  std::vector<GaussianBucket> buckets;    // narrow tables, then wide ones
  uint32_t trits[kTritTables];            // first slot of +1 << 16 | first slot of 0; order -1, 0, +1
  const uint16_t *trit_zero, *trit_plus;  // [64] what the trit tables are computed from, see tables.cpp
  // Mixtures: round(2^16 Phi(z)) << 8 | difference to the next, z = (i - 640) / 128; see mixture.hpp.
  // The ends repeat in the padding.
  uint32_t normal[2 * (kNormalHalf + kNormalPadding) + 1];
  const uint32_t* inverse_sigma;    // [128] round(2^23 / sigma)
  uint32_t reach[kGaussianTables];  // largest |x| of interest << 16 | reach of the support, 1/16 steps
  CodecTables();
};

const CodecTables& codec_tables();

int32_t gaussian_support(int table);    // R: |k| <= R has a symbol, the rest is escaped
const uint16_t* step_table();           // STEP[128] = round(2^14 (1 + tanh((i - 64) / 32)))
const int16_t* log_step_table();        // LOGQ[128] = round(12 log2(STEP / 2^14))
const uint32_t* inverse_step_table();   // [128] round(2^26 / STEP)
const uint8_t* mixture_weight_table();  // [64] round(256 sigmoid((i - 32) / 4)), 255 at most
const uint32_t* trit_zero_edges();      // [63] round(2^16 sigmoid((i - 31.5) / 4))
const uint32_t* trit_plus_edges();      // [63] round(2^16 sigmoid((i - 31.5) / 8))
uint32_t inverse3(int level);           // INV3, level 1..8: round(2^16 / 3^(level - 1)); 0 outside
int32_t log3(int level);                // LOG3, level 1..8: round(12 (level - 1) log2 3); 0 outside

}  // namespace gspc
