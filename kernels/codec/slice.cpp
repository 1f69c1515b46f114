#include "codec/slice.hpp"

#include <algorithm>
#include <cmath>

#include "codec/limits.hpp"
#include "codec/morton.hpp"
#include "codec/network_isa.hpp"
#include "codec/stream_error.hpp"
#include "codec/tables.hpp"

namespace gspc {

namespace {

size_t padded(int n) { return static_cast<size_t>((n + 15) & ~15); }

constexpr int32_t kWide = 32767;  // outputs that are no hidden layer are clamped to 16 bits

void hidden_layer(const PackedLayer& layer, size_t variant, const int16_t* x, size_t stride, size_t rows,
                  SliceScratch& scratch, int16_t* z) {
  network_linear(layer, x, stride, rows, scratch.sums.data());
  network_gain(layer, variant, scratch.sums.data(), rows, 0, kMaxActivation, z, static_cast<size_t>(layer.out_padded));
}

// The hidden layer's activations are `z`; what they give in `scratch.output`, rows of out_padded.
void output_layer(const PackedLayer& layer, const int16_t* hidden, size_t stride, size_t rows, SliceScratch& scratch) {
  network_linear(layer, hidden, stride, rows, scratch.sums.data());
  network_gain(layer, 0, scratch.sums.data(), rows, -kWide, kWide, scratch.output.data(),
               static_cast<size_t>(layer.out_padded));
}

void predict_steps(const StreamModel& model, SliceState& state, SliceScratch& scratch, size_t begin, size_t rows) {
  const size_t c = static_cast<size_t>(model.header.context());
  const PackedNetworks& n = model.networks;
  hidden_layer(n.steps_hidden, 0, state.context.data() + begin * c, c, rows, scratch, scratch.hidden.data());
  output_layer(n.steps_out, scratch.hidden.data(), static_cast<size_t>(n.steps_hidden.out_padded), rows, scratch);
  for (size_t r = 0; r < rows; ++r)
    for (size_t i = 0; i < 3; ++i)
      state.steps[(begin + r) * 3 + i] = static_cast<uint8_t>(std::clamp(
          64 + scratch.output[r * static_cast<size_t>(n.steps_out.out_padded) + i], 0, 127));
}

void predict_means(const StreamModel& model, SliceState& state, SliceScratch& scratch, size_t begin, size_t rows) {
  const size_t attributes = static_cast<size_t>(model.header.attributes());
  const size_t offset_values = 3 * static_cast<size_t>(model.header.offsets);
  const PackedNetworks& n = model.networks;
  output_layer(n.center, scratch.hidden.data(), static_cast<size_t>(n.trunk.out_padded), rows, scratch);
  for (size_t r = 0; r < rows; ++r) {
    const int16_t* z = scratch.output.data() + r * static_cast<size_t>(n.center.out_padded);
    std::copy(z, z + attributes, state.means.data() + (begin + r) * attributes);
    const int32_t add = -log_step_table()[state.steps[(begin + r) * 3 + 2]];
    GSPC_DISPATCH(gaussian_table_kernel)
    (z + attributes, add, offset_values, state.offset_tables.data() + (begin + r) * offset_values);
  }
}

void predict_tables(const StreamModel& model, SliceState& state, SliceScratch& scratch, size_t begin, size_t rows,
                    size_t first, int level) {
  const size_t f = static_cast<size_t>(model.header.features);
  const PackedNetworks& n = model.networks;
  output_layer(n.scale, scratch.level_hidden.data(), static_cast<size_t>(n.trunk.out_padded), rows, scratch);
  const int16_t* logs = log_step_table();
  for (size_t r = 0; r < rows; ++r) {
    const int16_t* z = scratch.output.data() + r * static_cast<size_t>(n.scale.out_padded);
    const uint8_t* steps = state.steps.data() + (begin + r) * 3;
    const size_t row = begin + r - first;
    GSPC_DISPATCH(gaussian_table_kernel)(z, log3(level) - logs[steps[0]], f, scratch.feature_tables.data() + row * f);
    GSPC_DISPATCH(gaussian_table_kernel)(z + f, log3(level) - logs[steps[1]], 6, scratch.scaling_tables.data() + row * 6);
  }
}

struct TritNetwork {
  const PackedLayer &hidden, &out;
  size_t values;  // per anchor
  int step;  // which of the three steps
};

// Tables of the next trit of anchors [0, count), whose symbols `k` are at level - 1.
void predict_trits(const StreamModel& model, const SliceState& state, SliceScratch& scratch, int level,
                   const TritNetwork& net, const std::vector<int32_t>& k, std::vector<uint16_t>& tables) {
  const size_t c = static_cast<size_t>(model.header.context());
  const size_t stride = static_cast<size_t>(net.hidden.in_padded);
  const int64_t third = inverse3(level - 1);
  tables.resize(state.count * net.values);
  std::fill(scratch.input.begin(), scratch.input.end(), int16_t{0});
  for (size_t begin = 0; begin < state.count; begin += kNetworkBatch) {
    const size_t rows = std::min(kNetworkBatch, state.count - begin);
    for (size_t r = 0; r < rows; ++r) {
      int16_t* x = scratch.input.data() + r * stride;
      const size_t n = begin + r;
      std::copy_n(state.context.data() + n * c, c, x);
      const int64_t factor = step_table()[state.steps[n * 3 + static_cast<size_t>(net.step)]] * third;
      GSPC_DISPATCH(centered_kernel)(k.data() + n * net.values, factor, net.values, x + c);
    }
    hidden_layer(net.hidden, static_cast<size_t>(level) - 2, scratch.input.data(), stride, rows, scratch,
                 scratch.hidden.data());
    output_layer(net.out, scratch.hidden.data(), static_cast<size_t>(net.hidden.out_padded), rows, scratch);
    for (size_t r = 0; r < rows; ++r) {
      const int16_t* z = scratch.output.data() + r * static_cast<size_t>(net.out.out_padded);
      GSPC_DISPATCH(trit_table_kernel)(z, z + net.values, net.values, tables.data() + (begin + r) * net.values);
    }
  }
}

// ---- ideal code lengths ----

double gaussian_bits(const uint8_t* table, const int32_t* k, size_t n) {
  const CodecTables& t = codec_tables();
  double bits = 0;
  for (size_t i = 0; i < n; ++i) {
    const uint32_t escape = t.extent[table[i]] >> 16, first = t.extent[table[i]] & 0xffff;
    const uint32_t order = std::min(gaussian_order(k[i]), escape);
    bits += kTableBits - std::log2(static_cast<double>(t.entries[first + order] >> 16));
  }
  return bits;
}

double trit_bits(const uint16_t* table, const int8_t* trit, size_t n) {
  const CodecTables& t = codec_tables();
  double bits = 0;
  for (size_t i = 0; i < n; ++i) {
    const uint32_t plus = t.trits[table[i]] >> 16, zero = t.trits[table[i]] & 0xffff;
    const uint32_t f = trit[i] < 0 ? zero : trit[i] == 0 ? plus - zero : kTableTotal - plus;
    bits += kTableBits - std::log2(static_cast<double>(f));
  }
  return bits;
}

// ---- masks ----

// A Gaussian of a fresh anchor: its slot, how many are alive before it, and whether the slot is alive in the anchor before.
// Of an older one: its slot, how many appear before it, how many were alive.
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

int32_t at_level(int32_t k, int from, int level) {
  for (; from > level; --from) k = coarser(k);
  return k;
}

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
void code_gaussian(Streams& streams, SliceScratch& scratch, ExpGolombModel& model, const uint8_t* table, int32_t* k,
                   size_t n, double& ideal) {
  scratch.escapes.clear();
  streams.lanes.gaussian(table, k, n, scratch.escapes);
  code_escapes(streams, model, table, k, scratch.escapes);
  if (scratch.want_ideal) ideal += gaussian_bits(table, k, n);
}

// Refines k [n] from level - 1 to `level`.
template <class Streams>
void code_trits(Streams& streams, SliceScratch& scratch, int level, const std::vector<uint16_t>& tables,
                const std::vector<int32_t>* source, std::vector<int32_t>& k, size_t n, double& ideal) {
  scratch.trits.resize(n);
  if constexpr (Streams::writing)
    for (size_t i = 0; i < n; ++i)
      scratch.trits[i] =
          static_cast<int8_t>(at_level((*source)[i], streams.source->final_level, level) - 3 * k[i]);
  else
    static_cast<void>(source);
  static_cast<void>(level);
  streams.lanes.trits(tables.data(), scratch.trits.data(), n);
  if (scratch.want_ideal) ideal += trit_bits(tables.data(), scratch.trits.data(), n);
  if (GSPC_DISPATCH(refine_kernel)(k.data(), scratch.trits.data(), n) > static_cast<uint32_t>(kMaxSymbol))
    stream_fail("a refined symbol is beyond 23 bits");
}

template <class Streams>
void code_appearing_offsets(Streams& streams, SliceScratch& scratch, ExpGolombModel& model, SliceState& state, int level,
                            size_t appearing) {
  scratch.offset_tables.resize(3 * appearing);
  scratch.symbols.assign(3 * appearing, 0);
  size_t j = 0;
  for (size_t i = 0; i < state.gaussian_level.size(); ++i) {
    if (state.gaussian_level[i] != level) continue;
    for (size_t a = 0; a < 3; ++a, ++j) {
      scratch.offset_tables[j] = state.offset_tables[3 * i + a];
      if constexpr (Streams::writing) scratch.symbols[j] = streams.source->offsets[3 * i + a];
    }
  }
  code_gaussian(streams, scratch, model, scratch.offset_tables.data(), scratch.symbols.data(), 3 * appearing,
                scratch.ideal.offsets);
  j = 0;
  for (size_t i = 0; i < state.gaussian_level.size(); ++i) {
    if (state.gaussian_level[i] != level) continue;
    for (size_t a = 0; a < 3; ++a) state.offsets[3 * i + a] = scratch.symbols[j++];
  }
}

template <class Streams>
void code_slice_positions(Streams& streams, SliceState& state, SliceScratch& scratch, int level, KeyInterval interval,
                          int bits, size_t fresh) {
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
  std::inplace_merge(state.known.begin(), state.known.begin() + static_cast<std::ptrdiff_t>(old), state.known.end());
}

}  // namespace

void SliceState::reset(const StreamHeader& h, size_t anchors) {
  const size_t f = static_cast<size_t>(h.features), k = static_cast<size_t>(h.offsets);
  count = 0;
  known.clear();
  known.reserve(anchors);
  positions.clear();
  positions.reserve(3 * anchors);
  gaussian_level.clear();
  gaussian_level.reserve(k * anchors);
  features.clear();
  features.reserve(f * anchors);
  scaling.clear();
  scaling.reserve(6 * anchors);
  offsets.clear();
  offsets.reserve(3 * k * anchors);
  // Kernels read whole groups of 8 rows.
  context.resize((anchors + 8) * static_cast<size_t>(h.context()));
  means.resize(anchors * static_cast<size_t>(h.attributes()));
  steps.resize(3 * anchors);
  offset_tables.resize(3 * k * anchors);
}

SliceScratch::SliceScratch(const StreamHeader& h) {
  const size_t inputs = static_cast<size_t>(h.context() + std::max(h.features, 6) + 2);
  const size_t widest = std::max({padded(h.attributes() + 3 * h.offsets), padded(2 * h.features), padded(kMaxHidden), padded(12)});
  input.assign(kNetworkBatch * inputs, 0);
  hidden.assign(kNetworkBatch * widest, 0);
  level_hidden.assign(kNetworkBatch * widest, 0);
  output.assign(kNetworkBatch * widest, 0);
  sums.assign(kNetworkBatch * widest, 0);
}

void predict_centers(const StreamModel& model, SliceState& state, SliceScratch& scratch, size_t begin, size_t end,
                     int level) {
  const size_t c = static_cast<size_t>(model.header.context());
  const PackedLayer& trunk = model.networks.trunk;
  const size_t f = static_cast<size_t>(model.header.features);
  if (level > 0) {
    scratch.feature_tables.resize((end - begin) * f);
    scratch.scaling_tables.resize((end - begin) * 6);
  }
  grid_context(model.header.grid, model.signs.data(), state.positions.data() + 3 * begin, end - begin,
               state.context.data() + begin * c);
  for (size_t at = begin; at < end; at += kNetworkBatch) {
    const size_t rows = std::min(kNetworkBatch, end - at);
    predict_steps(model, state, scratch, at, rows);
    network_linear(trunk, state.context.data() + at * c, c, rows, scratch.sums.data());
    const size_t stride = static_cast<size_t>(trunk.out_padded);
    if (level > 0)
      network_gain(trunk, static_cast<size_t>(level), scratch.sums.data(), rows, 0, kMaxActivation,
                   scratch.level_hidden.data(), stride);
    network_gain(trunk, 0, scratch.sums.data(), rows, 0, kMaxActivation, scratch.hidden.data(), stride);
    predict_means(model, state, scratch, at, rows);
    if (level > 0) predict_tables(model, state, scratch, at, rows, begin, level);
  }
}

template <class Streams>
size_t code_slice_level(Streams& streams, const StreamModel& model, SliceState& state, SliceScratch& scratch, int level,
                        KeyInterval interval, size_t fresh) {
  const StreamHeader& h = model.header;
  const size_t f = static_cast<size_t>(h.features), k_count = static_cast<size_t>(h.offsets);
  const size_t old = state.count, total = old + fresh;

  code_slice_positions(streams, state, scratch, level, interval, h.position_bits, fresh);
  state.gaussian_level.resize(total * k_count, 0);
  state.features.resize(total * f, 0);
  state.scaling.resize(total * 6, 0);
  state.offsets.resize(total * k_count * 3, 0);
  const size_t appearing = code_masks(streams, state, k_count, old, total, level);
  if constexpr (!Streams::writing)
    if (streams.masks.overrun()) stream_fail("masks are truncated");

  const std::vector<int32_t>* source_features = nullptr;
  const std::vector<int32_t>* source_scaling = nullptr;
  if constexpr (Streams::writing) {
    source_features = &streams.source->features;
    source_scaling = &streams.source->scaling;
    for (size_t i = old * f; i < total * f; ++i)
      state.features[i] = at_level((*source_features)[i], streams.source->final_level, level);
    for (size_t i = old * 6; i < total * 6; ++i)
      state.scaling[i] = at_level((*source_scaling)[i], streams.source->final_level, level);
  }
  if (old > 0) {
    const PackedNetworks& n = model.networks;
    predict_trits(model, state, scratch, level, {n.trit_features_hidden, n.trit_features_out, f, 0}, state.features,
                  scratch.trit_tables);
    predict_trits(model, state, scratch, level, {n.trit_scaling_hidden, n.trit_scaling_out, 6, 1}, state.scaling,
                  scratch.scaling_trit_tables);
    code_trits(streams, scratch, level, scratch.trit_tables, source_features, state.features, old * f,
               scratch.ideal.refined_features);
    code_trits(streams, scratch, level, scratch.scaling_trit_tables, source_scaling, state.scaling, old * 6,
               scratch.ideal.refined_scaling);
  }
  predict_centers(model, state, scratch, old, total, level);
  state.count = total;
  ExpGolombModel escapes;
  code_gaussian(streams, scratch, escapes, scratch.feature_tables.data(), state.features.data() + old * f, fresh * f,
                scratch.ideal.features);
  code_gaussian(streams, scratch, escapes, scratch.scaling_tables.data(), state.scaling.data() + old * 6, fresh * 6,
                scratch.ideal.scaling);
  code_appearing_offsets(streams, scratch, escapes, state, level, appearing);
  if constexpr (!Streams::writing) {
    if (!streams.positions.finished() || !streams.masks.finished() || !streams.escapes.finished())
      stream_fail("a part of the slice does not end where its contents do");
    if (!streams.lanes.finished()) stream_fail("the lanes do not end where their symbols do");
  }
  return appearing;
}

template size_t code_slice_level(SliceWriter&, const StreamModel&, SliceState&, SliceScratch&, int, KeyInterval, size_t);
template size_t code_slice_level(SliceReader&, const StreamModel&, SliceState&, SliceScratch&, int, KeyInterval, size_t);

namespace {

constexpr uint64_t kHashFactor = 0x9E3779B97F4A7C15ull;

template <class T>
uint64_t hash_values(uint64_t hash, const std::vector<T>& values) {
  constexpr uint64_t p1 = kHashFactor, p2 = p1 * p1, p3 = p2 * p1, p4 = p2 * p2;
  const auto word = [](T v) { return static_cast<uint64_t>(static_cast<int64_t>(v)); };
  const size_t n = values.size();
  size_t i = 0;
  for (; i + 4 <= n; i += 4)
    hash = hash * p4 + word(values[i]) * p3 + word(values[i + 1]) * p2 + word(values[i + 2]) * p1 + word(values[i + 3]);
  for (; i < n; ++i) hash = hash * p1 + word(values[i]);
  return hash;
}

}  // namespace

uint64_t hash_words(uint64_t hash, uint64_t word) { return hash * kHashFactor + word; }

uint64_t hash_slice(const SliceState& state) {
  uint64_t hash = hash_words(0, state.count);
  hash = hash_values(hash, state.positions);
  hash = hash_values(hash, state.gaussian_level);
  hash = hash_values(hash, state.features);
  hash = hash_values(hash, state.scaling);
  return hash_values(hash, state.offsets);
}

}  // namespace gspc
