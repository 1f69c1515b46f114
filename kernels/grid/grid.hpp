// Training side of the context grid (codec/context/context_grid.hpp): context from float embeddings, and
// their gradient. The forward pass takes only the signs of the embeddings (e >= 0 is +1; NaN is -1) and gives
// integer context / 512 exactly. The backward pass is straight-through: d sign(e) / d e = 1 where |e| <= 1,
// else 0.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/context/context_grid.hpp"

namespace gspc {

// embeddings [entries, 4] -> table of entries + kGridSignPadding bytes.
void grid_pack_signs(const float* embeddings, size_t entries, uint8_t* table);

// positions [n, 3], sign table -> out [n, C] float32 in [-1, 1].
void grid_forward(const GridSpec& spec, const uint8_t* table, const int32_t* positions, size_t n, float* out);

// The same as integers, [n, C] int16 in [-512, 512].
void grid_forward_int(const GridSpec& spec, const uint8_t* table, const int32_t* positions, size_t n,
                      int16_t* out);

// grad_out [n, C] -> grad_embeddings [entries, 4], overwritten. One task per plane walks all positions in
// order, so the sums are the same for any number of threads.
void grid_backward(const GridSpec& spec, const float* embeddings, const int32_t* positions,
                   const float* grad_out, size_t n, float* grad_embeddings);

}  // namespace gspc
