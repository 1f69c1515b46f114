// The traversal of one slice in coding order (man/pcgs.5, CODING ORDER).
#include <algorithm>

#include "codec/context/network_isa.hpp"
#include "codec/positions/morton.hpp"
#include "codec/stream/slice.hpp"
#include "codec/stream/slice_choice.hpp"
#include "codec/stream/slice_masks.hpp"
#include "codec/stream/slice_streams.hpp"
#include "codec/stream/slice_symbols.hpp"

namespace gspc {

namespace {

// Where the values of the anchors scratch.rows lie, whose tables are rows of all their values: a row for each
// anchor, or for each of its Gaussians that was alive before `level`: scratch.places.
void find_places(const StreamHeader& h, const SliceState& state, SliceScratch& scratch, int attribute,
                 int level) {
  const size_t values = static_cast<size_t>(h[attribute].values);
  scratch.places.clear();
  for (size_t r = 0; r < scratch.rows.size(); ++r) {
    const size_t n = scratch.rows[r];
    if (attribute != kOffsets) {
      scratch.places.push_back({r * values, n * values});
      continue;
    }
    const uint8_t* alive = state.gaussian_level.data() + n * (values / 3);
    for (size_t at = 0; at < values; at += 3, ++alive)
      if (*alive != 0 && *alive < level) scratch.places.push_back({r * values + at, n * values + at});
  }
}

// The Gaussians that appear at `level`: scratch.gaussians.
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

// Short rows, three offsets, are many.
template <class From, class To>
To copy_row(From from, size_t width, To to) {
  if (width != 3) return std::copy_n(from, width, to);
  to[0] = from[0];
  to[1] = from[1];
  to[2] = from[2];
  return to + 3;
}

// Tables of scratch.places move together, without those between: a run has no place for Gaussians that are
// not alive. They move within their arrays, always to the front.
void gather_tables(SliceScratch& scratch, size_t width, TritModel trit_model) {
  MixtureRun& run = scratch.mixtures;
  const auto move = [&](auto& tables) {
    auto* to = tables.data();
    for (const RunRow& row : scratch.places) to = copy_row(tables.data() + row.table, width, to);
  };
  if (trit_model != TritModel::unbounded) return move(scratch.trit_tables);
  for (size_t c = 0; c < 2; ++c) {
    move(run.scale[c]);
    move(run.mean[c]);
  }
  move(run.weight);
}

// Refines an attribute of the anchors scratch.rows to the step of `stage`, from that of the stage before.
template <class Streams>
void refine_rows(Streams& streams, const StreamModel& model, SliceState& state, SliceScratch& scratch,
                 ExpGolombModel& escapes, int level, int stage, int attribute) {
  const StreamHeader& h = model.header;
  const size_t width = attribute == kOffsets ? 3 : static_cast<size_t>(h[attribute].values);
  predict_trits(model, state, scratch, stage, attribute);
  std::vector<int32_t>& values = state.symbols[attribute];
  const size_t of_anchor = static_cast<size_t>(h[attribute].values);
  find_places(h, state, scratch, attribute, level);
  // All anchors, all their values: they are refined where they are.
  const bool whole = attribute != kOffsets && scratch.rows.size() == state.count;
  if (!whole) gather_tables(scratch, width, h[attribute].trit_model);
  const size_t n = scratch.places.size() * width;
  if (!whole) {
    scratch.symbols.resize(n);
    int32_t* to = scratch.symbols.data();
    for (const RunRow& row : scratch.places) to = copy_row(values.data() + row.value, width, to);
  }
  int32_t* const k = whole ? values.data() : scratch.symbols.data();
  scratch.trits.resize(n);
  if constexpr (Streams::kWriting) {
    const int from = h[attribute].step_level(streams.source->final_stage);
    const int32_t* source = streams.source->symbols[attribute].data();
    size_t j = 0;
    for (const RunRow& row : scratch.places)
      for (size_t i = row.value; i < row.value + width; ++i, ++j)
        scratch.trits[j] = static_cast<int8_t>(at_level(source[i], from, stage) - 3 * k[j]);
  }
  code_trits(streams, scratch, escapes, h[attribute].trit_model, n);
  charge(streams, refined_component(attribute), width,
         [&](size_t r) { return scratch.places[r].value / of_anchor; });
  if (GSPC_DISPATCH(refine_kernel)(k, scratch.trits.data(), n) > static_cast<uint32_t>(kMaxSymbol))
    stream_fail("a refined symbol is beyond 23 bits");
  if (whole) return;
  const int32_t* refined = k;
  for (const RunRow& row : scratch.places) {
    copy_row(refined, width, values.data() + row.value);
    refined += width;
  }
}

// Refines what scratch.refines names: a run for each attribute and step, coarse steps first.
template <class Streams>
void refine(Streams& streams, const StreamModel& model, SliceState& state, SliceScratch& scratch,
            ExpGolombModel& escapes, int level, int stage) {
  for (int a : {kFeatures, kScaling, kOffsets})
    for (int to = 2; to <= stage; ++to) {
      scratch.rows.clear();
      for (size_t n = 0; n < scratch.refines.size(); ++n)
        if ((scratch.refines[n] >> a & 1) != 0 &&
            state.step_levels[n * kAttributes + static_cast<size_t>(a)] == to - 1)
          scratch.rows.push_back(static_cast<uint32_t>(n));
      if (scratch.rows.empty()) continue;
      refine_rows(streams, model, state, scratch, escapes, level, to, a);
      for (const size_t n : scratch.rows) {
        state.step_levels[n * kAttributes + static_cast<size_t>(a)] = static_cast<uint8_t>(to);
        scratch.refines[n] &= static_cast<uint8_t>(~(1 << a));
      }
    }
}

// Features of fresh anchors group by group, each under mixtures that know the groups before it.
template <class Streams>
void code_groups(Streams& streams, const StreamModel& model, SliceState& state, SliceScratch& scratch,
                 ExpGolombModel& escapes, int stage, size_t old, size_t total) {
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
      predict_group(model, state, scratch, stage, group, old, total);
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
  find_appearing(state, scratch, level);
  const size_t n = 3 * scratch.gaussians.size();
  scratch.offset_tables.resize(n);
  scratch.symbols.assign(n, 0);
  each_offset(scratch, [&](size_t j, size_t a) {
    const size_t step = a / (3 * k_count) * kAttributes + kOffsets;
    const int step_level = state.step_levels[step];
    const int32_t add = log3(step_level) - log_step_table()[state.steps[step]];
    scratch.offset_tables[j] =
        static_cast<uint8_t>(std::clamp(state.offset_scales[a] + add, 0, kGaussianTables - 1));
    if constexpr (Streams::kWriting) {
      const int from = model.header[kOffsets].step_level(streams.source->final_stage);
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

// Symbols of fresh features and scaling as the source has them, brought to `stage`.
void copy_fresh(const SliceSource& source, const StreamHeader& h, SliceState& state, int stage, size_t old,
                size_t total) {
  for (int a : {kFeatures, kScaling}) {
    const size_t values = static_cast<size_t>(h[a].values);
    const int from = h[a].step_level(source.final_stage), to = h[a].step_level(stage);
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
  const int stage = model.stage(level);

  code_slice_positions(streams, state, scratch, level, interval, h.position_bits, fresh);
  state.gaussian_level.resize(total * k_count, 0);
  for (int a : {kFeatures, kScaling, kOffsets})
    state.symbols[a].resize(total * static_cast<size_t>(h[a].values), 0);
  for (size_t n = old; n < total; ++n)
    for (const Attribute& a : h.attributes)
      state.step_levels.push_back(static_cast<uint8_t>(a.step_level(stage)));
  // A level of refinement alone has no masks.
  size_t appearing = 0;
  if (h.selective && streams.gaussians == 0 && fresh > 0) stream_fail("anchors without Gaussians");
  if (!h.selective || streams.gaussians > 0)
    appearing = code_masks(streams, state, k_count, old, total, level);
  if (h.selective && level > 1) code_choices(streams, h, state, scratch, old, level, stage);
  else choose_all(h, scratch, old, stage);
  if constexpr (Streams::kWriting) copy_fresh(*streams.source, h, state, stage, old, total);
  else if (streams.masks.overrun()) stream_fail("masks are truncated");

  ExpGolombModel escapes;
  refine(streams, model, state, scratch, escapes, level, stage);
  predict_centers(model, state, scratch, old, total, stage);
  state.count = total;
  if (h.groups.count > 0) code_groups(streams, model, state, scratch, escapes, stage, old, total);
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
