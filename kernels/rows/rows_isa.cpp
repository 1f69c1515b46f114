#include "rows/rows_isa.hpp"

#include <cmath>

#include "common/noise_vector.hpp"
#include "common/vector_math.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {
namespace {

constexpr float kOdds = 0.01f / 0.99f;  // of the masks' threshold

inline Words lanes() {
  Words v{};
  for (int i = 0; i < kLanes; ++i) v[i] = static_cast<uint32_t>(i);
  return v;
}

inline void load_part(const float* from, size_t n, float* to) {
  __builtin_memcpy(to, from, n * sizeof(float));
}

// Lane l of the result is lane order[l] of a and b, one behind the other.
inline Floats pick(Floats a, Floats b, const int32_t* order) {
#if defined(GSPC_ISA_IS_v4)
  return (Floats)_mm512_permutex2var_ps((__m512)a, _mm512_load_si512(order), (__m512)b);
#elif defined(GSPC_ISA_IS_v3)
  const __m256i lanes = _mm256_load_si256(reinterpret_cast<const __m256i*>(order));
  const __m256 from_a = _mm256_permutevar8x32_ps((__m256)a, lanes),
               from_b = _mm256_permutevar8x32_ps((__m256)b, lanes);
  return (Floats)_mm256_blendv_ps(from_a, from_b, _mm256_castsi256_ps(_mm256_slli_epi32(lanes, 28)));
#else
  Floats v{};
  for (int l = 0; l < kLanes; ++l) v[l] = order[l] < kLanes ? a[order[l]] : b[order[l] - kLanes];
  return v;
#endif
}

// Rows of kPlanes floats to vectors of one column each, and back. kPlanes = 0: as many as the last argument
// says, slowly.
template <int kPlanes>
struct Columns {
  struct Orders {
    alignas(64) int32_t split[kPlanes][kPlanes][kLanes]{},
        join[kPlanes][kPlanes][kLanes]{};  // `pick`s of column j and of part k, one after the other
    constexpr Orders() {
      for (int j = 0; j < kPlanes; ++j)
        for (int k = 0; k < kPlanes; ++k)
          for (int l = 0; l < kLanes; ++l) {
            const int at = kPlanes * l + j, number = kLanes * k + l;
            split[j][k][l] = at / kLanes == k ? (k == 0 ? 0 : kLanes) + at % kLanes : k == 0 ? 0 : l;
            join[k][j][l] = number % kPlanes == j ? (j == 0 ? 0 : kLanes) + number / kPlanes : j == 0 ? 0 : l;
          }
    }
  };
  static constexpr Orders orders{};

  // The first `wanted` columns of n <= kLanes rows; lanes without a row are 0.
  static void take(const float* rows, size_t n, size_t, size_t wanted, Floats* columns) {
    alignas(64) float padded[kPlanes * kLanes];
    if (n < kLanes) {
      __builtin_memset(padded, 0, sizeof padded);
      __builtin_memcpy(padded, rows, kPlanes * n * sizeof(float));
      rows = padded;
    }
    for (size_t j = 0; j < wanted; ++j) {
      Floats v = load(rows);
      v = pick(v, v, orders.split[j][0]);
      for (int k = 1; k < kPlanes; ++k) v = pick(v, load(rows + k * kLanes), orders.split[j][k]);
      columns[j] = v;
    }
  }

