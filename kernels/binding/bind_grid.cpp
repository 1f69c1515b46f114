// gspc._kernels: the context grid. A grid's shape arrives as int32 [6 + 3 P]: box low, box size, then (dims,
// R, T) per plane.

#include "binding/arguments.hpp"
#include "grid/grid.hpp"

namespace {

template <class T, int D>
using Array = nb::ndarray<T, nb::ndim<D>, nb::c_contig, nb::device::cpu>;

gspc::GridSpec read_spec(const Array<const int32_t, 1>& shape) {
  if (shape.size() < 6 || (shape.size() - 6) % 3 != 0)
    throw nb::value_error("grid: shape is int32 [6 + 3 P]");
  gspc::GridSpec spec{};
  for (int axis = 0; axis < 3; ++axis) {
    spec.box_low[axis] = shape.data()[axis];
    spec.box_size[axis] = shape.data()[3 + axis];
  }
  for (size_t i = 6; i < shape.size(); i += 3)
    spec.planes.push_back({shape.data()[i], shape.data()[i + 1], shape.data()[i + 2]});
  if (const char* error = gspc::grid_spec_error(spec)) throw nb::value_error(error);
  return spec;
}

template <class Out>
void check(const gspc::GridSpec& spec, const Array<const int32_t, 2>& positions, size_t entries,
           const Out& out) {
  if (positions.shape(1) != 3) throw nb::value_error("grid: positions are [N, 3]");
  if (entries != gspc::grid_entries(spec))
    throw nb::value_error("grid: tables do not have the spec's entries");
  if (out.shape(0) != positions.shape(0) || out.shape(1) != gspc::grid_context_size(spec))
    throw nb::value_error("grid: context is [N, C]");
}

}  // namespace

void bind_grid(nb::module_& m) {
  m.attr("GRID_SIGN_PADDING") = gspc::kGridSignPadding;
  m.def(
      "grid_pack_signs",
      [](const Array<const float, 2>& embeddings, const Array<uint8_t, 1>& table) {
        if (embeddings.shape(1) != gspc::kGridFeatures ||
            table.size() != embeddings.shape(0) + gspc::kGridSignPadding)
          throw nb::value_error("grid: embeddings are [E, 4], the table E + kGridSignPadding bytes");
        nb::gil_scoped_release release;
        gspc::grid_pack_signs(embeddings.data(), embeddings.shape(0), table.data());
      },
      "embeddings"_a, exact("table"),
      "table [E + kGridSignPadding] = the signs of embeddings [E, 4], four bits an entry.");
  m.def(
      "grid_forward",
      [](const Array<const int32_t, 1>& shape, const Array<const uint8_t, 1>& table,
         const Array<const int32_t, 2>& positions, const Array<float, 2>& out) {
        const gspc::GridSpec spec = read_spec(shape);
        check(spec, positions, table.size() - gspc::kGridSignPadding, out);
        nb::gil_scoped_release release;
        gspc::grid_forward(spec, table.data(), positions.data(), positions.shape(0), out.data());
      },
      "shape"_a, "table"_a, "positions"_a, exact("out"),
      "out [N, C] = context of positions [N, 3], in [-1, 1]. shape [6 + 3 P]: box low, box size, then dims, "
      "R and T of each plane.");
  m.def(
      "grid_forward_int",
      [](const Array<const int32_t, 1>& shape, const Array<const uint8_t, 1>& table,
         const Array<const int32_t, 2>& positions, const Array<int16_t, 2>& out) {
        const gspc::GridSpec spec = read_spec(shape);
        check(spec, positions, table.size() - gspc::kGridSignPadding, out);
        nb::gil_scoped_release release;
        gspc::grid_forward_int(spec, table.data(), positions.data(), positions.shape(0), out.data());
      },
      "shape"_a, "table"_a, "positions"_a, exact("out"), "The same as integers in [-512, 512].");
  m.def(
      "grid_backward",
      [](const Array<const int32_t, 1>& shape, const Array<const float, 2>& embeddings,
         const Array<const int32_t, 2>& positions, const Array<const float, 2>& grad_out,
         const Array<float, 2>& grad_embeddings) {
        const gspc::GridSpec spec = read_spec(shape);
        check(spec, positions, embeddings.shape(0), grad_out);
        if (embeddings.shape(1) != gspc::kGridFeatures || grad_embeddings.shape(0) != embeddings.shape(0) ||
            grad_embeddings.shape(1) != gspc::kGridFeatures)
          throw nb::value_error("grid: embeddings and their gradient are [E, 4]");
        nb::gil_scoped_release release;
        gspc::grid_backward(spec, embeddings.data(), positions.data(), grad_out.data(), positions.shape(0),
                            grad_embeddings.data());
      },
      "shape"_a, "embeddings"_a, "positions"_a, "grad_out"_a, exact("grad_embeddings"),
      "Writes grad_embeddings [E, 4] from grad_out [N, C].");
}
