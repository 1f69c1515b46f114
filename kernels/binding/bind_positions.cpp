// Binary coder and anchor positions for tests and tools: numpy arrays in, numpy arrays out.

#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>

#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "binding/arguments.hpp"
#include "codec/positions/positions.hpp"
#include "codec/positions/positions_model.hpp"

using namespace gspc;

namespace {

using Keys = nb::ndarray<const uint64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Words = nb::ndarray<const uint32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Coordinates = nb::ndarray<const int32_t, nb::shape<-1, 3>, nb::c_contig, nb::device::cpu>;

nb::bytes to_bytes(const std::vector<uint8_t>& bytes) {
  return nb::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

template <class T>
using Array = nb::ndarray<nb::numpy, T>;

template <class T, class... Shape>
Array<T> to_numpy(std::vector<T>&& values, Shape... shape) {
  auto* owner = new std::vector<T>(std::move(values));
  nb::capsule free_it(owner, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return Array<T>(owner->data(), {static_cast<size_t>(shape)...}, free_it);
}

KeySpan span(const Keys& keys) { return {keys.data(), keys.shape(0)}; }

// A script of operations for tests of the coder. Each row of `ops` is (kind, a, b): 0 bit with model a of
// 256, value b; 1 raw of a digits, value b; 2 number with model a of 16, value b; 3 signed number, value b as
// int32; 4 one of a values.
template <class Coder>
std::vector<uint32_t> run_script(Coder& coder, const uint32_t* ops, size_t n) {
  std::vector<BinaryModel> bits(256);
  std::vector<ExpGolombModel> numbers(16);
  std::vector<uint32_t> values(n);
  for (size_t i = 0; i < n; ++i) {
    const uint32_t kind = ops[3 * i], a = ops[3 * i + 1], b = ops[3 * i + 2];
    if (kind == 0) values[i] = static_cast<uint32_t>(coder.bit(bits[a & 255], b & 1));
    if (kind == 1) values[i] = coder.raw(b, static_cast<int>(a > 32 ? 32 : a));
    if (kind == 2) values[i] = coder.number(numbers[a & 15], b);
    if (kind == 3)
      values[i] = static_cast<uint32_t>(coder.signed_number(numbers[a & 15], static_cast<int32_t>(b)));
    if (kind == 4) values[i] = coder.uniform(b, a < 1 ? 1 : a > 65536 ? 65536 : a);
  }
  return values;
}

}  // namespace

void bind_positions(nb::module_& m) {
  m.def(
      "binary_encode",
      [](const Words& ops) {
        BinaryEncoder coder;
        run_script(coder, ops.data(), ops.shape(0) / 3);
        return to_bytes(coder.finish());
      },
      "ops"_a, "Codes a script [3 n] of operations for tests; see run_script.");
  m.def(
      "binary_decode",
      [](const nb::bytes& data, const Words& ops) {
        BinaryDecoder coder(reinterpret_cast<const uint8_t*>(data.c_str()), data.size());
        auto values = run_script(coder, ops.data(), ops.shape(0) / 3);
        const size_t n = values.size();
        return std::make_tuple(to_numpy(std::move(values), n), coder.overrun(), coder.finished());
      },
      "data"_a, "ops"_a, "Decodes it: values [n], whether bytes were missing, whether all were read.");
  m.def(
      "encode_positions",
      [](const Keys& known, const Keys& fresh, uint64_t low, uint64_t high, int bits) {
        BinaryEncoder coder;
        bool good;
        std::vector<uint8_t> bytes;
        {
          nb::gil_scoped_release release;
          good = encode_positions(coder, span(known), span(fresh), {low, high}, bits);
          bytes = coder.finish();
        }
        if (!good)
          throw nb::value_error(
              "encode_positions: keys must be sorted, distinct, in the interval, and not known already");
        return to_bytes(bytes);
      },
      "known"_a, "fresh"_a, "low"_a, "high"_a, "bits"_a,
      "Codes the sorted Morton keys fresh [n] in [low, high), given known [m] and bits per axis. Raises "
      "ValueError for keys that break the rules.");
  m.def(
      "decode_positions",
      [](const nb::bytes& data, const Keys& known, uint64_t low, uint64_t high, int bits,
         size_t n) -> std::optional<Array<uint64_t>> {
        BinaryDecoder coder(reinterpret_cast<const uint8_t*>(data.c_str()), data.size());
        std::vector<uint64_t> keys;
        bool good;
        {
          nb::gil_scoped_release release;
          good = decode_positions(coder, span(known), {low, high}, bits, n, keys) && coder.finished();
        }
        if (!good) return std::nullopt;
        const size_t count = keys.size();
        return to_numpy(std::move(keys), count);
      },
      "data"_a, "known"_a, "low"_a, "high"_a, "bits"_a, "n"_a,
      "The n fresh keys, or None when the bytes are damaged.");
  m.def(
      "position_priors",
      [] {
        const positions::Models& models = positions::initial_models();
        const auto* slots = reinterpret_cast<const uint16_t*>(&models.slots);
        const auto* weights = reinterpret_cast<const int32_t*>(&models.weights);
        std::vector<uint16_t> s(slots, slots + 2 * positions::kSlotCount);
        std::vector<int32_t> w(weights, weights + positions::kWeightCount);
        return std::make_tuple(to_numpy(std::move(s), positions::kSlotCount, 2),
                               to_numpy(std::move(w), positions::kWeightCount));
      },
      "Where the positions coder starts: slots uint16 [n, 2] (probability, count) and weights int32 [w].");
  m.def(
      "morton_keys",
      [](const Coordinates& positions) {
        const size_t n = positions.shape(0);
        std::vector<uint64_t> keys(n);
        for (size_t i = 0; i < n; ++i) {
          const int32_t* p = positions.data() + 3 * i;
          if ((p[0] | p[1] | p[2]) >> kMaxPositionBits)
            throw nb::value_error("morton_keys: coordinates must be in [0, 2^21)");
          keys[i] = morton_key(p[0], p[1], p[2]);
        }
        return to_numpy(std::move(keys), n);
      },
      "positions"_a, "Morton keys [N] of positions [N, 3] in [0, 2^21).");
  m.def(
      "morton_positions",
      [](const Keys& keys) {
        const size_t n = keys.shape(0);
        std::vector<int32_t> positions(3 * n);
        for (size_t i = 0; i < n; ++i) {
          uint32_t x, y, z;
          morton_coordinates(keys.data()[i], x, y, z);
          positions[3 * i] = static_cast<int32_t>(x);
          positions[3 * i + 1] = static_cast<int32_t>(y);
          positions[3 * i + 2] = static_cast<int32_t>(z);
        }
        return to_numpy(std::move(positions), n, 3);
      },
      "keys"_a, "Positions [N, 3] of Morton keys [N].");
}
