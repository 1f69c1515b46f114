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

inline void load_part(const float* from, size_t n, float* to) {
  __builtin_memcpy(to, from, n * sizeof(float));
}

inline float sum_lanes(Vec v) { return sum(fold(v)); }

// Lane l of the result is lane order[l] of a and b, one behind the other.
inline Vec pick(Vec a, Vec b, const int32_t* order) {
#if defined(__AVX512F__)
  return (Vec)_mm512_permutex2var_ps((__m512)a, _mm512_load_si512(order), (__m512)b);
#elif defined(__AVX2__)
  const __m256i lanes = _mm256_load_si256(reinterpret_cast<const __m256i*>(order));
  const __m256 from_a = _mm256_permutevar8x32_ps((__m256)a, lanes),
               from_b = _mm256_permutevar8x32_ps((__m256)b, lanes);
  return (Vec)_mm256_blendv_ps(from_a, from_b, _mm256_castsi256_ps(_mm256_slli_epi32(lanes, 28)));
#else
  Vec v{};
  for (int l = 0; l < LANES; ++l) v[l] = order[l] < LANES ? a[order[l]] : b[order[l] - LANES];
  return v;
#endif
}

// Rows of P floats to vectors of one column each, and back. P = 0: as many as the last argument says, slowly.
template <int P>
struct Columns {
  struct Orders {
    alignas(64) int32_t split[P][P][LANES]{},
        join[P][P][LANES]{};  // `pick`s of column j and of part k, one after the other
    constexpr Orders() {
      for (int j = 0; j < P; ++j)
        for (int k = 0; k < P; ++k)
          for (int l = 0; l < LANES; ++l) {
            const int at = P * l + j, number = LANES * k + l;
            split[j][k][l] = at / LANES == k ? (k == 0 ? 0 : LANES) + at % LANES : k == 0 ? 0 : l;
            join[k][j][l] = number % P == j ? (j == 0 ? 0 : LANES) + number / P : j == 0 ? 0 : l;
          }
    }
  };
  static constexpr Orders orders{};

  // The first `wanted` columns of n <= LANES rows; lanes without a row are 0.
  static void take(const float* rows, size_t n, size_t, size_t wanted, Vec* columns) {
    alignas(64) float padded[P * LANES];
    if (n < LANES) {
      __builtin_memset(padded, 0, sizeof padded);
      __builtin_memcpy(padded, rows, P * n * sizeof(float));
      rows = padded;
    }
    for (size_t j = 0; j < wanted; ++j) {
      Vec v = load(rows);
      v = pick(v, v, orders.split[j][0]);
      for (int k = 1; k < P; ++k) v = pick(v, load(rows + k * LANES), orders.split[j][k]);
      columns[j] = v;
    }
  }

  static void put(const Vec* columns, size_t n, size_t, float* rows) {
    alignas(64) float padded[P * LANES];
    float* to = n < LANES ? padded : rows;
    for (int k = 0; k < P; ++k) {
      Vec v = pick(columns[0], columns[0], orders.join[k][0]);
      for (int j = 1; j < P; ++j) v = pick(v, columns[j], orders.join[k][j]);
      store(to + k * LANES, v);
    }
    if (n < LANES) __builtin_memcpy(rows, padded, P * n * sizeof(float));
  }
};

template <>
struct Columns<0> {
  static void take(const float* rows, size_t n, size_t width, size_t wanted, Vec* columns) {
    for (size_t j = 0; j < wanted; ++j) {
      columns[j] = Vec{};
      for (size_t l = 0; l < n; ++l) columns[j][l] = rows[l * width + j];
    }
  }
  static void put(const Vec* columns, size_t n, size_t width, float* rows) {
    for (size_t l = 0; l < n; ++l)
      for (size_t j = 0; j < width; ++j) rows[l * width + j] = columns[j][l];
  }
};

constexpr size_t kMostPlanes = 8;

template <int P>
size_t mask_block(const float* masks, size_t count, size_t planes, size_t level, float* to) {
  size_t open = 0;
  for (size_t i = 0; i < count; i += LANES) {
    const size_t n = count - i < LANES ? count - i : LANES;
    Vec m[kMostPlanes];
    Columns<P>::take(masks + planes * i, n, planes, level, m);
    Vec odds = vexp(m[0]);  // exp(m_0) * product of (1 + exp(m_j)) = exp of the logit
    for (size_t j = 1; j < level; ++j) odds *= 1.0f + vexp(m[j]);
    const Vec mask = odds > kOdds ? splat(1.0f) : splat(0.0f);
    store(to + i, mask);
    for (size_t l = 0; l < n; ++l) open += mask[l] > 0.0f;
  }
  return open;
}

template <int P>
void mask_block_backward(const float* masks, size_t count, size_t planes, size_t level, const float* grad,
                         float* to) {
  for (size_t i = 0; i < count; i += LANES) {
    const size_t n = count - i < LANES ? count - i : LANES;
    Vec m[kMostPlanes], d[kMostPlanes];
    Columns<P>::take(masks + planes * i, n, planes, level, m);
    Vec odds = vexp(m[0]);
    for (size_t j = 1; j < level; ++j) {
      const Vec e = vexp(m[j]);
      odds *= 1.0f + e;
      d[j] = e / (1.0f + e);  // d logit / d m_j
    }
    const Vec rest = 1.0f / (1.0f + odds);  // 1 - sigmoid
    d[0] = load(grad + i) * (1.0f - rest) * rest;
    for (size_t j = 1; j < level; ++j) d[j] = d[0] * d[j];
    for (size_t j = level; j < planes; ++j) d[j] = Vec{};
    Columns<P>::put(d, n, planes, to + planes * i);
  }
}

