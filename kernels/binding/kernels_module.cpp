// gspc._kernels: training and rendering kernels. Arrays pass by pointer from numpy or torch (CPU), never copied.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <omp.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "common/isa.hpp"

namespace nb = nanobind;

void bind_raster(nb::module_& m);
void bind_grid(nb::module_& m);
void bind_ssim(nb::module_& m);
void bind_heads(nb::module_& m);
void bind_rows(nb::module_& m);
void bind_rate(nb::module_& m);
void bind_mlp(nb::module_& m);

namespace {

// A training step allocates and frees hundreds of megabytes; by default the C library maps and unmaps them each time, and
// page faults then cost more than the arithmetic. Keeps freed memory in the heap instead.
void keep_freed_memory() {
#if defined(__GLIBC__)
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, 0x7fffffff);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

}  // namespace

NB_MODULE(_kernels, m) {
  m.def("active_isa", [] { return std::string(gspc::isa_name(gspc::active_isa())); });
  m.def("supported_isa", [] { return std::string(gspc::isa_name(gspc::supported_isa())); });
  m.def("set_isa", [](const std::string& name) {
    for (gspc::Isa isa : {gspc::Isa::base, gspc::Isa::v3, gspc::Isa::v4})
      if (name == gspc::isa_name(isa)) return gspc::set_isa(isa);
    throw nb::value_error("set_isa: one of base, v3, v4");
  });
  m.def("max_threads", [] { return omp_get_max_threads(); });
  m.def("set_threads", [](int threads) { omp_set_num_threads(threads); });
  m.def("keep_freed_memory", &keep_freed_memory);
  bind_raster(m);
  bind_grid(m);
  bind_ssim(m);
  bind_heads(m);
  bind_rows(m);
  bind_rate(m);
  bind_mlp(m);
}
