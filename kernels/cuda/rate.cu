// Rate of attributes of some anchors at a level, with all derivatives: the CUDA twin of kernels/rate, whose
// header has the formulas. One thread takes one value; what a row adds up (bits of its groups, the derivative
// by its step) another kernel adds in a fixed order, so that results repeat bit for bit.
#include "rate.cuh"

#include "noise.cuh"

namespace gspc {
namespace {

constexpr float SMALLEST = 5.9604645e-8f;  // probability, 2^-24
constexpr float FARTHEST = 40.0f;          // standard deviations
constexpr float SMALLEST_BELL = 1e-20f;
constexpr float INVERSE_ROOT_2PI = 0.398942280f;
constexpr float INVERSE_LN2 = 1.44269504f, LN2 = 0.693147181f;
constexpr float LOWEST_LOG2 = -3.0f, HIGHEST_LOG2 = -3.0f + 127.0f / 12.0f;
constexpr float SO_FAR_LIMIT = 2047.0f / 512.0f;

// A row's step: relative to Q0 at the level, its logarithm, and the derivative of the natural one by r.
struct Step {
  float relative, log2, slope;
};

__device__ inline Step step_of(float r, float refinement) {
  const Limited parameter = limited(r, LOWEST_R, HIGHEST_R);
  const float t = tanhf(parameter.value), relative = (1.0f + t) / refinement;
  return {relative, log2f(relative), (1.0f - t) * parameter.inside};
}

// A standard deviation in steps and its derivative by octaves.
struct Scale {
  float value, slope;
};

__device__ inline Scale scale_of(float octaves, float log2_step) {
  const Limited log2 = limited(octaves - 3.0f - log2_step, LOWEST_LOG2, HIGHEST_LOG2);
  const float value = exp2f(log2.value);
  return {value, value * log2.inside * LN2};
}

__device__ inline float bounded(float u) { return limited(u, -FARTHEST, FARTHEST).value; }

// Phi(u) and exp(-u^2 / 2), as the CPU kernels have them: the tail is a multiple of the same exponential, so
// that its rounding cancels where derivatives divide by masses.
struct Edge {
  float phi, bell;
};

__device__ inline Edge edge(float u) {
  const float x = fabsf(u), exponential = expf(u * u * -0.5f);
  const float bell = exponential < SMALLEST_BELL ? 0.0f : exponential;
  const float r = 1.0f / (x + 4.0f), y = 1.0f - 8.0f * r;
  float p = -1.573205696e-04f;
  p = p * y + 1.293256814e-04f;
  p = p * y + 1.563786899e-03f;
  p = p * y - 3.476167895e-03f;
  p = p * y - 7.512231382e-03f;
  p = p * y + 6.039529587e-02f;
  p = p * y - 1.865267109e-01f;
  p = p * y + 3.871375629e-01f;
  p = p * y - 6.078964038e-01f;
  p = p * y + 7.552851271e-01f;
  const float tail = p * r * bell;
  return {u > 0.0f ? 1.0f - tail : tail, bell};
}

// A bin's mass and its derivatives, mirrored to the negative side, where the difference of the tails keeps
// its relative precision.
struct Mass {
  float mass, by_distance, by_scale;
};

__device__ inline Mass mass_of(float distance, float scale) {
  const float away = fabsf(distance), inverse = 1.0f / scale;
  const float upper = bounded((0.5f - away) * inverse), lower = bounded((-0.5f - away) * inverse);
  const Edge high = edge(upper), low = edge(lower);
  const float factor = inverse * INVERSE_ROOT_2PI;
  const float by_away = (low.bell - high.bell) * factor;
  return {high.phi - low.phi,
          distance < 0.0f    ? -by_away
          : distance == 0.0f ? 0.0f
                             : by_away,
          (lower * low.bell - upper * high.bell) * factor};
}

__device__ inline float at_least_smallest(float mass) { return mass < SMALLEST ? SMALLEST : mass; }

__device__ inline float weight_of(const RateCall& call, uint64_t row, uint64_t c) {
  return call.weights[row * call.groups + c / (call.width / call.groups)];
}

// Which chunk channel c is in, -1: in none.
__device__ inline int chunk_of(const RateCall& call, uint64_t c) {
  for (int k = 0; k < call.chunks; ++k)
    if (c >= call.first[k] && c < call.end[k]) return k;
  return -1;
}

// A value's distance from the center in steps, before noise or rounding.
__device__ inline float exact_distance(const RateCall& call, uint64_t row, uint64_t c, float step) {
  return (call.values[row * call.value_stride + c] - call.base * call.center[row * call.center_stride + c]) /
         step;
}

__global__ void __launch_bounds__(BLOCK) appearance_elements(RateCall call) {
  const uint64_t i = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  if (i >= call.n * call.width) return;
  const uint64_t row = i / call.width, c = i - row * call.width;
  const Step step = step_of(call.r[row * call.r_stride], call.refinement);
  const float width = call.base * step.relative;
  const float exact = exact_distance(call, row, c, width);
  const float distance =
      call.noisy ? exact + noise(call.key, static_cast<uint32_t>(i)) : floorf(exact + 0.5f);
  const Scale one = scale_of(call.octaves[row * call.octave_stride + c], step.log2);
  const Mass first = mass_of(distance, one.value);
  const int chunk = chunk_of(call, c);
  float mass = first.mass, w1 = 1.0f, w2 = 0.0f, mean2 = 0.0f;
  Mass second = {0.0f, 0.0f, 0.0f};
  Scale two = {1.0f, 0.0f};
  uint64_t at = 0, own = 0;
  if (chunk >= 0) {
    own = call.end[chunk] - call.first[chunk];
    at = row * 3 * own + (c - call.first[chunk]);
    const float* outputs = call.outputs[chunk];
    const float logit = outputs[at + 2 * own];
    // Both weights from the small one, which keeps its relative precision.
    const float odds = expf(-fabsf(logit)), whole = 1.0f / (1.0f + odds), part = odds * whole;
    w2 = logit < 0.0f ? part : whole;
    w1 = logit < 0.0f ? whole : part;
    mean2 = outputs[at] / step.relative;
    two = scale_of(outputs[at + own], step.log2);
    second = mass_of(distance - mean2, two.value);
    mass = w1 * first.mass + w2 * second.mass;
  }
  mass = at_least_smallest(mass);
  call.bits[i] = -log2f(mass);
  if (call.by_octaves == nullptr) return;
  const float slope = weight_of(call, row, c) * -INVERSE_LN2 / mass, slope1 = slope * w1, slope2 = slope * w2;
  const float by_mean = second.by_distance * -slope2;
  const float by_distance = call.noisy ? first.by_distance * slope1 - by_mean : 0.0f;
  const float by_octaves = first.by_scale * slope1 * one.slope,
              by_octaves2 = second.by_scale * slope2 * two.slope, by_value = by_distance / width;
  call.by_values[i] = by_value;
  call.by_center[i] = by_value * -call.base;
  call.by_octaves[i] = by_octaves;
  call.by_log_step[i] = -by_distance * exact - by_mean * mean2 - (by_octaves + by_octaves2) * INVERSE_LN2;
  if (chunk < 0) return;
  float* by_outputs = call.by_outputs[chunk];
  by_outputs[at] = by_mean / step.relative;
  by_outputs[at + own] = by_octaves2;
  by_outputs[at + 2 * own] = (second.mass - first.mass) * (slope1 * w2);
}

// The symbol `coarser` levels above the finest grid, and another level further up.
struct Symbols {
  float here, above;
};

__device__ inline Symbols symbols_of(const RateCall& call, uint64_t row, uint64_t c) {
  const Step step = step_of(call.r[row * call.r_stride], 1.0f);
  float k = floorf(exact_distance(call, row, c, call.base * step.relative / static_cast<float>(call.finest)) +
                   0.5f);
  for (int j = 0; j < call.coarser; ++j) k = floorf((k + 1.0f) / 3.0f);
  return {k, floorf((k + 1.0f) / 3.0f)};
}

__global__ void __launch_bounds__(BLOCK) trit_elements(RateCall call) {
  const uint64_t i = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  if (i >= call.n * call.width) return;
  const uint64_t row = i / call.width, c = i - row * call.width;
  const Symbols symbols = symbols_of(call, row, c);
  float bins = 3.0f;  // of the finest grid in one of the level before
  for (int j = 0; j < call.coarser; ++j) bins *= 3.0f;
  const float unit =
      step_of(call.r[row * call.r_stride], 1.0f).relative * (bins / static_cast<float>(call.finest)) / 8.0f;
  call.so_far[i] = limited(symbols.above * unit, -SO_FAR_LIMIT, SO_FAR_LIMIT).value;
  call.trits_out[i] = symbols.here - 3.0f * symbols.above;
}

// log2(1 + exp(x)) and sigmoid(x).
struct Soft {
  float plus, sigmoid;
};

__device__ inline Soft soft(float x) {
  const float odds = expf(-fabsf(x)), whole = 1.0f / (1.0f + odds);
  return {(log1pf(odds) + (x > 0.0f ? x : x * 0.0f)) * INVERSE_LN2, x < 0.0f ? odds * whole : whole};
}

__global__ void __launch_bounds__(BLOCK) three_way_elements(RateCall call) {
  const uint64_t i = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  if (i >= call.n * call.width) return;
  const uint64_t row = i / call.width, c = i - row * call.width;
  const float* outputs = call.octaves + row * call.octave_stride;
  const Limited zero_logit = limited(outputs[c], -8.0f, 7.75f),
                sign_logit = limited(outputs[call.width + c], -4.0f, 3.875f);
  const float trit = call.trits[i];
  const bool none = trit == 0.0f;
  const Soft zero = soft(none ? -zero_logit.value : zero_logit.value), sign = soft(-trit * sign_logit.value);
  call.bits[i] = zero.plus + (none ? 0.0f : sign.plus);
  if (call.by_octaves == nullptr) return;
  const float weight = weight_of(call, row, c);
  float* by = call.by_octaves + row * 2 * call.width + c;
  by[0] = (none ? -zero.sigmoid : zero.sigmoid) * weight * zero_logit.inside * INVERSE_LN2;
  by[call.width] = none ? 0.0f : -trit * sign.sigmoid * weight * sign_logit.inside * INVERSE_LN2;
}

__global__ void __launch_bounds__(BLOCK) gaussian_trit_elements(RateCall call) {
  const uint64_t i = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  if (i >= call.n * call.width) return;
  const uint64_t row = i / call.width, c = i - row * call.width;
  const Symbols symbols = symbols_of(call, row, c);
  const Step step = step_of(call.r[row * call.r_stride], call.refinement);
  const Scale scale = scale_of(call.octaves[row * call.octave_stride + c], step.log2);
  const float inverse = 1.0f / scale.value, factor = inverse * INVERSE_ROOT_2PI;
  // Mirrored so that the bins lie at 3 p + {-1, 0, 1} with p <= 0; around 0 the outer ones are alike.
  const float trit = symbols.here - 3.0f * symbols.above;
  const float p = -fabsf(symbols.above), mirrored = symbols.above > 0.0f ? -trit : trit;
  float at[4], masses[3], by_scale[3];
  Edge edges[4];
  for (int j = 0; j < 4; ++j) {
    at[j] = bounded((3.0f * p + (static_cast<float>(j) - 1.5f)) * inverse);
    edges[j] = edge(at[j]);
  }
  for (int j = 0; j < 3; ++j) {
    masses[j] = edges[j + 1].phi - edges[j].phi;
    by_scale[j] = (at[j] * edges[j].bell - at[j + 1] * edges[j + 1].bell) * factor;
  }
  if (p == 0.0f) {
    masses[2] = masses[0];
    by_scale[2] = by_scale[0];
  }
  for (float& mass : masses) mass = at_least_smallest(mass);
  const int chosen = mirrored < 0.0f ? 0 : mirrored == 0.0f ? 1 : 2;
  const float all = masses[0] + masses[1] + masses[2];
  call.bits[i] = log2f(all) - log2f(masses[chosen]);
  if (call.by_octaves == nullptr) return;
  const float by = (by_scale[0] + by_scale[1] + by_scale[2]) / all - by_scale[chosen] / masses[chosen];
  const float by_octaves = by * scale.slope * (weight_of(call, row, c) * INVERSE_LN2);
  call.by_octaves[i] = by_octaves;
  call.by_log_step[i] = -by_octaves * INVERSE_LN2;
}

__global__ void __launch_bounds__(BLOCK) chunk_input_elements(RateCall call) {
  const uint64_t i = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  if (i >= call.n * call.width) return;
  const uint64_t row = i / call.width, c = i - row * call.width;
  const Step step = step_of(call.r[row * call.r_stride], call.refinement);
  const float width = call.base * step.relative;
  const float symbol = floorf(exact_distance(call, row, c, width) + 0.5f);
  const float so_far = limited(symbol * step.relative / 8.0f, -SO_FAR_LIMIT, SO_FAR_LIMIT).value;
  for (int k = 0; k < call.chunks; ++k) {
    const uint64_t own = call.end[k] - call.first[k];
    float* inputs = call.by_outputs[k] + row * (2 * own + call.first[k]);
    if (c < call.first[k]) inputs[2 * own + c] = so_far;
    if (c < call.first[k] || c >= call.end[k]) continue;
    const float log2 =
        limited(call.octaves[row * call.octave_stride + c] - 3.0f - step.log2, LOWEST_LOG2, HIGHEST_LOG2)
            .value;
    inputs[c - call.first[k]] = ((log2 - LOWEST_LOG2) * 12.0f - 64.0f) / 32.0f;
    inputs[own + c - call.first[k]] =
        limited(call.center[row * call.center_stride + c] / 8.0f, -SO_FAR_LIMIT, SO_FAR_LIMIT).value;
  }
}

__global__ void __launch_bounds__(BLOCK) chunk_input_slopes(RateCall call) {
  const uint64_t i = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  if (i >= call.n * call.width) return;
  const uint64_t row = i / call.width, c = i - row * call.width;
  const int k = chunk_of(call, c);
  float by_center = 0.0f, by_octaves = 0.0f;
  if (k >= 0) {
    const uint64_t own = call.end[k] - call.first[k];
    const float* by = call.outputs[k] + row * (2 * own + call.first[k]) + (c - call.first[k]);
    const Step step = step_of(call.r[row * call.r_stride], call.refinement);
    const float octaves = call.octaves[row * call.octave_stride + c] - 3.0f - step.log2;
    by_octaves = by[0] * (12.0f / 32.0f) * limited(octaves, LOWEST_LOG2, HIGHEST_LOG2).inside;
    by_center = by[own] / 8.0f *
                limited(call.center[row * call.center_stride + c] / 8.0f, -SO_FAR_LIMIT, SO_FAR_LIMIT).inside;
  }
  call.by_center[i] = by_center;
  call.by_octaves[i] = by_octaves;
  call.by_log_step[i] = -by_octaves * INVERSE_LN2;
}

// What a row adds up: bits of its groups, their weighted sum (a partial sum for each block), and the
// derivative by r.
__global__ void __launch_bounds__(BLOCK) rows_added(RateCall call) {
  __shared__ double scratch[BLOCK];
  const uint64_t row = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  double total = 0.0;
  if (row < call.n && call.bits != nullptr) {
    const uint64_t own = call.width / call.groups;
    for (uint64_t g = 0; g < call.groups; ++g) {
      float sum = 0.0f;
      for (uint64_t c = 0; c < own; ++c) sum += call.bits[row * call.width + g * own + c];
      call.sums[row * call.groups + g] = sum;
      total += static_cast<double>(sum) * static_cast<double>(call.weights[row * call.groups + g]);
    }
  }
  if (row < call.n && call.by_r != nullptr) {
    float sum = 0.0f;
    for (uint64_t c = 0; c < call.width; ++c) sum += call.by_log_step[row * call.width + c];
    call.by_r[row] = sum * step_of(call.r[row * call.r_stride], 1.0f).slope;
  }
  scratch[threadIdx.x] = total;
  __syncthreads();
  for (unsigned half = BLOCK / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) scratch[threadIdx.x] += scratch[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0 && call.partial != nullptr) call.partial[blockIdx.x] = scratch[0];
}

__global__ void __launch_bounds__(BLOCK) blocks_added(const double* partial, unsigned count, float* total) {
  __shared__ double scratch[BLOCK];
  double sum = 0.0;
  for (unsigned i = threadIdx.x; i < count; i += BLOCK) sum += partial[i];
  scratch[threadIdx.x] = sum;
  __syncthreads();
  for (unsigned half = BLOCK / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) scratch[threadIdx.x] += scratch[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) total[0] = static_cast<float>(scratch[0]);
}

bool usable(const RateCall& call) {
  return call.n < 1u << 30 && call.width > 0 && call.width < 1u << 16 && call.groups > 0 &&
         call.width % call.groups == 0 && call.chunks >= 0 && call.chunks <= MAX_CHUNKS;
}

// Elements, then rows, then the sum of all where bits are wanted.
template <class Elements>
int run(const RateCall* given, cudaStream_t stream, Elements elements) {
  RateCall call = *given;
  if (!usable(call)) return static_cast<int>(cudaErrorInvalidValue);
  call.key = key_of(call.key);
  const unsigned row_blocks = blocks(call.n);
  if (call.n > 0) {
    elements(call, dim3(blocks(call.n * call.width)));
    if (call.bits != nullptr || call.by_r != nullptr)
      GSPC_LAUNCH(rows_added, dim3(row_blocks), dim3(BLOCK), stream, call);
  }
  if (call.total != nullptr)
    GSPC_LAUNCH(blocks_added, dim3(1), dim3(BLOCK), stream, call.partial, row_blocks, call.total);
  return launch_status();
}

}  // namespace
}  // namespace gspc

#define GSPC_RATE(name, kernel)                                               \
  GSPC_EXPORT int name(const gspc::RateCall* call, cudaStream_t stream) {     \
    return gspc::run(call, stream, [=](const gspc::RateCall& of, dim3 grid) { \
      GSPC_LAUNCH(gspc::kernel, grid, dim3(gspc::BLOCK), stream, of);         \
    });                                                                       \
  }

GSPC_RATE(gspc_rate_appearance, appearance_elements)
GSPC_RATE(gspc_rate_trits, trit_elements)
GSPC_RATE(gspc_rate_three_way, three_way_elements)
GSPC_RATE(gspc_rate_gaussian_trits, gaussian_trit_elements)
GSPC_RATE(gspc_rate_chunk_inputs, chunk_input_elements)
GSPC_RATE(gspc_rate_chunk_inputs_backward, chunk_input_slopes)
