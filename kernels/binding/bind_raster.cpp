#include <nanobind/nanobind.h>

void bind_raster(nanobind::module_&) {}
