#include "grid/grid_isa.hpp"

#include "codec/context/context_grid_vector.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {
namespace {

template <bool kIs3d, bool kDense>
void backward(const GridPlaneKernel& plane, const uint32_t* ua, const uint32_t* ub, const uint32_t* uc,
              const float* grad_out, size_t stride, size_t n, float* grad_table) {
  constexpr int kCorners = kIs3d ? 8 : 4;
  constexpr float kUnit = kIs3d ? 1.0f / 16777216.0f : 1.0f / 65536.0f;
  alignas(64) uint32_t index[kCorners][kLanes];
  alignas(64) float weight[kCorners][kLanes];
  for (size_t i = 0; i < n; i += kLanes) {
    grid_corners<kIs3d, kDense>(plane, ua + i, ub + i, kIs3d ? uc + i : nullptr,
                                [&](int corner, Words entry, Words w) __attribute__((always_inline)) {
                                  const Floats scaled = to_floats((Ints)w) * kUnit;
                                  store(index[corner], entry);
                                  store(weight[corner], scaled);
                                });
    const int lanes = n - i < kLanes ? static_cast<int>(n - i) : kLanes;
    for (int lane = 0; lane < lanes; ++lane) {
      const float* row = grad_out + (i + lane) * stride;
      __builtin_prefetch(row +
                         32 * stride);  // strides of a few hundred bytes defeat the hardware's prefetcher
      const Quad g = *reinterpret_cast<const QuadAnywhere*>(row);
      for (int corner = 0; corner < kCorners; ++corner) {
        QuadAnywhere* entry =
            reinterpret_cast<QuadAnywhere*>(grad_table + 4 * static_cast<size_t>(index[corner][lane]));
        *entry = *entry + g * weight[corner][lane];
      }
    }
  }
}

}  // namespace

void grid_pack_range(const float* embeddings, size_t entries, uint8_t* table) {
  for (size_t e = 0; e < entries; ++e, embeddings += 4) {
    const Quad value = *reinterpret_cast<const QuadAnywhere*>(embeddings);
    const auto set = value >= 0.0f;
#if defined(__SSE2__)
    table[e] = static_cast<uint8_t>(__builtin_ia32_movmskps((Quad)set));
#else
    table[e] = static_cast<uint8_t>((set[0] & 1) | (set[1] & 2) | (set[2] & 4) | (set[3] & 8));
#endif
  }
}

void grid_to_float(const int16_t* values, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<float>(values[i]) * (1.0f / kGridOne);
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
    grad[i] = ((embeddings[i] >= -1.0f) & (embeddings[i] <= 1.0f)) ? grad[i] : 0.0f;
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
