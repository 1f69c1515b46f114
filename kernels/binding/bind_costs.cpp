// What anchors and planes of the grid cost. gspc/codec/costs.py makes a dataclass of it.
#include <nanobind/nanobind.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <tuple>
#include <vector>

#include "binding/arrays.hpp"
#include "codec/stream/costs.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using gspc::binding::array_of;
using gspc::binding::Out;

std::tuple<Out<int32_t>, Out<uint8_t>, Out<float>, std::tuple<double, double, double>, double> costs(
    const nb::bytes& data, int threads, uint64_t max_memory) {
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
  return {array_of(found.positions, {n, 3}),
          array_of(found.first_level, {n}),
          array_of(found.bits, {levels, n, gspc::kComponents}),
          {origin[0], origin[1], origin[2]},
          found.header.voxel_size};
}

std::vector<double> planes(const nb::bytes& data) {
  return gspc::plane_entropies(reinterpret_cast<const uint8_t*>(data.c_str()), data.size());
}

}  // namespace

void bind_costs(nb::module_& m) {
  m.def(
      "stream_costs", &costs, "data"_a, "threads"_a, "max_memory"_a,
      "What anchors cost: positions [N, 3] int32, first level [N] uint8, bits [S, N, 6] float32 by level and "
      "component, origin, voxel size. Raises StreamError.");
  m.def("plane_entropies", &planes, "data"_a,
        "Bits of each plane of the grid, by the entropy of its signs given the two entries before. Raises "
        "StreamError.");
}
