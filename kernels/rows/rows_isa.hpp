// Per-instruction-set parts of rows.hpp, one block of rows each.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/isa.hpp"
#include "rows/rows.hpp"

GSPC_DECLARE_ISA(
    // to[c] = from[c] + amount * noise(key, first + c)
    void rows_noisy_row(const float* from, size_t width, uint32_t first, uint64_t key, float amount,
                        float* to);
    // sum over c of grad[c] * noise(key, first + c)
    float rows_noise_product(const float* grad, size_t width, uint32_t first, uint64_t key);
    // Of parameters of one value: to[i] = values[index[i]] + scale * (step ? step[i] : 1) * noise(key,
    // index[i]).
    void rows_noisy_column(const float* values, const int64_t* index, size_t count, const float* step,
                           float scale, uint64_t key, float* to);
    // to[i] = scale * grad[i] * noise(key, index[i])
    void rows_noise_product_column(const float* grad, const int64_t* index, size_t count, float scale,
                                   uint64_t key, float* to);
    // to[c] = center[c] + k * unit, k the nearest integer to (from[c] - center[c]) * per_unit, divided by 3
    // `coarser` times.
    void rows_rounded_row(const float* from, const float* center, size_t width, float per_unit, float unit,
                          size_t coarser, float* to);
    // How many values are >= 0.
    size_t rows_count_positive(const float* values, size_t n);
    // to[i] = |values[i]| <= 1 ? amount : 0
    void rows_within_one(const float* values, size_t n, float amount, float* to);
    // Mask parameters [count][planes] to 0 or 1, and how many are 1. Writes up to a multiple of 16.
    size_t rows_mask_block(const float* masks, size_t count, size_t planes, size_t level, float* to);
    // The parameters' gradients [count][planes] from those of the masks, which are read up to a multiple
    // of 16.
    void rows_mask_block_backward(const float* masks, size_t count, size_t planes, size_t level,
                                  const float* grad, float* to);
    // seen[i] = whether anchor i may touch the picture, and how many may.
    size_t rows_visible_block(const RowsAnchors& anchors, const RowsView& view, uint8_t* seen);
    // Sum over rows of values [count][3] of their products, and to[i] = amount times a product's derivatives.
    float rows_product_block(const float* values, size_t count);
    void rows_product_block_backward(const float* values, size_t count, float amount, float* to);)
