// Per-instruction-set entry of the context grid; see context_grid.hpp.
#pragma once

#include "codec/context/context_grid.hpp"
#include "common/isa.hpp"

// One plane for n positions whose coordinates lie in u (padded to a multiple of 16): out[i * stride + f], f
// < 4.
GSPC_DECLARE_ISA(void grid_plane_forward(const GridPlaneKernel& plane, const uint8_t* signs,
                                         const uint32_t* const u[3], size_t n, int16_t* out, size_t stride);)
