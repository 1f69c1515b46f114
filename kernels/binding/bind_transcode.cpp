// Streams from lanes to a coder written in Python and back, and the tables of mixtures such a coder needs.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "binding/arrays.hpp"
#include "binding/mixtures.hpp"
#include "codec/entropy/rans.hpp"
#include "codec/format/stream_error.hpp"
#include "codec/stream/transcode.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using gspc::binding::array_of;
using gspc::binding::Input;
using gspc::binding::mixture_of;
using gspc::binding::Out;

// A copy: Python may keep it longer than the run lives.
template <class T>
Out<T> array(const T* data, size_t n) {
  gspc::Buffer<T> copy(n);
  std::copy_n(data, n, copy.data.get());
  return array_of(copy, {n});
}

// ---- a coder in Python, whose methods are those of gspc._codec.RansEncoder and RansDecoder ----

// Calls Python. Its StreamError is the core's own, so that the core can name the chunk.
template <class Call>
auto guarded(Call call) {
  try {
    return call();
  } catch (nb::python_error& error) {
    if (error.matches(nb::module_::import_("gspc._codec").attr("StreamError")))
      gspc::stream_fail(nb::cast<std::string>(nb::str(error.value())));
    throw;
  }
}

// Symbols that Python gave for a run of n, into the run.
template <class T>
void take_symbols(nb::handle object, T* symbols, size_t n) {
  const auto given = nb::cast<Input<T>>(object);
  if (given.size() != n) throw nb::value_error("a coder gave more or fewer symbols than the run has");
  std::copy_n(given.data(), n, symbols);
}

// (symbols, indices of those escaped)
void take_run(const nb::object& object, int32_t* k, size_t n, std::vector<uint32_t>& escaped) {
  const auto pair = nb::cast<nb::tuple>(object);
  take_symbols(pair[0], k, n);
  const auto indices = nb::cast<Input<int64_t>>(pair[1]);
  for (size_t i = 0; i < indices.size(); ++i) {
    const int64_t index = indices.data()[i];
    if (index < 0 || static_cast<uint64_t>(index) >= n)
      throw nb::value_error("a coder says that a symbol beyond the run is escaped");
    escaped.push_back(static_cast<uint32_t>(index));
  }
}

class PythonReader : public gspc::RunReader {
 public:
  explicit PythonReader(nb::object coder) : coder_(std::move(coder)) {}

  void gaussian(const uint8_t* table, int32_t* k, size_t n, std::vector<uint32_t>& escaped) override {
    if (n == 0) return;
    guarded([&] { take_run(coder_.attr("gaussian")(array(table, n)), k, n, escaped); });
  }
  void trits(const uint16_t* table, int8_t* trit, size_t n) override {
    if (n == 0) return;
    guarded([&] { take_symbols(coder_.attr("trits")(array(table, n)), trit, n); });
    if (!gspc::valid_trits(trit, n)) throw nb::value_error("a coder gave a trit that is not -1, 0 or 1");
  }
  void mixture(const gspc::Mixture& m, int32_t* k, size_t n, std::vector<uint32_t>& escaped) override {
    if (n == 0) return;
    guarded([&] {
      take_run(coder_.attr("mixture")(array(m.scale[0], n), array(m.scale[1], n), array(m.mean[0], n),
                                      array(m.mean[1], n), array(m.weight, n)),
               k, n, escaped);
    });
  }
  bool finished() override { return nb::cast<bool>(coder_.attr("finished")()); }

 private:
  nb::object coder_;
};

class PythonWriter : public gspc::RunWriter {
 public:
  explicit PythonWriter(nb::object coder) : coder_(std::move(coder)) {}

  void gaussian(const uint8_t* table, const int32_t* k, size_t n) override {
    if (n > 0) coder_.attr("gaussian")(array(table, n), array(k, n));
  }
  void trits(const uint16_t* table, const int8_t* trit, size_t n) override {
    if (n > 0) coder_.attr("trits")(array(table, n), array(trit, n));
  }
  void mixture(const gspc::Mixture& m, const int32_t* k, size_t n) override {
    if (n > 0)
      coder_.attr("mixture")(array(m.scale[0], n), array(m.scale[1], n), array(m.mean[0], n),
                             array(m.mean[1], n), array(m.weight, n), array(k, n));
  }
  std::vector<uint8_t> finish() override {
    const auto bytes = nb::cast<nb::bytes>(coder_.attr("finish")());
    const auto* data = reinterpret_cast<const uint8_t*>(bytes.c_str());
    return {data, data + bytes.size()};
  }

 private:
  nb::object coder_;
};

