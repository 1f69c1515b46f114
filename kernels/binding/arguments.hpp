// What the bindings of the kernels share.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <optional>

namespace nb = nanobind;
using namespace nb::literals;

// An argument of the very type and layout that the function works on, as all that it writes to must be: else
// nanobind would hand over a converted copy, and the results would be lost with it.
inline auto exact(const char* name) { return nb::arg(name).noconvert(); }

inline void require(bool fits, const char* what) {
  if (!fits) throw nb::value_error(what);
}

template <class Array>
bool shaped(const Array& array, size_t rows, size_t columns) {
  return array.shape(0) == rows && array.shape(1) == columns;
}

template <class Array>
bool shaped(const std::optional<Array>& array, size_t rows, size_t columns) {
  return !array || shaped(*array, rows, columns);
}