inline float largest(const float* three) {
  const float ab = three[0] > three[1] ? three[0] : three[1];
  return ab > three[2] ? ab : three[2];
}

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
  return sum_lanes(sums);
}

void rows_noisy_column(const float* values, const int64_t* index, size_t count, const float* step,
                       float scale, uint64_t key, float* to) {
  for (size_t i = 0; i < count; i += LANES) {
    const size_t n = count - i < LANES ? count - i : LANES;
    alignas(64) float from[LANES] = {}, amount[LANES] = {};
    alignas(64) uint32_t number[LANES] = {};
    for (size_t l = 0; l < n; ++l) {
      number[l] = static_cast<uint32_t>(index[i + l]);
      from[l] = values[index[i + l]];
      amount[l] = step != nullptr ? scale * step[i + l] : scale;
    }
    store(from,
          load(from) + load(amount) * noise_at(*reinterpret_cast<const WordVecUnaligned*>(number), key));
    load_part(from, n, to + i);
  }
}

void rows_noise_product_column(const float* grad, const int64_t* index, size_t count, float scale,
                               uint64_t key, float* to) {
  for (size_t i = 0; i < count; i += LANES) {
    const size_t n = count - i < LANES ? count - i : LANES;
    alignas(64) float from[LANES] = {};
    alignas(64) uint32_t number[LANES] = {};
    for (size_t l = 0; l < n; ++l) number[l] = static_cast<uint32_t>(index[i + l]);
    load_part(grad + i, n, from);
    store(from, scale * (load(from) * noise_at(*reinterpret_cast<const WordVecUnaligned*>(number), key)));
    load_part(from, n, to + i);
  }
}

void rows_rounded_row(const float* from, const float* center, size_t width, float per_unit, float unit,
                      size_t coarser, float* to) {
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

size_t rows_mask_block(const float* masks, size_t count, size_t planes, size_t level, float* to) {
  switch (planes) {
    case 1: return mask_block<1>(masks, count, planes, level, to);
    case 2: return mask_block<2>(masks, count, planes, level, to);
    case 3: return mask_block<3>(masks, count, planes, level, to);
    case 4: return mask_block<4>(masks, count, planes, level, to);
    default: return mask_block<0>(masks, count, planes, level, to);
  }
}

void rows_mask_block_backward(const float* masks, size_t count, size_t planes, size_t level,
                              const float* grad, float* to) {
  switch (planes) {
    case 1: return mask_block_backward<1>(masks, count, planes, level, grad, to);
    case 2: return mask_block_backward<2>(masks, count, planes, level, grad, to);
    case 3: return mask_block_backward<3>(masks, count, planes, level, grad, to);
    case 4: return mask_block_backward<4>(masks, count, planes, level, grad, to);
    default: return mask_block_backward<0>(masks, count, planes, level, grad, to);
  }
}

size_t rows_visible_block(const float* world, const float* log_scales, size_t count, size_t scales,
                          const RowsView& view, uint8_t* seen) {
  const float *r = view.rotation, *t = view.translation;
  size_t total = 0;
  for (size_t i = 0; i < count; i += LANES) {
    const size_t n = count - i < LANES ? count - i : LANES;
    Vec p[3];
    Columns<3>::take(world + 3 * i, n, 3, 3, p);
    // Offsets reach about exp(l[:3]), the Gaussians three standard deviations of exp(l[3:]) further.
    alignas(64) float of_offsets[LANES] = {}, of_gaussians[LANES] = {};
    for (size_t l = 0; l < n; ++l) {
      const float* scale = log_scales + scales * (i + l);
      of_offsets[l] = scales == 1 ? scale[0] : largest(scale);
      of_gaussians[l] = scales == 1 ? scale[0] : largest(scale + 3);
    }
    const Vec margin = 2.0f * vexp(load(of_offsets)) + 3.0f * vexp(load(of_gaussians));
    const Vec x = r[0] * p[0] + r[1] * p[1] + r[2] * p[2] + t[0];
    const Vec y = r[3] * p[0] + r[4] * p[1] + r[5] * p[2] + t[1];
    const Vec z = r[6] * p[0] + r[7] * p[1] + r[8] * p[2] + t[2];
    const IntVec inside = (x > -view.left * z - margin) & (x < view.right * z + margin) &
                          (y > -view.top * z - margin) & (y < view.bottom * z + margin) & (z > view.nearest);
    for (size_t l = 0; l < n; ++l) {
      seen[i + l] = inside[l] != 0;
      total += inside[l] != 0;
    }
  }
  return total;
}

float rows_product_block(const float* values, size_t count) {
  Vec sums = splat(0.0f);
  for (size_t i = 0; i < count; i += LANES) {
    Vec v[3];
    Columns<3>::take(values + 3 * i, count - i < LANES ? count - i : LANES, 3, 3, v);  // absent rows are 0
    sums += v[0] * v[1] * v[2];
  }
  return sum_lanes(sums);
}

void rows_product_block_backward(const float* values, size_t count, float amount, float* to) {
  for (size_t i = 0; i < count; i += LANES) {
    const size_t n = count - i < LANES ? count - i : LANES;
    Vec v[3];
    Columns<3>::take(values + 3 * i, n, 3, 3, v);
    const Vec d[3] = {amount * v[1] * v[2], amount * v[0] * v[2], amount * v[0] * v[1]};
    Columns<3>::put(d, n, 3, to + 3 * i);
  }
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
