// What lies between positions, symbols and tables of a slice: integer networks over batches of anchors.
#include <algorithm>

#include "codec/context/network_isa.hpp"
#include "codec/entropy/mixture.hpp"
#include "codec/entropy/tables.hpp"
#include "codec/format/limits.hpp"
#include "codec/stream/slice.hpp"

namespace gspc {

namespace {

constexpr int32_t kWide = 32767;             // outputs that are no hidden layer are clamped to 16 bits
constexpr int32_t kUnboundedMean = 1 << 10;  // of a trit, in 1/16 steps
constexpr size_t kPoolRows = 256;
constexpr float kPoolUnit = 1.0f / 1024;

size_t padded(int n) { return static_cast<size_t>((n + 15) & ~15); }

template <class Work>
void in_batches(size_t begin, size_t end, Work work) {
  for (size_t at = begin; at < end; at += kNetworkBatch) work(at, std::min(kNetworkBatch, end - at));
}

void hidden_layer(const PackedLayer& layer, size_t variant, const int16_t* x, size_t stride, size_t rows,
                  SliceScratch& scratch, int16_t* z) {
  network_linear(layer, x, stride, rows, scratch.sums.data());
  network_gain(layer, variant, scratch.sums.data(), rows, 0, kMaxActivation, z,
               static_cast<size_t>(layer.out_padded));
}

// What the hidden layer's activations give in `scratch.output`, rows of out_padded.
void output_layer(const PackedLayer& layer, const int16_t* hidden, size_t stride, size_t rows,
                  SliceScratch& scratch) {
  network_linear(layer, hidden, stride, rows, scratch.sums.data());
  network_gain(layer, 0, scratch.sums.data(), rows, -kWide, kWide, scratch.output.data(),
               static_cast<size_t>(layer.out_padded));
}

// Both layers over rows of hidden.in_padded in scratch.input.
void two_layers(const TwoLayers<PackedLayer>& net, size_t variant, size_t rows, SliceScratch& scratch) {
  hidden_layer(net.hidden, variant, scratch.input.data(), static_cast<size_t>(net.hidden.in_padded), rows,
               scratch, scratch.hidden.data());
  output_layer(net.out, scratch.hidden.data(), static_cast<size_t>(net.hidden.out_padded), rows, scratch);
}

const int16_t* output_row(const PackedLayer& layer, const SliceScratch& scratch, size_t row) {
  return scratch.output.data() + row * static_cast<size_t>(layer.out_padded);
}

void predict_steps(const StreamModel& model, SliceState& state, SliceScratch& scratch, size_t begin,
                   size_t rows) {
  const size_t c = static_cast<size_t>(model.header.context_size());
  const PackedNetworks& n = model.networks;
  hidden_layer(n.steps_hidden, 0, state.context.data() + begin * c, c, rows, scratch, scratch.hidden.data());
  output_layer(n.steps_out, scratch.hidden.data(), static_cast<size_t>(n.steps_hidden.out_padded), rows,
               scratch);
  for (size_t r = 0; r < rows; ++r)
    for (size_t i = 0; i < 3; ++i)
      state.steps[(begin + r) * 3 + i] =
          static_cast<uint8_t>(std::clamp(64 + output_row(n.steps_out, scratch, r)[i], 0, 127));
}

void predict_means(const StreamModel& model, SliceState& state, SliceScratch& scratch, size_t begin,
                   size_t rows) {
  const size_t attributes = static_cast<size_t>(model.header.values());
  const size_t offset_values = 3 * static_cast<size_t>(model.header.offsets());
  const PackedNetworks& n = model.networks;
  output_layer(n.center, scratch.hidden.data(), static_cast<size_t>(n.trunk.out_padded), rows, scratch);
  for (size_t r = 0; r < rows; ++r) {
    const int16_t* z = output_row(n.center, scratch, r);
    std::copy_n(z, attributes, state.means.data() + (begin + r) * attributes);
    std::copy_n(z + attributes, offset_values, state.offset_scales.data() + (begin + r) * offset_values);
  }
}

// Of a batch in scratch.stage_hidden: anchor_of(r) is row r, whose tables are row `first` + r.
template <class AnchorOf>
void predict_tables(const StreamModel& model, const SliceState& state, SliceScratch& scratch, size_t rows,
                    size_t first, int stage, AnchorOf anchor_of) {
  const StreamHeader& h = model.header;
  const size_t f = static_cast<size_t>(h.features()), scales = static_cast<size_t>(h.scales());
  const PackedLayer& scale = model.networks.scale;
  output_layer(scale, scratch.stage_hidden.data(), static_cast<size_t>(model.networks.trunk.out_padded), rows,
               scratch);
  const int16_t* logs = log_step_table();
  const int32_t add[2] = {log3(h[kFeatures].step_level(stage)), log3(h[kScaling].step_level(stage))};
  for (size_t r = 0; r < rows; ++r) {
    const int16_t* z = output_row(scale, scratch, r);
    const uint8_t* steps = state.steps.data() + anchor_of(r) * 3;
    const size_t row = first + r;
    GSPC_DISPATCH(gaussian_table_kernel)(z, add[0] - logs[steps[0]], f,
                                         scratch.feature_tables.data() + row * f);
    GSPC_DISPATCH(gaussian_table_kernel)(z + f, add[1] - logs[steps[1]], scales,
                                         scratch.scaling_tables.data() + row * scales);
  }
}

void resize_tables(const StreamModel& model, SliceScratch& scratch, size_t rows) {
  scratch.feature_tables.resize(rows * static_cast<size_t>(model.header.features()));
  scratch.scaling_tables.resize(rows * static_cast<size_t>(model.header.scales()));
}

// The trit table nearest to the three bins of a Gaussian of table `scale` that refine k.
uint16_t gaussian_trit(const CodecTables& t, uint8_t scale, int32_t k) {
  const auto limit = static_cast<int32_t>(t.reach[scale] >> 16),
             inverse = static_cast<int32_t>(t.inverse_sigma[scale]);
  int32_t edge[4];
  for (int j = 0; j < 4; ++j) edge[j] = normal_distribution(t, 16 * (3 * k - 1 + j) - 8, limit, inverse);
  const uint64_t minus = static_cast<uint64_t>(edge[1] - edge[0] + 1),
                 zero = static_cast<uint64_t>(edge[2] - edge[1] + 1),
                 plus = static_cast<uint64_t>(edge[3] - edge[2] + 1);
  const auto place = [](const uint32_t* edges, uint64_t part, uint64_t whole) {
    uint32_t low = 0, high = 63;  // how many edges are not above the share
    while (low < high) {
      const uint32_t middle = (low + high) / 2;
      if (part << 16 >= edges[middle] * whole) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return static_cast<uint16_t>(place(trit_zero_edges(), zero, minus + zero + plus) * 64 +
                               place(trit_plus_edges(), plus, minus + plus));
}

// Gaussian tables at `stage` of features and scaling of the anchors scratch.rows.
void predict_scales(const StreamModel& model, const SliceState& state, SliceScratch& scratch, int stage) {
  const size_t c = static_cast<size_t>(model.header.context_size());
  const std::vector<uint32_t>& anchors = scratch.rows;
  resize_tables(model, scratch, anchors.size());
  in_batches(0, anchors.size(), [&](size_t begin, size_t rows) {
    for (size_t r = 0; r < rows; ++r)
      std::copy_n(state.context.data() + anchors[begin + r] * c, c, scratch.input.data() + r * c);
    hidden_layer(model.networks.trunk, static_cast<size_t>(stage), scratch.input.data(), c, rows, scratch,
                 scratch.stage_hidden.data());
    predict_tables(model, state, scratch, rows, begin, stage, [&](size_t r) { return anchors[begin + r]; });
  });
}

void gaussian_trits(const StreamModel& model, const SliceState& state, SliceScratch& scratch, int stage,
                    int attribute) {
  const size_t values = static_cast<size_t>(model.header[attribute].values);
  const std::vector<uint32_t>& anchors = scratch.rows;
  const uint8_t* tables = nullptr;
  if (attribute == kOffsets) {
    scratch.offset_tables.resize(anchors.size() * values);
    for (size_t r = 0; r < anchors.size(); ++r) {
      const size_t n = anchors[r];
      GSPC_DISPATCH(gaussian_table_kernel)
      (state.offset_scales.data() + n * values, log3(stage) - log_step_table()[state.steps[3 * n + 2]],
       values, scratch.offset_tables.data() + r * values);
    }
    tables = scratch.offset_tables.data();
  } else {
    predict_scales(model, state, scratch, stage);
    tables = attribute == kFeatures ? scratch.feature_tables.data() : scratch.scaling_tables.data();
  }
  const CodecTables& t = codec_tables();
  scratch.trit_tables.resize(anchors.size() * values);
  for (size_t r = 0; r < anchors.size(); ++r) {
    const int32_t* k = state.symbols[attribute].data() + anchors[r] * values;
    for (size_t i = 0; i < values; ++i)
      scratch.trit_tables[r * values + i] = gaussian_trit(t, tables[r * values + i], k[i]);
  }
}

// Second components equal to the first, of weight 0.
void unbounded_row(const int16_t* z, size_t n, size_t at, MixtureRun& run) {
  for (size_t i = 0; i < n; ++i) {
    run.mean[0][at + i] = run.mean[1][at + i] = std::clamp<int16_t>(z[i], -kUnboundedMean, kUnboundedMean);
    run.scale[0][at + i] = run.scale[1][at + i] =
        static_cast<uint8_t>(std::clamp(z[n + i] + 64, 0, kGaussianTables - 1));
    run.weight[at + i] = 0;
  }
}

}  // namespace

SliceScratch::SliceScratch(const StreamHeader& h) {
  int inputs = h.context_size() + std::max({h.features(), h.scales(), 3 * h.offsets()});
  int widest = std::max(
      {h.values() + 3 * h.offsets(), 2 * h.features(), 6 * h.offsets(), kMaxHidden, h.pool.features});
  for (int j = 1; j < h.groups.count; ++j) {
    const int first = h.group_begin(j), n = h.group_begin(j + 1) - first;
    inputs = std::max(inputs, 2 * n + first);
    widest = std::max(widest, 3 * n);
  }
  input.assign(kNetworkBatch * static_cast<size_t>(inputs + 2), 0);
  hidden.assign(kNetworkBatch * padded(widest), 0);
  stage_hidden.assign(kNetworkBatch * padded(widest), 0);
  output.assign(kNetworkBatch * padded(widest), 0);
  sums.assign(kNetworkBatch * padded(widest), 0);
  if (h.pool.features > 0)
    pool_context.assign((kPoolRows + 8) * static_cast<size_t>(h.pool_context_size()), 0);
}

void predict_centers(const StreamModel& model, SliceState& state, SliceScratch& scratch, size_t begin,
                     size_t end, int stage) {
  const size_t c = static_cast<size_t>(model.header.context_size());
  const PackedLayer& trunk = model.networks.trunk;
  const size_t stride = static_cast<size_t>(trunk.out_padded);
  if (stage > 0) resize_tables(model, scratch, end - begin);
  grid_context(model.context_grid, model.signs.data(), state.positions.data() + 3 * begin, end - begin,
               state.context.data() + begin * c);
  in_batches(begin, end, [&](size_t at, size_t rows) {
    predict_steps(model, state, scratch, at, rows);
    network_linear(trunk, state.context.data() + at * c, c, rows, scratch.sums.data());
    if (stage > 0)
      network_gain(trunk, static_cast<size_t>(stage), scratch.sums.data(), rows, 0, kMaxActivation,
                   scratch.stage_hidden.data(), stride);
    network_gain(trunk, 0, scratch.sums.data(), rows, 0, kMaxActivation, scratch.hidden.data(), stride);
    predict_means(model, state, scratch, at, rows);
    if (stage > 0)
      predict_tables(model, state, scratch, rows, at - begin, stage, [&](size_t r) { return at + r; });
  });
}

void predict_trits(const StreamModel& model, SliceState& state, SliceScratch& scratch, int stage,
                   int attribute) {
  const StreamHeader& h = model.header;
  if (h[attribute].trit_model == TritModel::gaussian)
    return gaussian_trits(model, state, scratch, stage, attribute);
  const size_t c = static_cast<size_t>(h.context_size()), values = static_cast<size_t>(h[attribute].values);
  const TwoLayers<PackedLayer>& net = model.networks.trits[attribute];
  const size_t stride = static_cast<size_t>(net.hidden.in_padded);
  const bool unbounded = h[attribute].trit_model == TritModel::unbounded;
  const int64_t third = inverse3(stage - 1);
  const std::vector<int32_t>& k = state.symbols[attribute];
  const std::vector<uint32_t>& anchors = scratch.rows;
  if (unbounded) scratch.mixtures.resize(anchors.size() * values);
  else scratch.trit_tables.resize(anchors.size() * values);
  std::fill(scratch.input.begin(), scratch.input.end(), int16_t{0});
  in_batches(0, anchors.size(), [&](size_t begin, size_t rows) {
    for (size_t r = 0; r < rows; ++r) {
      int16_t* x = scratch.input.data() + r * stride;
      const size_t n = anchors[begin + r];
      std::copy_n(state.context.data() + n * c, c, x);
      const int64_t factor = step_table()[state.steps[n * 3 + static_cast<size_t>(attribute)]] * third;
      GSPC_DISPATCH(centered_kernel)(k.data() + n * values, factor, values, x + c);
    }
    two_layers(net, static_cast<size_t>(stage) - 2, rows, scratch);
    for (size_t r = 0; r < rows; ++r) {
      const int16_t* z = output_row(net.out, scratch, r);
      if (unbounded) unbounded_row(z, values, (begin + r) * values, scratch.mixtures);
      else
        GSPC_DISPATCH(trit_table_kernel)(z, z + values, values,
                                         scratch.trit_tables.data() + (begin + r) * values);
    }
  });
}

void predict_group(const StreamModel& model, const SliceState& state, SliceScratch& scratch, int stage,
                   int group, size_t begin, size_t end) {
  const StreamHeader& h = model.header;
  const size_t f = static_cast<size_t>(h.features()), attributes = static_cast<size_t>(h.values());
  const size_t first = static_cast<size_t>(h.group_begin(group)),
               n = static_cast<size_t>(h.group_begin(group + 1)) - first;
  const TwoLayers<PackedLayer>& net = model.networks.groups[static_cast<size_t>(group) - 1];
  const size_t stride = static_cast<size_t>(net.hidden.in_padded);
  const int step_level = h[kFeatures].step_level(stage);
  const int64_t third = inverse3(step_level);
  int64_t threes = 1;
  for (int s = 1; s < step_level; ++s) threes *= 3;
  MixtureRun& run = scratch.mixtures;
  run.resize((end - begin) * n);
  std::fill(run.mean[0].begin(), run.mean[0].end(), int16_t{0});
  std::fill(scratch.input.begin(), scratch.input.end(), int16_t{0});
  in_batches(begin, end, [&](size_t at, size_t rows) {
    for (size_t r = 0; r < rows; ++r) {
      int16_t* x = scratch.input.data() + r * stride;
      const uint8_t* tables = scratch.feature_tables.data() + (at + r - begin) * f + first;
      const int16_t* means = state.means.data() + (at + r) * attributes + first;
      std::copy_n(tables, n, run.scale[0].data() + (at + r - begin) * n);
      for (size_t i = 0; i < n; ++i) {
        x[i] = static_cast<int16_t>((tables[i] - 64) * 16);
        x[n + i] = std::clamp<int16_t>(means[i], -kMaxActivation, kMaxActivation);
      }
      const int64_t factor = step_table()[state.steps[(at + r) * 3 + kFeatures]] * third;
      GSPC_DISPATCH(centered_kernel)(state.symbols[kFeatures].data() + (at + r) * f, factor, first,
                                     x + 2 * n);
    }
    two_layers(net, static_cast<size_t>(stage) - 1, rows, scratch);
    for (size_t r = 0; r < rows; ++r) {
      const uint8_t step = state.steps[(at + r) * 3 + kFeatures];
      const size_t to = (at + r - begin) * n;
      GSPC_DISPATCH(mixture_kernel)
      (output_row(net.out, scratch, r), inverse_step_table()[step] * threes,
       log3(step_level) - log_step_table()[step], mixture_weight_table(), n, run.mean[1].data() + to,
       run.scale[1].data() + to, run.weight.data() + to);
    }
  });
}

void predict_pool(const StreamModel& model, SliceScratch& scratch, const int32_t* positions,
                  const int16_t* context, size_t n, float* out, size_t stride) {
  const TwoLayers<PackedLayer>& net = model.networks.pool;
  const size_t c = static_cast<size_t>(model.header.pool_context_size()),
               values = static_cast<size_t>(model.header.pool.features);
  for (size_t block = 0; block < n; block += kPoolRows) {
    const size_t count = std::min(kPoolRows, n - block);
    const int16_t* x = context == nullptr ? scratch.pool_context.data() : context + block * c;
    if (context == nullptr)
      grid_context(model.pool_grid, model.signs.data() + model.pool_start, positions + 3 * block, count,
                   scratch.pool_context.data());
    in_batches(0, count, [&](size_t at, size_t rows) {
      hidden_layer(net.hidden, 0, x + at * c, c, rows, scratch, scratch.hidden.data());
      output_layer(net.out, scratch.hidden.data(), static_cast<size_t>(net.hidden.out_padded), rows, scratch);
      for (size_t r = 0; r < rows; ++r) {
        const int16_t* z = output_row(net.out, scratch, r);
        float* row = out + (block + at + r) * stride;
        for (size_t i = 0; i < values; ++i) row[i] = static_cast<float>(z[i]) * kPoolUnit;
      }
    });
  }
}

}  // namespace gspc
