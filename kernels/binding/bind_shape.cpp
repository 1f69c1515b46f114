// The shape of a stream and its header, as gspc/format/shape.py has them.
#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "codec/context/network.hpp"
#include "codec/format/header.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using gspc::Attribute;
using gspc::StreamHeader;
using gspc::StreamShape;
using Ints3 = std::array<int32_t, 3>;
using Doubles3 = std::array<double, 3>;
using Plane = std::tuple<int32_t, int32_t, int32_t>;  // dims, resolution, log2 of the size

Attribute attribute_of(int values, int refined_until, const std::string& trit_model, int hidden,
                       double step_base) {
  for (size_t i = 0; i < std::size(gspc::kTritModelNames); ++i)
    if (trit_model == gspc::kTritModelNames[i])
      return {values, refined_until, static_cast<gspc::TritModel>(i), hidden, step_base};
  throw nb::value_error(("no such trit model: " + trit_model).c_str());
}

gspc::GridSpec grid_of(const Ints3& box_low, const Ints3& box_size, const std::vector<Plane>& planes) {
  gspc::GridSpec grid{};
  std::copy(box_low.begin(), box_low.end(), grid.box_low);
  std::copy(box_size.begin(), box_size.end(), grid.box_size);
  for (const auto& [dims, resolution, log2_size] : planes)
    grid.planes.push_back({dims, resolution, log2_size});
  return grid;
}

std::vector<Plane> planes_of(const StreamShape& shape) {
  std::vector<Plane> planes;
  planes.reserve(shape.grid.planes.size());
  for (const auto& plane : shape.grid.planes)
    planes.emplace_back(plane.dims, plane.resolution, plane.log2_size);
  return planes;
}

// (name, inputs, outputs, variants) of every layer of the networks.
std::vector<std::tuple<std::string, int, int, size_t>> layers_of(const StreamShape& shape, int levels) {
  if (levels < 1 || levels > gspc::kMaxLevels) throw nb::value_error("a stream has 1 to 8 levels");
  std::vector<std::tuple<std::string, int, int, size_t>> layers;
  const gspc::Networks networks(shape, levels);
  gspc::each_layer(networks, [&](const std::string& name, const gspc::IntegerLayer& layer) {
    layers.emplace_back(name, layer.in, layer.out, layer.gains.size());
  });
  return layers;
}

template <class T, size_t n>
std::array<T, n> array_from(const T (&values)[n]) {
  std::array<T, n> out;
  std::copy(values, values + n, out.begin());
  return out;
}

void bind_attribute(nb::module_& m) {
  nb::class_<Attribute>(m, "Attribute", "One kind of value of an anchor; see gspc.format.shape.Attribute.")
      .def(
          "__init__",
          [](Attribute* self, int values, int refined_until, const std::string& trit_model, int hidden,
             double step_base) {
            new (self) Attribute(attribute_of(values, refined_until, trit_model, hidden, step_base));
          },
          "values"_a, "refined_until"_a, "trit_model"_a, "hidden"_a, "step_base"_a)
      .def_ro("values", &Attribute::values)
      .def_ro("refined_until", &Attribute::refined_until)
      .def_prop_ro(
          "trit_model",
          [](const Attribute& a) { return gspc::kTritModelNames[static_cast<size_t>(a.trit_model)]; })
      .def_ro("hidden", &Attribute::hidden)
      .def_ro("step_base", &Attribute::step_base)
      .def("step_level", &Attribute::step_level, "level"_a)
      .def("refines_at", &Attribute::refines_at, "level"_a)
      .def_prop_ro("wants_network", &Attribute::wants_network);
}

StreamShape shape_of(const std::vector<Attribute>& attributes, int steps_hidden, int trunk_hidden,
                     int heads_hidden, int residual_hidden, std::tuple<int, int> groups,
                     std::tuple<int, int, int> pool, const Ints3& box_low, const Ints3& box_size,
                     const std::vector<Plane>& planes, bool selective) {
  if (attributes.size() != gspc::kAttributes) throw nb::value_error("3 attributes expected");
  StreamShape s;
  std::copy(attributes.begin(), attributes.end(), s.attributes.begin());
  s.steps_hidden = steps_hidden;
  s.trunk_hidden = trunk_hidden;
  s.heads_hidden = heads_hidden;
  s.residual_hidden = residual_hidden;
  std::tie(s.groups.count, s.groups.hidden) = groups;
  std::tie(s.pool.features, s.pool.hidden, s.pool.planes) = pool;
  s.grid = grid_of(box_low, box_size, planes);
  s.selective = selective;
  return s;
}

