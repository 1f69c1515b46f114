// Gradients of blending one 16x16 tile by the colors alone: weight times incoming gradient, summed over the
// pixels of each pair. A picture is linear in the colors, so neither they nor what lies behind are needed.
#include <cstdint>

#include "raster/tile_vector.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {
namespace {

// Incoming gradients and transmittance of a tile's pixels by block.
struct ColorCanvas {
  struct Block {
    float transmittance[kBlockPixels], grad[3][kBlockPixels];
  };
  alignas(64) Block block[kBlocks];
};

void open_color_canvas(const View& view, int x0, int y0, const float* grad_image, ColorCanvas& canvas) {
  for (int p = 0; p < kPixels; ++p) {
    const int x = x0 + pixel_x(p), y = y0 + pixel_y(p), lane = p % kBlockPixels;
    const bool inside = x < view.width && y < view.height;
    const std::int64_t at = static_cast<std::int64_t>(y) * view.width + x;
    ColorCanvas::Block& block = canvas.block[p / kBlockPixels];
    block.transmittance[lane] = inside ? 1.0f : 0.0f;
    for (int c = 0; c < 3; ++c) block.grad[c][lane] = inside ? grad_image[at * 3 + c] : 0.0f;
  }
}

// Runs one pair over its blocks, as blending did, and writes its slot: red, green, blue, 0.
GSPC_INLINE void pull_colors(const Batch& batch, int i, ColorCanvas& canvas, float* slot) {
  const Floats threshold = splat(kLog2MinAlpha), max_alpha = splat(kMaxAlpha),
               least = splat(kMinTransmittance);
  Floats red = splat(0.0f), green = red, blue = red;
  for (std::uint32_t rest = batch.mask[i]; rest != 0; rest &= rest - 1) {
    const int index = __builtin_ctz(rest);
    ColorCanvas::Block& block = canvas.block[index];
    for (int v = 0; v < kVectors; ++v) {
      const int p = v * kLanes;
      const Floats t = load(block.transmittance + p), e = exponent(batch, i, pixels_of(index, v));
      const Floats alpha = vmin(vexp2(e), max_alpha);
      const Mask valid = ge(e, threshold);
      const Floats next = fnma(t, alpha, t);
      const Mask ok = both(valid, gt(next, least));
      const Floats weight = zero_unless(ok, t * alpha);
      store(block.transmittance + p, select(valid, zero_unless(ok, next), t));
      red = fma(weight, load(block.grad[0] + p), red);
      green = fma(weight, load(block.grad[1] + p), green);
      blue = fma(weight, load(block.grad[2] + p), blue);
    }
  }
  const Quad found = sums(red, green, blue, splat(0.0f));
  for (int c = 0; c < kColorSlot; ++c) slot[c] = found[c];
}

}  // namespace

void raster_tile_colors(const State& state, int tile, const float* grad_image, float* slots) {
  const int x0 = tile % state.tiles_x * kTile, y0 = tile / state.tiles_x * kTile;
  const float center_x = static_cast<float>(x0) + 8.0f, center_y = static_cast<float>(y0) + 8.0f;
  ColorCanvas canvas;
  open_color_canvas(state.view, x0, y0, grad_image, canvas);
  Batch batch;
  std::int32_t slot[kBatch];
  for (std::int32_t at = state.tile_first[tile], last = state.tile_first[tile + 1]; at < last;) {
    int count = 0;
    for (; at < last && count < kBatch; ++at) {
      const Pair pair = state.list[at];
      batch.gaussian[count] = pair.gaussian;
      batch.mask[count] = state.masks[at];
      slot[count] = pair.slot;
      count += static_cast<int>(state.masks[at] != 0);
      if (state.masks[at] == 0)
        for (int c = 0; c < kColorSlot; ++c) slots[static_cast<std::int64_t>(pair.slot) * kColorSlot + c] = 0;
    }
    const int padded = (count + kLanes - 1) / kLanes * kLanes;
    for (int i = count; i < padded; ++i) batch.gaussian[i] = batch.gaussian[0];
    load_batch(batch, state.records.get(), padded, center_x, center_y);
    for (int i = 0; i < count; ++i)
      pull_colors(batch, i, canvas, slots + static_cast<std::int64_t>(slot[i]) * kColorSlot);
  }
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
