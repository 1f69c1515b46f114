// Context mixing for the positions coder: adaptive probabilities, mixed in the logistic domain with integer weights.
#pragma once

#include <array>
#include <cstdint>

namespace gspc::positions {

// Logistic domain: log odds in 1/256, clamped to +-2047. kSquash[x + 2048] = 65536 / (1 + exp(-x / 256)) interpolated
// between 33 pinned points; kStretch is its inverse over probabilities in 1/4096.
struct LogisticTables {
  uint16_t squash[4096];
  int16_t stretch[4096];
  LogisticTables();
};
extern const LogisticTables kLogistic;

// A probability of one in 1/65536 and how many decisions it has seen.
struct Slot {
  uint16_t p;
  uint16_t n;
};

inline constexpr int kSlotLimit = 250;
extern const std::array<uint16_t, 256> kSlotRates;  // round(65536 / (n + 1.5))

inline void update(Slot& slot, int bit) {
  const int32_t target = bit ? 65535 : 0;
  slot.p = static_cast<uint16_t>(slot.p + ((static_cast<int64_t>(target - slot.p) * kSlotRates[slot.n]) >> 16));
  if (slot.n < kSlotLimit) ++slot.n;
}

// One decision from Inputs slots. `weights` (65536 is one) are those of the selected set and adapt.
template <int Inputs, class Coder>
int mixed_bit(Coder& coder, Slot* const (&slots)[Inputs], int32_t* weights, int shift, int bit) {
  int32_t stretched[Inputs];
  int64_t dot = 0;
  for (int i = 0; i < Inputs; ++i) {
    stretched[i] = kLogistic.stretch[slots[i]->p >> 4];
    dot += static_cast<int64_t>(stretched[i]) * weights[i];
  }
  int64_t x = dot >> 16;
  x = x < -2047 ? -2047 : x > 2047 ? 2047 : x;
  const uint32_t p = kLogistic.squash[x + 2048];
  bit = coder.code(p, bit);
  const int32_t error = (bit ? 65535 : 0) - static_cast<int32_t>(p);
  for (int i = 0; i < Inputs; ++i) {
    weights[i] += (stretched[i] * error + (1 << (shift - 1))) >> shift;
    update(*slots[i], bit);
  }
  return bit;
}

}  // namespace gspc::positions
