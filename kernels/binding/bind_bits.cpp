// gspc._kernels: bits under Gaussians, mixtures and three-way distributions, with derivatives; see bits/bits.hpp.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <vector>

#include "bits/bits.hpp"

namespace nb = nanobind;

namespace {

using Values = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;
using Results = nb::ndarray<float, nb::c_contig, nb::device::cpu>;

// Arrays of one size: `inputs` values in, bits out, and `slopes` derivatives or none.
void check(const std::vector<Values>& in, const Results& bits, const std::optional<std::vector<Results>>& by, size_t inputs,
           size_t slopes) {
  bool fits = in.size() == inputs && (!by || by->size() == slopes);
  for (const Values& values : in) fits = fits && values.size() == bits.size();
  for (size_t i = 0; by && fits && i < slopes; ++i) fits = (*by)[i].size() == bits.size();
  if (!fits) throw nb::value_error("bits: arrays of one size expected");
}

}  // namespace

void bind_bits(nb::module_& m) {
  m.def(
      "bits_gaussian",
      [](const std::vector<Values>& in, const Results& bits, const std::optional<std::vector<Results>>& by) {
        check(in, bits, by, 2, 2);
        const gspc::GaussianBits values{in[0].data(), in[1].data(), bits.data(), by ? (*by)[0].data() : nullptr,
                                        by ? (*by)[1].data() : nullptr};
        nb::gil_scoped_release release;
        gspc::gaussian_bits(values, bits.size());
      },
      nb::arg(), nb::arg(), nb::arg().none());
  m.def(
      "bits_trits",
      [](const std::vector<Values>& in, const Results& bits, const std::optional<std::vector<Results>>& by) {
        check(in, bits, by, 3, 2);
        const gspc::TritBits values{in[0].data(), in[1].data(), in[2].data(), bits.data(), by ? (*by)[0].data() : nullptr,
                                    by ? (*by)[1].data() : nullptr};
        nb::gil_scoped_release release;
        gspc::trit_bits(values, bits.size());
      },
      nb::arg(), nb::arg(), nb::arg().none());
  m.def(
      "bits_mixture",
      [](const std::vector<Values>& in, const Results& bits, const std::optional<std::vector<Results>>& by) {
        check(in, bits, by, 5, 5);
        const auto to = [&](size_t i) { return by ? (*by)[i].data() : nullptr; };
        const gspc::MixtureBits values{in[0].data(), in[1].data(), in[2].data(), in[3].data(), in[4].data(), bits.data(),
                                       to(0),        to(1),        to(2),        to(3),        to(4)};
        nb::gil_scoped_release release;
        gspc::mixture_bits(values, bits.size());
      },
      nb::arg(), nb::arg(), nb::arg().none());
}
