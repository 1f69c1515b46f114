// gspc._kernels: the rate of attributes with its derivatives; see rate/rate.hpp.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <tuple>
#include <vector>

#include "binding/arguments.hpp"
#include "rate/rate.hpp"

namespace {

using Rows = nb::ndarray<const float, nb::ndim<2>, nb::device::cpu>;  // of any stride
using Whole = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Result = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Results = std::optional<std::vector<Result>>;
// Values, center, octaves and r; Q0 and the level's refinement.
using Attribute = std::tuple<Rows, Rows, Rows, Rows, float, float>;

gspc::RateMatrix matrix(const Rows& rows) {
  require(rows.size() == 0 || rows.shape(1) == 1 || rows.stride(1) == 1,
          "rate: rows of neighbouring values expected");
  return {rows.data(), static_cast<size_t>(rows.stride(0))};
}

gspc::RateAttribute attribute_of(const Attribute& from) {
  const auto& [values, center, octaves, r, base, refinement] = from;
  const size_t n = values.shape(0), width = values.shape(1);
  require(shaped(center, n, width) && shaped(octaves, n, width) && shaped(r, n, 1),
          "rate: values, center and octaves [n, V] and r [n, 1] expected");
  require(base > 0 && refinement >= 1, "rate: a positive base and a refinement of 1 or more expected");
  return {n, width, matrix(values), matrix(center), matrix(octaves), matrix(r), base, refinement};
}

void require_weights(const Whole& weights, const Result& sums, size_t n, size_t width) {
  const size_t groups = weights.shape(1);
  require(weights.shape(0) == n && groups > 0 && width % groups == 0 && shaped(sums, n, groups),
          "rate: weights and sums [n, G] expected, G a divisor of the values in a row");
}

gspc::RateSymbols symbols_of(size_t finest, size_t coarser) {
  size_t above = finest;
  for (size_t j = 0; j <= coarser && above > 0; ++j) above = above % 3 == 0 ? above / 3 : 0;
  require(above > 0, "rate: the level above the symbols' has no step");
  return {finest, coarser};
}

float* data(const Results& to, size_t i) { return to ? (*to)[i].data() : nullptr; }

// Derivatives by values, center, octaves and r, those after them left to the caller.
gspc::RateDerivatives derivatives(const Results& to, size_t n, size_t width) {
  if (!to) return {};
  bool fits = to->size() >= 4 && shaped((*to)[3], n, 1);
  for (size_t i = 0; fits && i < 3; ++i) fits = shaped((*to)[i], n, width);
  require(fits, "rate: derivatives of the attribute's shapes expected");
  return {data(to, 0), data(to, 1), data(to, 2), data(to, 3)};
}

}  // namespace

