// Kernels of the integer networks and of the per-symbol arithmetic around them, once per instruction set. All
// integers; every instruction set gives the same.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/isa.hpp"

GSPC_DECLARE_ISA(
    // y [rows][out] = bias + W x; weight [pairs][out][2], rows a multiple of 8, out a multiple of 16.
    void linear_kernel(const int16_t* weight, const int32_t* bias, size_t pairs, size_t out, const int16_t* x,
                       size_t stride, size_t rows, int32_t* y);
    // z = clamp((y * multiplier + 2^(shift - 1)) >> shift), out a multiple of 16.
    void gain_kernel(const int32_t* multiplier, int shift, const int32_t* y, size_t rows, size_t out,
                     int32_t low, int32_t high, int16_t* z, size_t stride);
    // out[i] = clamp((k[i] * factor) >> 24, -2047, 2047): the value so far in units of Q0 / 64.
    void centered_kernel(const int32_t* k, int64_t factor, size_t n, int16_t* out);
    // out[i] = clamp(z[i] + add, 0, 127).
    void gaussian_table_kernel(const int16_t* z, int32_t add, size_t n, uint8_t* out);
    // out[i] = clamp(a[i], 0, 63) * 64 + clamp(b[i], 0, 63).
    void trit_table_kernel(const int16_t* a, const int16_t* b, size_t n, uint16_t* out);
    // Second components of mixtures: mean[i] = clamp((z[i] * factor + 2^13) >> 14, -2^14, 2^14),
    // scale[i] = clamp(z[n + i] + add, 0, 127), weight[i] = weights[clamp(z[2n + i] + 32, 0, 63)].
    void mixture_kernel(const int16_t* z, int64_t factor, int32_t add, const uint8_t* weights, size_t n,
                        int16_t* mean, uint8_t* scale, uint8_t* weight);
    // k[i] = 3 k[i] + trit[i]; returns the or of |k| after.
    uint32_t refine_kernel(int32_t* k, const int8_t* trit, size_t n);
    // out[i] = mean[i] * unit + k[i] * step, in double, stored as float.
    void restore_kernel(const int16_t* mean, const int32_t* k, double unit, double step, size_t n,
                        float* out);)

#if defined(GSPC_VNNI)
namespace gspc::isa_v4_vnni {
void linear_kernel(const int16_t* weight, const int32_t* bias, size_t pairs, size_t out, const int16_t* x,
                   size_t stride, size_t rows, int32_t* y);
}
#endif
