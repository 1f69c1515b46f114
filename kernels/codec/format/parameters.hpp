// What a stream carries beside symbols, coded with the adaptive binary coder: signs of the context grid,
// weights of the integer networks and of the heads, cameras. Each traversal is a template over the coder and
// serves both directions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codec/context/network.hpp"
#include "codec/format/header.hpp"

namespace gspc {

struct HeadLayer {
  int in = 0, out = 0;
  std::vector<int8_t> weight;      // [out, in]
  std::vector<float> scale, bias;  // [out]

  HeadLayer() = default;
  HeadLayer(int inputs, int outputs)
      : in(inputs),
        out(outputs),
        weight(static_cast<size_t>(inputs) * static_cast<size_t>(outputs)),
        scale(static_cast<size_t>(outputs)),
        bias(static_cast<size_t>(outputs)) {}
};

// The Gaussian heads: hidden [3H, Fh + 4], opacity [K, H], color [3K, H], cov [7K, H]. Fh = P + F, or P with
// a residual decoder, whose layers are shape_hidden, appearance_hidden [Hr, F + 4], shape_out [7K, Hr],
// appearance_out [4K, Hr].
struct StoredHeads {
  HeadLayer hidden, opacity, color, cov;
  bool residual = false;
  HeadLayer shape_hidden, shape_out, appearance_hidden, appearance_out;
  float distance_scale = 1;

  StoredHeads() = default;
  explicit StoredHeads(const StreamShape& shape);
};

// Calls visit(name, layer) for every layer of the heads, in the stream's order.
template <class H, class Visit>
void each_head_layer(H& heads, Visit visit) {
  visit("hidden heads", heads.hidden);
  visit("opacity head", heads.opacity);
  visit("color head", heads.color);
  visit("cov head", heads.cov);
  if (!heads.residual) return;
  visit("hidden layer of the shape decoder", heads.shape_hidden);
  visit("shape decoder", heads.shape_out);
  visit("hidden layer of the appearance decoder", heads.appearance_hidden);
  visit("appearance decoder", heads.appearance_out);
}

// The heads as renderers use them: hidden [3H', P + F + 4], opacity [K, H'], color [3K, H'], cov [7K, H']. A
// residual decoder becomes Hr more units of each block, H' = H + Hr, so that its logits are added.
struct FloatLayer {
  int in = 0, out = 0;
  std::vector<float> weight, bias;  // [out, in], [out]
};
struct FloatHeads {
  FloatLayer hidden, opacity, color, cov;
};
FloatHeads dequantize(const StoredHeads& heads);

struct StoredCamera {
  std::string name;
  uint32_t width = 0, height = 0;
  double focal_x = 0, focal_y = 0, center_x = 0, center_y = 0;
  double world_to_camera[12] = {};  // three rows of [R | t]
};

// One byte per grid entry as grid_sign_table() lays them out.
std::vector<uint8_t> write_grid(const GridSpec& spec, const std::vector<uint8_t>& table);
std::vector<uint8_t> read_grid(const GridSpec& spec, const uint8_t* data, size_t size);

// The stage of each level from level 1 on: the level of training whose networks and first steps it uses.
// Unless refinement is selective, level s is stage s.
using Stages = std::vector<int>;

// What level `level` adds to the networks: at stage 1 everything but the trit networks; at stage 2 those; at
// each stage its gains; nothing when the stage is that of the level before. Reading checks bounds, adds the
// next level to `stages` and throws StreamError.
std::vector<uint8_t> write_networks(Networks& networks, const StreamShape& shape, const Stages& stages,
                                    int level);
void read_networks(Networks& networks, const StreamShape& shape, Stages& stages, const uint8_t* data,
                   size_t size);

// Throws StreamError unless what stage `stage` adds keeps every bound.
void check_networks(const Networks& networks, int stage);

std::vector<uint8_t> write_heads(StoredHeads& heads);
StoredHeads read_heads(const StreamShape& shape, const uint8_t* data, size_t size);

std::vector<uint8_t> write_cameras(std::vector<StoredCamera> cameras);
std::vector<StoredCamera> read_cameras(const uint8_t* data, size_t size);

}  // namespace gspc
