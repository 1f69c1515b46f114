// Arrays between C++ and numpy, for the bindings of the codec.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <initializer_list>
#include <string>
#include <vector>

#include "codec/stream/stream.hpp"

namespace gspc::binding {

namespace nb = nanobind;

template <class T>
using In = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
template <class T>
using Out = nb::ndarray<nb::numpy, T>;

// A copy of an array of `size` values. Raises ValueError for another number of them.
template <class T>
std::vector<T> vector_of(nb::handle object, size_t size, const std::string& what) {
  const auto array = nb::cast<In<T>>(object);
  if (array.size() != size)
    throw nb::value_error(
        (what + ": " + std::to_string(size) + " values expected, not " + std::to_string(array.size()))
            .c_str());
  return std::vector<T>(array.data(), array.data() + array.size());
}

// An array that takes the buffer's memory with it.
template <class T>
Out<T> array_of(Buffer<T>& buffer, std::initializer_list<size_t> shape) {
  T* data = buffer.data.release();
  nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
  return Out<T>(data, shape, owner);
}

template <class T>
Out<T> copy_of(const std::vector<T>& values, std::initializer_list<size_t> shape) {
  Buffer<T> buffer(values.size());
  std::copy(values.begin(), values.end(), buffer.data.get());
  return array_of(buffer, shape);
}

// An array that looks into memory of `owner`, which it keeps alive.
template <class T>
Out<T> view_of(const Buffer<T>& buffer, std::initializer_list<size_t> shape, nb::handle owner) {
  return Out<T>(buffer.data.get(), shape, owner);
}

inline nb::bytes bytes_of(const std::vector<uint8_t>& v) { return nb::bytes(v.data(), v.size()); }

}  // namespace gspc::binding
