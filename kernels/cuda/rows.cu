// Rows of per-anchor parameters for one training step: the CUDA twin of kernels/rows, whose header has the
// formulas. Gradients are gathered, row by row in the order of the places
// that read it, so that results repeat bit for bit.
#include "rows.cuh"

#include "noise.cuh"
#include "scan.cuh"

namespace gspc {
namespace {

// The width of row i's noise, and its derivative by the step or its parameter.
struct Amount {
  float value, slope;
};

__device__ inline Amount amount_of(const RowsAttribute& of, uint64_t i) {
  if (of.step == nullptr) return {of.scale, 0.0f};
  const float step = of.step[i * of.step_stride];
  if (of.of_r == 0) return {of.scale * step, of.scale};
  const RelativeStep relative = relative_step(step);
  return {of.scale * relative.value, of.scale * relative.slope};
}

__device__ inline float on_grid(const RowsAttribute& of, uint64_t row, uint64_t at) {
  float units = static_cast<float>(of.finest);
  const float center = of.center[at], step = of.step[row];
  float k = floorf((of.values[at] - center) * (units / step) + 0.5f);
  for (int j = 0; j < of.coarser; ++j, units /= 3.0f) k = floorf((k + 1.0f) / 3.0f);
  return center + k * (step / units);
}

// Rows of `index`, then those of `also`, of one attribute each block row.
__global__ void __launch_bounds__(BLOCK) rows_taken(RowsCall call) {
  const RowsAttribute& of = call.attribute[blockIdx.y];
  const uint64_t number = thread_number();
  if (number >= (call.count + call.also_count) * of.width) return;
  const uint64_t i = number / of.width, c = number - i * of.width;
  if (i >= call.count) {
    of.plain[(i - call.count) * of.width + c] =
        of.values[static_cast<uint64_t>(call.also[i - call.count]) * of.width + c];
    return;
  }
  const uint64_t row = static_cast<uint64_t>(call.index[i]), at = row * of.width + c;
  of.out[number] = of.center != nullptr
                       ? on_grid(of, row, at)
                       : of.values[at] + amount_of(of, i).value * noise(of.seed, static_cast<uint32_t>(at));
}

// Where rows are read: chains of the places in `also`, whose order the timing decides.
__global__ void __launch_bounds__(BLOCK) places_noted(RowsCall call) {
  const uint64_t i = thread_number();
  if (i < call.count) call.place[call.index[i]] = static_cast<int32_t>(i);
  if (i < call.also_count) call.before[i] = atomicExch(call.last + call.also[i], static_cast<int32_t>(i));
}

// The sum of column c of the gradients of all places in `also` that read a row, in ascending order.
__device__ inline float also_added(const RowsCall& call, uint64_t row, const float* by, uint64_t width,
                                   uint64_t c) {
  float sum = 0.0f;
  for (int32_t done = -1;;) {
    int32_t next = INT32_MAX;
    for (int32_t i = call.last[row]; i >= 0; i = call.before[i])
      if (i > done && i < next) next = i;
    if (next == INT32_MAX) return sum;
    sum += by[static_cast<uint64_t>(next) * width + c];
    done = next;
  }
}

// The derivative by the step of row i of `index`, which is row `row` of all.
__device__ inline float step_slope(const RowsAttribute& of, uint64_t i, uint64_t row) {
  const uint32_t first = static_cast<uint32_t>(row * of.width);
  float sum = 0.0f;
  if (of.by_out != nullptr)
    for (uint64_t c = 0; c < of.width; ++c)
      sum += of.by_out[i * of.width + c] * noise(of.seed, first + static_cast<uint32_t>(c));
  return sum * amount_of(of, i).slope;
}

__global__ void __launch_bounds__(BLOCK) rows_gathered(RowsCall call) {
  const RowsAttribute& of = call.attribute[blockIdx.y];
  const uint64_t number = thread_number();
  if (number >= call.n * of.width) return;
  const uint64_t row = number / of.width, c = number - row * of.width;
  const int32_t place = call.place[row];
  float sum =
      place >= 0 && of.by_out != nullptr ? of.by_out[static_cast<uint64_t>(place) * of.width + c] : 0.0f;
  if (of.by_plain != nullptr) sum += also_added(call, row, of.by_plain, of.width, c);
  of.by_values[number] = sum;
  if (c == 0 && place >= 0 && of.by_step != nullptr) {
    const uint64_t i = static_cast<uint64_t>(place);
    of.by_step[i * of.step_stride] = step_slope(of, i, row);
  }
}

__device__ inline float safe_exp(float x) { return expf(limited(x, -87.0f, 87.0f).value); }

// exp of the logit of mask number `at` of n * K.
__device__ inline float odds_of(const MaskCall& call, uint64_t at) {
  const float* m = call.masks + at * call.planes;
  float odds = safe_exp(m[0]);
  for (uint64_t j = 1; j < call.level; ++j) odds *= 1.0f + safe_exp(m[j]);
  return odds;
}

__device__ inline float mask_of(const MaskCall& call, uint64_t at) {
  return odds_of(call, at) > 0.01f / 0.99f ? 1.0f : 0.0f;  // of the masks' threshold
}

__global__ void __launch_bounds__(BLOCK) masks_taken(MaskCall call) {
  __shared__ double scratch[BLOCK];
  const RowsCall& rows = call.rows;
  const uint64_t width = call.offsets * call.planes, step = static_cast<uint64_t>(gridDim.x) * BLOCK;
  for (uint64_t i = thread_number(); i < rows.count * call.offsets; i += step) {
    const uint64_t row = i / call.offsets;
    call.out[i] = mask_of(call, static_cast<uint64_t>(rows.index[row]) * call.offsets + i % call.offsets);
  }
  for (uint64_t i = thread_number(); i < rows.also_count * width; i += step)
    call.plain[i] = call.masks[static_cast<uint64_t>(rows.also[i / width]) * width + i % width];
  double open = 0.0;
  for (uint64_t i = thread_number(); i < rows.n * call.offsets; i += step)
    open += static_cast<double>(mask_of(call, i));
  open = block_sum(scratch, open);
  if (threadIdx.x == 0) call.parts[blockIdx.x] = open;
}

__global__ void __launch_bounds__(BLOCK) masks_gathered(MaskCall call) {
  const uint64_t at = thread_number();
  if (at >= call.rows.n * call.offsets) return;
  const uint64_t row = at / call.offsets, k = at - row * call.offsets, width = call.offsets * call.planes;
  const int32_t place = call.rows.place[row];
  float by = call.by_open != nullptr ? call.by_open[0] : 0.0f;
  if (place >= 0 && call.by_out != nullptr)
    by += call.by_out[static_cast<uint64_t>(place) * call.offsets + k];
  const float rest = 1.0f / (1.0f + odds_of(call, at)), by_logit = by * (1.0f - rest) * rest;
  for (uint64_t s = 0; s < call.planes; ++s) {
    const float e = s == 0 || s >= call.level ? 0.0f : safe_exp(call.masks[at * call.planes + s]);
    float sum = s == 0 ? by_logit : s < call.level ? by_logit * (e / (1.0f + e)) : 0.0f;
    if (call.by_plain != nullptr)
      sum += also_added(call.rows, row, call.by_plain, width, k * call.planes + s);
    call.by_masks[at * call.planes + s] = sum;
  }
}

bool usable(const RowsCall& call) {
  return call.n < 1u << 30 && call.count <= call.n && call.also_count < 1u << 30 && call.attributes >= 0 &&
         call.attributes <= MAX_ATTRIBUTES;
}

RowsCall keyed(const RowsCall& given, uint64_t* widest) {
  RowsCall call = given;
  *widest = 0;
  for (int i = 0; i < call.attributes; ++i) {
    call.attribute[i].seed = key_of(call.attribute[i].seed);
    *widest = *widest < call.attribute[i].width ? call.attribute[i].width : *widest;
  }
  return call;
}

}  // namespace
}  // namespace gspc

