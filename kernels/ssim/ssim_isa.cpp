// A strip of rows streams through two rings of eleven filtered rows: the moments, then the derivatives of
// SSIM with respect to them. Rows stay interleaved (RGBRGB...): the horizontal neighbor of a value lies three
// floats away.
#include <cstdint>

#include "common/simd.hpp"
#include "ssim/ssim.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {
namespace {

using gspc::ssim::Job;

constexpr int kTaps = 11, kHalf = 5, kPad = 16;
constexpr float kWindow[kHalf + 1] = {0.00102838008f, 0.00759875814f, 0.0360007721f,
                                      0.10936069f,    0.213005538f,   0.266011725f};
constexpr float kC1 = 0.01f * 0.01f, kC2 = 0.03f * 0.03f;

// Rows of `stride` floats with kPad zeros left and right of the values.
struct Strip {
  int values, stride;  // floats per row, and with padding
  float* plain;        // 4 rows: image, target, sum of squares, product
  float* moments;      // ring of 11 x 4 rows, filtered horizontally
  float* slopes;       // 3 rows
  float* pulled;       // ring of 11 x 3 rows, filtered horizontally
};

GSPC_INLINE void clear(float* row, int floats) {
  for (int i = 0; i < floats; ++i) row[i] = 0.0f;
}

// out[i] = sum over taps of in[i + 3 k]; `in` points at the first value, behind its padding.
GSPC_INLINE void filter_row(const float* in, float* out, int values) {
  for (int i = 0; i < values; i += kLanes) {
    Floats sum = splat(kWindow[kHalf]) * load(in + i);
    for (int k = 1; k <= kHalf; ++k)
      sum = fma(splat(kWindow[kHalf - k]), load(in + i - 3 * k) + load(in + i + 3 * k), sum);
    store(out + i, sum);
  }
}

// Column i of a ring of rows whose middle row is `y`.
GSPC_INLINE Floats filter_column(const float* const* rows, int i) {
  Floats sum = splat(kWindow[kHalf]) * load(rows[kHalf] + i);
  for (int k = 1; k <= kHalf; ++k)
    sum = fma(splat(kWindow[kHalf - k]), load(rows[kHalf - k] + i) + load(rows[kHalf + k] + i), sum);
  return sum;
}

GSPC_INLINE void load_target(const Job& job, std::int64_t at, float* out, int values) {
  if (job.target_bytes != nullptr) {
    for (int i = 0; i < values; ++i) out[i] = static_cast<float>(job.target_bytes[at + i]) / 255.0f;
  } else {
    for (int i = 0; i < values; ++i) out[i] = job.target_floats[at + i];
  }
}

// Row y of the input into its place in the ring of moments; rows outside the image are zero.
void push_moments(const Job& job, const Strip& s, int y) {
  float* ring[4];
  for (int q = 0; q < 4; ++q)
    ring[q] = s.moments + static_cast<std::int64_t>(((y + kTaps) % kTaps) * 4 + q) * s.stride + kPad;
  if (y < 0 || y >= job.height) {
    for (int q = 0; q < 4; ++q) clear(ring[q], s.values);
    return;
  }
  const std::int64_t at = static_cast<std::int64_t>(y) * s.values;
  float* x = s.plain + kPad;
  float* t = x + s.stride;
  float* square = t + s.stride;
  float* product = square + s.stride;
  __builtin_memcpy(x, job.image + at, static_cast<std::size_t>(s.values) * sizeof(float));
  load_target(job, at, t, s.values);
  for (int i = 0; i < s.values; i += kLanes) {
    const Floats a = load(x + i), b = load(t + i);
    store(square + i, fma(a, a, b * b));
    store(product + i, a * b);
  }
  const float* in[4] = {x, t, square, product};
  for (int q = 0; q < 4; ++q) filter_row(in[q], ring[q], s.values);
}

// SSIM of row y from the ring of moments; its slopes into the ring of pulled rows. Returns the row's sum.
double push_slopes(const Job& job, const Strip& s, int y, bool counted) {
  float* out[3];
  for (int q = 0; q < 3; ++q)
    out[q] = s.pulled + static_cast<std::int64_t>(((y + kTaps) % kTaps) * 3 + q) * s.stride + kPad;
  if (y < 0 || y >= job.height) {
    for (int q = 0; q < 3; ++q) clear(out[q], s.values);
    return 0.0;
  }
  const float* rows[4][kTaps];
  for (int q = 0; q < 4; ++q)
    for (int k = 0; k < kTaps; ++k)
      rows[q][k] =
          s.moments + static_cast<std::int64_t>(((y + k - kHalf + kTaps) % kTaps) * 4 + q) * s.stride + kPad;
  float* slope[3] = {s.slopes + kPad, s.slopes + s.stride + kPad, s.slopes + 2 * s.stride + kPad};
  Floats total = splat(0.0f);
  alignas(64) float lanes[kLanes];
  for (int l = 0; l < kLanes; ++l) lanes[l] = static_cast<float>(l);
  const Floats lane = load(lanes);
  const Floats two = splat(2.0f);
  for (int i = 0; i < s.values; i += kLanes) {
    const Floats mx = filter_column(rows[0], i), my = filter_column(rows[1], i);
    const Floats square = filter_column(rows[2], i), product = filter_column(rows[3], i);
    const Floats cross = mx * my, power = fma(mx, mx, my * my);
    const Floats a1 = fma(two, cross, splat(kC1)), a2 = fma(two, product - cross, splat(kC2));
    const Floats b1 = power + splat(kC1), b2 = square - power + splat(kC2);
    const Floats inv = splat(1.0f) / (b1 * b2);
    const Floats score = a1 * a2 * inv;
    const Mask inside = gt(splat(static_cast<float>(s.values - i)), lane);
    total = total + zero_unless(inside, score);
    const Floats inv_b1 = b2 * inv, inv_b2 = b1 * inv;
    const Floats by_mean = two * fma(my * (a2 - a1), inv, score * mx * (inv_b2 - inv_b1));
    store(slope[0] + i, zero_unless(inside, by_mean));
    store(slope[1] + i, zero_unless(inside, -score * inv_b2));
    store(slope[2] + i, zero_unless(inside, two * a1 * inv));
  }
  if (job.gradient != nullptr)
    for (int q = 0; q < 3; ++q) filter_row(slope[q], out[q], s.values);
  if (!counted) return 0.0;
  store(lanes, total);
  double sum = 0.0;
  for (int l = 0; l < kLanes; ++l) sum += static_cast<double>(lanes[l]);
  return sum;
}

// L1 of row y and, when asked for, the gradient from the ring of pulled rows.
double finish_row(const Job& job, const Strip& s, int y) {
  const std::int64_t at = static_cast<std::int64_t>(y) * s.values;
  float* x = s.plain + kPad;
  float* t = x + s.stride;
  __builtin_memcpy(x, job.image + at, static_cast<std::size_t>(s.values) * sizeof(float));
  load_target(job, at, t, s.values);
  double sum = 0.0;
  constexpr int kRun = 256;  // floats summed before going to double
  for (int begin = 0; begin < s.values; begin += kRun) {
    const int end = begin + kRun < s.values ? begin + kRun : s.values;
    float part[16] = {};
    int i = begin;
    for (; i + 16 <= end; i += 16)
      for (int l = 0; l < 16; ++l) part[l] += __builtin_fabsf(x[i + l] - t[i + l]);
    for (; i < end; ++i) part[0] += __builtin_fabsf(x[i] - t[i]);
    for (int l = 0; l < 16; ++l) sum += static_cast<double>(part[l]);
  }
  if (job.gradient == nullptr) return sum;
  const float* rows[3][kTaps];
  for (int q = 0; q < 3; ++q)
    for (int k = 0; k < kTaps; ++k)
      rows[q][k] =
          s.pulled + static_cast<std::int64_t>(((y + k - kHalf + kTaps) % kTaps) * 3 + q) * s.stride + kPad;
  const Floats l1 = splat(job.l1_scale), squares = splat(job.squares_scale), weight = splat(job.ssim_scale),
               two = splat(2.0f);
  float* out = job.gradient + at;
  for (int i = 0; i < s.values; i += kLanes) {
    const Floats a = load(x + i), b = load(t + i);
    const Floats sign = zero_unless(gt(a, b), l1) - zero_unless(gt(b, a), l1);
    Floats g = filter_column(rows[0], i);
    g = fma(two * a, filter_column(rows[1], i), g);
    g = fma(b, filter_column(rows[2], i), g);
    g = fma(g, weight, fma(squares, a - b, sign));
    if (i + kLanes <= s.values) {
      store(out + i, g);
    } else {
      alignas(64) float rest[kLanes];
      store(rest, g);
      for (int l = 0; i + l < s.values; ++l) out[i + l] = rest[l];
    }
  }
  return sum;
}

}  // namespace

