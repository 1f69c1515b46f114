#include "codec/stream/slice_streams.hpp"

#include <cmath>

#include "codec/entropy/rans_step.hpp"
#include "codec/format/limits.hpp"

namespace gspc {

namespace {

// Bits of a symbol by its frequency out of 2^14. Nearly all symbols need one, so a table beats the logarithm.
struct CodeLengths {
  float bits[kTableTotal + 1];
  CodeLengths() : bits() {
    for (uint32_t f = 1; f <= kTableTotal; ++f)
      bits[f] = static_cast<float>(kTableBits - std::log2(static_cast<double>(f)));
  }
};

}  // namespace

void SliceMeter::measure_entries() {
  static const CodeLengths lengths;
  run_bits_.resize(entries_.size());
  for (size_t i = 0; i < entries_.size(); ++i) run_bits_[i] = lengths.bits[entries_[i] >> 16];
}

void SliceMeter::gaussian(const uint8_t* table, const int32_t* k, size_t n) {
  entries_.resize(n);
  GSPC_DISPATCH(gaussian_entries)(codec_tables(), table, k, n, entries_.data());
  measure_entries();
}

void SliceMeter::trits(const uint16_t* table, const int8_t* trit, size_t n) {
  entries_.resize(n);
  GSPC_DISPATCH(trit_entries)(codec_tables(), table, trit, n, entries_.data());
  measure_entries();
}

void SliceMeter::mixture(const Mixture& mixture, const int32_t* k, size_t n) {
  entries_.resize(n);
  GSPC_DISPATCH(mixture_entries)(codec_tables(), mixture, k, n, entries_.data());
  measure_entries();
}

const int32_t* RunTranscoder::with_escapes(const int32_t* k, size_t n, const std::vector<uint32_t>& escaped) {
  if (escaped.empty()) return k;
  coded_.assign(k, k + n);
  for (uint32_t i : escaped) coded_[i] = kMaxSymbol;
  return coded_.data();
}

}  // namespace gspc
