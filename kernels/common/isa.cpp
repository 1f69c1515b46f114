#include "common/isa.hpp"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace gspc {

Isa supported_isa() {
#if defined(GSPC_MULTI_ISA)
#if defined(GSPC_EMULATE_AVX512)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
    return Isa::v4;
#endif
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512cd"))
    return Isa::v4;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
    return Isa::v3;
#endif
  return Isa::base;
}

namespace {

Isa initial_isa() {
  const Isa best = supported_isa();
  const char* asked = std::getenv("GSPC_ISA");
  if (asked == nullptr) return best;
  for (Isa isa : {Isa::base, Isa::v3, Isa::v4})
    if (std::strcmp(asked, isa_name(isa)) == 0) return isa < best ? isa : best;
  return best;
}

std::atomic<Isa>& current() {
  static std::atomic<Isa> isa{initial_isa()};
  return isa;
}

}  // namespace

Isa active_isa() { return current().load(std::memory_order_relaxed); }

void set_isa(Isa isa) {
  const Isa best = supported_isa();
  current().store(isa < best ? isa : best, std::memory_order_relaxed);
}

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::v3: return "v3";
    case Isa::v4: return "v4";
    default: return "base";
  }
}

}  // namespace gspc
