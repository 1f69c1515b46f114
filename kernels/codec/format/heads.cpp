// The stored heads as the float layers that renderers use.
#include <algorithm>
#include <cstddef>

#include "codec/format/parameters.hpp"

namespace gspc {

namespace {

float weight_at(const HeadLayer& layer, int row, int column) {
  const size_t at = static_cast<size_t>(row) * static_cast<size_t>(layer.in) + static_cast<size_t>(column);
  return static_cast<float>(layer.weight[at]) * layer.scale[static_cast<size_t>(row)];
}

// Rows [first, first + n) of `layer` go to rows from `at` of `out`, its columns from `column` on; `split`
// columns before its last ones `gap` columns of zeros are left out of it.
void place(FloatLayer& out, int at, const HeadLayer& layer, int first, int n, int column, int split = 0,
           int gap = 0) {
  for (int r = 0; r < n; ++r)
    for (int c = 0; c < layer.in; ++c) {
      const int to = column + c + (c >= layer.in - split ? gap : 0);
      out.weight[static_cast<size_t>(at + r) * static_cast<size_t>(out.in) + static_cast<size_t>(to)] =
          weight_at(layer, first + r, c);
    }
  for (int r = 0; r < n; ++r)
    out.bias[static_cast<size_t>(at + r)] += layer.bias[static_cast<size_t>(first + r)];
}

FloatLayer zeros(int in, int out) {
  FloatLayer layer;
  layer.in = in;
  layer.out = out;
  layer.weight.assign(static_cast<size_t>(in) * static_cast<size_t>(out), 0.0f);
  layer.bias.assign(static_cast<size_t>(out), 0.0f);
  return layer;
}

}  // namespace

FloatHeads dequantize(const StoredHeads& heads) {
  constexpr int kView = 4;  // direction and distance
  const int units = heads.opacity.in, offsets = heads.opacity.out;
  const int more = heads.residual ? heads.shape_hidden.out : 0;
  const int residuals = heads.residual ? heads.shape_hidden.in - kView : 0;
  const int pool =
      heads.hidden.in - kView;  // columns that only the stored heads read, if there is a residual decoder
  FloatHeads out{zeros(heads.hidden.in + residuals, 3 * (units + more)), zeros(units + more, offsets),
                 zeros(units + more, 3 * offsets), zeros(units + more, 7 * offsets)};
  const HeadLayer* const stored[3] = {&heads.opacity, &heads.color, &heads.cov};
  FloatLayer* const layers[3] = {&out.opacity, &out.color, &out.cov};
  for (int block = 0; block < 3; ++block) {
    const int at = block * (units + more);
    place(out.hidden, at, heads.hidden, block * units, units, 0, kView, residuals);
    place(*layers[block], 0, *stored[block], 0, stored[block]->out, 0);
    if (!heads.residual) continue;
    place(out.hidden, at + units, block == 2 ? heads.shape_hidden : heads.appearance_hidden, 0, more, pool);
    if (block == 2) place(out.cov, 0, heads.shape_out, 0, 7 * offsets, units);
    else place(*layers[block], 0, heads.appearance_out, block * offsets, layers[block]->out, units);
  }
  return out;
}

}  // namespace gspc
