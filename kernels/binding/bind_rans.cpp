#include <nanobind/stl/pair.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "binding/arguments.hpp"
#include "binding/mixtures.hpp"
#include "codec/entropy/rans.hpp"
#include "codec/entropy/tables.hpp"

using gspc::RansDecoder;
using gspc::RansEncoder;
using gspc::binding::Input;

namespace {

template <class T>
using InPlace = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Output = nb::ndarray<nb::numpy, T, nb::ndim<1>>;

template <class T>
Output<T> array(const T* data, size_t n) {
  T* copy = new T[n ? n : 1];
  if (n) std::memcpy(copy, data, n * sizeof(T));
  nb::capsule owner(copy, [](void* p) noexcept { delete[] static_cast<T*>(p); });
  return Output<T>(copy, {n}, owner);
}

template <class T>
Output<T> empty(size_t n) {
  T* data = new T[n ? n : 1];
  nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
  return Output<T>(data, {n}, owner);
}

void check_tables(const uint8_t* table, size_t n) {
  if (!gspc::valid_tables(table, n)) throw nb::value_error("Gaussian table indices must be below 128");
}

void check_tables(const uint16_t* table, size_t n) {
  if (!gspc::valid_tables(table, n)) throw nb::value_error("trit table indices must be below 4096");
}

// In cache-sized blocks, each checked right before it is used; a multiple of 32 symbols, so that lanes go on
// as in one run.
template <class Table, class Work>
void in_blocks(const Table* table, size_t n, Work work) {
  constexpr size_t kBlock = size_t{1} << 14;
  for (size_t start = 0; start < n; start += kBlock) {
    const size_t count = std::min(kBlock, n - start);
    check_tables(table + start, count);
    work(start, count);
  }
}

std::vector<uint32_t> decode_gaussian(RansDecoder& decoder, const uint8_t* table, int32_t* symbol, size_t n) {
  std::vector<uint32_t> escapes, found;
  in_blocks(table, n, [&](size_t start, size_t count) {
    found.clear();
    decoder.gaussian(table + start, symbol + start, count, found);
    for (uint32_t i : found) escapes.push_back(static_cast<uint32_t>(start + i));
  });
  return escapes;
}

void decode_trits(RansDecoder& decoder, const uint16_t* table, int8_t* trit, size_t n) {
  in_blocks(table, n, [&](size_t start, size_t count) { decoder.trits(table + start, trit + start, count); });
}

// `mixture_of` arrays from anyone.
gspc::Mixture checked_mixture(const Input<uint8_t>& scale0, const Input<uint8_t>& scale1,
                              const Input<int16_t>& mean0, const Input<int16_t>& mean1,
                              const Input<uint8_t>& weight) {
  const gspc::Mixture mixture = gspc::binding::mixture_of(scale0, scale1, mean0, mean1, weight);
  check_tables(scale0.data(), scale0.size());
  check_tables(scale1.data(), scale1.size());
  return mixture;
}

void check_index(int table, int limit) {
  if (table < 0 || table >= limit) throw nb::index_error("no such table");
}

// Keeps the bytes that the C++ decoder leaves to its caller.
struct Decoder {
  nb::bytes bytes;
  RansDecoder decoder;
  explicit Decoder(nb::bytes data)
      : bytes(std::move(data)), decoder(static_cast<const uint8_t*>(bytes.data()), bytes.size()) {}
};

}  // namespace

