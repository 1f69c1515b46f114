#include <nanobind/nanobind.h>

void bind_heads(nanobind::module_&) {}
