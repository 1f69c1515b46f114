#include "rate/rate_isa.hpp"

#include "common/noise_vector.hpp"
#include "common/vector_math.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {
namespace {

constexpr float kSmallest = 0x1p-24f;  // probability
constexpr float kFarthest = 40.0f;     // standard deviations
constexpr float kSmallestBell = 1e-20f;
constexpr float kInverseRoot2Pi = 0.398942280f;
constexpr float kInverseLn2 = 1.44269504f;
constexpr float kLn2 = 0.693147181f;
constexpr float kLowestR = -2.0f, kHighestR = 63.0f / 32.0f;
constexpr float kLowestLog2 = -3.0f,
                kHighestLog2 = -3.0f + 127.0f / 12.0f;  // of standard deviations in steps
constexpr float kSoFarLimit = 2047.0f / 512.0f;

// Phi(u) and exp(-u^2 / 2). The tail is exp(-u^2 / 2) / (|u| + 4) times a polynomial in (|u| - 4) / (|u| +
// 4), a Chebyshev fit of relative error 3e-8.
struct Edge {
  Floats phi, bell;
};

inline Edge edge(Floats u) {
  const Floats x = u < 0.0f ? -u : u;
  const Floats exponential = vexp(u * u * -0.5f), bell = exponential < kSmallestBell ? Floats{} : exponential;
  const Floats r = 1.0f / (x + 4.0f), y = 1.0f - 8.0f * r;
  Floats p = splat(-1.573205696e-04f);
  p = p * y + 1.293256814e-04f;
  p = p * y + 1.563786899e-03f;
  p = p * y - 3.476167895e-03f;
  p = p * y - 7.512231382e-03f;
  p = p * y + 6.039529587e-02f;
  p = p * y - 1.865267109e-01f;
  p = p * y + 3.871375629e-01f;
  p = p * y - 6.078964038e-01f;
  p = p * y + 7.552851271e-01f;
  const Floats tail = p * r * bell;
  return {u > 0.0f ? 1.0f - tail : tail, bell};
}

// Cephes' logf over ln 2, for normal positive x; NaN stays NaN.
inline Floats vlog2(Floats x) {
  Ints bits = (Ints)x;
  const Ints exponent = (bits - 0x3f3504f3) >> 23;  // leaves the mantissa in [sqrt(1/2), sqrt(2))
  const Floats m = (Floats)(bits - (exponent << 23)) - 1.0f;
  const Floats z = m * m;
  Floats p = splat(7.0376836292e-2f);
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  const Floats log = m + (p * m * z - 0.5f * z);
  const Floats result = log * kInverseLn2 + to_floats(exponent);
  return x == x ? result : x;
}

// A bin's mass and its derivatives.
struct Mass {
  Floats mass, by_distance, by_scale;
};

inline Floats bounded(Floats u) {
  u = u < -kFarthest ? splat(-kFarthest) : u;
  return u > kFarthest ? splat(kFarthest) : u;
}

inline Mass mass_of(Floats distance, Floats scale) {
  // Mirrored to the negative side, where the difference of the tails keeps its relative precision.
  const Floats away = distance < 0.0f ? -distance : distance;
  const Floats inverse = 1.0f / scale;
  const Floats upper = bounded((0.5f - away) * inverse), lower = bounded((-0.5f - away) * inverse);
  const Edge high = edge(upper), low = edge(lower);
  const Floats factor = inverse * kInverseRoot2Pi;
  const Floats by_away = (low.bell - high.bell) * factor;
  const Floats by_scale = (lower * low.bell - upper * high.bell) * factor;
  return {high.phi - low.phi, distance < 0.0f ? -by_away : distance == 0.0f ? Floats{} : by_away, by_scale};
}

inline Floats at_least_smallest(Floats mass) { return mass < kSmallest ? splat(kSmallest) : mass; }

// log2(1 + exp(x)) and sigmoid(x).
struct Soft {
  Floats plus, sigmoid;
};

inline Soft soft(Floats x) {
  const Floats odds = vexp(x < 0.0f ? x : -x), sum = 1.0f + odds, whole = 1.0f / sum;
  return {vlog2(sum) + (x > 0.0f ? x * kInverseLn2 : x * 0.0f), x < 0.0f ? odds * whole : whole};
}

// x between two limits, and 1 where it was.
struct Limited {
  Floats value, inside;
};

inline Limited limited(Floats x, float low, float high) {
  const Floats one = splat(1.0f);
  return {x < low ? splat(low) : x > high ? splat(high) : x, x < low ? Floats{} : x > high ? Floats{} : one};
}

inline Floats vfloor(Floats x) {  // beyond 2^22 values are taken for whole
  const float magic = 12582912.0f;
  const Floats nearest = (x + magic) - magic, whole = nearest > x ? nearest - 1.0f : nearest;
  return (x < 0.0f ? -x : x) < 0x1p22f ? whole : x;
}

// A standard deviation in steps and its derivative by octaves.
struct Scale {
  Floats value, slope;
};

inline Scale scale_of(Floats octaves, Floats log2_step) {
  const Limited log2 = limited(octaves - 3.0f - log2_step, kLowestLog2, kHighestLog2);
  const Floats value = vexp(log2.value * kLn2);
  return {value, value * log2.inside * kLn2};
}

}  // namespace

