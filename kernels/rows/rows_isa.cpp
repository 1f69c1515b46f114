#include "rows/rows_isa.hpp"

#include "common/noise.hpp"
#include "common/vector_math.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {
namespace {

constexpr float kOdds = 0.01f / 0.99f;  // of the masks' threshold

inline WordVec lanes() {
  WordVec v{};
  for (int i = 0; i < LANES; ++i) v[i] = static_cast<uint32_t>(i);
  return v;
}

inline void load_part(const float* from, size_t n, float* to) { __builtin_memcpy(to, from, n * sizeof(float)); }

}  // namespace

void rows_noisy_row(const float* from, size_t width, uint32_t first, uint64_t key, float amount, float* to) {
  WordVec counter = lanes() + first;
  size_t c = 0;
  for (; c + LANES <= width; c += LANES, counter += static_cast<uint32_t>(LANES))
    store(to + c, load(from + c) + amount * noise_at(counter, key));
  if (c < width) {
    alignas(64) float part[LANES] = {};
    load_part(from + c, width - c, part);
    store(part, load(part) + amount * noise_at(counter, key));
    load_part(part, width - c, to + c);
  }
}

float rows_noise_product(const float* grad, size_t width, uint32_t first, uint64_t key) {
  WordVec counter = lanes() + first;
  Vec sums = splat(0.0f);
  size_t c = 0;
  for (; c + LANES <= width; c += LANES, counter += static_cast<uint32_t>(LANES))
    sums += load(grad + c) * noise_at(counter, key);
  if (c < width) {
    alignas(64) float part[LANES] = {};
    load_part(grad + c, width - c, part);
    sums += load(part) * noise_at(counter, key);
  }
  float total = 0.0f;
  for (int i = 0; i < LANES; ++i) total += sums[i];
  return total;
}

void rows_rounded_row(const float* from, const float* center, size_t width, float per_unit, float unit, size_t coarser,
                      float* to) {
  for (size_t c = 0; c < width; ++c) {
    float k = __builtin_floorf((from[c] - center[c]) * per_unit + 0.5f);
    for (size_t j = 0; j < coarser; ++j) k = __builtin_floorf((k + 1.0f) / 3.0f);
    to[c] = center[c] + k * unit;
  }
}

size_t rows_count_positive(const float* values, size_t n) {
  size_t total = 0;
  for (size_t begin = 0; begin < n; begin += 1 << 16) {  // 32-bit counts keep the loop in whole vectors
    const size_t end = n - begin < 1 << 16 ? n : begin + (1 << 16);
    uint32_t count = 0;
    for (size_t i = begin; i < end; ++i) count += values[i] >= 0.0f;
    total += count;
  }
  return total;
}

void rows_within_one(const float* values, size_t n, float amount, float* to) {
  for (size_t i = 0; i < n; ++i) to[i] = __builtin_fabsf(values[i]) <= 1.0f ? amount : 0.0f;
}

void rows_mask_planes(const float* planes, size_t stride, size_t count, size_t level, float* to) {
  for (size_t i = 0; i < count; i += LANES) {
    Vec odds = vexp(load(planes + i));  // exp(m_0) * product of (1 + exp(m_j)) = exp of the logit
    for (size_t j = 1; j < level; ++j) odds *= 1.0f + vexp(load(planes + j * stride + i));
    store(to + i, odds > kOdds ? splat(1.0f) : splat(0.0f));
  }
}

void rows_mask_planes_backward(float* planes, size_t stride, size_t count, size_t level, const float* grad) {
  for (size_t i = 0; i < count; i += LANES) {
    Vec odds = vexp(load(planes + i));
    for (size_t j = 1; j < level; ++j) {
      const Vec e = vexp(load(planes + j * stride + i));
      odds *= 1.0f + e;
      store(planes + j * stride + i, e / (1.0f + e));  // d logit / d m_j
    }
    const Vec rest = 1.0f / (1.0f + odds);  // 1 - sigmoid
    const Vec d = load(grad + i) * (1.0f - rest) * rest;
    store(planes + i, d);
    for (size_t j = 1; j < level; ++j) store(planes + j * stride + i, d * load(planes + j * stride + i));
  }
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
