#include <algorithm>
#include <cstring>

#include "codec/context/network_isa.hpp"
#include "codec/entropy/tables.hpp"
#include "codec/stream/parallel.hpp"
#include "codec/stream/plan.hpp"
#include "codec/stream/stream.hpp"

namespace gspc {

namespace {

uint64_t scene_memory(const StreamPlan& plan, bool symbols) {
  const StreamHeader& h = plan.header;
  const uint64_t values = static_cast<uint64_t>(h.values());
  const uint64_t repeated = symbols ? 0 : 6 - static_cast<uint64_t>(h.scales());  // of one log scale
  const uint64_t restored = values + static_cast<uint64_t>(h.pool.features) + repeated;
  const uint64_t anchor =
      12 + 4 * restored + static_cast<uint64_t>(h.offsets()) + (symbols ? 2 * values + 3 : 0);
  return plan.anchors() * anchor;
}

// Arrays of the whole scene that slices are stored into.
void allocate(DecodedStream& out, const DecodeOptions& options) {
  const size_t n = out.count, k = static_cast<size_t>(out.header.offsets());
  out.gaussian_level = Buffer<uint8_t>(n * k);
  if (options.symbols) {
    out.positions = Buffer<int32_t>(n * 3);
    for (int a : {kFeatures, kScaling, kOffsets})
      out.attribute_symbols[a] = Buffer<int32_t>(n * static_cast<size_t>(out.header[a].values));
    out.means = Buffer<int16_t>(n * static_cast<size_t>(out.header.values()));
    out.steps = Buffer<uint8_t>(n * 3);
  } else {
    out.anchors = Buffer<float>(n * 3);
    out.features = Buffer<float>(n * static_cast<size_t>(out.header.restored_features()));
    out.log_scales = Buffer<float>(n * 6);
    out.offsets = Buffer<float>(n * k * 3);
  }
}

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
}

void store_values(DecodedStream& out, const StreamModel& model, const SliceState& state,
                  SliceScratch& scratch, size_t first, int level) {
  const StreamHeader& h = out.header;
  const size_t f = static_cast<size_t>(h.features()), k = static_cast<size_t>(h.offsets());
  const size_t scales = static_cast<size_t>(h.scales());
  const size_t pool = static_cast<size_t>(h.pool.features), attributes = static_cast<size_t>(h.values());
  double divisor[3] = {16384, 16384, 16384};
  for (int a : {kFeatures, kScaling, kOffsets})
    for (int s = 1; s < h[a].step_level(level); ++s) divisor[a] *= 3;
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
      step[a] = h[a].step_base * step_table()[state.steps[i * 3 + a]] / divisor[a];
    restore(mean, state.symbols[kFeatures].data() + i * f, h[0].step_base / 64, step[0], f,
            features + i * (pool + f) + pool);
    float* log_scales = out.log_scales.data.get() + n * 6;
    restore(mean + f, state.symbols[kScaling].data() + i * scales, h[1].step_base / 64, step[1], scales,
            log_scales);
    for (size_t j = scales; j < 6; ++j) log_scales[j] = log_scales[0];
    float* offsets = out.offsets.data.get() + n * k * 3;
    restore(mean + f + scales, state.symbols[kOffsets].data() + i * k * 3, h[2].step_base / 64, step[2],
            k * 3, offsets);
    for (size_t j = 0; j < k; ++j)
      if (state.gaussian_level[i * k + j] == 0) offsets[3 * j] = offsets[3 * j + 1] = offsets[3 * j + 2] = 0;
  }
}

struct Worker {
  SliceState state;
  SliceScratch scratch;
  std::vector<ComponentBits> ideal;
};

void decode_slice(const StreamPlan& plan, const StreamModel& model, size_t slice, Worker& worker) {
  walk_slice(
      plan, model, slice, worker.state, worker.scratch,
      [&](int level) { return SliceReader(plan.parts[static_cast<size_t>(level) - 1][slice]); },
      [](int, SliceReader&) {});
}

// The same, and adds to worker.ideal.
void measure_slice(const StreamPlan& plan, const StreamModel& model, size_t slice, Worker& worker) {
  walk_slice(
      plan, model, slice, worker.state, worker.scratch,
      [&](int level) {
        const SliceParts& parts = plan.parts[static_cast<size_t>(level) - 1][slice];
        return SliceMeter(parts, worker.state.count + parts.fresh);
      },
      [&](int level, const SliceMeter& meter) {
        ComponentBits& sums = worker.ideal[static_cast<size_t>(level) - 1];
        for (size_t i = 0; i < meter.bits.size(); ++i) sums[i % kComponents] += meter.bits[i];
      });
}

