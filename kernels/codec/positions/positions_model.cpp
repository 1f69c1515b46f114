#include "codec/positions/positions_model.hpp"

#include <cstring>

namespace gspc::positions {
namespace {

#include "codec/positions/positions_priors.inc"

// Two printable characters per slot (log odds / 44 + 45, class of confidence), '#' first, '\\' left out.
int symbol(char c) { return c < '\\' ? c - '#' : c - '#' - 1; }

Models make_models() {
  static const uint16_t kConfidence[8] = {0, 1, 3, 7, 15, 35, 90, 250};
  Models models{};
  Slot* slots = reinterpret_cast<Slot*>(&models.slots);
  for (size_t i = 0; i < kSlotCount; ++i) {
    const int x = (symbol(kPriorSlots[2 * i]) - 45) * 44;
    slots[i] = {kLogistic.squash[x + 2048], kConfidence[symbol(kPriorSlots[2 * i + 1])]};
  }
  int32_t* weights = reinterpret_cast<int32_t*>(&models.weights);
  for (size_t i = 0; i < kWeightCount; ++i) weights[i] = kPriorWeights[i] * 256;
  return models;
}

}  // namespace

LogisticTables::LogisticTables() noexcept : squash(), stretch() {
  // round(65536 / (1 + exp(-(i - 16) / 2)))
  static const int32_t points[33] = {22,    36,    60,    98,    162,   267,   439,   720,   1179,
                                     1922,  3108,  4971,  7813,  11955, 17626, 24741, 32768, 40795,
                                     47910, 53581, 57723, 60565, 62428, 63614, 64357, 64816, 65097,
                                     65269, 65374, 65438, 65476, 65500, 65514};
  for (int x = -2048; x < 2048; ++x) {
    const int i = (x + 2048) >> 7, f = (x + 2048) & 127;
    squash[x + 2048] = static_cast<uint16_t>((points[i] * (128 - f) + points[i + 1] * f + 64) >> 7);
  }
  int x = -2047;
  for (int p = 0; p < 4096; ++p) {
    while (x < 2047 && squash[x + 2048] < p * 16 + 8) ++x;
    stretch[p] = static_cast<int16_t>(x);
  }
}

const LogisticTables kLogistic;

const Models& initial_models() {
  static const Models models = make_models();
  return models;
}

}  // namespace gspc::positions
