#include "bits/bits.hpp"

#include "common/vector_math.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {
namespace {

constexpr float SMALLEST = 0x1p-24f;   // probability
constexpr float SMALLEST_SCALE = 1e-6f;
constexpr float FARTHEST = 40.0f;      // standard deviations
constexpr float SMALLEST_BELL = 1e-20f;
constexpr float INVERSE_ROOT_2PI = 0.398942280f;
constexpr float INVERSE_LN_2 = 1.44269504f;

// Phi(u) and exp(-u^2 / 2). The tail is exp(-u^2 / 2) / (|u| + 4) times a polynomial in (|u| - 4) / (|u| + 4), a Chebyshev fit
// of relative error 3e-8.
struct Edge {
  Vec phi, bell;
};

inline Edge edge(Vec u) {
  const Vec x = u < 0.0f ? -u : u;
  const Vec exponential = vexp(u * u * -0.5f), bell = exponential < SMALLEST_BELL ? Vec{} : exponential;
  const Vec r = 1.0f / (x + 4.0f), y = 1.0f - 8.0f * r;
  Vec p = splat(-1.573205696e-04f);
  p = p * y + 1.293256814e-04f;
  p = p * y + 1.563786899e-03f;
  p = p * y - 3.476167895e-03f;
  p = p * y - 7.512231382e-03f;
  p = p * y + 6.039529587e-02f;
  p = p * y - 1.865267109e-01f;
  p = p * y + 3.871375629e-01f;
  p = p * y - 6.078964038e-01f;
  p = p * y + 7.552851271e-01f;
  const Vec tail = p * r * bell;
  return {u > 0.0f ? 1.0f - tail : tail, bell};
}

// Cephes' logf over ln 2, for normal positive x; NaN stays NaN.
inline Vec vlog2(Vec x) {
  IntVec bits = (IntVec)x;
  const IntVec exponent = (bits - 0x3f3504f3) >> 23;  // leaves the mantissa in [sqrt(1/2), sqrt(2))
  const Vec m = (Vec)(bits - (exponent << 23)) - 1.0f;
  const Vec z = m * m;
  Vec p = splat(7.0376836292e-2f);
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  const Vec log = m + (p * m * z - 0.5f * z);
  const Vec result = log * INVERSE_LN_2 + __builtin_convertvector(exponent, Vec);
  return x == x ? result : x;
}

// A bin's mass and its derivatives.
struct Mass {
  Vec mass, by_distance, by_scale;
};

inline Vec bounded(Vec u) {
  u = u < -FARTHEST ? splat(-FARTHEST) : u;
  return u > FARTHEST ? splat(FARTHEST) : u;
}

inline Mass mass_of(Vec distance, Vec scale) {
  // Mirrored to the negative side, where the difference of the tails keeps its relative precision.
  const Vec away = distance < 0.0f ? -distance : distance;
  const Vec inverse = 1.0f / (scale < SMALLEST_SCALE ? splat(SMALLEST_SCALE) : scale);
  const Vec upper = bounded((0.5f - away) * inverse), lower = bounded((-0.5f - away) * inverse);
  const Edge high = edge(upper), low = edge(lower);
  const Vec factor = inverse * INVERSE_ROOT_2PI;
  const Vec by_away = (low.bell - high.bell) * factor;
  const Vec by_scale = (lower * low.bell - upper * high.bell) * factor;
  const Vec zero{};
  return {high.phi - low.phi, distance < 0.0f ? -by_away : distance == 0.0f ? zero : by_away,
          scale < SMALLEST_SCALE ? zero : by_scale};
}

inline Vec at_least_smallest(Vec mass) { return mass < SMALLEST ? splat(SMALLEST) : mass; }

// log2(1 + exp(x)) and sigmoid(x).
struct Soft {
  Vec plus, sigmoid;
};

inline Soft soft(Vec x) {
  const Vec odds = vexp(x < 0.0f ? x : -x), sum = 1.0f + odds, whole = 1.0f / sum;
  return {vlog2(sum) + (x > 0.0f ? x * INVERSE_LN_2 : x * 0.0f), x < 0.0f ? odds * whole : whole};
}

// Calls work(load_lanes, store_lanes) per vector; the last one goes through a buffer.
template <class Work>
inline void each_vector(size_t begin, size_t end, const Work& work) {
  size_t i = begin;
  for (; i + LANES <= end; i += LANES)
    work([i](const float* p) { return load(p + i); }, [i](float* p, Vec v) { store(p + i, v); });
  if (i == end) return;
  const size_t bytes = (end - i) * sizeof(float);
  work(
      [&](const float* p) {
        alignas(64) float lanes[LANES];
        for (float& lane : lanes) lane = 1.0f;
        __builtin_memcpy(lanes, p + i, bytes);
        return load(lanes);
      },
      [&](float* p, Vec v) {
        alignas(64) float lanes[LANES];
        store(lanes, v);
        __builtin_memcpy(p + i, lanes, bytes);
      });
}

}  // namespace

void gaussian_bits_range(const GaussianBits& v, size_t begin, size_t end) {
  each_vector(begin, end, [&](auto&& get, auto&& put) {
    const Mass m = mass_of(get(v.distance), get(v.scale));
    const Vec mass = at_least_smallest(m.mass);
    put(v.bits, -vlog2(mass));
    if (v.by_distance == nullptr) return;
    const Vec slope = -INVERSE_LN_2 / mass;
    put(v.by_distance, m.by_distance * slope);
    put(v.by_scale, m.by_scale * slope);
  });
}

void mixture_bits_range(const MixtureBits& v, size_t begin, size_t end) {
  each_vector(begin, end, [&](auto&& get, auto&& put) {
    const Vec distance = get(v.distance), logit = get(v.logit);
    const Mass one = mass_of(distance, get(v.scale1)), two = mass_of(distance - get(v.mean2), get(v.scale2));
    // Both weights from the small one, which keeps its relative precision.
    const Vec odds = vexp(logit < 0.0f ? logit : -logit), whole = 1.0f / (1.0f + odds), part = odds * whole;
    const Vec second = logit < 0.0f ? part : whole, first = logit < 0.0f ? whole : part;
    const Vec mass = at_least_smallest(first * one.mass + second * two.mass);
    put(v.bits, -vlog2(mass));
    if (v.by_distance == nullptr) return;
    const Vec slope = -INVERSE_LN_2 / mass, slope1 = slope * first, slope2 = slope * second;
    const Vec by_mean = two.by_distance * slope2;
    put(v.by_distance, one.by_distance * slope1 + by_mean);
    put(v.by_scale1, one.by_scale * slope1);
    put(v.by_mean2, -by_mean);
    put(v.by_scale2, two.by_scale * slope2);
    put(v.by_logit, (two.mass - one.mass) * (slope1 * second));
  });
}

void trit_bits_range(const TritBits& v, size_t begin, size_t end) {
  each_vector(begin, end, [&](auto&& get, auto&& put) {
    const Vec zero_logit = get(v.zero), sign_logit = get(v.sign), trit = get(v.trits);
    const auto none = trit == 0.0f;
    const Soft zero = soft(none ? -zero_logit : zero_logit), sign = soft(-trit * sign_logit);
    put(v.bits, zero.plus + (none ? Vec{} : sign.plus));
    if (v.by_zero == nullptr) return;
    put(v.by_zero, (none ? -zero.sigmoid : zero.sigmoid) * INVERSE_LN_2);
    put(v.by_sign, none ? Vec{} : -trit * sign.sigmoid * INVERSE_LN_2);
  });
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
