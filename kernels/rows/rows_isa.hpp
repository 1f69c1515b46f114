// Per-instruction-set parts of rows.hpp, one block of rows each.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/isa.hpp"

GSPC_DECLARE_ISA(
    // to[c] = from[c] + amount * noise(key, first + c)
    void rows_noisy_row(const float* from, size_t width, uint32_t first, uint64_t key, float amount, float* to);
    // sum over c of grad[c] * noise(key, first + c)
    float rows_noise_product(const float* grad, size_t width, uint32_t first, uint64_t key);
    // to[c] = center[c] + k * unit, k the nearest integer to (from[c] - center[c]) * per_unit, divided by 3 `coarser` times.
    void rows_rounded_row(const float* from, const float* center, size_t width, float per_unit, float unit, size_t coarser,
                          float* to);
    // How many values are >= 0.
    size_t rows_count_positive(const float* values, size_t n);
    // to[i] = |values[i]| <= 1 ? amount : 0
    void rows_within_one(const float* values, size_t n, float amount, float* to);
    // Mask parameters by plane, [level][stride] with `count` in use, to 0 or 1. May read and write up to a multiple of 16.
    void rows_mask_planes(const float* planes, size_t stride, size_t count, size_t level, float* to);
    // Replaces the parameters by their gradients, given those of the masks.
    void rows_mask_planes_backward(float* planes, size_t stride, size_t count, size_t level, const float* grad);)
