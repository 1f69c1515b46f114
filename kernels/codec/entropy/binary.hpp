// Adaptive binary range coder: exact integers, the same bytes and decisions on every machine.
//
// BinaryEncoder and BinaryDecoder have the same members (`code`, `bit`, `raw`, `uniform`, `number`,
// `signed_number`), each of
// which returns the value coded; the decoder ignores the value passed in. A traversal written as a template
// over the coder therefore serves both directions.
//
// The coder keeps a 64-bit interval [low, low + range) with range >= 2^32 between calls; whenever range falls
// below 2^32 the top 32 bits of low leave as four big-endian bytes. A carry out of low runs back through the
// bytes written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gspc {

// Rate of adaptation after n observations: round(32768 / (n + 1.5)).
struct BinaryRates {
  uint16_t rate[256];
  constexpr BinaryRates() : rate() {
    for (uint32_t n = 0; n < 256; ++n)
      rate[n] = static_cast<uint16_t>((65536u + (2 * n + 3) / 2) / (2 * n + 3));
  }
};
inline constexpr BinaryRates kBinaryRates{};

// Probability of a one in 1/65536: the mean of a fast estimate (window of about 60) and a slow one (about
// 256), both of which start as plain frequencies.
struct BinaryModel {
  static constexpr uint32_t kFastLimit = 60;
  static constexpr uint32_t kSlowLimit = 255;

  uint16_t fast = 32768;
  uint16_t slow = 32768;
  uint16_t count = 0;

  uint32_t probability() const {
    const uint32_t p = (static_cast<uint32_t>(fast) + slow) >> 1;
    return p < 32 ? 32 : p > 65504 ? 65504 : p;
  }

  void update(int bit) {
    const int32_t target = bit ? 65535 : 0;
    const uint32_t quick = count < kFastLimit ? count : kFastLimit;
    fast = static_cast<uint16_t>(fast +
                                 (((target - fast) * static_cast<int32_t>(kBinaryRates.rate[quick])) >> 15));
    slow = static_cast<uint16_t>(slow +
                                 (((target - slow) * static_cast<int32_t>(kBinaryRates.rate[count])) >> 15));
    if (count < kSlowLimit) ++count;
  }
};

// Adaptive Exp-Golomb numbers: v + 1 has k + 1 binary digits; k in unary, the first two digits after the
// leading one with models of their own, the rest raw. 0 <= v <= 2^32 - 2.
struct ExpGolombModel {
  BinaryModel length[31];
  BinaryModel first[32];
  BinaryModel second[32][2];
  BinaryModel sign;
};

// What both coders share: numbers in terms of `bit` and `raw`.
template <class Coder>
struct BinaryNumbers {
  // Unsigned, 0 .. 2^32 - 2.
  uint32_t number(ExpGolombModel& model, uint32_t value = 0) {
    Coder& coder = static_cast<Coder&>(*this);
    const uint32_t v = value + 1;
    int digits = 0;
    while (digits < 31 && v >> (digits + 1)) ++digits;
    int k = 0;
    while (k < 31 && coder.bit(model.length[k], k < digits)) ++k;
    uint32_t result = 1;
    if (k >= 1) result = result << 1 | coder.bit(model.first[k], static_cast<int>((v >> (k - 1)) & 1));
    if (k >= 2) {
      const int context = static_cast<int>(result & 1);
      result = result << 1 | coder.bit(model.second[k][context], static_cast<int>((v >> (k - 2)) & 1));
    }
    if (k >= 3) result = result << (k - 2) | coder.raw(v & ((uint32_t{1} << (k - 2)) - 1), k - 2);
    return result - 1;
  }

  // |value| <= 2^31 - 1: magnitude, then a sign when it is not zero.
  int32_t signed_number(ExpGolombModel& model, int32_t value = 0) {
    Coder& coder = static_cast<Coder&>(*this);
    const uint32_t magnitude =
        number(model, static_cast<uint32_t>(value < 0 ? -static_cast<int64_t>(value) : value)) &
        0x7fffffffu;  // a decoder of damaged bytes may see more
    if (magnitude == 0) return 0;
    const int32_t m = static_cast<int32_t>(magnitude);
    return coder.bit(model.sign, value < 0) ? -m : m;
  }
};

class BinaryEncoder : public BinaryNumbers<BinaryEncoder> {
 public:
  // One decision with P(one) = p / 65536, 1 <= p <= 65535.
  int code(uint32_t p, int bit) {
    const uint64_t bound = (range_ >> 16) * p;
    const uint64_t zero = static_cast<uint64_t>(bit != 0) - 1;  // all ones for a zero: no branch on the data
    add(bound & zero);
    range_ = bound + ((range_ - 2 * bound) & zero);
    renormalize();
    return bit;
  }

  int bit(BinaryModel& model, int bit) {
    code(model.probability(), bit);
    model.update(bit);
    return bit;
  }

