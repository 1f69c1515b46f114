#include <nanobind/nanobind.h>

void bind_positions(nanobind::module_&) {}
