// The GHED chunk: the Gaussian heads.
#include "codec/format/parameters.hpp"
#include "codec/format/stored_numbers.hpp"
#include "codec/format/usable.hpp"

namespace gspc {

namespace {

template <class Coder>
void code_head(Coder& coder, HeadLayer& layer) {
  code_weights(coder, layer.weight);
  code_floats(coder, layer.scale);
  code_floats(coder, layer.bias);
}

template <class Coder>
void code_heads(Coder& coder, StoredHeads& heads) {
  each_head_layer(heads, [&](const char*, HeadLayer& layer) { code_head(coder, layer); });
  std::vector<float> distance{heads.distance_scale};
  code_floats(coder, distance);
  heads.distance_scale = distance[0];
}

}  // namespace

StoredHeads::StoredHeads(const StreamShape& s)
    : hidden((s.residual_hidden > 0 ? s.pool.features : s.restored_features()) + 4, 3 * s.heads_hidden),
      opacity(s.heads_hidden, s.offsets()),
      color(s.heads_hidden, 3 * s.offsets()),
      cov(s.heads_hidden, 7 * s.offsets()),
      residual(s.residual_hidden > 0) {
  if (!residual) return;
  shape_hidden = HeadLayer(s.features() + 4, s.residual_hidden);
  shape_out = HeadLayer(s.residual_hidden, 7 * s.offsets());
  appearance_hidden = HeadLayer(s.features() + 4, s.residual_hidden);
  appearance_out = HeadLayer(s.residual_hidden, 4 * s.offsets());
}

std::vector<uint8_t> write_heads(StoredHeads& heads) {
  if (const char* error = heads_error(heads)) stream_fail(error);
  BinaryEncoder coder;
  code_heads(coder, heads);
  return coder.finish();
}

StoredHeads read_heads(const StreamShape& shape, const uint8_t* data, size_t size) {
  BinaryDecoder coder(data, size);
  StoredHeads heads(shape);
  code_heads(coder, heads);
  check_end(coder);
  if (const char* error = heads_error(heads)) stream_fail(error);
  return heads;
}

}  // namespace gspc