  // `bits` (0..32) equiprobable binary digits, most significant first.
  uint32_t raw(uint32_t value, int bits) {
    if (bits > 16) {
      raw_part(value >> 16, bits - 16);
      raw_part(value & 0xffffu, 16);
    } else if (bits > 0) {
      raw_part(value, bits);
    }
    return value;
  }

  // One of `count` (1..65536) equally likely values.
  uint32_t uniform(uint32_t value, uint32_t count) {
    range_ /= count;
    add(range_ * value);
    renormalize();
    return value;
  }

  // The bytes so far; the encoder is empty again afterwards.
  std::vector<uint8_t> finish() {
    // The value inside the interval that needs the fewest bytes; the decoder reads zeros after the end.
    int kept = 0;
    uint64_t value = 0;
    for (; kept <= 8; ++kept) {
      const uint64_t mask = kept == 8 ? 0 : ~uint64_t{0} >> (8 * kept);
      value = (low_ + mask) & ~mask;
      if (value - low_ < range_) break;
    }
    if (value < low_) carry();
    for (int i = 0; i < kept; ++i) bytes_.push_back(static_cast<uint8_t>(value >> (56 - 8 * i)));
    std::vector<uint8_t> result;
    result.swap(bytes_);
    low_ = 0;
    range_ = ~uint64_t{0};
    return result;
  }

  // For the sake of templates over both coders.
  bool overrun() const { return false; }

  // Bytes that have left so far (finish() adds at most 8).
  size_t size() const { return bytes_.size(); }

 private:
  void raw_part(uint32_t value, int bits) {
    range_ >>= bits;
    add(range_ * value);
    renormalize();
  }

  void add(uint64_t offset) {
    low_ += offset;
    if (low_ < offset) carry();
  }

  void renormalize() {
    if (range_ >> 32) return;
    for (int shift = 56; shift >= 32; shift -= 8) bytes_.push_back(static_cast<uint8_t>(low_ >> shift));
    low_ <<= 32;
    range_ <<= 32;
  }

  void carry() {
    size_t i = bytes_.size();
    while (i > 0 && ++bytes_[--i] == 0) {}
  }

  uint64_t low_ = 0;
  uint64_t range_ = ~uint64_t{0};
  std::vector<uint8_t> bytes_;
};

// Never reads outside [data, data + size): zeros follow the end.
class BinaryDecoder : public BinaryNumbers<BinaryDecoder> {
 public:
  BinaryDecoder(const uint8_t* data, size_t size) : next_(data), left_(size) {
    const uint64_t high = word();
    value_ = high << 32 | word();
  }

  int code(uint32_t p, int = 0) {
    const uint64_t bound = (range_ >> 16) * p;
    const int bit = value_ < bound;
    const uint64_t zero = static_cast<uint64_t>(bit) - 1;
    value_ -= bound & zero;
    range_ = bound + ((range_ - 2 * bound) & zero);
    renormalize();
    return bit;
  }

  int bit(BinaryModel& model, int = 0) {
    const int bit = code(model.probability());
    model.update(bit);
    return bit;
  }

  uint32_t raw(uint32_t /*ignored*/, int bits) { return raw(bits); }

  uint32_t raw(int bits) {
    if (bits > 16) {
      const uint32_t high = raw_part(bits - 16);
      return high << 16 | raw_part(16);
    }
    return bits > 0 ? raw_part(bits) : 0;
  }

  uint32_t uniform(uint32_t /*ignored*/, uint32_t count) {
    range_ /= count;
    uint64_t value = value_ / range_;
    if (value >= count) value = count - 1;
    value_ -= value * range_;
    renormalize();
    return static_cast<uint32_t>(value);
  }

  // More was read than an encoder can have meant: the stream is truncated.
  bool overrun() const { return beyond_ > 8; }

  // Every byte was read and none too many, as is so after decoding all that was encoded.
  bool finished() const { return left_ == 0 && !overrun(); }

 private:
  uint32_t raw_part(int bits) {
    range_ >>= bits;
    const uint64_t most = (uint64_t{1} << bits) - 1;
    uint64_t value = value_ / range_;
    if (value > most) value = most;
    value_ -= value * range_;
    renormalize();
    return static_cast<uint32_t>(value);
  }

  void renormalize() {
    if (range_ >> 32) return;
    range_ <<= 32;
    value_ = value_ << 32 | word();
  }

  uint32_t word() {
    if (left_ >= 4) {
      const uint32_t w = static_cast<uint32_t>(next_[0]) << 24 | static_cast<uint32_t>(next_[1]) << 16 |
                         static_cast<uint32_t>(next_[2]) << 8 | next_[3];
      next_ += 4;
      left_ -= 4;
      return w;
    }
    uint32_t w = 0;
    for (int i = 0; i < 4; ++i) {
      w <<= 8;
      if (left_ > 0) {
        w |= *next_++;
        --left_;
      } else if (beyond_ <= 8) {
        ++beyond_;
      }
    }
    return w;
  }

  const uint8_t* next_;
  size_t left_;
  uint32_t beyond_ = 0;
  uint64_t value_ = 0;
  uint64_t range_ = ~uint64_t{0};
};

}  // namespace gspc