void rate_steps(const float* r, size_t count, float base, float refinement, float* step, float* log2_step,
                float* slope) {
  const Floats shift = vlog2(splat(refinement));
  for (size_t i = 0; i < count; i += kLanes) {
    const Limited parameter = limited(load(r + i), kLowestR, kHighestR);
    const Floats t = vtanh(parameter.value), relative = 1.0f + t;
    store(step + i, base * relative / refinement);
    store(log2_step + i, vlog2(relative) - shift);
    store(slope + i, (1.0f - t) * parameter.inside);
  }
}

void rate_appearance_block(const RateBlock& b) {
  const float no_slope = b.numbers != nullptr ? 1.0f : 0.0f;
  for (size_t i = 0; i < b.count; i += kLanes) {
    const Floats step = load(b.step + i), log2_step = load(b.log2_step + i);
    const Floats exact = (load(b.values + i) - b.base * load(b.center + i)) / step;
    Floats distance;
    if (b.numbers != nullptr) distance = exact + noise_at(load(b.numbers + i), b.key);
    else distance = vfloor(exact + 0.5f);
    const Scale one = scale_of(load(b.octaves + i), log2_step);
    const Mass first = mass_of(distance, one.value);
    if (b.logit == nullptr) {
      const Floats mass = at_least_smallest(first.mass);
      store(b.bits + i, -vlog2(mass));
      if (b.by_values == nullptr) continue;
      const Floats slope = load(b.weights + i) * -kInverseLn2 / mass;
      const Floats by_distance = first.by_distance * slope * no_slope,
                   by_octaves = first.by_scale * slope * one.slope;
      const Floats by_value = by_distance / step;
      store(b.by_values + i, by_value);
      store(b.by_center + i, by_value * -b.base);
      store(b.by_octaves + i, by_octaves);
      store(b.by_log_step + i, -by_distance * exact - by_octaves * kInverseLn2);
      continue;
    }
    const Floats per_base = b.base / step, mean2 = load(b.mean2 + i) * per_base, logit = load(b.logit + i);
    const Scale two = scale_of(load(b.octaves2 + i), log2_step);
    const Mass second = mass_of(distance - mean2, two.value);
    // Both weights from the small one, which keeps its relative precision.
    const Floats odds = vexp(logit < 0.0f ? logit : -logit), whole = 1.0f / (1.0f + odds),
                 part = odds * whole;
    const Floats w2 = logit < 0.0f ? part : whole, w1 = logit < 0.0f ? whole : part;
    const Floats mass = at_least_smallest(w1 * first.mass + w2 * second.mass);
    store(b.bits + i, -vlog2(mass));
    if (b.by_values == nullptr) continue;
    const Floats slope = load(b.weights + i) * -kInverseLn2 / mass, slope1 = slope * w1, slope2 = slope * w2;
    const Floats by_mean = second.by_distance * -slope2,
                 by_distance = (first.by_distance * slope1 - by_mean) * no_slope;
    const Floats by_octaves = first.by_scale * slope1 * one.slope,
                 by_octaves2 = second.by_scale * slope2 * two.slope;
    const Floats by_value = by_distance / step;
    store(b.by_values + i, by_value);
    store(b.by_center + i, by_value * -b.base);
    store(b.by_octaves + i, by_octaves);
    store(b.by_log_step + i,
          -by_distance * exact - by_mean * mean2 - (by_octaves + by_octaves2) * kInverseLn2);
    store(b.by_mean2 + i, by_mean * per_base);
    store(b.by_octaves2 + i, by_octaves2);
    store(b.by_logit + i, (second.mass - first.mass) * (slope1 * w2));
  }
}