void ssim_rows(const Job& job, int begin, int end, float* scratch, double* l1_rows, double* ssim_rows) {
  Strip s;
  s.values = job.width * 3;
  s.stride = (s.values + 2 * kPad + 31) / 16 * 16;
  s.plain = scratch;
  s.moments = s.plain + static_cast<std::int64_t>(4) * s.stride;
  s.slopes = s.moments + static_cast<std::int64_t>(4 * kTaps) * s.stride;
  s.pulled = s.slopes + static_cast<std::int64_t>(3) * s.stride;
  const std::int64_t floats = static_cast<std::int64_t>(4 + 4 * kTaps + 3 + 3 * kTaps) * s.stride;
  for (std::int64_t i = 0; i < floats; ++i) scratch[i] = 0.0f;
  const int halo = job.gradient != nullptr ? kHalf : 0;  // rows of slopes needed around the strip
  for (int y = begin - halo - kHalf; y < begin - halo + kHalf; ++y) push_moments(job, s, y);
  for (int y = begin - halo; y < end + halo; ++y) {
    push_moments(job, s, y + kHalf);
    const bool counted = y >= begin && y < end;
    const double score = push_slopes(job, s, y, counted);
    if (counted) ssim_rows[y] = score;
    const int ready = y - halo;
    if (ready >= begin) l1_rows[ready] = finish_row(job, s, ready);
  }
}

double squared_part(const Job& job, std::int64_t begin, std::int64_t end) {
  const Floats zero = splat(0.0f), one = splat(1.0f);
  Floats sum = zero;
  alignas(64) float image[kLanes], target[kLanes];
  for (std::int64_t i = begin; i < end; i += kLanes) {
    const int n = end - i < kLanes ? static_cast<int>(end - i) : kLanes;
    if (n < kLanes) {
      for (int l = 0; l < kLanes; ++l) image[l] = target[l] = 0.0f;
      for (int l = 0; l < n; ++l) image[l] = job.image[i + l];
    }
    load_target(job, i, target, n);
    const Floats clamped =
        vmin(one, vmax(zero, n < kLanes ? load(image) : load(job.image + i)));  // NaN stays
    const Floats difference = clamped - load(target);
    sum = fma(difference, difference, sum);
  }
  return static_cast<double>(sum_lanes(sum));
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
