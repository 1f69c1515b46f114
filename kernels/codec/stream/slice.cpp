// The traversal of one slice in coding order (man/pcgs.5, CODING ORDER).
#include <algorithm>

#include "codec/context/network_isa.hpp"
#include "codec/positions/morton.hpp"
#include "codec/stream/slice.hpp"
#include "codec/stream/slice_masks.hpp"
#include "codec/stream/slice_streams.hpp"
#include "codec/stream/slice_symbols.hpp"

namespace gspc {

namespace {

// The Gaussians of the first n that were alive before `level`: scratch.gaussians.
void find_older(const SliceState& state, SliceScratch& scratch, size_t n, int level) {
  scratch.gaussians.clear();
  for (size_t i = 0; i < n; ++i)
    if (state.gaussian_level[i] != 0 && state.gaussian_level[i] < level)
      scratch.gaussians.push_back(static_cast<uint32_t>(i));
}

// Those that appear at `level`, likewise.
void find_appearing(const SliceState& state, SliceScratch& scratch, int level) {
  scratch.gaussians.clear();
  for (size_t i = 0; i < state.gaussian_level.size(); ++i)
    if (state.gaussian_level[i] == level) scratch.gaussians.push_back(static_cast<uint32_t>(i));
}

// Work on each offset value of scratch.gaussians: its place in the run and in arrays [n, K, 3].
template <class Work>
void each_offset(const SliceScratch& scratch, Work work) {
  size_t j = 0;
  for (const size_t i : scratch.gaussians)
    for (size_t a = 3 * i; a < 3 * i + 3; ++a) work(j++, a);
}

// Offsets of scratch.gaussians, their targets and their tables move together, without those between: a run
// has no place for Gaussians that are not alive. Tables move within their arrays, always to the front.
void gather_offsets(const SliceState& state, SliceScratch& scratch, const int32_t* source,
                    TritModel trit_model) {
  MixtureRun& run = scratch.mixtures;
  scratch.symbols.resize(3 * scratch.gaussians.size());
  if (source != nullptr) scratch.targets.resize(scratch.symbols.size());
  each_offset(scratch, [&](size_t j, size_t a) {
    scratch.symbols[j] = state.symbols[kOffsets][a];
    if (source != nullptr) scratch.targets[j] = source[a];
    if (trit_model != TritModel::unbounded) {
      scratch.trit_tables[j] = scratch.trit_tables[a];
      return;
    }
    for (size_t c = 0; c < 2; ++c) {
      run.scale[c][j] = run.scale[c][a];
      run.mean[c][j] = run.mean[c][a];
    }
    run.weight[j] = run.weight[a];
  });
}

// Refines an attribute of all anchors of the state from level - 1 to `level`.
template <class Streams>
void refine(Streams& streams, const StreamModel& model, SliceState& state, SliceScratch& scratch,
            ExpGolombModel& escapes, int level, int attribute) {
  const StreamHeader& h = model.header;
  const size_t values = static_cast<size_t>(h[attribute].values);
  size_t n = state.count * values;
  if (n == 0) return;
  predict_trits(model, state, scratch, level, attribute);
  const int32_t* source = nullptr;
  if constexpr (Streams::kWriting) source = streams.source->symbols[attribute].data();
  int32_t* k = state.symbols[attribute].data();
  if (attribute == kOffsets) {
    find_older(state, scratch, n / 3, level);
    gather_offsets(state, scratch, source, h[attribute].trit_model);
    n = scratch.symbols.size();
    k = scratch.symbols.data();
    source = scratch.targets.data();
  }
  scratch.trits.resize(n);
  if constexpr (Streams::kWriting) {
    const int from = h[attribute].step_level(streams.source->final_level);
    for (size_t i = 0; i < n; ++i)
      scratch.trits[i] = static_cast<int8_t>(at_level(source[i], from, level) - 3 * k[i]);
  }
  code_trits(streams, scratch, escapes, h[attribute].trit_model, n);
  const size_t component = refined_component(attribute);
  if (attribute == kOffsets)
    charge(streams, component, 3, [&](size_t r) { return scratch.gaussians[r] / (values / 3); });
  else charge(streams, component, values, [](size_t r) { return r; });
  if (GSPC_DISPATCH(refine_kernel)(k, scratch.trits.data(), n) > static_cast<uint32_t>(kMaxSymbol))
    stream_fail("a refined symbol is beyond 23 bits");
  if (attribute == kOffsets)
    each_offset(scratch, [&](size_t j, size_t a) { state.symbols[kOffsets][a] = k[j]; });
}

// Features of fresh anchors group by group, each under mixtures that know the groups before it.
template <class Streams>
void code_groups(Streams& streams, const StreamModel& model, SliceState& state, SliceScratch& scratch,
                 ExpGolombModel& escapes, int level, size_t old, size_t total) {
  const StreamHeader& h = model.header;
  const size_t f = static_cast<size_t>(h.features()), fresh = total - old;
  int32_t* const k = state.symbols[kFeatures].data() + old * f;
  for (int group = 0; group < h.groups.count; ++group) {
    const size_t first = static_cast<size_t>(h.group_begin(group)),
                 n = static_cast<size_t>(h.group_begin(group + 1)) - first;
    std::vector<int32_t>& symbols = scratch.symbols;
    symbols.resize(fresh * n);
    if constexpr (Streams::kWriting)
      for (size_t r = 0; r < fresh; ++r) std::copy_n(k + r * f + first, n, symbols.data() + r * n);
    if (group == 0) {
      std::vector<uint8_t>& tables = scratch.mixtures.scale[0];
      tables.resize(fresh * n);
      for (size_t r = 0; r < fresh; ++r)
        std::copy_n(scratch.feature_tables.data() + r * f, n, tables.data() + r * n);
      code_gaussian(streams, scratch, escapes, tables.data(), symbols.data(), fresh * n);
    } else {
      predict_group(model, state, scratch, level, group, old, total);
      code_mixture(streams, scratch, escapes, symbols.data(), fresh * n);
    }
    charge(streams, kFeatures, n, [&](size_t r) { return old + r; });
    if constexpr (!Streams::kWriting)
      for (size_t r = 0; r < fresh; ++r) std::copy_n(symbols.data() + r * n, n, k + r * f + first);
  }
}

// An attribute of fresh anchors in one run, under tables of scratch.
template <class Streams>
void code_fresh(Streams& streams, const StreamModel& model, SliceState& state, SliceScratch& scratch,
                ExpGolombModel& escapes, int attribute, const uint8_t* tables, size_t old) {
  const size_t values = static_cast<size_t>(model.header[attribute].values);
  code_gaussian(streams, scratch, escapes, tables, state.symbols[attribute].data() + old * values,
                (state.count - old) * values);
  charge(streams, static_cast<size_t>(attribute), values, [&](size_t r) { return old + r; });
}

// Offsets of the Gaussians that appear, of old anchors and of fresh ones. Each has the table of its anchor's
// scale and step.
template <class Streams>
void code_appearing_offsets(Streams& streams, const StreamModel& model, SliceState& state,
                            SliceScratch& scratch, ExpGolombModel& escapes, int level) {
  const size_t k_count = static_cast<size_t>(model.header.offsets());
  const int step_level = model.header[kOffsets].step_level(level);
  find_appearing(state, scratch, level);
  const size_t n = 3 * scratch.gaussians.size();
  scratch.offset_tables.resize(n);
  scratch.symbols.assign(n, 0);
  each_offset(scratch, [&](size_t j, size_t a) {
    const int32_t add = log3(step_level) - log_step_table()[state.steps[a / (3 * k_count) * 3 + kOffsets]];
    scratch.offset_tables[j] =
        static_cast<uint8_t>(std::clamp(state.offset_scales[a] + add, 0, kGaussianTables - 1));
    if constexpr (Streams::kWriting) {
      const int from = model.header[kOffsets].step_level(streams.source->final_level);
      scratch.symbols[j] = at_level(streams.source->symbols[kOffsets][a], from, step_level);
    }
  });
  code_gaussian(streams, scratch, escapes, scratch.offset_tables.data(), scratch.symbols.data(), n);
  charge(streams, kOffsets, 3, [&](size_t r) { return scratch.gaussians[r] / k_count; });
  each_offset(scratch, [&](size_t j, size_t a) { state.symbols[kOffsets][a] = scratch.symbols[j]; });
}

template <class Streams>
void code_slice_positions(Streams& streams, SliceState& state, SliceScratch& scratch, int level,
                          KeyInterval interval, int bits, size_t fresh) {
  std::vector<uint64_t>& keys = scratch.fresh;
  if constexpr (Streams::kWriting) {
    keys = streams.source->keys[static_cast<size_t>(level) - 1];
    if (!encode_positions(streams.positions, state.known, keys, interval, bits))
      stream_fail("positions are not distinct keys of their slice");
  } else {
    static_cast<void>(level);
    keys.clear();
    if (!decode_positions(streams.positions, state.known, interval, bits, fresh, keys))
      stream_fail("positions are damaged");
  }
  for (uint64_t key : keys) {
    uint32_t p[3];
    morton_coordinates(key, p[0], p[1], p[2]);
    for (uint32_t v : p) state.positions.push_back(static_cast<int32_t>(v));
  }
  const size_t old = state.known.size();
  state.known.insert(state.known.end(), keys.begin(), keys.end());
  std::inplace_merge(state.known.begin(), state.known.begin() + static_cast<std::ptrdiff_t>(old),
                     state.known.end());
}

// Symbols of fresh features and scaling as the source has them, brought to `level`.
void copy_fresh(const SliceSource& source, const StreamHeader& h, SliceState& state, int level, size_t old,
                size_t total) {
  for (int a : {kFeatures, kScaling}) {
    const size_t values = static_cast<size_t>(h[a].values);
    const int from = h[a].step_level(source.final_level), to = h[a].step_level(level);
    for (size_t i = old * values; i < total * values; ++i)
      state.symbols[a][i] = at_level(source.symbols[a][i], from, to);
  }
}

}  // namespace

template <class Streams>
size_t code_slice_level(Streams& streams, const StreamModel& model, SliceState& state, SliceScratch& scratch,
                        int level, KeyInterval interval, size_t fresh) {
  const StreamHeader& h = model.header;
  const size_t k_count = static_cast<size_t>(h.offsets());
  const size_t old = state.count, total = old + fresh;

  code_slice_positions(streams, state, scratch, level, interval, h.position_bits, fresh);
  state.gaussian_level.resize(total * k_count, 0);
  for (int a : {kFeatures, kScaling, kOffsets})
    state.symbols[a].resize(total * static_cast<size_t>(h[a].values), 0);
  const size_t appearing = code_masks(streams, state, k_count, old, total, level);
  if constexpr (Streams::kWriting) copy_fresh(*streams.source, h, state, level, old, total);
  else if (streams.masks.overrun()) stream_fail("masks are truncated");

  ExpGolombModel escapes;
  for (int a : {kFeatures, kScaling, kOffsets})
    if (h[a].refines_at(level)) refine(streams, model, state, scratch, escapes, level, a);
  predict_centers(model, state, scratch, old, total, level);
  state.count = total;
  if (h.groups.count > 0) code_groups(streams, model, state, scratch, escapes, level, old, total);
  else code_fresh(streams, model, state, scratch, escapes, kFeatures, scratch.feature_tables.data(), old);
  code_fresh(streams, model, state, scratch, escapes, kScaling, scratch.scaling_tables.data(), old);
  code_appearing_offsets(streams, model, state, scratch, escapes, level);
  if constexpr (!Streams::kWriting) {
    if (!streams.positions.finished() || !streams.masks.finished() || !streams.escapes.finished())
      stream_fail("a part of the slice does not end where its contents do");
    if (!streams.lanes.finished()) stream_fail("the lanes do not end where their symbols do");
  }
  return appearing;
}

template size_t code_slice_level(SliceWriter&, const StreamModel&, SliceState&, SliceScratch&, int,
                                 KeyInterval, size_t);
template size_t code_slice_level(SliceReader&, const StreamModel&, SliceState&, SliceScratch&, int,
                                 KeyInterval, size_t);
template size_t code_slice_level(SliceMeter&, const StreamModel&, SliceState&, SliceScratch&, int,
                                 KeyInterval, size_t);
template size_t code_slice_level(SliceTranscoder&, const StreamModel&, SliceState&, SliceScratch&, int,
                                 KeyInterval, size_t);

}  // namespace gspc
