// gspc._codec: the codec core. No OpenMP, no torch; arrays are numpy.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "common/isa.hpp"

namespace nb = nanobind;

void bind_rans(nb::module_& m);
void bind_positions(nb::module_& m);
void bind_shape(nb::module_& m);
void bind_stream(nb::module_& m);
void bind_costs(nb::module_& m);
void bind_transcode(nb::module_& m);

NB_MODULE(_codec, m) {
  m.def("active_isa", [] { return std::string(gspc::isa_name(gspc::active_isa())); });
  m.def("supported_isa", [] { return std::string(gspc::isa_name(gspc::supported_isa())); });
  m.def("set_isa", [](const std::string& name) {
    for (gspc::Isa isa : {gspc::Isa::base, gspc::Isa::v3, gspc::Isa::v4})
      if (name == gspc::isa_name(isa)) return gspc::set_isa(isa);
    throw nb::value_error("set_isa: one of base, v3, v4");
  });
  bind_rans(m);
  bind_positions(m);
  bind_shape(m);
  bind_stream(m);
  bind_costs(m);
  bind_transcode(m);
}