std::optional<std::string> text(const char* error) {
  return error == nullptr ? std::nullopt : std::optional<std::string>(error);
}

void bind_stream_shape(nb::module_& m) {
  nb::class_<StreamShape>(m, "StreamShape", "All sizes of a stream; see gspc.format.shape.StreamShape.")
      .def(
          "__init__",
          [](StreamShape* self, const std::vector<Attribute>& attributes, int steps_hidden, int trunk_hidden,
             int heads_hidden, int residual_hidden, std::tuple<int, int> groups,
             std::tuple<int, int, int> pool, const Ints3& box_low, const Ints3& box_size,
             const std::vector<Plane>& planes, bool selective) {
            new (self)
                StreamShape(shape_of(attributes, steps_hidden, trunk_hidden, heads_hidden, residual_hidden,
                                     groups, pool, box_low, box_size, planes, selective));
          },
          "attributes"_a, "steps_hidden"_a, "trunk_hidden"_a, "heads_hidden"_a, "residual_hidden"_a,
          "groups"_a, "pool"_a, "box_low"_a, "box_size"_a, "planes"_a, "selective"_a)
      .def_prop_ro("attributes",
                   [](const StreamShape& s) {
                     return std::vector<Attribute>(s.attributes.begin(), s.attributes.end());
                   })
      .def_ro("steps_hidden", &StreamShape::steps_hidden)
      .def_ro("trunk_hidden", &StreamShape::trunk_hidden)
      .def_ro("heads_hidden", &StreamShape::heads_hidden)
      .def_ro("residual_hidden", &StreamShape::residual_hidden)
      .def_prop_ro("groups",
                   [](const StreamShape& s) { return std::make_tuple(s.groups.count, s.groups.hidden); })
      .def_prop_ro(
          "pool",
          [](const StreamShape& s) { return std::make_tuple(s.pool.features, s.pool.hidden, s.pool.planes); })
      .def_prop_ro("box_low", [](const StreamShape& s) { return array_from(s.grid.box_low); })
      .def_prop_ro("box_size", [](const StreamShape& s) { return array_from(s.grid.box_size); })
      .def_prop_ro("planes", &planes_of)
      .def_ro("selective", &StreamShape::selective)
      .def_prop_ro("context_size", &StreamShape::context_size)
      .def("layers", &layers_of, "levels"_a,
           "(name, inputs, outputs, variants) of every layer of the networks.")
      .def(
          "error", [](const StreamShape& s) { return text(gspc::shape_error(s)); },
          "What is beyond the format, or None.");
}

void bind_header(nb::module_& m) {
  nb::class_<StreamHeader>(m, "StreamHeader", "The HEAD chunk: a shape and where in the world it lies.")
      .def(
          "__init__",
          [](StreamHeader* self, const StreamShape& shape, const Doubles3& origin, double voxel_size,
             const std::array<float, 3>& background, int position_bits) {
            new (self) StreamHeader();
            static_cast<StreamShape&>(*self) = shape;
            self->position_bits = position_bits;
            std::copy(origin.begin(), origin.end(), self->origin);
            self->voxel_size = voxel_size;
            std::copy(background.begin(), background.end(), self->background);
          },
          "shape"_a, "origin"_a = Doubles3{0, 0, 0}, "voxel_size"_a = 1.0,
          "background"_a = std::array<float, 3>{0, 0, 0}, "position_bits"_a = gspc::kMaxPositionBits)
      .def_prop_ro("shape", [](const StreamHeader& h) { return StreamShape(h); })
      .def_ro("position_bits", &StreamHeader::position_bits)
      .def_prop_ro("origin", [](const StreamHeader& h) { return array_from(h.origin); })
      .def_ro("voxel_size", &StreamHeader::voxel_size)
      .def_prop_ro("background", [](const StreamHeader& h) { return array_from(h.background); })
      .def(
          "error", [](const StreamHeader& h) { return text(gspc::header_error(h)); },
          "What is beyond the format, or None.")
      .def(
          "to_bytes",
          [](const StreamHeader& h) {
            const auto bytes = gspc::write_header(h);
            return nb::bytes(bytes.data(), bytes.size());
          },
          "The payload of HEAD.")
      .def_static(
          "from_bytes",
          [](const nb::bytes& data) {
            return gspc::read_header(reinterpret_cast<const uint8_t*>(data.c_str()), data.size());
          },
          "data"_a, "The reverse of to_bytes. Raises StreamError.");
}

}  // namespace

void bind_shape(nb::module_& m) {
  bind_attribute(m);
  bind_stream_shape(m);
  bind_header(m);
}
