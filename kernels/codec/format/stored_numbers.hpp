// Weights and floats of stored layers, as models of the binary coder. Each traversal is a template over the
// coder and serves both directions.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "codec/entropy/binary.hpp"
#include "codec/format/stream_error.hpp"

namespace gspc {

inline uint32_t float_bits(float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, 4);
  return bits;
}

inline float float_from(uint32_t bits) {
  float v;
  std::memcpy(&v, &bits, 4);
  return v;
}

// `bits` binary digits, most significant first, each with a model that knows the digits before it.
template <int bits>
struct DigitTree {
  BinaryModel models[1 << bits];

  template <class Coder>
  uint32_t code(Coder& coder, uint32_t value) {
    uint32_t node = 1;
    for (int i = bits - 1; i >= 0; --i)
      node = node << 1 | static_cast<uint32_t>(coder.bit(models[node], static_cast<int>(value >> i & 1)));
    return node - (1u << bits);
  }
};

// Weights -127..127: number of magnitude digits, the two below the leading one, the rest raw, sign raw.
struct WeightModel {
  DigitTree<3> length;
  DigitTree<2> top[8];

  template <class Coder>
  void code(Coder& coder, int8_t& weight) {
    const uint32_t magnitude = static_cast<uint32_t>(weight < 0 ? -weight : weight);
    uint32_t digits = 0;
    while (magnitude >> digits) ++digits;
    digits = length.code(coder, digits);
    uint32_t value = digits > 0 ? 1 : 0;
    const int below = static_cast<int>(digits) - 1;
    if (below == 1) {
      value = 2 | static_cast<uint32_t>(coder.bit(top[digits].models[1], static_cast<int>(magnitude & 1)));
    } else if (below >= 2) {
      value = 4 | top[digits].code(coder, magnitude >> (below - 2) & 3);
      value = value << (below - 2) | coder.raw(magnitude & ((1u << (below - 2)) - 1), below - 2);
    }
    if (value == 0) {
      weight = 0;
    } else {
      weight =
          static_cast<int8_t>(coder.raw(weight < 0, 1) ? -static_cast<int>(value) : static_cast<int>(value));
    }
  }
};

// Floats of one kind in one layer: how many mantissa digits are in use, then per float sign, exponent and
// those digits.
template <class Coder>
void code_floats(Coder& coder, std::vector<float>& values) {
  uint32_t used = 0;
  for (float v : values) used |= float_bits(v);
  uint32_t digits = 23;
  while (digits > 0 && !(used >> (23 - digits) & 1)) --digits;
  digits = coder.raw(digits, 5);
  if (digits > 23) stream_fail("malformed float");
  DigitTree<8> exponent;
  BinaryModel sign;
  for (float& v : values) {
    const uint32_t bits = float_bits(v);
    const uint32_t s = static_cast<uint32_t>(coder.bit(sign, static_cast<int>(bits >> 31)));
    const uint32_t e = exponent.code(coder, bits >> 23 & 255);
    const uint32_t m = coder.raw((bits & 0x7fffff) >> (23 - digits), static_cast<int>(digits));
    v = float_from(s << 31 | e << 23 | m << (23 - digits));
  }
}

template <class Coder>
void code_weights(Coder& coder, std::vector<int8_t>& weights) {
  WeightModel model;
  for (int8_t& w : weights) model.code(coder, w);
}

// Refuses bytes that follow the contents of a chunk, and contents that its bytes do not reach.
inline void check_end(const BinaryDecoder& coder) {
  if (!coder.finished()) stream_fail("does not end where its contents do");
}

}  // namespace gspc