void bind_rate(nb::module_& m) {
  m.def(
      "rate_appearance",
      [](const Attribute& of, std::optional<uint64_t> seed, const Whole& weights,
         const std::vector<Rows>& outputs, const Result& sums, const Results& to) {
        const gspc::RateAttribute attribute = attribute_of(of);
        require_weights(weights, sums, attribute.n, attribute.width);
        const gspc::RateDerivatives derived = derivatives(to, attribute.n, attribute.width);
        require(!to || to->size() == 4 + outputs.size(), "rate: derivatives for each chunk expected");
        size_t channels = 0;
        for (const Rows& rows : outputs) channels += rows.shape(1) / 3;
        require(channels <= attribute.width, "rate: chunks of more channels than there are");
        std::vector<gspc::RateChunk> chunks;
        size_t first = attribute.width - channels;
        for (size_t i = 0; i < outputs.size(); ++i) {
          const size_t own = outputs[i].shape(1) / 3;
          require(own > 0 && shaped(outputs[i], attribute.n, 3 * own) &&
                      (!to || shaped((*to)[4 + i], attribute.n, 3 * own)),
                  "rate: chunks of mean, octaves and logit per channel expected");
          chunks.push_back({first, first + own, matrix(outputs[i]), data(to, 4 + i)});
          first += own;
        }
        nb::gil_scoped_release release;
        return gspc::rate_appearance(attribute, {seed.has_value(), seed.value_or(0)}, weights.data(),
                                     weights.shape(1), chunks, sums.data(), derived);
      },
      "attribute"_a, "seed"_a.none(), "weights"_a, "outputs"_a, exact("sums"), exact("derivatives").none(),
      "Weighted sum of the bits of values that appear; sums [n, G] those of each group. attribute: values, "
      "center and octaves [n, V], r [n, 1], base, refinement; outputs [n, 3 own] of each chunk; derivatives: "
      "by the attribute's four arrays and each output.");
  m.def(
      "rate_chunk_inputs",
      [](const Attribute& of, const std::vector<size_t>& ends, const std::vector<Result>& inputs) {
        const gspc::RateAttribute attribute = attribute_of(of);
        require(ends.size() == inputs.size() + 1,
                "rate: an end for each chunk and the one before the first expected");
        std::vector<gspc::RateChunkInputs> chunks;
        for (size_t i = 0; i < inputs.size(); ++i) {
          require(ends[i] < ends[i + 1] && ends[i + 1] <= attribute.width &&
                      shaped(inputs[i], attribute.n, 2 * ends[i + 1] - ends[i]),
                  "rate: inputs [n, 2 own + first] of chunks within the channels expected");
          chunks.push_back({ends[i], ends[i + 1], inputs[i].data(), nullptr});
        }
        nb::gil_scoped_release release;
        gspc::rate_chunk_inputs(attribute, chunks);
      },
      "attribute"_a, "ends"_a, exact("inputs"),
      "Writes inputs [n, 2 own + first] of the chunk networks; ends: where the first chunk begins and where "
      "each ends.");
  m.def(
      "rate_chunk_inputs_backward",
      [](const Attribute& of, const std::vector<size_t>& ends, const std::vector<Whole>& by,
         const Result& by_center, const Result& by_octaves, const Result& by_r) {
        const gspc::RateAttribute attribute = attribute_of(of);
        const size_t n = attribute.n, width = attribute.width;
        require(ends.size() == by.size() + 1 && shaped(by_center, n, width) && shaped(by_octaves, n, width) &&
                    shaped(by_r, n, 1),
                "rate: derivatives of the attribute's shapes expected");
        std::vector<gspc::RateChunkInputs> chunks;
        for (size_t i = 0; i < by.size(); ++i) {
          require(
              ends[i] < ends[i + 1] && ends[i + 1] <= width && shaped(by[i], n, 2 * ends[i + 1] - ends[i]),
              "rate: derivatives [n, 2 own + first] of chunks within the channels expected");
          chunks.push_back({ends[i], ends[i + 1], nullptr, by[i].data()});
        }
        nb::gil_scoped_release release;
        gspc::rate_chunk_inputs_backward(attribute, chunks,
                                         {nullptr, by_center.data(), by_octaves.data(), by_r.data()});
      },
      "attribute"_a, "ends"_a, "by"_a, exact("by_center"), exact("by_octaves"), exact("by_r"),
      "Writes by_center and by_octaves [n, V] and by_r [n, 1] from the derivatives by each chunk's inputs.");
  m.def(
      "rate_trits",
      [](const Attribute& of, size_t finest, size_t coarser, const Result& so_far, const Result& trits) {
        const gspc::RateAttribute attribute = attribute_of(of);
        require(shaped(so_far, attribute.n, attribute.width) && shaped(trits, attribute.n, attribute.width),
                "rate: results of the values' shape expected");
        const gspc::RateSymbols symbols = symbols_of(finest, coarser);
        nb::gil_scoped_release release;
        gspc::rate_trits(attribute, symbols, so_far.data(), trits.data());
      },
      "attribute"_a, "finest"_a, "coarser"_a, exact("so_far"), exact("trits"),
      "Writes so_far and trits [n, V] of the level that is `coarser` above the finest grid, of step q1 / "
      "finest.");
  m.def(
      "rate_three_way",
      [](const Rows& outputs, const Whole& trits, const Whole& weights, const Result& sums,
         const std::optional<Result>& to) {
        const size_t n = trits.shape(0), width = trits.shape(1);
        require(shaped(outputs, n, 2 * width) && (!to || shaped(*to, n, 2 * width)),
                "rate: outputs [n, 2 V] expected");
        require_weights(weights, sums, n, width);
        const gspc::RateMatrix rows = matrix(outputs);
        nb::gil_scoped_release release;
        return gspc::rate_three_way(n, width, rows, trits.data(), weights.data(), weights.shape(1),
                                    sums.data(), to ? to->data() : nullptr);
      },
      "outputs"_a, "trits"_a, "weights"_a, exact("sums"), exact("by_outputs").none(),
      "Weighted sum of the bits of trits [n, V] under network outputs [n, 2 V]; sums [n, G] those of each "
      "group.");
  m.def(
      "rate_gaussian_trits",
      [](const Attribute& of, size_t finest, size_t coarser, const Whole& weights, const Result& sums,
         const std::optional<Result>& by_octaves, const std::optional<Result>& by_r) {
        const gspc::RateAttribute attribute = attribute_of(of);
        require_weights(weights, sums, attribute.n, attribute.width);
        require(by_octaves.has_value() == by_r.has_value() &&
                    (!by_r ||
                     (shaped(*by_octaves, attribute.n, attribute.width) && shaped(*by_r, attribute.n, 1))),
                "rate: derivatives of the attribute's shapes expected");
        const gspc::RateSymbols symbols = symbols_of(finest, coarser);
        const gspc::RateDerivatives to{nullptr, nullptr, by_octaves ? by_octaves->data() : nullptr,
                                       by_r ? by_r->data() : nullptr};
        nb::gil_scoped_release release;
        return gspc::rate_gaussian_trits(attribute, symbols, weights.data(), weights.shape(1), sums.data(),
                                         to);
      },
      "attribute"_a, "finest"_a, "coarser"_a, "weights"_a, exact("sums"), exact("by_octaves").none(),
      exact("by_r").none(),
      "Weighted sum of the bits of trits under the Gaussian of first appearances; sums [n, G] those of each "
      "group.");
}
