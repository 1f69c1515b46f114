// Which Gaussians of a slice appear at a level, bit by bit.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "codec/entropy/binary.hpp"
#include "codec/format/limits.hpp"
#include "codec/stream/slice.hpp"

namespace gspc {

// One model for each situation that makes a bit likelier or not. A Gaussian of a fresh anchor: its slot k,
// how many of the anchor's slots below k appear (7 and more are alike), whether slot k appears in the anchor
// before. A Gaussian of an older anchor: its slot, how many below it appear now (3 and more are alike), which
// quarter of the anchor's Gaussians was alive before this level.
struct MaskModels {
  BinaryModel fresh[kMaxOffsets][8][2];
  BinaryModel older[kMaxOffsets][4][4];
};

// Which of the anchors' Gaussians appear: of the `old` ones those not alive yet are asked for, of fresh ones
// all but what is certain. Returns how many appear.
template <class Streams>
size_t code_masks(Streams& streams, SliceState& state, size_t k_count, size_t old, size_t total, int level) {
  MaskModels models;
  const uint8_t s = static_cast<uint8_t>(level);
  size_t appearing = 0;
  const auto target = [&](size_t i) {
    if constexpr (Streams::kWriting) return static_cast<int>(streams.source->gaussian_level[i] == s);
    return static_cast<void>(i), 0;
  };
  for (size_t n = 0; n < old; ++n) {
    uint8_t* alive = state.gaussian_level.data() + n * k_count;
    size_t before = 0, now = 0;
    for (size_t k = 0; k < k_count; ++k) before += alive[k] != 0;
    for (size_t k = 0; k < k_count; ++k) {
      if (alive[k] != 0) continue;
      BinaryModel& model = models.older[k][std::min<size_t>(now, 3)][4 * before / (k_count + 1)];
      if (streams.masks.bit(model, target(n * k_count + k))) {
        alive[k] = s;
        ++now;
      }
    }
    appearing += now;
  }
  for (size_t n = old; n < total; ++n) {
    uint8_t* alive = state.gaussian_level.data() + n * k_count;
    const uint8_t* last = n > old ? alive - k_count : nullptr;
    size_t now = 0;
    for (size_t k = 0; k < k_count; ++k) {
      if (now == 0 && k + 1 == k_count) {  // no fresh anchor is without a Gaussian: the bit is certain
        alive[k] = s;
        ++now;
        break;
      }
      BinaryModel& model = models.fresh[k][std::min<size_t>(now, 7)][last != nullptr && last[k] != 0];
      if (streams.masks.bit(model, target(n * k_count + k))) {
        alive[k] = s;
        ++now;
      }
    }
    appearing += now;
  }
  return appearing;
}

}  // namespace gspc
