// What a decoder knows already, as networks see it: the inputs of the intra-anchor context and their
// derivatives, and the trits of a level with the values at the level before. See kernels/rate for formulas.
#include "gaussian.cuh"

namespace gspc {
namespace {

constexpr float SO_FAR_LIMIT = 2047.0f / 512.0f;

// An element of [n, width], one a thread.
struct Element {
  uint64_t number, row, c;
  bool there;
};

__device__ inline Element element_of(uint64_t n, uint64_t width) {
  const uint64_t i = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  return {i, i / width, i % width, i < n * width};
}

__global__ void __launch_bounds__(BLOCK) trit_elements(TritCall call) {
  const Element at = element_of(call.n, call.of.width);
  if (!at.there) return;
  const RateRows& of = call.of;
  const Symbols symbols = symbols_of(of, at.row, at.c);
  float bins = 3.0f;  // of the finest grid in one of the level before
  for (int j = 0; j < of.coarser; ++j) bins *= 3.0f;
  const float unit =
      step_of(of.r[at.row * of.r_stride], 1.0f).relative * (bins / static_cast<float>(of.finest)) / 8.0f;
  call.so_far[at.number] = limited(symbols.above * unit, -SO_FAR_LIMIT, SO_FAR_LIMIT).value;
  call.trits[at.number] = symbols.here - 3.0f * symbols.above;
}

__global__ void __launch_bounds__(BLOCK) chunk_input_elements(ChunkCall call) {
  const Element at = element_of(call.n, call.of.width);
  if (!at.there) return;
  const RateRows& of = call.of;
  const uint64_t row = at.row, c = at.c;
  const Step step = step_of(of.r[row * of.r_stride], of.refinement);
  const float symbol = floorf(exact_distance(of, row, c, of.base * step.relative) + 0.5f);
  const float so_far = limited(symbol * step.relative / 8.0f, -SO_FAR_LIMIT, SO_FAR_LIMIT).value;
  for (int k = 0; k < call.chunks; ++k) {
    const uint64_t own = call.end[k] - call.first[k];
    float* inputs = call.inputs[k] + row * (2 * own + call.first[k]);
    if (c < call.first[k]) inputs[2 * own + c] = so_far;
    if (c < call.first[k] || c >= call.end[k]) continue;
    const float octaves = of.octaves[row * of.octave_stride + c] - 3.0f - step.log2;
    const float log2 = limited(octaves, LOWEST_LOG2, HIGHEST_LOG2).value;
    inputs[c - call.first[k]] = ((log2 - LOWEST_LOG2) * 12.0f - 64.0f) / 32.0f;
    inputs[own + c - call.first[k]] =
        limited(of.center[row * of.center_stride + c] / 8.0f, -SO_FAR_LIMIT, SO_FAR_LIMIT).value;
  }
}

__global__ void __launch_bounds__(BLOCK) chunk_input_slopes(ChunkCall call) {
  const Element at = element_of(call.n, call.of.width);
  if (!at.there) return;
  const RateRows& of = call.of;
  const uint64_t row = at.row, c = at.c;
  float by_center = 0.0f, by_octaves = 0.0f;
  for (int k = 0; k < call.chunks; ++k) {
    if (c < call.first[k] || c >= call.end[k]) continue;
    const uint64_t own = call.end[k] - call.first[k];
    const float* by = call.by_inputs[k] + row * (2 * own + call.first[k]) + (c - call.first[k]);
    const Step step = step_of(of.r[row * of.r_stride], of.refinement);
    const float octaves = of.octaves[row * of.octave_stride + c] - 3.0f - step.log2;
    by_octaves = by[0] * (12.0f / 32.0f) * limited(octaves, LOWEST_LOG2, HIGHEST_LOG2).inside;
    by_center = by[own] / 8.0f *
                limited(of.center[row * of.center_stride + c] / 8.0f, -SO_FAR_LIMIT, SO_FAR_LIMIT).inside;
  }
  call.by_center[at.number] = by_center;
  call.by_octaves[at.number] = by_octaves;
  call.by_log_step[at.number] = -by_octaves * INVERSE_LN2;
}

__global__ void __launch_bounds__(BLOCK) chunk_steps_added(ChunkCall call) {
  const uint64_t row = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  if (row < call.n) call.by_r[row] = step_slope(call.of, row, call.by_log_step);
}

bool usable(uint64_t n, const RateRows& of) { return n < 1u << 30 && of.width > 0 && of.width < 1u << 16; }

bool usable(const ChunkCall& call) {
  return usable(call.n, call.of) && call.chunks >= 0 && call.chunks <= MAX_CHUNKS;
}

}  // namespace
}  // namespace gspc

GSPC_EXPORT int gspc_rate_trits(const gspc::TritCall* given, cudaStream_t stream) {
  using namespace gspc;
  const TritCall call = *given;
  if (!usable(call.n, call.of)) return static_cast<int>(cudaErrorInvalidValue);
  if (call.n > 0) GSPC_LAUNCH(trit_elements, dim3(blocks(call.n * call.of.width)), dim3(BLOCK), stream, call);
  return launch_status();
}

GSPC_EXPORT int gspc_rate_chunk_inputs(const gspc::ChunkCall* given, cudaStream_t stream) {
  using namespace gspc;
  const ChunkCall call = *given;
  if (!usable(call)) return static_cast<int>(cudaErrorInvalidValue);
  if (call.n > 0)
    GSPC_LAUNCH(chunk_input_elements, dim3(blocks(call.n * call.of.width)), dim3(BLOCK), stream, call);
  return launch_status();
}

GSPC_EXPORT int gspc_rate_chunk_inputs_backward(const gspc::ChunkCall* given, cudaStream_t stream) {
  using namespace gspc;
  const ChunkCall call = *given;
  if (!usable(call)) return static_cast<int>(cudaErrorInvalidValue);
  if (call.n == 0) return 0;
  GSPC_LAUNCH(chunk_input_slopes, dim3(blocks(call.n * call.of.width)), dim3(BLOCK), stream, call);
  GSPC_LAUNCH(chunk_steps_added, dim3(blocks(call.n)), dim3(BLOCK), stream, call);
  return launch_status();
}
