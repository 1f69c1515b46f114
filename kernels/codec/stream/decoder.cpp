#include <algorithm>

#include "codec/stream/parallel.hpp"
#include "codec/stream/plan.hpp"
#include "codec/stream/restore.hpp"
#include "codec/stream/stream.hpp"

namespace gspc {

namespace {

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

DecodeCost cost_of(const StreamPlan& plan, size_t workers, const DecodeOptions& options) {
  const uint64_t scene = plan.anchors() * scene_bytes(plan.header, options.symbols);
  return {scene + walk_memory(plan, workers), walk_work(plan)};
}

}  // namespace

DecodeCost decode_cost(const uint8_t* data, size_t size, const DecodeOptions& options) {
  const StreamPlan plan = plan_stream(data, size, options.upto);
  return cost_of(plan, worker_count(options.threads, plan.slices()), options);
}

DecodedStream decode_stream(const uint8_t* data, size_t size, const DecodeOptions& options) {
  const StreamPlan plan = plan_stream(data, size, options.upto);
  const size_t slices = plan.slices(), levels = plan.parts.size();
  const size_t workers = worker_count(options.threads, slices);
  const DecodeCost cost = cost_of(plan, workers, options);
  check_memory(cost.memory, options.max_memory, "decoding");
  check_work(cost.work, options, plan.file.file_bytes);
  DecodedStream out;
  out.header = plan.header;
  out.level = plan.levels();
  out.levels_in_file = static_cast<int>(plan.file.index.levels.size());
  out.truncated = plan.file.truncated;
  out.count = plan.anchors();
  read_head_layers(plan.chunks, out);
  read_surroundings(plan.chunks, out);
  const StreamModel model = read_model(plan);

  allocate_scene(out, options.symbols);
  std::vector<uint64_t> hashes(slices);
  std::vector<Worker> states(
      workers, Worker{{}, SliceScratch(out.header), std::vector<ComponentBits>(levels, ComponentBits{})});
  parallel_items(workers, slices, [&](size_t w, size_t item) {
    const size_t i = options.reverse ? slices - 1 - item : item;
    const SliceState& state = states[w].state;
    check_cancel(options);
    if (options.ideal) measure_slice(plan, model, i, states[w]);
    else decode_slice(plan, model, i, states[w]);
    hashes[i] = hash_slice(out.header, state);
    store_slice(out, model, state, plan.slice_levels[i], states[w].scratch, plan.first[i], options.symbols);
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