void rate_three_way_block(const RateTritBlock& b) {
  for (size_t i = 0; i < b.count; i += kLanes) {
    const Limited zero_logit = limited(load(b.first + i), -8.0f, 7.75f),
                  sign_logit = limited(load(b.second + i), -4.0f, 3.875f);
    const Floats trit = load(b.trits + i), weight = load(b.weights + i) * kInverseLn2;
    const auto none = trit == 0.0f;
    const Soft zero = soft(none ? -zero_logit.value : zero_logit.value),
               sign = soft(-trit * sign_logit.value);
    store(b.bits + i, zero.plus + (none ? Floats{} : sign.plus));
    if (b.by_first == nullptr) continue;
    store(b.by_first + i, (none ? -zero.sigmoid : zero.sigmoid) * weight * zero_logit.inside);
    store(b.by_second + i, none ? Floats{} : -trit * sign.sigmoid * weight * sign_logit.inside);
  }
}

void rate_gaussian_trits_block(const RateTritBlock& b) {
  for (size_t i = 0; i < b.count; i += kLanes) {
    const Floats before = load(b.first + i), trit = load(b.trits + i);
    const Scale scale = scale_of(load(b.second + i), load(b.log2_step + i));
    const Floats inverse = 1.0f / scale.value, factor = inverse * kInverseRoot2Pi;
    // Mirrored so that the bins lie at 3 p + {-1, 0, 1} with p <= 0; around 0 the outer ones are alike.
    const Floats p = before < 0.0f ? before : -before, mirrored = before > 0.0f ? -trit : trit;
    Floats at[4];
    Edge edges[4];
    for (int j = 0; j < 4; ++j) {
      at[j] = bounded((3.0f * p + (static_cast<float>(j) - 1.5f)) * inverse);
      edges[j] = edge(at[j]);
    }
    Floats mass[3], by_scale[3];
    for (int j = 0; j < 3; ++j) {
      mass[j] = edges[j + 1].phi - edges[j].phi;
      by_scale[j] = (at[j] * edges[j].bell - at[j + 1] * edges[j + 1].bell) * factor;
    }
    mass[2] = p == 0.0f ? mass[0] : mass[2];
    by_scale[2] = p == 0.0f ? by_scale[0] : by_scale[2];
    for (Floats& m : mass) m = at_least_smallest(m);
    const Floats all = mass[0] + mass[1] + mass[2];
    const Floats chosen = mirrored < 0.0f ? mass[0] : mirrored == 0.0f ? mass[1] : mass[2];
    store(b.bits + i, vlog2(all) - vlog2(chosen));
    if (b.by_second == nullptr) continue;
    const Floats by_chosen = mirrored < 0.0f ? by_scale[0] : mirrored == 0.0f ? by_scale[1] : by_scale[2];
    const Floats by = (by_scale[0] + by_scale[1] + by_scale[2]) / all - by_chosen / chosen;
    store(b.by_second + i, by * scale.slope * (load(b.weights + i) * kInverseLn2));
  }
}

void rate_chunk_row(const float* values, const float* center, const float* octaves, size_t width, float base,
                    float step, float log2_step, float* scales, float* means, float* so_far) {
  const float unit = step / (8.0f * base);
  for (size_t c = 0; c < width; c += kLanes) {
    const Floats log2 = limited(load(octaves + c) - 3.0f - log2_step, kLowestLog2, kHighestLog2).value;
    store(scales + c, ((log2 - kLowestLog2) * 12.0f - 64.0f) / 32.0f);
    store(means + c, limited(load(center + c) / 8.0f, -kSoFarLimit, kSoFarLimit).value);
    const Floats symbols = vfloor((load(values + c) - base * load(center + c)) / step + 0.5f);
    store(so_far + c, limited(symbols * unit, -kSoFarLimit, kSoFarLimit).value);
  }
}

void rate_symbols_row(const float* values, const float* center, size_t width, float base, float finest_step,
                      size_t coarser, float* before, float* trits) {
  for (size_t c = 0; c < width; c += kLanes) {
    Floats k = vfloor((load(values + c) - base * load(center + c)) / finest_step + 0.5f);
    for (size_t j = 0; j < coarser; ++j) k = vfloor((k + 1.0f) / 3.0f);
    const Floats above = vfloor((k + 1.0f) / 3.0f);
    store(before + c, above);
    store(trits + c, k - 3.0f * above);
  }
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
