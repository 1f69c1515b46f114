// Bits of a sample's attributes at a level, with all derivatives: the CUDA twin of kernels/rate, whose header
// has the formulas. One call takes all that a level counts: one thread takes one value of one job; what a row
// adds up (bits of its groups, the derivative by its step) another kernel adds in a fixed order, so that
// results repeat bit for bit.
#include "rate.cuh"

#include "gaussian.cuh"
#include "scan.cuh"

namespace gspc {
namespace {

__device__ inline float weight_of(const RateJob& job, uint64_t row, uint64_t c) {
  return job.weights[row * job.groups + c / (job.of.width / job.groups)];
}

// Which chunk channel c of a job is in, -1: in none.
__device__ inline int chunk_of(const RateCall& call, int number, uint64_t c) {
  if (number != call.chunked) return -1;
  for (int k = 0; k < call.chunks; ++k)
    if (c >= call.first[k] && c < call.end[k]) return k;
  return -1;
}

// Element i of [n, width] of job `number`: channel c of a row.
__device__ inline void appearance(const RateCall& call, int number, uint64_t i, uint64_t row, uint64_t c) {
  const RateJob& job = call.job[number];
  const RateRows& of = job.of;
  const Step step = step_of(of.r[row * of.r_stride], of.refinement);
  const float width = of.base * step.relative;
  const float exact = exact_distance(of, row, c, width);
  const float distance = job.noisy ? exact + noise(job.key, static_cast<uint32_t>(i)) : floorf(exact + 0.5f);
  const Scale one = scale_of(of.octaves[row * of.octave_stride + c], step.log2);
  const Mass first = mass_of(distance, one.value);
  const int chunk = chunk_of(call, number, c);
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
  job.bits[i] = -log2f(mass);
  if (job.by_octaves == nullptr) return;
  const float slope = weight_of(job, row, c) * -INVERSE_LN2 / mass, slope1 = slope * w1, slope2 = slope * w2;
  const float by_mean = second.by_distance * -slope2;
  const float by_distance = job.noisy ? first.by_distance * slope1 - by_mean : 0.0f;
  const float by_octaves = first.by_scale * slope1 * one.slope,
              by_octaves2 = second.by_scale * slope2 * two.slope, by_value = by_distance / width;
  job.by_values[i] = by_value;
  job.by_center[i] = by_value * -of.base;
  job.by_octaves[i] = by_octaves;
  job.by_log_step[i] = -by_distance * exact - by_mean * mean2 - (by_octaves + by_octaves2) * INVERSE_LN2;
  if (chunk < 0) return;
  float* by_outputs = call.by_outputs[chunk];
  by_outputs[at] = by_mean / step.relative;
  by_outputs[at + own] = by_octaves2;
  by_outputs[at + 2 * own] = (second.mass - first.mass) * (slope1 * w2);
}

// log2(1 + exp(x)) and sigmoid(x).
struct Soft {
  float plus, sigmoid;
};

__device__ inline Soft soft(float x) {
  const float odds = expf(-fabsf(x)), whole = 1.0f / (1.0f + odds);
  return {(log1pf(odds) + (x > 0.0f ? x : x * 0.0f)) * INVERSE_LN2, x < 0.0f ? odds * whole : whole};
}

__device__ inline void three_way(const RateJob& job, uint64_t i, uint64_t row, uint64_t c) {
  const uint64_t width = job.of.width;
  const float* outputs = job.of.octaves + row * job.of.octave_stride;
  const Limited zero_logit = limited(outputs[c], -8.0f, 7.75f),
                sign_logit = limited(outputs[width + c], -4.0f, 3.875f);
  const float trit = job.trits[i];
  const bool none = trit == 0.0f;
  const Soft zero = soft(none ? -zero_logit.value : zero_logit.value), sign = soft(-trit * sign_logit.value);
  job.bits[i] = zero.plus + (none ? 0.0f : sign.plus);
  if (job.by_octaves == nullptr) return;
  const float weight = weight_of(job, row, c);
  float* by = job.by_octaves + row * 2 * width + c;
  by[0] = (none ? -zero.sigmoid : zero.sigmoid) * weight * zero_logit.inside * INVERSE_LN2;
  by[width] = none ? 0.0f : -trit * sign.sigmoid * weight * sign_logit.inside * INVERSE_LN2;
}

// Slopes are those of job `to`, which are there already if it is another one.
__device__ inline void gaussian_trits(const RateJob& job, const RateJob& to, uint64_t i, uint64_t row,
                                      uint64_t c) {
  const RateRows& of = job.of;
  const Symbols symbols = symbols_of(of, row, c);
  const Step step = step_of(of.r[row * of.r_stride], of.refinement);
  const Scale scale = scale_of(of.octaves[row * of.octave_stride + c], step.log2);
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
  job.bits[i] = log2f(all) - log2f(masses[chosen]);
  if (to.by_octaves == nullptr) return;
  float by_chosen = by_scale[2] / masses[2];  // an index that is not known here would move arrays to memory
  if (chosen == 0) by_chosen = by_scale[0] / masses[0];
  if (chosen == 1) by_chosen = by_scale[1] / masses[1];
  const float by = (by_scale[0] + by_scale[1] + by_scale[2]) / all - by_chosen;
  const float by_octaves = by * scale.slope * (weight_of(job, row, c) * INVERSE_LN2);
  const bool adds = &to != &job;
  to.by_octaves[i] = (adds ? to.by_octaves[i] : 0.0f) + by_octaves;
  to.by_log_step[i] = (adds ? to.by_log_step[i] : 0.0f) - by_octaves * INVERSE_LN2;
}

// One value (x) of one job (y).
__global__ void __launch_bounds__(BLOCK) bits_found(RateCall call) {
  const RateJob& job = call.job[blockIdx.y];
  const uint64_t i = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  if (job.within || i >= call.n * job.of.width) return;
  const uint64_t row = i / job.of.width, c = i - row * job.of.width;
  if (job.kind == THREE_WAY) three_way(job, i, row, c);
  if (job.kind == APPEARANCE) appearance(call, static_cast<int>(blockIdx.y), i, row, c);
  if (job.kind == GAUSSIAN_TRITS || job.beside >= 0)
    gaussian_trits(job.beside >= 0 ? call.job[job.beside] : job, job, i, row, c);
}

// What a row (x) of a job (y) adds up: bits of its groups, their weighted sum (a partial sum for each block),
// and the derivative by r.
__global__ void __launch_bounds__(BLOCK) rows_added(RateCall call) {
  __shared__ double scratch[BLOCK];
  const RateJob& job = call.job[blockIdx.y];
  const uint64_t row = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  double total = 0.0;
  if (row < call.n) {
    const uint64_t own = job.of.width / job.groups;
    for (uint64_t g = 0; g < job.groups; ++g) {
      float sum = 0.0f;
      for (uint64_t c = 0; c < own; ++c) sum += job.bits[row * job.of.width + g * own + c];
      job.sums[row * job.groups + g] = sum;
      total += static_cast<double>(sum) * static_cast<double>(job.weights[row * job.groups + g]);
    }
    if (job.by_r != nullptr) job.by_r[row] = step_slope(job.of, row, job.by_log_step);
  }
  total = block_sum(scratch, total);
  if (threadIdx.x == 0) call.partial[blockIdx.y * gridDim.x + blockIdx.x] = total;
}

bool usable(const RateCall& call) {
  if (call.n >= 1u << 30 || call.jobs < 1 || call.jobs > MAX_JOBS) return false;
  if (call.chunks < 0 || call.chunks > MAX_CHUNKS) return false;
  for (int j = 0; j < call.jobs; ++j) {
    const RateJob& job = call.job[j];
    if (job.of.width < 1 || job.of.width >= 1u << 16 || job.groups < 1 || job.of.width % job.groups != 0)
      return false;
    if (job.beside >= call.jobs) return false;
  }
  return true;
}

}  // namespace
}  // namespace gspc

GSPC_EXPORT int gspc_rate_bits(const gspc::RateCall* given, cudaStream_t stream) {
  using namespace gspc;
  RateCall call = *given;
  if (!usable(call)) return static_cast<int>(cudaErrorInvalidValue);
  uint64_t widest = 0;
  for (int j = 0; j < call.jobs; ++j) {
    call.job[j].key = key_of(call.job[j].key);
    widest = widest < call.job[j].of.width ? call.job[j].of.width : widest;
  }
  const unsigned row_blocks = blocks(call.n), jobs = static_cast<unsigned>(call.jobs);
  if (call.n > 0) {
    GSPC_LAUNCH(bits_found, dim3(blocks(call.n * widest), jobs), dim3(BLOCK), stream, call);
    GSPC_LAUNCH(rows_added, dim3(row_blocks, jobs), dim3(BLOCK), stream, call);
  }
  GSPC_LAUNCH(parts_added, dim3(1), dim3(BLOCK), stream, call.partial, row_blocks * jobs, 1.0, call.total);
  return launch_status();
}