void bind_rans(nb::module_& m) {
  nb::class_<RansEncoder>(m, "RansEncoder", "Records runs of symbols; finish() codes them.")
      .def(nb::init<>())
      .def(
          "gaussian",
          [](RansEncoder& e, const Input<uint8_t>& table, const Input<int32_t>& symbol) {
            if (table.size() != symbol.size()) throw nb::value_error("one table per symbol");
            check_tables(table.data(), table.size());
            std::vector<uint32_t> escapes;
            e.gaussian(table.data(), symbol.data(), symbol.size(), escapes);
            return array(escapes.data(), escapes.size());
          },
          "table"_a, "symbol"_a,
          "Codes symbol [n] under Gaussian table [n] (below 128). Returns the indices of those escaped.")
      .def(
          "trits",
          [](RansEncoder& e, const Input<uint16_t>& table, const Input<int8_t>& trit) {
            if (table.size() != trit.size()) throw nb::value_error("one table per trit");
            check_tables(table.data(), table.size());
            if (!gspc::valid_trits(trit.data(), trit.size()))
              throw nb::value_error("trits must be -1, 0 or 1");
            e.trits(table.data(), trit.data(), trit.size());
          },
          "table"_a, "trit"_a, "Codes trit [n] in {-1, 0, 1} under trit table [n] (below 4096).")
      .def(
          "mixture",
          [](RansEncoder& e, const Input<uint8_t>& scale0, const Input<uint8_t>& scale1,
             const Input<int16_t>& mean0, const Input<int16_t>& mean1, const Input<uint8_t>& weight,
             const Input<int32_t>& symbol) {
            const gspc::Mixture mixture = checked_mixture(scale0, scale1, mean0, mean1, weight);
            if (symbol.size() != weight.size()) throw nb::value_error("one mixture per symbol");
            std::vector<uint32_t> escapes;
            e.mixture(mixture, symbol.data(), symbol.size(), escapes);
            return array(escapes.data(), escapes.size());
          },
          "scale0"_a, "scale1"_a, "mean0"_a, "mean1"_a, "weight"_a, "symbol"_a,
          "Codes symbol [n] under two-component mixtures, all [n]. Returns the indices of those escaped.")
      .def(
          "finish",
          [](RansEncoder& e) {
            const std::vector<uint8_t> out = e.finish();
            return nb::bytes(out.data(), out.size());
          },
          "The stream; the encoder is empty again.");
  nb::class_<Decoder>(m, "RansDecoder",
                      "Decodes the runs of a stream in the order in which they were recorded.")
      .def(nb::init<nb::bytes>(), "data"_a)
      .def(
          "gaussian",
          [](Decoder& d, const Input<uint8_t>& table) {
            auto symbol = empty<int32_t>(table.size());
            const auto escapes = decode_gaussian(d.decoder, table.data(), symbol.data(), table.size());
            return std::make_pair(symbol, array(escapes.data(), escapes.size()));
          },
          "table"_a, "Symbols [n] under Gaussian table [n], and the indices of those escaped.")
      .def(
          "trits",
          [](Decoder& d, const Input<uint16_t>& table) {
            auto trit = empty<int8_t>(table.size());
            decode_trits(d.decoder, table.data(), trit.data(), table.size());
            return trit;
          },
          "table"_a, "Trits [n] under trit table [n].")
      .def(
          "gaussian_into",
          [](Decoder& d, const Input<uint8_t>& table, const InPlace<int32_t>& symbol) {
            if (table.size() != symbol.size()) throw nb::value_error("one table per symbol");
            const auto escapes = decode_gaussian(d.decoder, table.data(), symbol.data(), symbol.size());
            return array(escapes.data(), escapes.size());
          },
          "table"_a, exact("symbol"), "The same into symbol [n]; returns the indices of those escaped.")
      .def(
          "trits_into",
          [](Decoder& d, const Input<uint16_t>& table, const InPlace<int8_t>& trit) {
            if (table.size() != trit.size()) throw nb::value_error("one table per trit");
            check_tables(table.data(), table.size());
            d.decoder.trits(table.data(), trit.data(), trit.size());
          },
          "table"_a, exact("trit"), "The same into trit [n].")
      .def(
          "mixture",
          [](Decoder& d, const Input<uint8_t>& scale0, const Input<uint8_t>& scale1,
             const Input<int16_t>& mean0, const Input<int16_t>& mean1, const Input<uint8_t>& weight) {
            const gspc::Mixture mixture = checked_mixture(scale0, scale1, mean0, mean1, weight);
            std::vector<uint32_t> escapes;
            auto symbol = empty<int32_t>(weight.size());
            d.decoder.mixture(mixture, symbol.data(), weight.size(), escapes);
            return std::make_pair(symbol, array(escapes.data(), escapes.size()));
          },
          "scale0"_a, "scale1"_a, "mean0"_a, "mean1"_a, "weight"_a,
          "Symbols [n] under two-component mixtures, all [n], and the indices of those escaped.")
      .def(
          "mixture_into",
          [](Decoder& d, const Input<uint8_t>& scale0, const Input<uint8_t>& scale1,
             const Input<int16_t>& mean0, const Input<int16_t>& mean1, const Input<uint8_t>& weight,
             const InPlace<int32_t>& symbol) {
            const gspc::Mixture mixture = checked_mixture(scale0, scale1, mean0, mean1, weight);
            if (symbol.size() != weight.size()) throw nb::value_error("one mixture per symbol");
            std::vector<uint32_t> escapes;
            d.decoder.mixture(mixture, symbol.data(), symbol.size(), escapes);
            return array(escapes.data(), escapes.size());
          },
          "scale0"_a, "scale1"_a, "mean0"_a, "mean1"_a, "weight"_a, exact("symbol"),
          "The same into symbol [n]; returns the indices of those escaped.")
      .def(
          "ok", [](const Decoder& d) { return d.decoder.ok(); }, "Nothing wrong was seen so far.")
      .def(
          "finished", [](const Decoder& d) { return d.decoder.finished(); },
          "All was decoded and every byte used.");

  m.def(
      "gaussian_frequencies",
      [](int table) {
        check_index(table, gspc::kGaussianTables);
        const gspc::CodecTables& t = gspc::codec_tables();
        std::vector<uint16_t> f((t.extent[table] >> 16) + 1);
        for (size_t i = 0; i < f.size(); ++i)
          f[i] = static_cast<uint16_t>(t.entries[(t.extent[table] & 0xffff) + i] >> 16);
        return array(f.data(), f.size());
      },
      "table"_a, "Frequencies of a Gaussian table in slot order: 0, -1, 1, ... -R, R, escape.");
  m.def(
      "gaussian_support",
      [](int table) {
        check_index(table, gspc::kGaussianTables);
        return gspc::gaussian_support(table);
      },
      "table"_a, "R of a Gaussian table: |k| <= R has a symbol.");
  m.def(
      "trit_frequencies",
      [] {
        const gspc::CodecTables& t = gspc::codec_tables();
        std::vector<uint16_t> f;
        for (uint32_t bounds : t.trits) {
          const uint32_t zero = bounds & 0xffff, plus = bounds >> 16;
          for (uint32_t v : {zero, plus - zero, gspc::kTableTotal - plus})
            f.push_back(static_cast<uint16_t>(v));
        }
        return array(f.data(), f.size());
      },
      "[4096 * 3] frequencies of -1, 0, 1 in each trit table.");
  m.def(
      "step_table", [] { return array(gspc::step_table(), 128); },
      "[128] round(2^14 (1 + tanh((i - 64) / 32)))");
  m.def(
      "log_step_table", [] { return array(gspc::log_step_table(), 128); },
      "[128] round(12 log2(step / 2^14))");
  m.def(
      "inverse_step_table", [] { return array(gspc::inverse_step_table(), 128); },
      "[128] round(2^26 / step)");
  m.def(
      "mixture_weight_table", [] { return array(gspc::mixture_weight_table(), 64); },
      "[64] round(256 sigmoid((i - 32) / 4)), 255 at most");
  m.def(
      "trit_zero_edges", [] { return array(gspc::trit_zero_edges(), 63); },
      "[63] round(2^16 sigmoid((i - 31.5) / 4))");
  m.def(
      "trit_plus_edges", [] { return array(gspc::trit_plus_edges(), 63); },
      "[63] round(2^16 sigmoid((i - 31.5) / 8))");
  m.def("inverse3", &gspc::inverse3, "level"_a, "round(2^16 / 3^(level - 1)), level 1..8; 0 outside.");
  m.def("log3", &gspc::log3, "level"_a, "round(12 (level - 1) log2 3), level 1..8; 0 outside.");
}
