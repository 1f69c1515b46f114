// Integer networks: what lies between symbols and tables, without floating point (man/pcgs.5, NETWORKS).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "codec/format/shape.hpp"

namespace gspc {

// One gain variant of a layer: z = (y * multiplier + 2^(shift - 1)) >> shift.
struct Gain {
  std::vector<int16_t> multiplier;  // [out]
  uint8_t shift = 1;
};

struct IntegerLayer {
  int in = 0, out = 0;
  std::vector<int8_t> weight;  // [out, in]
  std::vector<int32_t> bias;   // [out]
  std::vector<Gain> gains;

  IntegerLayer() = default;
  IntegerLayer(int inputs, int outputs, size_t variants)
      : in(inputs),
        out(outputs),
        weight(static_cast<size_t>(inputs) * static_cast<size_t>(outputs)),
        bias(static_cast<size_t>(outputs)),
        gains(variants, Gain{std::vector<int16_t>(static_cast<size_t>(outputs)), 1}) {}
};

// Throws StreamError when a row breaks the accumulator bound or a gain may leave 31 bits.
void check_rows(const IntegerLayer& layer, const std::string& name);
void check_gain(const IntegerLayer& layer, size_t variant, const std::string& name);

template <class Layer>
struct TwoLayers {
  Layer hidden, out;

  TwoLayers() = default;
  TwoLayers(Layer first, Layer second) : hidden(std::move(first)), out(std::move(second)) {}
  template <class Other>
  explicit TwoLayers(const TwoLayers<Other>& other) : hidden(other.hidden), out(other.out) {}
};

// Hidden layers of trit networks have gains for levels 2.. (gain s - 2), those of groups for all levels (gain
// s - 1); the trunk has gain 0 (level-free) and gain s.
struct Networks {
  IntegerLayer steps_hidden, steps_out, trunk, center, scale;
  TwoLayers<IntegerLayer> trits[kAttributes];   // as shape.attributes
  std::vector<TwoLayers<IntegerLayer>> groups;  // of group 1, 2, ...
  TwoLayers<IntegerLayer> pool;

  // Sizes from the shape, gains for `levels` levels. What the shape does not have is 0 wide.
  Networks() = default;
  Networks(const StreamShape& shape, int levels);
};

// Calls visit(name, layer) for every layer that there is, in the order of StreamShape.layers
// (gspc/format/shape.py).
template <class N, class Visit>
void each_layer(N& networks, Visit visit) {
  visit(std::string("steps_hidden"), networks.steps_hidden);
  visit(std::string("steps_out"), networks.steps_out);
  visit(std::string("trunk"), networks.trunk);
  visit(std::string("center"), networks.center);
  visit(std::string("scale"), networks.scale);
  const auto both = [&](const std::string& name, auto& net) {
    if (net.hidden.out == 0) return;
    visit(name + "_hidden", net.hidden);
    visit(name + "_out", net.out);
  };
  for (size_t i = 0; i < networks.groups.size(); ++i)
    both("group_" + std::to_string(i + 1), networks.groups[i]);
  both("pool", networks.pool);
  for (size_t a = 0; a < kAttributes; ++a) both(std::string("trit_") + kAttributeNames[a], networks.trits[a]);
}

// A layer as the kernels read it: weights in pairs of inputs, outputs padded to 16 with zeros.
struct PackedLayer {
  int in_padded = 0;  // even
  int out = 0, out_padded = 0;
  std::vector<int16_t> weight;                   // [in_padded / 2][out_padded][2]
  std::vector<int32_t> bias;                     // [out_padded]
  std::vector<std::vector<int32_t>> multiplier;  // [variant][out_padded]
  std::vector<uint8_t> shift;

  PackedLayer() = default;
  explicit PackedLayer(const IntegerLayer& layer);
};

struct PackedNetworks {
  PackedLayer steps_hidden, steps_out, trunk, center, scale;
  TwoLayers<PackedLayer> trits[kAttributes];
  std::vector<TwoLayers<PackedLayer>> groups;
  TwoLayers<PackedLayer> pool;

  PackedNetworks() = default;
  explicit PackedNetworks(const Networks& networks);
};

inline constexpr size_t kNetworkBatch = 32;  // rows a kernel works on at once; buffers hold this many

// y [rows to a multiple of 8][out_padded] = W x + b for x [rows, stride] int16, stride >= in_padded. rows <=
// kNetworkBatch; x must have readable rows up to the next multiple of 8.
void network_linear(const PackedLayer& layer, const int16_t* x, size_t stride, size_t rows, int32_t* y);

// z [rows, stride] int16 = gain of y, clamped to [low, high]; stride >= out_padded.
void network_gain(const PackedLayer& layer, size_t variant, const int32_t* y, size_t rows, int32_t low,
                  int32_t high, int16_t* z, size_t stride);

}  // namespace gspc
