#include "grid/grid_isa.hpp"

#include "codec/context/context_grid_vector.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {
namespace {

typedef float Quad __attribute__((vector_size(16)));
typedef float QuadUnaligned __attribute__((vector_size(16), aligned(4), may_alias));

template <bool IS_3D, bool DENSE>
void backward(const GridPlaneKernel& plane, const uint32_t* ua, const uint32_t* ub, const uint32_t* uc,
              const float* grad_out, size_t stride, size_t n, float* grad_table) {
  constexpr int CORNERS = IS_3D ? 8 : 4;
  constexpr float UNIT = IS_3D ? 1.0f / 16777216.0f : 1.0f / 65536.0f;
  alignas(64) uint32_t index[CORNERS][GRID_LANES];
  alignas(64) float weight[CORNERS][GRID_LANES];
  for (size_t i = 0; i < n; i += GRID_LANES) {
    grid_corners<IS_3D, DENSE>(plane, ua + i, ub + i, IS_3D ? uc + i : nullptr,
                               [&](int corner, GridVec entry, GridVec w) __attribute__((always_inline)) {
                                 typedef int32_t Signed __attribute__((vector_size(4 * GRID_LANES)));
                                 typedef float Float __attribute__((vector_size(4 * GRID_LANES)));
                                 const Float scaled = __builtin_convertvector((Signed)w, Float) * UNIT;
                                 grid_store(index[corner], entry);
                                 grid_store(reinterpret_cast<uint32_t*>(weight[corner]), (GridVec)scaled);
                               });
    const int lanes = n - i < GRID_LANES ? static_cast<int>(n - i) : GRID_LANES;
    for (int lane = 0; lane < lanes; ++lane) {
      const float* row = grad_out + (i + lane) * stride;
      __builtin_prefetch(row +
                         32 * stride);  // strides of a few hundred bytes defeat the hardware's prefetcher
      const Quad g = *reinterpret_cast<const QuadUnaligned*>(row);
      for (int corner = 0; corner < CORNERS; ++corner) {
        QuadUnaligned* entry =
            reinterpret_cast<QuadUnaligned*>(grad_table + 4 * static_cast<size_t>(index[corner][lane]));
        *entry = *entry + g * weight[corner][lane];
      }
    }
  }
}

}  // namespace

void grid_pack_range(const float* embeddings, size_t entries, uint8_t* table) {
  for (size_t e = 0; e < entries; ++e, embeddings += 4) {
    const Quad value = *reinterpret_cast<const QuadUnaligned*>(embeddings);
    const auto set = value >= 0.0f;
#if defined(__SSE2__)
    table[e] = static_cast<uint8_t>(__builtin_ia32_movmskps((Quad)set));
#else
    table[e] = static_cast<uint8_t>((set[0] & 1) | (set[1] & 2) | (set[2] & 4) | (set[3] & 8));
#endif
  }
}

void grid_to_float(const int16_t* values, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<float>(values[i]) * (1.0f / GRID_ONE);
}

void grid_plane_backward(const GridPlaneKernel& plane, const uint32_t* const u[3], const float* grad_out,
                         size_t stride, size_t n, float* grad_table) {
  const uint32_t *a = u[plane.axes[0]], *b = u[plane.axes[1]], *c = u[2];
  if (plane.is_3d)
    plane.dense ? backward<true, true>(plane, a, b, c, grad_out, stride, n, grad_table)
                : backward<true, false>(plane, a, b, c, grad_out, stride, n, grad_table);
  else
    plane.dense ? backward<false, true>(plane, a, b, c, grad_out, stride, n, grad_table)
                : backward<false, false>(plane, a, b, c, grad_out, stride, n, grad_table);
}

void grid_straight_through(const float* embeddings, size_t n, float* grad) {
  for (size_t i = 0; i < n; ++i)
    grad[i] = (embeddings[i] >= -1.0f) & (embeddings[i] <= 1.0f) ? grad[i] : 0.0f;
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
