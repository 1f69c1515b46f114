// Hostile lane streams under the address and undefined-behavior sanitizers, for every instruction set of this
// machine: cut at every byte, single bits flipped, random bytes. Every buffer has its exact size. Prints
// "ok".
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "codec/entropy/rans.hpp"
#include "common/isa.hpp"

using namespace gspc;

namespace {

struct Runs {
  std::vector<uint8_t> gaussian;
  std::vector<uint16_t> trit;
};

struct Result {
  std::vector<int32_t> symbols;
  std::vector<int8_t> trits;
  std::vector<uint32_t> escapes;
  bool finished = false;
  bool operator==(const Result& o) const {
    return symbols == o.symbols && trits == o.trits && escapes == o.escapes && finished == o.finished;
  }
};

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "rans_fuzz: %s (%s)\n", what, isa_name(active_isa()));
  std::exit(1);
}

Result decode(const std::vector<uint8_t>& bytes, size_t size, const Runs& runs) {
  const std::vector<uint8_t> exact(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
  Result r;
  r.symbols.resize(runs.gaussian.size());
  r.trits.resize(runs.trit.size());
  RansDecoder decoder(exact.data(), exact.size());
  decoder.trits(runs.trit.data(), r.trits.data(), r.trits.size());
  decoder.gaussian(runs.gaussian.data(), r.symbols.data(), r.symbols.size(), r.escapes);
  r.finished = decoder.finished();
  require(!r.finished || decoder.ok(), "finished but not ok");
  for (size_t i = 0; i < r.symbols.size(); ++i)
    require(std::abs(r.symbols[i]) <= gaussian_support(runs.gaussian[i]), "symbol outside its table");
  for (int8_t t : r.trits) require(t >= -1 && t <= 1, "trit");
  for (uint32_t e : r.escapes) require(e < r.symbols.size(), "escape");
  return r;
}

// All instruction sets do the same to the same bytes, damaged or not.
bool decode_all(const std::vector<uint8_t>& bytes, size_t size, const Runs& runs) {
  set_isa(Isa::base);
  const Result base = decode(bytes, size, runs);
  for (Isa isa : {Isa::v3, Isa::v4}) {
    set_isa(isa);
    if (active_isa() == isa) require(decode(bytes, size, runs) == base, "differs from base");
  }
  return base.finished;
}

void fuzz(size_t gaussians, size_t trits, int low, int high, std::mt19937& random) {
  Runs runs;
  std::vector<int32_t> symbols;
  std::vector<int8_t> values;
  for (size_t i = 0; i < gaussians; ++i) {
    runs.gaussian.push_back(static_cast<uint8_t>(low + random() % (high - low)));
    const int range = 2 * gaussian_support(runs.gaussian.back()) + 3;
    symbols.push_back(static_cast<int32_t>(random() % range) - range / 2);
  }
  for (size_t i = 0; i < trits; ++i) {
    runs.trit.push_back(static_cast<uint16_t>(random() % kTritTables));
    values.push_back(static_cast<int8_t>(random() % 3) - 1);
  }
  std::vector<uint8_t> bytes;
  for (Isa isa : {Isa::base, Isa::v3, Isa::v4}) {
    set_isa(isa);
    RansEncoder encoder;
    std::vector<uint32_t> escapes;
    encoder.trits(runs.trit.data(), values.data(), trits);
    encoder.gaussian(runs.gaussian.data(), symbols.data(), gaussians, escapes);
    const std::vector<uint8_t> again = encoder.finish();
    require(bytes.empty() || bytes == again, "encoders differ");
    bytes = again;
  }
  require(decode_all(bytes, bytes.size(), runs), "a whole stream");
  for (size_t size = 0; size < bytes.size(); ++size)
    require(!decode_all(bytes, size, runs), "a cut stream finished");
  int unseen = 0;
  for (int i = 0; i < 300; ++i) {
    std::vector<uint8_t> damaged = bytes;
    damaged[i < 100 ? random() % std::min<size_t>(damaged.size(), 24) : random() % damaged.size()] ^=
        1u << random() % 8;
    unseen += decode_all(damaged, damaged.size(), runs);
  }
  // A flip can make the stream of other symbols: a chunk's checksum is what finds those.
  require(unseen <= 12, "flipped bits went unseen");
  for (int i = 0; i < 300; ++i) {
    std::vector<uint8_t> noise(random() % 400);
    for (uint8_t& byte : noise) byte = static_cast<uint8_t>(random());
    if (i % 3 == 0 && !noise.empty()) noise[0] = 127;  // a plausible count of lane symbols
    const bool finished = decode_all(noise, noise.size(), runs);
    require(!finished || noise.empty() == (gaussians + trits == 0), "noise finished");
  }
  std::vector<uint8_t> longer = bytes;
  for (int extra = 0; extra < 70; ++extra) {
    longer.push_back(0);
    require(!decode_all(longer, longer.size(), runs), "bytes after the end went unseen");
  }
}

// Mixtures: one stream from all instruction sets, round trips, nothing read or written out of bounds when
// cut.
void mixtures(size_t n, std::mt19937& random) {
  std::vector<uint8_t> scale[2], weight(n);
  std::vector<int16_t> mean[2];
  std::vector<int32_t> symbols(n);
  for (size_t i = 0; i < n; ++i) {
    for (int c = 0; c < 2; ++c) {
      scale[c].push_back(static_cast<uint8_t>(random() % 128));
      mean[c].push_back(i % 9 ? static_cast<int16_t>(random() % 200) - 100 : static_cast<int16_t>(random()));
    }
    weight[i] = static_cast<uint8_t>(random());
    const int scatter = static_cast<int>(random() % 9) - 4 + mean[i & 1].back() / 16;
    symbols[i] = i % 50 ? scatter : static_cast<int32_t>(random());
  }
  const Mixture m{{scale[0].data(), scale[1].data()}, {mean[0].data(), mean[1].data()}, weight.data()};
  std::vector<uint8_t> bytes;
  for (Isa isa : {Isa::base, Isa::v3, Isa::v4}) {
    set_isa(isa);
    std::vector<uint32_t> escapes, found;
    RansEncoder encoder;
    encoder.mixture(m, symbols.data(), n, escapes);
    const std::vector<uint8_t> again = encoder.finish();
    require(bytes.empty() || bytes == again, "mixture encoders differ");
    bytes = again;
    std::vector<int32_t> decoded(n);
    RansDecoder decoder(bytes.data(), bytes.size());
    decoder.mixture(m, decoded.data(), n, found);
    require(decoder.finished() && found == escapes, "mixture stream");
    for (uint32_t i : found) decoded[i] = symbols[i];
    require(decoded == symbols, "mixture symbols");
    for (size_t size = 0; size < bytes.size(); size += 1 + bytes.size() / 200) {
      const std::vector<uint8_t> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
      RansDecoder broken(cut.data(), cut.size());
      broken.mixture(m, decoded.data(), n, found);
      require(!broken.finished(), "a cut mixture stream finished");
    }
  }
}

}  // namespace

int main() {
  std::mt19937 random(7);
  for (size_t n : {1, 31, 32, 33, 500, 5000}) mixtures(n, random);
  fuzz(1, 0, 0, 128, random);
  fuzz(3, 5, 0, 128, random);
  fuzz(33, 31, 20, 60, random);
  fuzz(100, 300, 0, 128, random);
  fuzz(700, 65, 0, 128, random);
  std::puts("ok");
}
