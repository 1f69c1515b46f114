// Stored networks, heads, grids and cameras of a small shape; networks that pass are run on extreme values.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "codec/format/parameters.hpp"
#include "codec/format/stream_error.hpp"
#include "codec/format/usable.hpp"
#include "common/isa.hpp"

using namespace gspc;

namespace {

// Wide enough for what pads the kernels' vectors, small enough to be read many times a second.
StreamShape shape_of(uint8_t kind) {
  StreamShape shape;
  shape[kFeatures].values = kind & 1 ? 9 : 4;
  shape[kFeatures].refined_until = kAllLevels;
  shape[kFeatures].hidden = 7;
  shape[kScaling].values = kind & 2 ? 6 : 1;
  shape[kScaling].refined_until = 2;
  shape[kScaling].hidden = 5;
  shape[kOffsets].values = 6;
  shape.steps_hidden = 3;
  shape.trunk_hidden = 17;
  shape.heads_hidden = 5;
  if (kind & 4) shape.groups = {2, 6};
  if (kind & 8) shape.pool = {5, 8, 0};
  if (kind & 24) shape.residual_hidden = kind & 8 ? 4 : 0;
  shape.selective = (kind & 32) != 0;
  shape.grid = {{0, 0, 0}, {64, 64, 64}, {{3, 4, 8}, {0, 9, 8}}};
  return shape;
}

void run(const IntegerLayer& layer, uint8_t fill) {
  if (layer.out == 0) return;
  const PackedLayer packed(layer);
  const auto stride = static_cast<size_t>(std::max(packed.in_padded, packed.out_padded));
  std::vector<int16_t> x(kNetworkBatch * stride);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<int16_t>(i % 3 ? fill & 127 : -(fill & 127));
  std::vector<int16_t> first;
  for (Isa isa : {Isa::base, Isa::v3, Isa::v4}) {
    set_isa(isa);
    std::vector<int32_t> y(kNetworkBatch * static_cast<size_t>(packed.out_padded));
    network_linear(packed, x.data(), stride, kNetworkBatch, y.data());
    std::vector<int16_t> z(kNetworkBatch * stride);
    for (size_t variant = 0; variant < packed.multiplier.size(); ++variant)
      network_gain(packed, variant, y.data(), kNetworkBatch, -127, 127, z.data(), stride);
    if (first.empty()) first = z;
    if (z != first) std::abort();
  }
}

void networks(const StreamShape& shape, const std::vector<uint8_t>& bytes, uint8_t fill) {
  Networks read(shape, 3);
  Stages stages;
  const size_t third = bytes.size() / 3;
  for (int level = 1; level <= 3; ++level) {
    const size_t begin = static_cast<size_t>(level - 1) * third;
    read_networks(read, shape, stages, bytes.data() + begin, level < 3 ? third : bytes.size() - begin);
    check_networks(read, stages.back());
    each_layer(read, [&](const std::string&, const IntegerLayer& layer) { run(layer, fill); });
  }
}

void heads(const StreamShape& shape, const std::vector<uint8_t>& bytes) {
  StoredHeads read = read_heads(shape, bytes.data(), bytes.size());
  if (heads_error(read) != nullptr) std::abort();
  for (const FloatLayer& layer : {dequantize(read).hidden, dequantize(read).cov})
    for (float value : layer.weight)
      if (!std::isfinite(value)) std::abort();
  const std::vector<uint8_t> once = write_heads(read);
  StoredHeads again = read_heads(shape, once.data(), once.size());
  if (write_heads(again) != once) std::abort();
}

void cameras(const std::vector<uint8_t>& bytes) {
  const std::vector<uint8_t> once = write_cameras(read_cameras(bytes.data(), bytes.size()));
  if (write_cameras(read_cameras(once.data(), once.size())) != once) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const StreamShape shape = shape_of(data[0] >> 2);
  const std::vector<uint8_t> bytes(data + 2, data + size);
  try {
    switch (data[0] & 3) {
      case 0: heads(shape, bytes); break;
      case 1: cameras(bytes); break;
      case 2: read_grid(shape.grid, bytes.data(), bytes.size()); break;
      default: networks(shape, bytes, data[1]);
    }
  } catch (const StreamError&) {}
  return 0;
}
