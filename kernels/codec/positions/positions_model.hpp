// Context mixing for the positions coder: adaptive probabilities ("slots") chosen by what is around a
// decision, mixed in the logistic domain with adaptive weights. Integers only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace gspc::positions {

// Log odds in 1/256, within +-2047. squash[x + 2048] = 65536 / (1 + exp(-x / 256)), interpolated between 33
// pinned points; stretch[p] is the smallest x >= -2047 with squash >= 16 p + 8 (2047 when there is none).
struct LogisticTables {
  uint16_t squash[4096];
  int16_t stretch[4096];
  LogisticTables() noexcept;
};
extern const LogisticTables kLogistic;

// A probability of one in 1/65536 and how many decisions it rests on.
struct Slot {
  uint16_t p;
  uint16_t n;
};

inline constexpr int kSlotLimit = 250;

struct SlotRates {
  uint16_t rate[256];  // round(32768 / (n + 1.5))
  constexpr SlotRates() : rate() {
    for (uint32_t n = 0; n < 256; ++n)
      rate[n] = static_cast<uint16_t>((65536u + (2 * n + 3) / 2) / (2 * n + 3));
  }
};
inline constexpr SlotRates kSlotRates{};

// Hooks of positions_tune.py, which makes the priors; nothing in a library.
#ifdef GSPC_POSITIONS_TUNE
void tune_slot(const Slot* slot, int bit);
void tune_begin(const void* models);
void tune_end(const void* models);
#else
inline void tune_slot(const Slot*, int) {}
inline void tune_begin(const void*) {}
inline void tune_end(const void*) {}
#endif

inline void update(Slot& slot, int bit) {
  tune_slot(&slot, bit);
  const int32_t target = bit ? 65535 : 0;
  slot.p = static_cast<uint16_t>(slot.p +
                                 (((target - slot.p) * static_cast<int32_t>(kSlotRates.rate[slot.n])) >> 15));
  slot.n = static_cast<uint16_t>(slot.n + (slot.n < kSlotLimit));
}

// All slots, in the order of the priors. Names of the indices are in man/pcgs.5.
struct Slots {
  // Is there a fresh key in this child?
  Slot child_tree[8][256];
  Slot child_face[64][8][4];
  Slot child_score[16][8][4][8];
  Slot child_around[8][5][8][4];
  Slot child_lattice[5][3][8][2][4];
  Slot child_known[5][8][4][16];
  // Are there two or more?
  Slot many_siblings[8][8][3];
  Slot many_score[16][16][2];
  Slot many_near[8][8][8];
  Slot many_known[6][5][3];
  // In which half is the only fresh key?
  Slot side_score[3][8][8];
  Slot side_face[3][4][4][8];
  Slot side_lattice[5][3][8];
  Slot side_known[4][4][3][5];
  // Are all digits left zero, so that it sits on the lattice of 16 (4) voxels?
  Slot rest_zero[4][2];
};
inline constexpr size_t kSlotCount = sizeof(Slots) / sizeof(Slot);
static_assert(std::is_trivially_copyable_v<Slots> && sizeof(Slots) % sizeof(Slot) == 0);

// Mixing weights, 65536 is one.
struct Weights {
  int32_t child[8][2][6];
  int32_t many[8][4];
  int32_t side[3][2][4];
};
inline constexpr size_t kWeightCount = sizeof(Weights) / sizeof(int32_t);

struct Models {
  Slots slots;
  Weights weights;
};

// The state in which every slice and level starts: pinned constants, part of the format
// (positions_priors.inc).
const Models& initial_models();

inline constexpr int kWeightShift = 15;

// One decision from Inputs slots; slots and weights adapt to it.
template <int Inputs, class Coder>
inline int mixed_bit(Coder& coder, Slot* const (&slots)[Inputs], int32_t (&weights)[Inputs], int bit) {
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
    // Wraps on overflow, which damaged input could bring about.
    const int32_t step = (stretched[i] * error + (1 << (kWeightShift - 1))) >> kWeightShift;
    weights[i] = static_cast<int32_t>(static_cast<uint32_t>(weights[i]) + static_cast<uint32_t>(step));
    update(*slots[i], bit);
  }
  return bit;
}

// One decision from one slot.
template <class Coder>
inline int slot_bit(Coder& coder, Slot& slot, int bit) {
  const uint32_t p = slot.p < 32 ? 32 : slot.p > 65504 ? 65504 : slot.p;
  bit = coder.code(p, bit);
  update(slot, bit);
  return bit;
}

}  // namespace gspc::positions