  static void put(const Floats* columns, size_t n, size_t, float* rows) {
    alignas(64) float padded[kPlanes * kLanes];
    float* to = n < kLanes ? padded : rows;
    for (int k = 0; k < kPlanes; ++k) {
      Floats v = pick(columns[0], columns[0], orders.join[k][0]);
      for (int j = 1; j < kPlanes; ++j) v = pick(v, columns[j], orders.join[k][j]);
      store(to + k * kLanes, v);
    }
    if (n < kLanes) __builtin_memcpy(rows, padded, kPlanes * n * sizeof(float));
  }
};

template <>
struct Columns<0> {
  static void take(const float* rows, size_t n, size_t width, size_t wanted, Floats* columns) {
    for (size_t j = 0; j < wanted; ++j) {
      columns[j] = Floats{};
      for (size_t l = 0; l < n; ++l) columns[j][l] = rows[l * width + j];
    }
  }
  static void put(const Floats* columns, size_t n, size_t width, float* rows) {
    for (size_t l = 0; l < n; ++l)
      for (size_t j = 0; j < width; ++j) rows[l * width + j] = columns[j][l];
  }
};

constexpr size_t kMostPlanes = 8;

template <int kPlanes>
size_t mask_block(const float* masks, size_t count, size_t planes, size_t level, float* to) {
  size_t open = 0;
  for (size_t i = 0; i < count; i += kLanes) {
    const size_t n = count - i < kLanes ? count - i : kLanes;
    Floats m[kMostPlanes];
    Columns<kPlanes>::take(masks + planes * i, n, planes, level, m);
    Floats odds = vexp(m[0]);  // exp(m_0) * product of (1 + exp(m_j)) = exp of the logit
    for (size_t j = 1; j < level; ++j) odds *= 1.0f + vexp(m[j]);
    const Floats mask = odds > kOdds ? splat(1.0f) : splat(0.0f);
    store(to + i, mask);
    for (size_t l = 0; l < n; ++l) open += mask[l] > 0.0f;
  }
  return open;
}

template <int kPlanes>
void mask_block_backward(const float* masks, size_t count, size_t planes, size_t level, const float* grad,
                         float* to) {
  for (size_t i = 0; i < count; i += kLanes) {
    const size_t n = count - i < kLanes ? count - i : kLanes;
    Floats m[kMostPlanes], d[kMostPlanes];
    Columns<kPlanes>::take(masks + planes * i, n, planes, level, m);
    Floats odds = vexp(m[0]);
    for (size_t j = 1; j < level; ++j) {
      const Floats e = vexp(m[j]);
      odds *= 1.0f + e;
      d[j] = e / (1.0f + e);  // d logit / d m_j
    }
    const Floats rest = 1.0f / (1.0f + odds);  // 1 - sigmoid
    d[0] = load(grad + i) * (1.0f - rest) * rest;
    for (size_t j = 1; j < level; ++j) d[j] = d[0] * d[j];
    for (size_t j = level; j < planes; ++j) d[j] = Floats{};
    Columns<kPlanes>::put(d, n, planes, to + planes * i);
  }
}

inline float largest(const float* three) {
  const float ab = three[0] > three[1] ? three[0] : three[1];
  return ab > three[2] ? ab : three[2];
}

inline Floats magnitude(Floats x) { return x < 0.0f ? -x : x; }

inline bool all_of(Ints mask, size_t n) {
  for (size_t l = 0; l < n; ++l)
    if (mask[l] == 0) return false;
  return true;
}

// Whether Gaussians of standard deviation `sigma` may touch the picture that lie within `reach` of `where`,
// in the camera's coordinates. What is no number is in no view.
inline Ints in_view(const Floats* where, Floats reach, Floats sigma, const RowsView& view) {
  const Floats z = where[2], far = z + reach, nearest = splat(view.nearest);
  const Floats near = z - reach > nearest ? z - reach : nearest, size = view.gain * sigma / near;
  const Floats radius = vsqrt(size * size + view.blur) + view.margin;
  Ints inside = far >= nearest;
  for (int axis = 0; axis < 2; ++axis) {
    const Floats low = where[axis] - reach, high = where[axis] + reach;
    const Floats left = low / (low < 0.0f ? near : far), right = high / (high > 0.0f ? near : far);
    const float focal = view.focal[axis], center = view.center[axis];
    inside &= (focal * right + center + radius >= 0.0f) & (focal * left + center - radius <= view.size[axis]);
  }
  return inside;
}

}  // namespace

void rows_noisy_row(const float* from, size_t width, uint32_t first, uint64_t key, float amount, float* to) {
  Words counter = lanes() + first;
  size_t c = 0;
  for (; c + kLanes <= width; c += kLanes, counter += static_cast<uint32_t>(kLanes))
    store(to + c, load(from + c) + amount * noise_at(counter, key));
  if (c < width) {
    alignas(64) float part[kLanes] = {};
    load_part(from + c, width - c, part);
    store(part, load(part) + amount * noise_at(counter, key));
    load_part(part, width - c, to + c);
  }
}

float rows_noise_product(const float* grad, size_t width, uint32_t first, uint64_t key) {
  Words counter = lanes() + first;
  Floats sums = splat(0.0f);
  size_t c = 0;
  for (; c + kLanes <= width; c += kLanes, counter += static_cast<uint32_t>(kLanes))
    sums += load(grad + c) * noise_at(counter, key);
  if (c < width) {
    alignas(64) float part[kLanes] = {};
    load_part(grad + c, width - c, part);
    sums += load(part) * noise_at(counter, key);
  }
  return sum_lanes(sums);
}

