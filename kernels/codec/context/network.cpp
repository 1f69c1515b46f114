#include "codec/context/network.hpp"

#include <cstdlib>

#include "codec/context/network_isa.hpp"
#include "codec/format/limits.hpp"
#include "codec/format/stream_error.hpp"

namespace gspc {

namespace {

int64_t row_bound(const IntegerLayer& layer, int row) {
  int64_t sum = 0;
  const int8_t* w = layer.weight.data() + static_cast<size_t>(row) * static_cast<size_t>(layer.in);
  for (int i = 0; i < layer.in; ++i) sum += std::abs(static_cast<int>(w[i]));
  return sum * kMaxActivation + std::abs(static_cast<int64_t>(layer.bias[static_cast<size_t>(row)]));
}

}  // namespace

void check_rows(const IntegerLayer& layer, const std::string& name) {
  for (int row = 0; row < layer.out; ++row)
    if (row_bound(layer, row) >= kAccumulatorBound)
      stream_fail_in("network " + name + " row " + std::to_string(row), "sum |w| * 2047 + |b| reaches 2^24");
}

void check_gain(const IntegerLayer& layer, size_t variant, const std::string& name) {
  const Gain& gain = layer.gains[variant];
  if (gain.shift < 1 || gain.shift > 40) stream_fail_in("network " + name, "shift must be 1 to 40");
  for (int row = 0; row < layer.out; ++row) {
    const int64_t most =
        row_bound(layer, row) * std::abs(static_cast<int64_t>(gain.multiplier[static_cast<size_t>(row)]));
    if (((most + (int64_t{1} << (gain.shift - 1))) >> gain.shift) >= int64_t{1} << 31)
      stream_fail_in("network " + name + " row " + std::to_string(row), "its rescaled output can reach 2^31");
  }
}

Networks::Networks(const StreamShape& s, int levels) {
  const int c = s.context_size();
  const int attributes = s.values();
  const size_t variants = static_cast<size_t>(levels);
  steps_hidden = IntegerLayer(c, s.steps_hidden, 1);
  steps_out = IntegerLayer(s.steps_hidden, 3, 1);
  trunk = IntegerLayer(c, s.trunk_hidden, variants + 1);
  center = IntegerLayer(s.trunk_hidden, attributes + 3 * s.offsets(), 1);
  scale = IntegerLayer(s.trunk_hidden, s.features() + s.scales(), 1);
  for (int j = 1; j < s.groups.count; ++j) {
    const int first = s.group_begin(j), n = s.group_begin(j + 1) - first;
    groups.emplace_back(IntegerLayer(2 * n + first, s.groups.hidden, variants),
                        IntegerLayer(s.groups.hidden, 3 * n, 1));
  }
  if (s.pool.features > 0)
    pool = {IntegerLayer(s.pool_context_size(), s.pool.hidden, 1),
            IntegerLayer(s.pool.hidden, s.pool.features, 1)};
  if (levels < 2) return;
  for (int a : {kFeatures, kScaling, kOffsets})
    if (s[a].wants_network())
      trits[a] = {IntegerLayer(c + s[a].values, s[a].hidden, variants - 1),
                  IntegerLayer(s[a].hidden, 2 * s[a].values, 1)};
}

PackedLayer::PackedLayer(const IntegerLayer& layer)
    : in_padded((layer.in + 1) & ~1), out(layer.out), out_padded((layer.out + 15) & ~15) {
  const size_t padded = static_cast<size_t>(out_padded);
  weight.assign(static_cast<size_t>(in_padded) * padded, 0);
  for (int o = 0; o < layer.out; ++o)
    for (int i = 0; i < layer.in; ++i)
      weight[(static_cast<size_t>(i / 2) * padded + static_cast<size_t>(o)) * 2 +
             static_cast<size_t>(i & 1)] =
          layer.weight[static_cast<size_t>(o) * static_cast<size_t>(layer.in) + static_cast<size_t>(i)];
  bias = layer.bias;
  bias.resize(padded, 0);
  for (const Gain& gain : layer.gains) {
    std::vector<int32_t> m(gain.multiplier.begin(), gain.multiplier.end());
    m.resize(padded, 0);
    multiplier.push_back(std::move(m));
    shift.push_back(gain.shift);
  }
}

PackedNetworks::PackedNetworks(const Networks& n)
    : steps_hidden(n.steps_hidden),
      steps_out(n.steps_out),
      trunk(n.trunk),
      center(n.center),
      scale(n.scale),
      pool(n.pool) {
  for (int a : {kFeatures, kScaling, kOffsets}) trits[a] = TwoLayers<PackedLayer>(n.trits[a]);
  for (const auto& group : n.groups) groups.emplace_back(group);
}

void network_linear(const PackedLayer& layer, const int16_t* x, size_t stride, size_t rows, int32_t* y) {
  GSPC_DISPATCH(linear_kernel)
  (layer.weight.data(), layer.bias.data(), static_cast<size_t>(layer.in_padded) / 2,
   static_cast<size_t>(layer.out_padded), x, stride, (rows + 7) / 8 * 8, y);
}

void network_gain(const PackedLayer& layer, size_t variant, const int32_t* y, size_t rows, int32_t low,
                  int32_t high, int16_t* z, size_t stride) {
  GSPC_DISPATCH(gain_kernel)
  (layer.multiplier[variant].data(), layer.shift[variant], y, rows, static_cast<size_t>(layer.out_padded),
   low, high, z, stride);
}

}  // namespace gspc
