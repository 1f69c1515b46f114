// Two-component mixtures of Gaussians as 14-bit tables, computed where they are needed by integers alone.
//
// A symbol's table is given by the components' scale indices i (sigma = 2^(-3 + i/12) steps), means m (1/16
// steps from the symbols' origin) and the second one's weight w (1/256). With x in 1/16 steps, r = REACH[i]
// and floor division:
//   N_i(x) = P(z >> 8) + ((P((z >> 8) + 1) - P(z >> 8)) * (z & 255) >> 8),  z = x * ISIGMA[i] >> 12 within
//   +-4.5 * 2^15,
//     P(j) = round(2^16 Phi(j / 128))
//   low = min((m - r) / 16), high = min(max((m + r + 15) / 16), low + 4095), n = high - low + 1
//   A(k) = (256 - w) * N_i0(16 k - 8 - m0) + w * N_i1(16 k - 8 - m1)
//   first slot of k: 0 for k = low, else k - low + ((A(k) >> 6) * (2^14 - 1 - n) >> 18);  low <= k <= high
// and the last slot is the escape's. Every symbol has a slot at least; the tails beyond fall to low and high.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "codec/entropy/tables.hpp"
#include "common/isa.hpp"

namespace gspc {

constexpr int kMixtureSpan = 4096;                 // symbols at most
constexpr uint32_t kMixtureEnd = kTableTotal - 1;  // slot of the escape

// N of a scale at x in 1/16 steps from its mean; limit and inverse of the scale as MixtureTable has them.
inline int32_t normal_distribution(const CodecTables& t, int32_t x, int32_t limit, int32_t inverse) {
  const int32_t inside = std::min(std::max(x, -limit), limit);
  const int32_t z = inside * inverse >> 12;  // may leave +-4.5 * 2^15, for the padding
  const uint32_t entry = t.normal[(z >> 8) + kNormalHalf + kNormalPadding];
  return static_cast<int32_t>((entry >> 8) + ((entry & 255) * static_cast<uint32_t>(z & 255) >> 8));
}

struct Mixture {
  const uint8_t* scale[2];  // below 128 (taken modulo 128)
  const int16_t* mean[2];   // in 1/16 steps
  const uint8_t* weight;    // of the second component, in 1/256
  Mixture from(size_t i) const {
    return {{scale[0] + i, scale[1] + i}, {mean[0] + i, mean[1] + i}, weight + i};
  }
};

// The table of one symbol.
struct MixtureTable {
  int32_t low, high;
  uint32_t range;
  int32_t limit[2], mean[2], inverse[2], weight;

  MixtureTable(const CodecTables& t, const Mixture& m) {
    int32_t from[2], to[2];
    for (int c = 0; c < 2; ++c) {
      const int i = *m.scale[c] & (kGaussianTables - 1);
      const auto reach = static_cast<int32_t>(t.reach[i] & 0xffff);
      limit[c] = static_cast<int32_t>(t.reach[i] >> 16);
      inverse[c] = static_cast<int32_t>(t.inverse_sigma[i]);
      mean[c] = *m.mean[c];
      from[c] = (mean[c] - reach) >> 4;
      to[c] = (mean[c] + reach + 15) >> 4;
    }
    weight = *m.weight;
    low = std::min(from[0], from[1]);
    high = std::min(std::max(to[0], to[1]), low + kMixtureSpan - 1);
    range = kMixtureEnd - static_cast<uint32_t>(high - low + 1);
  }

  // First slot of k, low <= k <= high + 1.
  uint32_t first(const CodecTables& t, int32_t k) const {
    if (k <= low) return 0;
    if (k > high) return kMixtureEnd;
    const int32_t x = 16 * k - 8;
    const int32_t sum = (256 - weight) * normal(t, x, 0) + weight * normal(t, x, 1);
    return static_cast<uint32_t>(k - low) + ((static_cast<uint32_t>(sum) >> 6) * range >> 18);
  }

 private:
  int32_t normal(const CodecTables& t, int32_t x, int c) const {
    return normal_distribution(t, x - mean[c], limit[c], inverse[c]);
  }
};

uint32_t mixture_step(const CodecTables& t, uint32_t state, const Mixture& mixture, int32_t* symbol);
uint32_t mixture_entry(const CodecTables& t, const Mixture& mixture, int32_t symbol);

}  // namespace gspc

namespace gspc {
struct RansLanes;
}

// As in rans_step.hpp.
GSPC_DECLARE_ISA(size_t mixture_groups(const CodecTables& t, RansLanes& lanes, const uint8_t* end,
                                       const Mixture& mixture, int32_t* symbol, size_t groups,
                                       uint32_t& escaped);
                 bool mixture_entries(const CodecTables& t, const Mixture& mixture, const int32_t* symbol,
                                      size_t n, uint32_t* entry);)
