#include "codec/stream/restore.hpp"

#include <algorithm>

#include "codec/context/network_isa.hpp"
#include "codec/entropy/tables.hpp"

namespace gspc {

namespace {

template <class T, class V>
void store(Buffer<T>& out, size_t at, const V* values, size_t n) {
  std::copy_n(values, n, out.data.get() + at);
}

void store_symbols(DecodedStream& out, const SliceState& state, size_t first) {
  const size_t n = state.count, means = static_cast<size_t>(out.header.values());
  store(out.positions, first * 3, state.positions.data(), n * 3);
  for (int a : {kFeatures, kScaling, kOffsets}) {
    const size_t values = static_cast<size_t>(out.header[a].values);
    store(out.attribute_symbols[a], first * values, state.symbols[a].data(), n * values);
  }
  store(out.means, first * means, state.means.data(), n * means);
  store(out.steps, first * 3, state.steps.data(), n * 3);
  store(out.step_levels, first * 3, state.step_levels.data(), n * 3);
}

void store_values(DecodedStream& out, const StreamModel& model, const SliceState& state, int level,
                  SliceScratch& scratch, size_t first) {
  const StreamHeader& h = out.header;
  const size_t f = static_cast<size_t>(h.features()), k = static_cast<size_t>(h.offsets());
  const size_t scales = static_cast<size_t>(h.scales());
  const size_t pool = static_cast<size_t>(h.pool.features), attributes = static_cast<size_t>(h.values());
  double divisor[kMaxLevels + 1];  // of a step, by its stage
  divisor[1] = 16384;
  for (int t = 2; t <= kMaxLevels; ++t) divisor[t] = 3 * divisor[t - 1];
  const float swell = static_cast<float>(swell_at(out.swell, level));
  const auto restore = GSPC_DISPATCH(restore_kernel);
  float* const features = out.features.data.get() + first * (pool + f);
  if (pool > 0)
    predict_pool(model, scratch, state.positions.data(), h.pool.planes == 0 ? state.context.data() : nullptr,
                 state.count, features, pool + f);
  for (size_t i = 0; i < state.count; ++i) {
    const size_t n = first + i;
    for (size_t a = 0; a < 3; ++a)
      out.anchors.data[n * 3 + a] =
          static_cast<float>(state.positions[i * 3 + a] * h.voxel_size + h.origin[a]);
    const int16_t* mean = state.means.data() + i * attributes;
    double step[3];
    for (size_t a = 0; a < 3; ++a)
      step[a] = h.attributes[a].step_base * step_table()[state.steps[i * 3 + a]] /
                divisor[state.step_levels[i * 3 + a]];
    restore(mean, state.symbols[kFeatures].data() + i * f, h[0].step_base / 64, step[0], f,
            features + i * (pool + f) + pool);
    float* log_scales = out.log_scales.data.get() + n * 6;
    restore(mean + f, state.symbols[kScaling].data() + i * scales, h[1].step_base / 64, step[1], scales,
            log_scales);
    for (size_t j = scales; j < 6; ++j) log_scales[j] = log_scales[0];
    for (size_t j = 3; swell != 0 && j < 6; ++j) log_scales[j] += swell;
    float* offsets = out.offsets.data.get() + n * k * 3;
    restore(mean + f + scales, state.symbols[kOffsets].data() + i * k * 3, h[2].step_base / 64, step[2],
            k * 3, offsets);
    for (size_t j = 0; j < k; ++j)
      if (state.gaussian_level[i * k + j] == 0) offsets[3 * j] = offsets[3 * j + 1] = offsets[3 * j + 2] = 0;
  }
}

}  // namespace

uint64_t scene_bytes(const StreamHeader& h, bool symbols) {
  const uint64_t values = static_cast<uint64_t>(h.values());
  const uint64_t repeated = symbols ? 0 : 6 - static_cast<uint64_t>(h.scales());  // of one log scale
  const uint64_t restored = values + static_cast<uint64_t>(h.pool.features) + repeated;
  return 12 + 4 * restored + static_cast<uint64_t>(h.offsets()) + (symbols ? 2 * values + 6 : 0);
}

void allocate_scene(DecodedStream& out, bool symbols) {
  const size_t n = out.count, k = static_cast<size_t>(out.header.offsets());
  out.gaussian_level = Buffer<uint8_t>(n * k);
  if (symbols) {
    out.positions = Buffer<int32_t>(n * 3);
    for (int a : {kFeatures, kScaling, kOffsets})
      out.attribute_symbols[a] = Buffer<int32_t>(n * static_cast<size_t>(out.header[a].values));
    out.means = Buffer<int16_t>(n * static_cast<size_t>(out.header.values()));
    out.steps = Buffer<uint8_t>(n * 3);
    out.step_levels = Buffer<uint8_t>(n * 3);
  } else {
    out.anchors = Buffer<float>(n * 3);
    out.features = Buffer<float>(n * static_cast<size_t>(out.header.restored_features()));
    out.log_scales = Buffer<float>(n * 6);
    out.offsets = Buffer<float>(n * k * 3);
  }
}

void store_slice(DecodedStream& out, const StreamModel& model, const SliceState& state, int level,
                 SliceScratch& scratch, size_t first, bool symbols) {
  const size_t k = static_cast<size_t>(out.header.offsets());
  store(out.gaussian_level, first * k, state.gaussian_level.data(), state.count * k);
  if (symbols) store_symbols(out, state, first);
  else store_values(out, model, state, level, scratch, first);
}

void read_surroundings(const StreamChunks& chunks, DecodedStream& out) {
  if (chunks.cameras != nullptr) out.cameras = read_part(*chunks.cameras, read_cameras);
  if (chunks.frame != nullptr) out.frame = read_part(*chunks.frame, read_frame);
  if (chunks.swell != nullptr) out.swell = read_part(*chunks.swell, read_swell);
  if (chunks.metadata != nullptr) {
    if (chunks.metadata->length > kMaxMetadataBytes) stream_fail_in("chunk meta", "longer than 1 MiB");
    out.metadata.assign(reinterpret_cast<const char*>(chunks.metadata->payload), chunks.metadata->length);
  }
}

void read_head_layers(const StreamChunks& chunks, DecodedStream& out) {
  out.heads =
      read_part(*chunks.heads, [&](const uint8_t* p, size_t n) { return read_heads(out.header, p, n); });
}

}  // namespace gspc
