#include <algorithm>
#include <cstring>

#include "codec/context/network_isa.hpp"
#include "codec/entropy/tables.hpp"
#include "codec/stream/parallel.hpp"
#include "codec/stream/stream.hpp"

namespace gspc {

namespace {

[[noreturn]] void fail_in(const Chunk& chunk, const StreamError& error) {
  const std::string text = error.what();
  stream_fail(text.rfind("chunk ", 0) == 0 || text.rfind("network ", 0) == 0 ? text
                                                                             : chunk.name() + ": " + text);
}

// Chunks by what they are; slices[level][slice], payload nullptr where a slice is not in this level.
struct Contents {
  const Chunk* cameras = nullptr;
  const Chunk* metadata = nullptr;
  const Chunk* frame = nullptr;
  const Chunk* grid = nullptr;
  const Chunk* heads = nullptr;
  std::vector<const Chunk*> networks;
  std::vector<std::vector<const Chunk*>> slices;
};

void take_once(const Chunk*& place, const Chunk& chunk) {
  if (place != nullptr) stream_fail(chunk.name() + ": appears twice");
  place = &chunk;
}

Contents sort_chunks(const Container& file) {
  Contents c;
  for (const Chunk& chunk : file.front) {
    check_crc(chunk);
    if (chunk.tag == kTagCameras) take_once(c.cameras, chunk);
    else if (chunk.tag == kTagMetadata) take_once(c.metadata, chunk);
    else if (chunk.tag == kTagFrame) take_once(c.frame, chunk);
    else if (!chunk.ancillary())
      stream_fail(chunk.name() + ": unknown and needed to read this stream; update gspc");
  }
  for (size_t l = 0; l < file.levels.size(); ++l) {
    const Chunk* networks = nullptr;
    std::vector<const Chunk*> slices(file.index.slices(), nullptr);
    for (const Chunk& chunk : file.levels[l]) {
      check_crc(chunk);
      if (chunk.tag == kTagSlice) slices[chunk.slice] = &chunk;
      else if (chunk.tag == kTagNetworks) take_once(networks, chunk);
      else if (chunk.tag == kTagGrid && l == 0) take_once(c.grid, chunk);
      else if (chunk.tag == kTagHeads && l == 0) take_once(c.heads, chunk);
      else if (!chunk.ancillary())
        stream_fail(chunk.name() + ": unknown and needed to read this stream; update gspc");
    }
    const bool parameters = networks != nullptr && (l > 0 || (c.grid != nullptr && c.heads != nullptr));
    if (!parameters) stream_fail("level " + std::to_string(l + 1) + ": a chunk of parameters is missing");
    c.networks.push_back(networks);
    c.slices.push_back(std::move(slices));
  }
  return c;
}

template <class Read>
auto read_part(const Chunk& chunk, Read read) {
  try {
    return read(chunk.payload, static_cast<size_t>(chunk.length));
  } catch (const StreamError& error) {
    fail_in(chunk, error);
  }
}

// Slices and where their anchors go.
struct Plan {
  std::vector<std::vector<SliceParts>> parts;  // [level][slice]
  std::vector<size_t> first;                   // of each slice in the output, then the total
  std::vector<int> level;                      // finest level of each slice
  size_t largest = 0;
};

Plan make_plan(const Container& file, const Contents& contents) {
  Plan plan;
  const size_t slices = file.index.slices();
  std::vector<size_t> anchors(slices, 0);
  plan.level.assign(slices, 0);
  for (size_t l = 0; l < contents.slices.size(); ++l) {
    plan.parts.emplace_back(slices);
    uint64_t sum = 0;
    for (size_t i = 0; i < slices; ++i) {
      const Chunk* chunk = contents.slices[l][i];
      if (chunk == nullptr) continue;
      plan.parts[l][i] = read_slice(*chunk);
      plan.level[i] = static_cast<int>(l) + 1;
      anchors[i] += plan.parts[l][i].fresh;
      sum += plan.parts[l][i].fresh;
    }
    if (sum != file.index.levels[l].anchors)
      stream_fail("level " + std::to_string(l + 1) + ": the index counts " +
                  std::to_string(file.index.levels[l].anchors) + " anchors, its slices " +
                  std::to_string(sum));
  }
  size_t at = 0;
  for (size_t n : anchors) {
    plan.first.push_back(at);
    at += n;
    plan.largest = std::max(plan.largest, n);
  }
  plan.first.push_back(at);
  return plan;
}

void check_memory(const StreamHeader& h, const Plan& plan, size_t workers, const DecodeOptions& options) {
  const uint64_t k = static_cast<uint64_t>(h.offsets()), c = static_cast<uint64_t>(h.context_size());
  const uint64_t values = static_cast<uint64_t>(h.values());
  const uint64_t repeated = options.symbols ? 0 : 6 - static_cast<uint64_t>(h.scales());  // of one log scale
  const uint64_t restored = values + static_cast<uint64_t>(h.pool.features) + repeated;
  const uint64_t anchor = 12 + 4 * restored + k + (options.symbols ? 2 * values + 3 : 0);
  const uint64_t working = 40 + k + 2 * c + 32 * values;
  constexpr uint64_t kBuffers = 384 << 10;  // a worker's, for batches through the networks
  const uint64_t need =
      plan.first.back() * anchor + workers * (plan.largest * working + kBuffers) + grid_entries(h.grid);
  if (need > options.max_memory)
    stream_fail("decoding needs about " + std::to_string((need >> 20) + 1) + " MiB of memory, the limit is " +
                std::to_string(options.max_memory >> 20) + " MiB; raise --max-memory");
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
  std::vector<IdealBits> ideal;
};

// All levels of one slice, into worker.state.
void decode_slice(const Container& file, const Contents& contents, const Plan& plan, const StreamModel& model,
                  size_t slice, Worker& worker) {
  worker.state.reset(model.header, plan.first[slice + 1] - plan.first[slice]);
  const KeyInterval interval = slice_interval(file.index, slice, model.header.position_bits);
  for (int level = 1; level <= plan.level[slice]; ++level) {
    const size_t l = static_cast<size_t>(level) - 1;
    const SliceParts& parts = plan.parts[l][slice];
    try {
      SliceReader streams(parts.positions, parts.masks, parts.escapes, parts.lanes);
      worker.scratch.ideal = IdealBits{};
      const size_t appearing =
          code_slice_level(streams, model, worker.state, worker.scratch, level, interval, parts.fresh);
      if (appearing != parts.gaussians) stream_fail("the count of Gaussians is not what the masks say");
    } catch (const StreamError& error) {
      fail_in(*contents.slices[l][slice], error);
    }
    worker.ideal[l] += worker.scratch.ideal;
  }
}

StreamModel read_model(const Contents& contents, const StreamHeader& header, int levels) {
  if (levels > 1 && !header.holds_levels())
    stream_fail("chunk HEAD: more than one level, but no trit networks");
  Networks networks(header, levels);
  for (int level = 1; level <= levels; ++level)
    read_part(*contents.networks[static_cast<size_t>(level) - 1],
              [&](const uint8_t* p, size_t n) { read_networks(networks, level, p, n); });
  return {header,
          read_part(*contents.grid, [&](const uint8_t* p, size_t n) { return read_grid(header.grid, p, n); }),
          networks, levels};
}

}  // namespace

DecodedStream decode_stream(const uint8_t* data, size_t size, const DecodeOptions& options) {
  const Container file = read_container(data, size, options.upto);
  DecodedStream out;
  out.levels_in_file = static_cast<int>(file.index.levels.size());
  out.truncated = file.truncated;
  out.header = read_header(file.head.payload, file.head.length);
  if (options.upto > out.levels_in_file)
    stream_fail("level " + std::to_string(options.upto) + " was asked for, the stream has " +
                std::to_string(out.levels_in_file));
  if (options.upto > file.whole_levels)
    stream_fail("truncated: level " + std::to_string(options.upto) +
                " was asked for, the last whole one is " + std::to_string(file.whole_levels));
  out.level = file.whole_levels;
  if (file.index.first_key.back() >> (3 * out.header.position_bits))
    stream_fail("chunk INDX: slices beyond the positions");
  const Contents contents = sort_chunks(file);
  const Plan plan = make_plan(file, contents);
  const size_t slices = file.index.slices();
  const size_t workers = worker_count(options.threads, slices);
  check_memory(out.header, plan, workers, options);

  out.heads =
      read_part(*contents.heads, [&](const uint8_t* p, size_t n) { return read_heads(out.header, p, n); });
  if (contents.cameras != nullptr) out.cameras = read_part(*contents.cameras, read_cameras);
  if (contents.frame != nullptr) out.frame = read_part(*contents.frame, read_frame);
  if (contents.metadata != nullptr) {
    if (contents.metadata->length > kMaxMetadataBytes) stream_fail("chunk meta: longer than 1 MiB");
    out.metadata.assign(reinterpret_cast<const char*>(contents.metadata->payload), contents.metadata->length);
  }
  const StreamModel model = read_model(contents, out.header, out.level);

  out.count = plan.first.back();
  allocate(out, options);
  std::vector<uint64_t> hashes(slices);
  std::vector<Worker> states(workers,
                             Worker{{}, SliceScratch(out.header), std::vector<IdealBits>(plan.parts.size())});
  for (Worker& worker : states) worker.scratch.want_ideal = options.ideal;
  const size_t k = static_cast<size_t>(out.header.offsets());
  parallel_items(workers, slices, [&](size_t w, size_t item) {
    const size_t i = options.reverse ? slices - 1 - item : item;
    const SliceState& state = states[w].state;
    decode_slice(file, contents, plan, model, i, states[w]);
    hashes[i] = hash_slice(state);
    store(out.gaussian_level, plan.first[i] * k, state.gaussian_level.data(), state.count * k);
    if (options.symbols) store_symbols(out, state, plan.first[i]);
    else store_values(out, model, state, states[w].scratch, plan.first[i], plan.level[i]);
  });
  for (uint64_t hash : hashes) out.hash = hash_words(out.hash, hash);
  out.ideal.resize(plan.parts.size());
  for (const Worker& worker : states)
    for (size_t l = 0; l < out.ideal.size(); ++l) out.ideal[l] += worker.ideal[l];
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
