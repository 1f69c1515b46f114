// What anchors and planes of the grid cost. gspc/codec/costs.py makes dataclasses of it.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include "codec/stream/costs.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

template <class T>
nb::object array_of(gspc::Buffer<T>& buffer, std::initializer_list<size_t> shape) {
  T* data = buffer.data.release();
  nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
  return nb::cast(nb::ndarray<nb::numpy, T>(data, shape, owner));
}

nb::dict costs(nb::bytes data, int threads, uint64_t max_memory) {
  gspc::DecodeOptions options;
  options.threads = threads;
  options.max_memory = max_memory;
  gspc::StreamCosts found;
  {
    const auto* bytes = reinterpret_cast<const uint8_t*>(data.c_str());
    const size_t size = data.size();
    nb::gil_scoped_release release;
    found = gspc::stream_costs(bytes, size, options);
  }
  const size_t n = found.count, levels = static_cast<size_t>(found.levels);
  const double* const origin = found.header.origin;
  nb::dict d;
  d["positions"] = array_of(found.positions, {n, 3});
  d["first_level"] = array_of(found.first_level, {n});
  d["bits"] = array_of(found.bits, {levels, n, size_t{gspc::kComponents}});
  d["origin"] = nb::make_tuple(origin[0], origin[1], origin[2]);
  d["voxel_size"] = found.header.voxel_size;
  return d;
}

}  // namespace

void bind_costs(nb::module_& m) {
  nb::list names;
  for (const char* name : gspc::kComponentNames) names.append(name);
  m.attr("COMPONENTS") = nb::tuple(names);
  m.def("stream_costs", &costs, "data"_a, "threads"_a, "max_memory"_a);
  m.def(
      "plane_entropies",
      [](nb::bytes data) {
        return gspc::plane_entropies(reinterpret_cast<const uint8_t*>(data.c_str()), data.size());
      },
      "data"_a);
}