GSPC_EXPORT int gspc_rows_taken(const gspc::RowsCall* given, cudaStream_t stream) {
  using namespace gspc;
  if (!usable(*given)) return INVALID;
  uint64_t widest;
  const RowsCall call = keyed(*given, &widest);
  const uint64_t most = (call.count + call.also_count) * widest;
  const dim3 grid(blocks(most), static_cast<unsigned>(call.attributes));
  if (most > 0) GSPC_LAUNCH(rows_taken, grid, dim3(BLOCK), stream, call);
  return launch_status();
}

// Fills the scratch of the backward passes.
GSPC_EXPORT int gspc_rows_places(const gspc::RowsCall* given, cudaStream_t stream) {
  using namespace gspc;
  const RowsCall call = *given;
  if (!usable(call)) return INVALID;
  const uint64_t most = call.count > call.also_count ? call.count : call.also_count;
  if (most > 0) GSPC_LAUNCH(places_noted, dim3(blocks(most)), dim3(BLOCK), stream, call);
  return launch_status();
}

// Writes all of by_values, and by_step where there is one.
GSPC_EXPORT int gspc_rows_gathered(const gspc::RowsCall* given, cudaStream_t stream) {
  using namespace gspc;
  if (!usable(*given)) return INVALID;
  uint64_t widest;
  const RowsCall call = keyed(*given, &widest);
  const unsigned attributes = static_cast<unsigned>(call.attributes);
  if (call.n * widest > 0)
    GSPC_LAUNCH(rows_gathered, dim3(blocks(call.n * widest), attributes), dim3(BLOCK), stream, call);
  return launch_status();
}

GSPC_EXPORT int gspc_rows_masks(const gspc::MaskCall* given, cudaStream_t stream) {
  using namespace gspc;
  const MaskCall call = *given;
  if (!usable(call.rows) || call.level < 1 || call.level > call.planes) return INVALID;
  const unsigned parts = few_blocks(call.rows.n * call.offsets);
  GSPC_LAUNCH(masks_taken, dim3(parts), dim3(BLOCK), stream, call);
  GSPC_LAUNCH(parts_added, dim3(1), dim3(BLOCK), stream, call.parts, parts, 1.0, call.open);
  return launch_status();
}

GSPC_EXPORT int gspc_rows_masks_gathered(const gspc::MaskCall* given, cudaStream_t stream) {
  using namespace gspc;
  const MaskCall call = *given;
  if (!usable(call.rows) || call.level < 1 || call.level > call.planes) return INVALID;
  const uint64_t masks = call.rows.n * call.offsets;
  if (masks > 0) GSPC_LAUNCH(masks_gathered, dim3(blocks(masks)), dim3(BLOCK), stream, call);
  return launch_status();
}
