// One run of symbols in both directions: the symbols themselves, their escapes and, where a meter wants to
// know, their bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "codec/entropy/binary.hpp"
#include "codec/entropy/mixture.hpp"
#include "codec/entropy/tables.hpp"
#include "codec/format/limits.hpp"
#include "codec/format/stream_error.hpp"
#include "codec/stream/slice.hpp"

namespace gspc {

// What lies beyond the tables of one run: a sign and how far.
template <class Streams>
void code_escapes(Streams& streams, ExpGolombModel& model, const uint8_t* table, int32_t* k,
                  const std::vector<uint32_t>& escaped) {
  for (uint32_t i : escaped) {
    const int32_t value = k[i];
    const int32_t base = gaussian_support(table[i]) + 1;
    const bool negative = streams.escapes.raw(value < 0, 1) != 0;
    const uint32_t more = streams.escapes.number(model, static_cast<uint32_t>(std::abs(value) - base));
    if constexpr (!Streams::kWriting) {
      if (more > static_cast<uint32_t>(kMaxSymbol - base)) stream_fail("an escaped symbol is beyond 23 bits");
      const int32_t magnitude = base + static_cast<int32_t>(more);
      k[i] = negative ? -magnitude : magnitude;
    } else {
      static_cast<void>(more);
      static_cast<void>(negative);
    }
  }
}

template <class Streams>
void code_escapes(Streams& streams, ExpGolombModel& model, const Mixture& mixture, int32_t* k,
                  const std::vector<uint32_t>& escaped) {
  for (uint32_t i : escaped) {
    const MixtureTable table(codec_tables(), mixture.from(i));
    const int32_t value = k[i];
    const bool below = streams.escapes.raw(value < table.low, 1) != 0;
    const uint32_t more = streams.escapes.number(
        model, static_cast<uint32_t>(below ? table.low - 1 - value : value - table.high - 1));
    if constexpr (!Streams::kWriting) {
      const int64_t found = below ? int64_t{table.low} - 1 - more : int64_t{table.high} + 1 + more;
      if (found > kMaxSymbol || found < -kMaxSymbol) stream_fail("an escaped symbol is beyond 23 bits");
      k[i] = static_cast<int32_t>(found);
    } else {
      static_cast<void>(more);
    }
  }
}

template <class Streams>
void code_gaussian(Streams& streams, SliceScratch& scratch, ExpGolombModel& model, const uint8_t* table,
                   int32_t* k, size_t n) {
  scratch.escapes.clear();
  streams.lanes.gaussian(table, k, n, scratch.escapes);
  code_escapes(streams, model, table, k, scratch.escapes);
  if constexpr (Streams::kMetering) streams.gaussian(table, k, n);
}

// Under scratch.mixtures.
template <class Streams>
void code_mixture(Streams& streams, SliceScratch& scratch, ExpGolombModel& model, int32_t* k, size_t n) {
  const Mixture mixture = scratch.mixtures.view();
  scratch.escapes.clear();
  streams.lanes.mixture(mixture, k, n, scratch.escapes);
  code_escapes(streams, model, mixture, k, scratch.escapes);
  if constexpr (Streams::kMetering) streams.mixture(mixture, k, n);
}

// The trits of scratch.trits under scratch.trit_tables, or under scratch.mixtures when they know no bounds.
template <class Streams>
void code_trits(Streams& streams, SliceScratch& scratch, ExpGolombModel& model, TritModel trit_model,
                size_t n) {
  std::vector<int8_t>& trits = scratch.trits;
  if (trit_model != TritModel::unbounded) {
    streams.lanes.trits(scratch.trit_tables.data(), trits.data(), n);
    if constexpr (Streams::kMetering) streams.trits(scratch.trit_tables.data(), trits.data(), n);
    return;
  }
  std::vector<int32_t>& wide = scratch.wide_trits;
  if constexpr (Streams::kWriting) wide.assign(trits.begin(), trits.begin() + static_cast<std::ptrdiff_t>(n));
  else wide.resize(n);
  code_mixture(streams, scratch, model, wide.data(), n);
  if constexpr (!Streams::kWriting)
    for (size_t i = 0; i < n; ++i) {
      if (wide[i] < -1 || wide[i] > 1) stream_fail("a trit is beyond -1 to 1");
      trits[i] = static_cast<int8_t>(wide[i]);
    }
}

// Tells a meter whose symbols the run before were: rows of `width`, row r of anchor anchor_of(r).
template <class Streams, class AnchorOf>
void charge(Streams& streams, size_t component, size_t width, AnchorOf anchor_of) {
  if constexpr (Streams::kMetering) streams.charge(component, width, anchor_of);
  else static_cast<void>(streams), static_cast<void>(component), static_cast<void>(width);
}

}  // namespace gspc
