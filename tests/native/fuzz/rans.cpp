// Lane streams with tables that the input names, and the same symbols from every instruction set.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "codec/entropy/rans.hpp"
#include "common/isa.hpp"

using namespace gspc;

namespace {

struct Result {
  std::vector<int32_t> symbols, mixed;
  std::vector<int8_t> trits;
  std::vector<uint32_t> escapes;
  bool finished = false;
  bool operator==(const Result& o) const {
    return symbols == o.symbols && mixed == o.mixed && trits == o.trits && escapes == o.escapes &&
           finished == o.finished;
  }
};

struct Tables {
  std::vector<uint8_t> gaussian, scale[2], weight;
  std::vector<uint16_t> trit;
  std::vector<int16_t> mean[2];
};

// How many symbols of each kind the first bytes say, and tables that follow from the fourth.
Tables tables_of(const uint8_t* data) {
  Tables t;
  uint32_t state = data[3] * 2654435761u + 1;
  const auto next = [&] { return (state = state * 1664525u + 1013904223u) >> 16; };
  for (int i = 0; i < data[0]; ++i) t.gaussian.push_back(static_cast<uint8_t>(next() % 128));
  for (int i = 0; i < data[1]; ++i) t.trit.push_back(static_cast<uint16_t>(next() % kTritTables));
  for (int i = 0; i < data[2] % 96; ++i) {
    for (int c = 0; c < 2; ++c) {
      t.scale[c].push_back(static_cast<uint8_t>(next()));
      t.mean[c].push_back(static_cast<int16_t>(next()));
    }
    t.weight.push_back(static_cast<uint8_t>(next()));
  }
  return t;
}

Result decode(const std::vector<uint8_t>& bytes, const Tables& t) {
  Result r;
  r.symbols.resize(t.gaussian.size());
  r.trits.resize(t.trit.size());
  r.mixed.resize(t.weight.size());
  RansDecoder decoder(bytes.data(), bytes.size());
  decoder.trits(t.trit.data(), r.trits.data(), r.trits.size());
  decoder.gaussian(t.gaussian.data(), r.symbols.data(), r.symbols.size(), r.escapes);
  const Mixture mixture{
      {t.scale[0].data(), t.scale[1].data()}, {t.mean[0].data(), t.mean[1].data()}, t.weight.data()};
  decoder.mixture(mixture, r.mixed.data(), r.mixed.size(), r.escapes);
  r.finished = decoder.finished();
  for (int8_t trit : r.trits)
    if (trit < -1 || trit > 1) std::abort();
  return r;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 4) return 0;
  const Tables tables = tables_of(data);
  const std::vector<uint8_t> bytes(data + 4, data + size);  // of exact size: what lies behind it is poisoned
  set_isa(Isa::base);
  const Result base = decode(bytes, tables);
  for (Isa isa : {Isa::v3, Isa::v4}) {
    set_isa(isa);
    if (active_isa() == isa && !(decode(bytes, tables) == base)) std::abort();
  }
  return 0;
}
