// Selective refinement: which attributes of which older anchors a level refines, bit by bit.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "codec/entropy/binary.hpp"
#include "codec/stream/slice.hpp"

namespace gspc {

// One model for each situation that makes a bit likelier or not: the attribute; how many Gaussians of the
// anchor are alive (1, 2, more); how coarse its step is; the bit of the attribute in the last anchor that had
// one; what became of the anchor's attribute before (2: it had no bit).
struct ChoiceModels {
  BinaryModel bits[kAttributes][3][4][2][3];
};

// Quarters of the step indices that occur: coarse steps are refined sooner.
inline size_t step_class(uint8_t index) { return static_cast<size_t>(std::clamp((index - 32) / 16, 0, 3)); }

// What may be refined at a stage: an attribute that is, with values, whose step is not that stage's yet.
inline bool refinable(const StreamHeader& h, const SliceState& state, size_t n, size_t attribute, int stage) {
  const Attribute& a = h.attributes[attribute];
  return a.refined() && a.values > 0 && state.step_levels[n * kAttributes + attribute] < a.step_level(stage);
}

// Whether the level refines an attribute of any of the `old` anchors at all: a raw digit for each that may
// be.
template <class Streams>
std::array<bool, kAttributes> code_chosen_attributes(Streams& streams, const StreamHeader& h,
                                                     const SliceState& state, size_t old, int level,
                                                     int stage) {
  std::array<bool, kAttributes> any{};
  for (size_t a = 0; a < kAttributes; ++a) {
    if (!h.attributes[a].refined() || h.attributes[a].values == 0) continue;
    bool found = false;
    if constexpr (Streams::kWriting)
      for (size_t n = 0; n < old && !found; ++n)
        found = refinable(h, state, n, a, stage) &&
                streams.source->refines(n, a, state.step_levels[n * kAttributes + a], level);
    any[a] = streams.masks.raw(found, 1) != 0;
  }
  return any;
}

// scratch.refines of the `old` anchors, whose masks of this level are known.
template <class Streams>
void code_choices(Streams& streams, const StreamHeader& h, const SliceState& state, SliceScratch& scratch,
                  size_t old, int level, int stage) {
  const auto any = code_chosen_attributes(streams, h, state, old, level, stage);
  const size_t k_count = static_cast<size_t>(h.offsets());
  ChoiceModels models;
  size_t last[kAttributes] = {};
  scratch.refines.assign(old, 0);
  for (size_t n = 0; n < old; ++n) {
    const uint8_t* alive = state.gaussian_level.data() + n * k_count;
    const size_t count = k_count - static_cast<size_t>(std::count(alive, alive + k_count, 0));
    size_t before = 2;
    for (size_t a = 0; a < kAttributes; ++a) {
      if (!any[a] || !refinable(h, state, n, a, stage)) continue;
      const size_t of = n * kAttributes + a;
      BinaryModel& model =
          models.bits[a][std::min<size_t>(count, 3) - 1][step_class(state.steps[of])][last[a]][before];
      int target = 0;
      if constexpr (Streams::kWriting) target = streams.source->refines(n, a, state.step_levels[of], level);
      before = last[a] = static_cast<size_t>(streams.masks.bit(model, target));
      scratch.refines[n] |= static_cast<uint8_t>(before << a);
    }
  }
}

// Without selective refinement: every attribute that the level refines, of all anchors.
inline void choose_all(const StreamHeader& h, SliceScratch& scratch, size_t old, int stage) {
  uint8_t all = 0;
  for (size_t a = 0; a < kAttributes; ++a)
    if (h.attributes[a].refines_at(stage) && h.attributes[a].values > 0) all |= static_cast<uint8_t>(1 << a);
  scratch.refines.assign(old, all);
}

}  // namespace gspc