void rows_noisy_column(const float* values, const int64_t* index, size_t count, const float* step,
                       float scale, uint64_t key, float* to) {
  for (size_t i = 0; i < count; i += kLanes) {
    const size_t n = count - i < kLanes ? count - i : kLanes;
    alignas(64) float from[kLanes] = {}, amount[kLanes] = {};
    alignas(64) uint32_t number[kLanes] = {};
    for (size_t l = 0; l < n; ++l) {
      number[l] = static_cast<uint32_t>(index[i + l]);
      from[l] = values[index[i + l]];
      amount[l] = step != nullptr ? scale * step[i + l] : scale;
    }
    store(from, load(from) + load(amount) * noise_at(load(number), key));
    load_part(from, n, to + i);
  }
}

void rows_noise_product_column(const float* grad, const int64_t* index, size_t count, float scale,
                               uint64_t key, float* to) {
  for (size_t i = 0; i < count; i += kLanes) {
    const size_t n = count - i < kLanes ? count - i : kLanes;
    alignas(64) float from[kLanes] = {};
    alignas(64) uint32_t number[kLanes] = {};
    for (size_t l = 0; l < n; ++l) number[l] = static_cast<uint32_t>(index[i + l]);
    load_part(grad + i, n, from);
    store(from, scale * (load(from) * noise_at(load(number), key)));
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

size_t rows_visible_block(const RowsAnchors& anchors, const RowsView& view, uint8_t* seen) {
  const float *r = view.rotation, *t = view.translation;
  const size_t scales = anchors.scales, offsets = anchors.offsets;
  const float shift = std::fabs(t[0]) + std::fabs(t[1]) + std::fabs(t[2]);
  size_t total = 0;
  for (size_t i = 0; i < anchors.n; i += kLanes) {
    const size_t n = anchors.n - i < kLanes ? anchors.n - i : kLanes;
    Floats world[3];
    Columns<3>::take(anchors.world + 3 * i, n, 3, 3, world);
    const Floats where[3] = {r[0] * world[0] + r[1] * world[1] + r[2] * world[2] + t[0],
                             r[3] * world[0] + r[4] * world[1] + r[5] * world[2] + t[1],
                             r[6] * world[0] + r[7] * world[1] + r[8] * world[2] + t[2]};
    const Floats slack =
        view.slack * (magnitude(where[0]) + magnitude(where[1]) + magnitude(where[2]) + shift);
    alignas(64) float logs[4][kLanes] = {}, longest[kLanes] = {};
    for (size_t l = 0; l < n; ++l) {
      const float* scale = anchors.log_scales + scales * (i + l);
      for (size_t axis = 0; axis < 3; ++axis) logs[axis][l] = scale[scales == 1 ? 0 : axis];
      logs[3][l] = scales == 1 ? scale[0] : largest(scale + 3);
    }
    const Floats sigma = vexp(load(logs[3]));
    Ints inside = in_view(where, slack, sigma, view);
    // What is in view however near its Gaussians lie needs no look at them.
    if (!all_of(inside, n)) {
      for (int axis = 0; axis < 3; ++axis) store(logs[axis], vexp(load(logs[axis])));
      for (size_t l = 0; l < n; ++l) {
        if (inside[l] != 0) continue;
        const float* moved = anchors.moved + 3 * offsets * (i + l);
        const float scale[3] = {logs[0][l], logs[1][l], logs[2][l]};
        for (size_t k = 0; k < offsets; ++k) {
          const float x = moved[3 * k] * scale[0], y = moved[3 * k + 1] * scale[1],
                      z = moved[3 * k + 2] * scale[2], squared = x * x + y * y + z * z;
          if (!(squared <= longest[l])) longest[l] = squared;  // a NaN stays, and brings nothing into view
        }
      }
      inside = in_view(where, vsqrt(load(longest)) + slack, sigma, view) | inside;
    }
    for (size_t l = 0; l < n; ++l) {
      seen[i + l] = inside[l] != 0;
      total += inside[l] != 0;
    }
  }
  return total;
}

float rows_product_block(const float* values, size_t count) {
  Floats sums = splat(0.0f);
  for (size_t i = 0; i < count; i += kLanes) {
    Floats v[3];
    Columns<3>::take(values + 3 * i, count - i < kLanes ? count - i : kLanes, 3, 3, v);  // absent rows are 0
    sums += v[0] * v[1] * v[2];
  }
  return sum_lanes(sums);
}

void rows_product_block_backward(const float* values, size_t count, float amount, float* to) {
  for (size_t i = 0; i < count; i += kLanes) {
    const size_t n = count - i < kLanes ? count - i : kLanes;
    Floats v[3];
    Columns<3>::take(values + 3 * i, n, 3, 3, v);
    const Floats d[3] = {amount * v[1] * v[2], amount * v[0] * v[2], amount * v[0] * v[1]};
    Columns<3>::put(d, n, 3, to + 3 * i);
  }
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
