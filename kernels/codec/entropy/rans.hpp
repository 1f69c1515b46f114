// 32-lane interleaved rANS: 32-bit states in [2^16, 2^32), 16-bit words, 14-bit tables. The lane layout is
// part of the format, so every instruction set reads and writes the same bytes.
//
// A stream (little-endian; no symbols: no bytes):
//   varint     V: symbols coded in lanes, the first ones of the stream; the others are the tail
//   if V > 0:  32 x 4 bits exponent e of each lane's state at the start of decoding (low nibble first), then
//   32 x (16 + e)
//              bits mantissa, low bit first, padded with zeros to a byte: state = 2^(16 + e) + mantissa;
//              then the 16-bit words in the order they are read
//   if V == 0: at most 32 words of the tail
// Symbol i of a run is decoded by lane i % 32. After each group of 32 symbols (or what is left of the run),
// lanes below 2^16 take a word each, in lane order. The tail is decoded by one more state. When the lanes are
// done each of them is 2^16 + a tail word: what other coders lose in flushing. Tail: initial state (high
// word, low word), then its words in order; unused words are 0; its last state is 2^16. Every symbol: slot =
// x mod 2^14; x = f * (x >> 14) + slot - first slot.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "codec/entropy/mixture.hpp"
#include "codec/entropy/tables.hpp"

namespace gspc {

constexpr int kRansLanes = 32;
constexpr uint32_t kStateLow = 1u << 16;
constexpr int kTailWords = kRansLanes;   // what the lanes' last states can carry
constexpr size_t kTailSymbols = 8192;    // at most this many symbols are left to the one-state tail
constexpr int32_t kEscaped = INT32_MIN;  // what the kernels write for an escaped symbol (callers see 0)

struct RansLanes {
  alignas(64) uint32_t state[kRansLanes];
  const uint8_t* next;  // word to be read next
};

// Memory that grows without being cleared.
template <class T>
class RawBuffer {
 public:
  T* data() { return data_.get(); }
  size_t size() const { return size_; }
  // Room for n elements after the first `keep`; the size becomes keep + n.
  void grow(size_t keep, size_t n) {
    if (keep + n > capacity_) {
      const size_t capacity = keep + n + (keep > 0 ? keep / 2 : 0);
      std::unique_ptr<T[]> moved(new T[capacity]);
      if (keep > 0) std::memcpy(moved.get(), data_.get(), keep * sizeof(T));
      data_ = std::move(moved);
      capacity_ = capacity;
    }
    size_ = keep + n;
  }

 private:
  std::unique_ptr<T[]> data_;
  size_t size_ = 0, capacity_ = 0;
};

// Records runs; finish() codes them from the last symbol to the first. Takes 4 bytes a symbol, in finish() 2
// more at most, and keeps that memory for the next stream.
class RansEncoder {
 public:
  // n symbols, symbol[i] under Gaussian table[i] < 128. Indices i of |symbol| > R[table] are appended to
  // `escapes`: these are coded as the escape, and the caller writes sign and magnitude elsewhere.
  void gaussian(const uint8_t* table, const int32_t* symbol, size_t n, std::vector<uint32_t>& escapes);
  // n trits in {-1, 0, 1} under trit table[i] = a * 64 + b.
  void trits(const uint16_t* table, const int8_t* trit, size_t n);
  // n symbols under two-component mixtures, see mixture.hpp; symbols outside low..high are escaped.
  void mixture(const Mixture& mixture, const int32_t* symbol, size_t n, std::vector<uint32_t>& escapes);
  // The stream; the encoder is empty again afterwards, but keeps its memory.
  std::vector<uint8_t> finish();
  size_t symbols() const { return entries_.size(); }

 private:
  RawBuffer<uint32_t> entries_;  // frequency << 16 | first slot, one per symbol
  RawBuffer<uint8_t> words_;
  std::vector<size_t> runs_;  // lengths
};

// Whether all indices are below 128, below 4096; all trits in {-1, 0, 1}. The coder takes indices modulo
// these.
bool valid_tables(const uint8_t* table, size_t n);
bool valid_tables(const uint16_t* table, size_t n);
bool valid_trits(const int8_t* trit, size_t n);

// Decodes from memory that must outlive it. Never reads outside [data, data + size), whatever the bytes are:
// a damaged stream gives arbitrary (valid) symbols, zeros after its end, and finished() == false.
class RansDecoder {
 public:
  RansDecoder(const uint8_t* data, size_t size);
  RansDecoder(const RansDecoder&) = delete;
  RansDecoder& operator=(const RansDecoder&) = delete;
  // The run written by RansEncoder::gaussian; escaped symbols are 0 and their indices are appended to
  // `escapes`.
  void gaussian(const uint8_t* table, int32_t* symbol, size_t n, std::vector<uint32_t>& escapes);
  void trits(const uint16_t* table, int8_t* trit, size_t n);
  void mixture(const Mixture& mixture, int32_t* symbol, size_t n, std::vector<uint32_t>& escapes);
  bool ok() const { return !damaged_; }  // nothing wrong seen so far
  bool finished() const;  // all symbols decoded, all states back at the start, all words consumed

 private:
  template <class Kernel, class Step>
  size_t lanes(size_t n, Kernel kernel, Step step);
  template <class Kernel, class Step>
  size_t run(int32_t* symbol, size_t n, Kernel kernel, Step step);
  bool near_end();
  void start_tail();
  uint16_t word();
  void parse_states(const uint8_t* data, size_t size);

  RansLanes lanes_;
  const uint8_t* end_ = nullptr;
  uint64_t lane_symbols_ = 0;  // still to come
  bool padded_ = false, damaged_ = false, tail_started_ = false, empty_ = false, in_lanes_ = false;
  uint32_t tail_state_ = kStateLow;
  int tail_next_ = 0, tail_count_ = 0;
  uint16_t tail_words_[kTailWords] = {};
  uint8_t padding_[256];
};

}  // namespace gspc
