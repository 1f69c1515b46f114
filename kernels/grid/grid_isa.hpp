// Per-instruction-set parts of the training grid; see grid.hpp.
#pragma once

#include "codec/context/context_grid.hpp"
#include "common/isa.hpp"

GSPC_DECLARE_ISA(
    // Bits 0..3 of each byte: embedding >= 0.
    void grid_pack_range(const float* embeddings, size_t entries, uint8_t* table);
    // out[i] = values[i] / 512
    void grid_to_float(const int16_t* values, size_t n, float* out);
    // Adds weight * grad_out[i * stride + f] to the corners' entries for n positions (coordinates padded to
    // 16).
    void grid_plane_backward(const GridPlaneKernel& plane, const uint32_t* const u[3], const float* grad_out,
                             size_t stride, size_t n, float* grad_table);
    // Zeroes the gradient where not |embedding| <= 1.
    void grid_straight_through(const float* embeddings, size_t n, float* grad);)
