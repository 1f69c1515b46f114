#include "codec/stream/slice.hpp"

#include <algorithm>
#include <cstdlib>

#include "codec/context/network_isa.hpp"
#include "codec/entropy/mixture.hpp"
#include "codec/entropy/tables.hpp"
#include "codec/format/limits.hpp"
#include "codec/format/stream_error.hpp"
#include "codec/positions/morton.hpp"

namespace gspc {

namespace {

// ---- masks ----

// A Gaussian of a fresh anchor: its slot, how many are alive before it, and whether the slot is alive in the
// anchor before. Of an older one: its slot, how many appear before it, how many were alive.
struct MaskModels {
  BinaryModel fresh[kMaxOffsets][8][2];
  BinaryModel older[kMaxOffsets][4][4];
};

template <class Streams>
size_t code_masks(Streams& streams, SliceState& state, size_t k_count, size_t old, size_t total, int level) {
  MaskModels models;
  const uint8_t s = static_cast<uint8_t>(level);
  size_t appearing = 0;
  const auto target = [&](size_t i) {
    if constexpr (Streams::writing) return static_cast<int>(streams.source->gaussian_level[i] == s);
    return static_cast<void>(i), 0;
  };
  for (size_t n = 0; n < old; ++n) {
    uint8_t* alive = state.gaussian_level.data() + n * k_count;
    size_t before = 0, now = 0;
    for (size_t k = 0; k < k_count; ++k) before += alive[k] != 0;
    for (size_t k = 0; k < k_count; ++k) {
      if (alive[k] != 0) continue;
      BinaryModel& model = models.older[k][std::min<size_t>(now, 3)][4 * before / (k_count + 1)];
      if (streams.masks.bit(model, target(n * k_count + k))) {
        alive[k] = s;
        ++now;
      }
    }
    appearing += now;
  }
  for (size_t n = old; n < total; ++n) {
    uint8_t* alive = state.gaussian_level.data() + n * k_count;
    const uint8_t* last = n > old ? alive - k_count : nullptr;
    size_t now = 0;
    for (size_t k = 0; k < k_count; ++k) {
      if (now == 0 && k + 1 == k_count) {  // at least one is alive
        alive[k] = s;
        ++now;
        break;
      }
      BinaryModel& model = models.fresh[k][std::min<size_t>(now, 7)][last != nullptr && last[k] != 0];
      if (streams.masks.bit(model, target(n * k_count + k))) {
        alive[k] = s;
        ++now;
      }
    }
    appearing += now;
  }
  return appearing;
}

// ---- symbols ----

// What lies beyond the tables of one run: a sign and how far.
template <class Streams>
void code_escapes(Streams& streams, ExpGolombModel& model, const uint8_t* table, int32_t* k,
                  const std::vector<uint32_t>& escaped) {
  for (uint32_t i : escaped) {
    const int32_t value = k[i];
    const int32_t base = gaussian_support(table[i]) + 1;
    const bool negative = streams.escapes.raw(value < 0, 1) != 0;
    const uint32_t more = streams.escapes.number(model, static_cast<uint32_t>(std::abs(value) - base));
    if constexpr (!Streams::writing) {
      if (more > static_cast<uint32_t>(kMaxSymbol - base)) stream_fail("an escaped symbol is beyond 23 bits");
      const int32_t magnitude = base + static_cast<int32_t>(more);
      k[i] = negative ? -magnitude : magnitude;
    } else {
      static_cast<void>(more);
      static_cast<void>(negative);
    }
  }
}

template <class Streams>
void code_escapes(Streams& streams, ExpGolombModel& model, const Mixture& mixture, int32_t* k,
                  const std::vector<uint32_t>& escaped) {
  for (uint32_t i : escaped) {
    const MixtureTable table(codec_tables(), mixture.from(i));
    const int32_t value = k[i];
    const bool below = streams.escapes.raw(value < table.low, 1) != 0;
    const uint32_t more = streams.escapes.number(
        model, static_cast<uint32_t>(below ? table.low - 1 - value : value - table.high - 1));
    if constexpr (!Streams::writing) {
      const int64_t found = below ? int64_t{table.low} - 1 - more : int64_t{table.high} + 1 + more;
      if (found > kMaxSymbol || found < -kMaxSymbol) stream_fail("an escaped symbol is beyond 23 bits");
      k[i] = static_cast<int32_t>(found);
    } else {
      static_cast<void>(more);
    }
  }
}

template <class Streams>
void code_gaussian(Streams& streams, SliceScratch& scratch, ExpGolombModel& model, const uint8_t* table,
                   int32_t* k, size_t n, double& ideal) {
  scratch.escapes.clear();
  streams.lanes.gaussian(table, k, n, scratch.escapes);
  code_escapes(streams, model, table, k, scratch.escapes);
  if (scratch.want_ideal) ideal += gaussian_bits(table, k, n);
}

// Under scratch.mixtures.
template <class Streams>
void code_mixture(Streams& streams, SliceScratch& scratch, ExpGolombModel& model, int32_t* k, size_t n,
                  double& ideal) {
  const Mixture mixture = scratch.mixtures.view();
  scratch.escapes.clear();
  streams.lanes.mixture(mixture, k, n, scratch.escapes);
  code_escapes(streams, model, mixture, k, scratch.escapes);
  if (scratch.want_ideal) ideal += mixture_bits(mixture, k, n);
}

// The trits of scratch.trits under scratch.trit_tables, or under scratch.mixtures when they know no bounds.
template <class Streams>
void code_trits(Streams& streams, SliceScratch& scratch, ExpGolombModel& model, TritModel trit_model,
                size_t n, double& ideal) {
  std::vector<int8_t>& trits = scratch.trits;
  if (trit_model != TritModel::unbounded) {
    streams.lanes.trits(scratch.trit_tables.data(), trits.data(), n);
    if (scratch.want_ideal) ideal += trit_bits(scratch.trit_tables.data(), trits.data(), n);
    return;
  }
  std::vector<int32_t>& wide = scratch.wide_trits;
  if constexpr (Streams::writing) wide.assign(trits.begin(), trits.begin() + static_cast<std::ptrdiff_t>(n));
  else wide.resize(n);
  code_mixture(streams, scratch, model, wide.data(), n, ideal);
  if constexpr (!Streams::writing)
    for (size_t i = 0; i < n; ++i) {
      if (wide[i] < -1 || wide[i] > 1) stream_fail("a trit is beyond -1 to 1");
      trits[i] = static_cast<int8_t>(wide[i]);
    }
}

// Work on each Gaussian that was alive before `level`.
template <class Work>
void older_gaussians(const SliceState& state, size_t n, int level, Work work) {
  for (size_t i = 0; i < n; ++i)
    if (state.gaussian_level[i] != 0 && state.gaussian_level[i] < level) work(i);
}

// Offsets of Gaussians that are alive, their targets and their tables, without those between. Returns how
// many values.
size_t gather_offsets(const SliceState& state, SliceScratch& scratch, const int32_t* source, size_t gaussians,
                      int level, TritModel trit_model) {
  MixtureRun& run = scratch.mixtures;
  scratch.symbols.resize(3 * gaussians);
  if (source != nullptr) scratch.targets.resize(3 * gaussians);
  size_t j = 0;
  older_gaussians(state, gaussians, level, [&](size_t i) {
    for (size_t a = 3 * i; a < 3 * i + 3; ++a, ++j) {
      scratch.symbols[j] = state.symbols[kOffsets][a];
      if (source != nullptr) scratch.targets[j] = source[a];
      if (trit_model != TritModel::unbounded) {
        scratch.trit_tables[j] = scratch.trit_tables[a];
        continue;
      }
      for (size_t c = 0; c < 2; ++c) {
        run.scale[c][j] = run.scale[c][a];
        run.mean[c][j] = run.mean[c][a];
      }
      run.weight[j] = run.weight[a];
    }
  });
  return j;
}

// Refines an attribute of all anchors of the state from level - 1 to `level`.
template <class Streams>
void refine(Streams& streams, const StreamModel& model, SliceState& state, SliceScratch& scratch,
            ExpGolombModel& escapes, int level, int attribute) {
  const StreamHeader& h = model.header;
  const size_t all = state.count * static_cast<size_t>(h[attribute].values);
  if (all == 0) return;
  predict_trits(model, state, scratch, level, attribute);
  const int32_t* source = nullptr;
  if constexpr (Streams::writing) source = streams.source->symbols[attribute].data();
  int32_t* k = state.symbols[attribute].data();
  size_t n = all;
  if (attribute == kOffsets) {
    n = gather_offsets(state, scratch, source, all / 3, level, h[attribute].trit_model);
    k = scratch.symbols.data();
    source = scratch.targets.data();
  }
  scratch.trits.resize(n);
  if constexpr (Streams::writing) {
    const int from = h[attribute].step_level(streams.source->final_level);
    for (size_t i = 0; i < n; ++i)
      scratch.trits[i] = static_cast<int8_t>(at_level(source[i], from, level) - 3 * k[i]);
  }
  code_trits(streams, scratch, escapes, h[attribute].trit_model, n, scratch.ideal.trits[attribute]);
  if (GSPC_DISPATCH(refine_kernel)(k, scratch.trits.data(), n) > static_cast<uint32_t>(kMaxSymbol))
    stream_fail("a refined symbol is beyond 23 bits");
  if (attribute == kOffsets) {
    size_t j = 0;
    older_gaussians(state, all / 3, level, [&](size_t i) {
      for (size_t a = 3 * i; a < 3 * i + 3; ++a) state.symbols[kOffsets][a] = k[j++];
    });
  }
}

// Features of fresh anchors chunk by chunk, each under mixtures that know the chunks before it.
template <class Streams>
void code_chunks(Streams& streams, const StreamModel& model, SliceState& state, SliceScratch& scratch,
                 ExpGolombModel& escapes, int level, size_t old, size_t total) {
  const StreamHeader& h = model.header;
  const size_t f = static_cast<size_t>(h.features()), fresh = total - old;
  int32_t* const k = state.symbols[kFeatures].data() + old * f;
  for (int chunk = 0; chunk < h.groups.count; ++chunk) {
    const size_t first = static_cast<size_t>(h.group_begin(chunk)),
                 n = static_cast<size_t>(h.group_begin(chunk + 1)) - first;
    std::vector<int32_t>& symbols = scratch.symbols;
    symbols.resize(fresh * n);
    if constexpr (Streams::writing)
      for (size_t r = 0; r < fresh; ++r) std::copy_n(k + r * f + first, n, symbols.data() + r * n);
    if (chunk == 0) {
      std::vector<uint8_t>& tables = scratch.mixtures.scale[0];
      tables.resize(fresh * n);
      for (size_t r = 0; r < fresh; ++r)
        std::copy_n(scratch.feature_tables.data() + r * f, n, tables.data() + r * n);
      code_gaussian(streams, scratch, escapes, tables.data(), symbols.data(), fresh * n,
                    scratch.ideal.first[kFeatures]);
    } else {
      predict_chunk(model, state, scratch, level, chunk, old, total);
      code_mixture(streams, scratch, escapes, symbols.data(), fresh * n, scratch.ideal.first[kFeatures]);
    }
    if constexpr (!Streams::writing)
      for (size_t r = 0; r < fresh; ++r) std::copy_n(symbols.data() + r * n, n, k + r * f + first);
  }
}

template <class Streams>
void code_appearing_offsets(Streams& streams, const StreamModel& model, SliceState& state,
                            SliceScratch& scratch, ExpGolombModel& escapes, int level, size_t appearing) {
  const size_t k_count = static_cast<size_t>(model.header.offsets());
  const int step_level = model.header[kOffsets].step_level(level);
  const auto each = [&](auto work) {
    for (size_t n = 0; n < state.count; ++n)
      for (size_t i = n * k_count; i < (n + 1) * k_count; ++i)
        if (state.gaussian_level[i] == level)
          for (size_t a = 3 * i; a < 3 * i + 3; ++a) work(n, a);
  };
  scratch.offset_tables.resize(3 * appearing);
  scratch.symbols.assign(3 * appearing, 0);
  size_t j = 0;
  each([&](size_t n, size_t a) {
    const int32_t add = log3(step_level) - log_step_table()[state.steps[3 * n + 2]];
    scratch.offset_tables[j] =
        static_cast<uint8_t>(std::clamp(state.offset_scales[a] + add, 0, kGaussianTables - 1));
    if constexpr (Streams::writing) {
      const int from = model.header[kOffsets].step_level(streams.source->final_level);
      scratch.symbols[j] = at_level(streams.source->symbols[kOffsets][a], from, step_level);
    }
    ++j;
  });
  code_gaussian(streams, scratch, escapes, scratch.offset_tables.data(), scratch.symbols.data(),
                3 * appearing, scratch.ideal.first[kOffsets]);
  j = 0;
  each([&](size_t, size_t a) { state.symbols[kOffsets][a] = scratch.symbols[j++]; });
}

template <class Streams>
void code_slice_positions(Streams& streams, SliceState& state, SliceScratch& scratch, int level,
                          KeyInterval interval, int bits, size_t fresh) {
  std::vector<uint64_t>& keys = scratch.fresh;
  if constexpr (Streams::writing) {
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

}  // namespace

template <class Streams>
size_t code_slice_level(Streams& streams, const StreamModel& model, SliceState& state, SliceScratch& scratch,
                        int level, KeyInterval interval, size_t fresh) {
  const StreamHeader& h = model.header;
  const size_t f = static_cast<size_t>(h.features()), scales = static_cast<size_t>(h.scales());
  const size_t k_count = static_cast<size_t>(h.offsets());
  const size_t old = state.count, total = old + fresh;

  code_slice_positions(streams, state, scratch, level, interval, h.position_bits, fresh);
  state.gaussian_level.resize(total * k_count, 0);
  for (int a : {kFeatures, kScaling, kOffsets})
    state.symbols[a].resize(total * static_cast<size_t>(h[a].values), 0);
  const size_t appearing = code_masks(streams, state, k_count, old, total, level);
  if constexpr (!Streams::writing)
    if (streams.masks.overrun()) stream_fail("masks are truncated");

  if constexpr (Streams::writing)
    for (int a : {kFeatures, kScaling}) {
      const size_t values = static_cast<size_t>(h[a].values);
      const std::vector<int32_t>& source = streams.source->symbols[a];
      const int from = h[a].step_level(streams.source->final_level), to = h[a].step_level(level);
      for (size_t i = old * values; i < total * values; ++i)
        state.symbols[a][i] = at_level(source[i], from, to);
    }
  ExpGolombModel escapes;
  for (int a : {kFeatures, kScaling, kOffsets})
    if (h[a].refines_at(level)) refine(streams, model, state, scratch, escapes, level, a);
  predict_centers(model, state, scratch, old, total, level);
  state.count = total;
  if (h.groups.count > 0) code_chunks(streams, model, state, scratch, escapes, level, old, total);
  else
    code_gaussian(streams, scratch, escapes, scratch.feature_tables.data(),
                  state.symbols[kFeatures].data() + old * f, fresh * f, scratch.ideal.first[kFeatures]);
  code_gaussian(streams, scratch, escapes, scratch.scaling_tables.data(),
                state.symbols[kScaling].data() + old * scales, fresh * scales, scratch.ideal.first[kScaling]);
  code_appearing_offsets(streams, model, state, scratch, escapes, level, appearing);
  if constexpr (!Streams::writing) {
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

}  // namespace gspc