// Everything beside anchors, grid and networks.
void read_rest(const StreamPlan& plan, DecodedStream& out) {
  const StreamChunks& chunks = plan.chunks;
  out.heads =
      read_part(*chunks.heads, [&](const uint8_t* p, size_t n) { return read_heads(out.header, p, n); });
  if (chunks.cameras != nullptr) out.cameras = read_part(*chunks.cameras, read_cameras);
  if (chunks.frame != nullptr) out.frame = read_part(*chunks.frame, read_frame);
  if (chunks.metadata != nullptr) {
    if (chunks.metadata->length > kMaxMetadataBytes) stream_fail_in("chunk meta", "longer than 1 MiB");
    out.metadata.assign(reinterpret_cast<const char*>(chunks.metadata->payload), chunks.metadata->length);
  }
}

}  // namespace

DecodedStream decode_stream(const uint8_t* data, size_t size, const DecodeOptions& options) {
  const StreamPlan plan = plan_stream(data, size, options.upto);
  const size_t slices = plan.slices(), levels = plan.parts.size();
  const size_t workers = worker_count(options.threads, slices);
  check_memory(scene_memory(plan, options.symbols) + walk_memory(plan, workers), options.max_memory,
               "decoding");
  DecodedStream out;
  out.header = plan.header;
  out.level = plan.levels();
  out.levels_in_file = static_cast<int>(plan.file.index.levels.size());
  out.truncated = plan.file.truncated;
  out.count = plan.anchors();
  read_rest(plan, out);
  const StreamModel model = read_model(plan);

  allocate(out, options);
  std::vector<uint64_t> hashes(slices);
  std::vector<Worker> states(
      workers, Worker{{}, SliceScratch(out.header), std::vector<ComponentBits>(levels, ComponentBits{})});
  const size_t k = static_cast<size_t>(out.header.offsets());
  parallel_items(workers, slices, [&](size_t w, size_t item) {
    const size_t i = options.reverse ? slices - 1 - item : item;
    const SliceState& state = states[w].state;
    if (options.ideal) measure_slice(plan, model, i, states[w]);
    else decode_slice(plan, model, i, states[w]);
    hashes[i] = hash_slice(state);
    store(out.gaussian_level, plan.first[i] * k, state.gaussian_level.data(), state.count * k);
    if (options.symbols) store_symbols(out, state, plan.first[i]);
    else store_values(out, model, state, states[w].scratch, plan.first[i], plan.slice_levels[i]);
  });
  for (uint64_t hash : hashes) out.hash = hash_words(out.hash, hash);
  out.ideal.resize(levels, ComponentBits{});
  for (const Worker& worker : states)
    for (size_t l = 0; l < levels; ++l)
      for (size_t c = 0; c < kComponents; ++c) out.ideal[l][c] += worker.ideal[l][c];
  return out;
}

void predict_scene(const StreamModel& model, const int32_t* positions, size_t count, int threads,
                   int16_t* means, uint8_t* steps) {
  constexpr size_t kRun = 4096;
  const size_t items = (count + kRun - 1) / kRun;
  const size_t workers = worker_count(threads, items);
  std::vector<SliceState> states(workers);
  std::vector<SliceScratch> scratch(workers, SliceScratch(model.header));
  const size_t attributes = static_cast<size_t>(model.header.values());
  parallel_items(workers, items, [&](size_t w, size_t item) {
    const size_t first = item * kRun, n = std::min(kRun, count - first);
    states[w].reset(model.header, n);
    states[w].positions.assign(positions + 3 * first, positions + 3 * (first + n));
    predict_centers(model, states[w], scratch[w], 0, n, 0);
    std::copy_n(states[w].means.data(), n * attributes, means + first * attributes);
    std::copy_n(states[w].steps.data(), n * 3, steps + first * 3);
  });
}

void predict_pool_scene(const StreamModel& model, const int32_t* positions, size_t count, int threads,
                        float* features) {
  constexpr size_t kRun = 4096;
  const size_t items = (count + kRun - 1) / kRun, pool = static_cast<size_t>(model.header.pool.features);
  const size_t workers = worker_count(threads, items);
  std::vector<SliceScratch> scratch(workers, SliceScratch(model.header));
  parallel_items(workers, items, [&](size_t w, size_t item) {
    const size_t first = item * kRun;
    predict_pool(model, scratch[w], positions + 3 * first, nullptr, std::min(kRun, count - first),
                 features + first * pool, pool);
  });
}

}  // namespace gspc
