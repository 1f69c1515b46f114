// Little-endian bytes with every read checked against the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "codec/format/stream_error.hpp"

namespace gspc {

class ByteWriter {
 public:
  void u8(uint32_t v) { bytes.push_back(static_cast<uint8_t>(v)); }
  void u16(uint32_t v) { little(v, 2); }
  void u32(uint32_t v) { little(v, 4); }
  void u64(uint64_t v) { little(v, 8); }
  void f32(float v) {
    uint32_t bits;
    std::memcpy(&bits, &v, 4);
    u32(bits);
  }
  void f64(double v) {
    uint64_t bits;
    std::memcpy(&bits, &v, 8);
    u64(bits);
  }
  // LEB128: seven bits a byte, least significant first.
  void varint(uint64_t v) {
    for (; v >= 0x80; v >>= 7) u8(static_cast<uint32_t>(v & 0x7f) | 0x80);
    u8(static_cast<uint32_t>(v));
  }
  void append(const std::vector<uint8_t>& more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

  std::vector<uint8_t> bytes;

 private:
  void little(uint64_t v, int n) {
    for (int i = 0; i < n; ++i) u8(static_cast<uint32_t>(v >> (8 * i)) & 0xff);
  }
};

class ByteReader {
 public:
  ByteReader(const uint8_t* data, size_t size, const char* name) : data_(data), size_(size), name_(name) {}

  uint8_t u8() { return static_cast<uint8_t>(little(1)); }
  uint16_t u16() { return static_cast<uint16_t>(little(2)); }
  uint32_t u32() { return static_cast<uint32_t>(little(4)); }
  uint64_t u64() { return little(8); }
  float f32() {
    const uint32_t bits = u32();
    float v;
    std::memcpy(&v, &bits, 4);
    return v;
  }
  double f64() {
    const uint64_t bits = u64();
    double v;
    std::memcpy(&v, &bits, 8);
    return v;
  }
  // At most 32 bits, in the shortest form.
  uint32_t varint() {
    uint64_t v = 0;
    for (int shift = 0; shift < 35; shift += 7) {
      const uint64_t byte = u8();
      v |= (byte & 0x7f) << shift;
      if (!(byte & 0x80)) {
        if ((byte == 0 && shift > 0) || v > 0xffffffffu) break;
        return static_cast<uint32_t>(v);
      }
    }
    stream_fail_in(name_, "malformed number");
  }
  const uint8_t* take(size_t n) {
    if (n > size_ - at_) stream_fail_in(name_, "shorter than its contents");
    const uint8_t* p = data_ + at_;
    at_ += n;
    return p;
  }
  size_t left() const { return size_ - at_; }
  size_t at() const { return at_; }
  void finish() const {
    if (left() != 0) stream_fail_in(name_, "longer than its contents");
  }

 private:
  uint64_t little(size_t n) {
    const uint8_t* p = take(n);
    uint64_t v = 0;
    for (size_t i = 0; i < n; ++i) v |= static_cast<uint64_t>(p[i]) << (8 * i);
    return v;
  }

  const uint8_t* data_;
  size_t size_;
  const char* name_;
  size_t at_ = 0;
};

}  // namespace gspc
