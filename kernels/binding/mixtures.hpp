// Arrays of the two-component mixtures that symbols are coded by.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>

#include "codec/entropy/mixture.hpp"

namespace gspc::binding {

namespace nb = nanobind;

template <class T>
using Input = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// Views of five arrays of one length. Raises ValueError for others.
inline Mixture mixture_of(const Input<uint8_t>& scale0, const Input<uint8_t>& scale1,
                          const Input<int16_t>& mean0, const Input<int16_t>& mean1,
                          const Input<uint8_t>& weight) {
  const size_t n = weight.size();
  if (scale0.size() != n || scale1.size() != n || mean0.size() != n || mean1.size() != n)
    throw nb::value_error("one scale, mean and weight per symbol");
  return {{scale0.data(), scale1.data()}, {mean0.data(), mean1.data()}, weight.data()};
}

}  // namespace gspc::binding
