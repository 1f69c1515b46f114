// gspc._kernels: training and rendering kernels. Arrays pass by pointer from numpy or torch (CPU), never
// copied.
#include <nanobind/nanobind.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "binding/isa.hpp"
#include "common/parallel.hpp"

namespace nb = nanobind;
using namespace nb::literals;

void bind_raster(nb::module_& m);
void bind_grid(nb::module_& m);
void bind_ssim(nb::module_& m);
void bind_heads(nb::module_& m);
void bind_rows(nb::module_& m);
void bind_rate(nb::module_& m);
void bind_mlp(nb::module_& m);
void bind_adam(nb::module_& m);
void bind_harmonics(nb::module_& m);

namespace {

// Whether denormal numbers count as zero in this thread; processors take a hundred times longer over them
// than over others.
#if defined(__SSE2__)
constexpr unsigned kFlush = 0x8040;  // results and arguments
bool flushes() { return (_mm_getcsr() & kFlush) == kFlush; }
void set_flush(bool on) { _mm_setcsr(on ? _mm_getcsr() | kFlush : _mm_getcsr() & ~kFlush); }
#elif defined(__aarch64__)
constexpr unsigned long kFlush = 1ul << 24;
unsigned long control() {
  unsigned long value;
  asm volatile("mrs %0, fpcr" : "=r"(value));
  return value;
}
bool flushes() { return (control() & kFlush) != 0; }
void set_flush(bool on) {
  asm volatile("msr fpcr, %0" : : "r"(on ? control() | kFlush : control() & ~kFlush));
}
#else
bool flushes() { return false; }
void set_flush(bool) {}
#endif

// In this thread and the others of its pool, which torch uses, too. Returns how it was.
bool flush_denormals(bool on) {
  const bool before = flushes();
  gspc::on_every_thread([&] { set_flush(on); });
  return before;
}

}  // namespace

NB_MODULE(_kernels, m) {
  bind_isa(m);
  m.def("max_threads", [] { return omp_get_max_threads(); }, "Threads that the kernels use.");
  m.def(
      "set_threads", [](int threads) { omp_set_num_threads(threads); }, "threads"_a,
      "Sets how many threads the kernels use.");
  m.def("flush_denormals", &flush_denormals, "on"_a,
        "Counts denormal numbers as zero, or not, on all threads. Returns what was set before.");
  bind_raster(m);
  bind_grid(m);
  bind_ssim(m);
  bind_heads(m);
  bind_rows(m);
  bind_rate(m);
  bind_mlp(m);
  bind_adam(m);
  bind_harmonics(m);
}
