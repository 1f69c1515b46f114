// gspc._codec: the codec core. No OpenMP, no torch; arrays are numpy.
#include <nanobind/nanobind.h>

#include "binding/isa.hpp"

namespace nb = nanobind;

void bind_rans(nb::module_& m);
void bind_positions(nb::module_& m);
void bind_shape(nb::module_& m);
void bind_stream(nb::module_& m);
void bind_costs(nb::module_& m);
void bind_transcode(nb::module_& m);
void bind_reader(nb::module_& m);

NB_MODULE(_codec, m) {
  bind_isa(m);
  bind_rans(m);
  bind_positions(m);
  bind_shape(m);
  bind_stream(m);
  bind_costs(m);
  bind_transcode(m);
  bind_reader(m);
}
