// Coders of runs outside the core, and runs on their way from one coder to another.
//
// A run is what RansEncoder and RansDecoder take in one call (rans.hpp): n symbols, each under its own table.
// A symbol beyond its table is coded as the table's escape; its index is in `escaped`, its value means
// nothing here, since sign and magnitude are coded elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "codec/entropy/mixture.hpp"

namespace gspc {

// Gives the runs that were written, in the same order. Throws StreamError on damage.
class RunReader {
 public:
  virtual ~RunReader() = default;
  virtual void gaussian(const uint8_t* table, int32_t* k, size_t n, std::vector<uint32_t>& escaped) = 0;
  virtual void trits(const uint16_t* table, int8_t* trit, size_t n) = 0;
  virtual void mixture(const Mixture& mixture, int32_t* k, size_t n, std::vector<uint32_t>& escaped) = 0;
  virtual bool finished() = 0;  // nothing is left to read
};

class RunWriter {
 public:
  virtual ~RunWriter() = default;
  virtual void gaussian(const uint8_t* table, const int32_t* k, size_t n) = 0;
  virtual void trits(const uint16_t* table, const int8_t* trit, size_t n) = 0;
  virtual void mixture(const Mixture& mixture, const int32_t* k, size_t n) = 0;
  virtual std::vector<uint8_t> finish() = 0;
};

// A coder that a program brings along. Each slice of each level has a reader or a writer of its own.
class ForeignCoder {
 public:
  virtual ~ForeignCoder() = default;
  virtual std::unique_ptr<RunReader> reader(const uint8_t* data, size_t size) = 0;
  virtual std::unique_ptr<RunWriter> writer() = 0;
  // Most bytes of memory that it takes for a run of so many symbols.
  virtual uint64_t memory(uint64_t symbols) const = 0;
};

// Stands in a traversal that reads, and hands every run on to a writer.
class RunTranscoder {
 public:
  RunTranscoder(RunReader& from, RunWriter& to) : from_(from), to_(to) {}

  void gaussian(const uint8_t* table, int32_t* k, size_t n, std::vector<uint32_t>& escaped) {
    from_.gaussian(table, k, n, escaped);
    to_.gaussian(table, with_escapes(k, n, escaped), n);
  }
  void trits(const uint16_t* table, int8_t* trit, size_t n) {
    from_.trits(table, trit, n);
    to_.trits(table, trit, n);
  }
  void mixture(const Mixture& mixture, int32_t* k, size_t n, std::vector<uint32_t>& escaped) {
    from_.mixture(mixture, k, n, escaped);
    to_.mixture(mixture, with_escapes(k, n, escaped), n);
  }
  bool finished() const { return from_.finished(); }

 private:
  // The symbols with those escaped beyond any table, as writers know escapes by.
  const int32_t* with_escapes(const int32_t* k, size_t n, const std::vector<uint32_t>& escaped);

  RunReader& from_;
  RunWriter& to_;
  std::vector<int32_t> coded_;
};

}  // namespace gspc
