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
  for (HeadLayer* layer : {&heads.hidden, &heads.opacity, &heads.color, &heads.cov}) code_head(coder, *layer);
  if (heads.residual)
    for (HeadLayer* layer :
         {&heads.shape_hidden, &heads.shape_out, &heads.appearance_hidden, &heads.appearance_out})
      code_head(coder, *layer);
  std::vector<float> distance{heads.distance_scale};
  code_floats(coder, distance);
  heads.distance_scale = distance[0];
}

}  // namespace

StoredHeads::StoredHeads(const StreamHeader& h)
    : hidden((h.residual_hidden > 0 ? h.pool_features : h.restored_features()) + 4, 3 * h.heads_hidden),
      opacity(h.heads_hidden, h.offsets),
      color(h.heads_hidden, 3 * h.offsets),
      cov(h.heads_hidden, 7 * h.offsets),
      residual(h.residual_hidden > 0) {
  if (!residual) return;
  shape_hidden = HeadLayer(h.features + 4, h.residual_hidden);
  shape_out = HeadLayer(h.residual_hidden, 7 * h.offsets);
  appearance_hidden = HeadLayer(h.features + 4, h.residual_hidden);
  appearance_out = HeadLayer(h.residual_hidden, 4 * h.offsets);
}

std::vector<uint8_t> write_heads(StoredHeads& heads) {
  if (const char* error = heads_error(heads)) stream_fail(error);
  BinaryEncoder coder;
  code_heads(coder, heads);
  return coder.finish();
}

StoredHeads read_heads(const StreamHeader& header, const uint8_t* data, size_t size) {
  BinaryDecoder coder(data, size);
  StoredHeads heads(header);
  code_heads(coder, heads);
  check_end(coder);
  if (const char* error = heads_error(heads)) stream_fail(error);
  return heads;
}

}  // namespace gspc
