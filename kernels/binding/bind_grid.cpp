#include <nanobind/nanobind.h>

void bind_grid(nanobind::module_&) {}
