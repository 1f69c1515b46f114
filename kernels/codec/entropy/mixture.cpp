#include "codec/entropy/mixture.hpp"

#include "codec/entropy/rans_step.hpp"

namespace gspc {

uint32_t mixture_step(const CodecTables& t, uint32_t state, const Mixture& mixture, int32_t* symbol) {
  const uint32_t slot = state & (kTableTotal - 1);
  if (slot == kMixtureEnd) {
    *symbol = kEscaped;
    return state >> kTableBits;  // frequency 1, slot - first 0
  }
  const MixtureTable table(t, mixture);
  int32_t low = table.low, high = table.high + 1;
  while (high - low > 1) {
    const int32_t middle = (low + high) >> 1;
    (slot >= table.first(t, middle) ? low : high) = middle;
  }
  *symbol = low;
  const uint32_t first = table.first(t, low);
  return (table.first(t, low + 1) - first) * (state >> kTableBits) + slot - first;
}

uint32_t mixture_entry(const CodecTables& t, const Mixture& mixture, int32_t symbol) {
  const MixtureTable table(t, mixture);
  if (symbol < table.low || symbol > table.high) return 1u << 16 | kMixtureEnd;
  const uint32_t first = table.first(t, symbol);
  return (table.first(t, symbol + 1) - first) << 16 | first;
}

}  // namespace gspc
