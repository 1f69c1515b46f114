// The product of integer layers on processors with AVX512-VNNI, which multiply and add pairs in one
// instruction; the sums are the same. Compiled once, for x86-64-v4 with VNNI (kernels/CMakeLists.txt);
// elsewhere empty.
#if defined(GSPC_VNNI)

#include "codec/context/network_isa.hpp"
#include "codec/context/network_tile.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {

void linear_kernel(const int16_t* weight, const int32_t* bias, size_t pairs, size_t out, const int16_t* x,
                   size_t stride, size_t rows, int32_t* y) {
  const auto add = [](Ints sum, Ints a, Ints b) {
    return (Ints)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
  };
  linear_tiles(add, weight, bias, pairs, out, x, stride, rows, y);
}

}  // namespace gspc::GSPC_ISA_NAMESPACE

#endif