// A module or object with Encoder(), Decoder(bytes) and memory(symbols).
class PythonCoder : public gspc::ForeignCoder {
 public:
  explicit PythonCoder(nb::object module) : module_(std::move(module)) {}

  std::unique_ptr<gspc::RunReader> reader(const uint8_t* data, size_t size) override {
    return std::make_unique<PythonReader>(module_.attr("Decoder")(nb::bytes(data, size)));
  }
  std::unique_ptr<gspc::RunWriter> writer() override {
    return std::make_unique<PythonWriter>(module_.attr("Encoder")());
  }
  uint64_t memory(uint64_t symbols) const override {
    return nb::cast<uint64_t>(module_.attr("memory")(symbols));
  }

 private:
  nb::object module_;
};

// Holds the interpreter lock all the time: nearly all of it goes by in Python.
nb::bytes transcode(const nb::bytes& data, int to, int upto, uint64_t max_memory, nb::object coder) {
  if (to != 0 && to != 1) throw nb::value_error("no such coder");
  gspc::TranscodeOptions options;
  options.to = static_cast<gspc::SymbolCoder>(to);
  options.upto = upto;
  options.max_memory = max_memory;
  PythonCoder foreign(std::move(coder));
  const auto* bytes = reinterpret_cast<const uint8_t*>(data.c_str());
  return gspc::binding::bytes_of(gspc::transcode_stream(bytes, data.size(), options, foreign));
}

// ---- tables of mixtures ----

std::pair<Out<int32_t>, Out<int32_t>> mixture_bounds(const Input<uint8_t>& scale0,
                                                     const Input<uint8_t>& scale1,
                                                     const Input<int16_t>& mean0, const Input<int16_t>& mean1,
                                                     const Input<uint8_t>& weight) {
  const gspc::Mixture mixture = mixture_of(scale0, scale1, mean0, mean1, weight);
  const size_t n = weight.size();
  gspc::Buffer<int32_t> low(n), high(n);
  for (size_t i = 0; i < n; ++i) {
    const gspc::MixtureTable table(gspc::codec_tables(), mixture.from(i));
    low.data[i] = table.low;
    high.data[i] = table.high;
  }
  return {array_of(low, {n}), array_of(high, {n})};
}

// First slots; torchac takes all tables of a call in one array, hence equally many.
Out<uint16_t> mixture_slots(const Input<uint8_t>& scale0, const Input<uint8_t>& scale1,
                            const Input<int16_t>& mean0, const Input<int16_t>& mean1,
                            const Input<uint8_t>& weight) {
  const gspc::Mixture mixture = mixture_of(scale0, scale1, mean0, mean1, weight);
  const gspc::CodecTables& t = gspc::codec_tables();
  const size_t n = weight.size();
  size_t columns = 1;
  if (n > 0) {
    const gspc::MixtureTable first(t, mixture);
    columns = static_cast<size_t>(first.high - first.low) + 3;
  }
  gspc::Buffer<uint16_t> out(n * columns);
  uint16_t* slot = out.data.get();
  for (size_t i = 0; i < n; ++i) {
    const gspc::MixtureTable table(t, mixture.from(i));
    if (static_cast<size_t>(table.high - table.low) + 3 != columns)
      throw nb::value_error("tables of one call have equally many slots");
    for (int32_t k = table.low; k <= table.high + 1; ++k) *slot++ = static_cast<uint16_t>(table.first(t, k));
    *slot++ = gspc::kTableTotal;
  }
  return array_of(out, {n, columns});
}

}  // namespace

void bind_transcode(nb::module_& m) {
  m.def(
      "transcode_stream", &transcode, "data"_a, "to"_a, "upto"_a, "max_memory"_a, "coder"_a,
      "The levels of a stream up to `upto` (0: the whole ones) with symbols coded by lanes (to 0) or `coder` "
      "(to 1). `coder` has Encoder(), Decoder(bytes) with the methods of RansEncoder and RansDecoder, and "
      "memory(symbols), the bytes it takes for a run. Raises StreamError.");
  m.def("mixture_bounds", &mixture_bounds, "scale0"_a, "scale1"_a, "mean0"_a, "mean1"_a, "weight"_a,
        "Lowest and highest symbol [n] of the tables of two-component mixtures, all [n].");
  m.def("mixture_slots", &mixture_slots, "scale0"_a, "scale1"_a, "mean0"_a, "mean1"_a, "weight"_a,
        "[n, slots + 1] first slot of each symbol and of the escape, then 2^14, of tables with equally many "
        "slots. Raises ValueError for others.");
}
