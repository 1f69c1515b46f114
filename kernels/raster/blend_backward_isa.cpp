// The gradient of blending one 16x16 tile: each pair runs over the blocks it contributed to, with its nine
// sums in registers.
#include <cstdint>

#include "raster/tile_vector.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {
namespace {

// Incoming gradients and running state of a tile's pixels by block.
struct BackCanvas {
  struct Block {
    float transmittance[kBlockPixels];
    float rest[kBlockPixels];  // dot of the incoming gradient with all that is still to come
    float grad[3][kBlockPixels];
  };
  alignas(64) Block block[kBlocks];
};

void open_back_canvas(const State& state, int tile, const float* grad_image, const float* grad_alpha,
                      BackCanvas& canvas) {
  const View& view = state.view;
  const int x0 = tile % state.tiles_x * kTile, y0 = tile / state.tiles_x * kTile;
  const float* saved = state.pixels.get() + static_cast<std::int64_t>(tile) * 4 * kPixels;
  for (int p = 0; p < kPixels; ++p) {
    const int x = x0 + pixel_x(p), y = y0 + pixel_y(p);
    const bool inside = x < view.width && y < view.height;
    const std::int64_t at = static_cast<std::int64_t>(y) * view.width + x;
    BackCanvas::Block& block = canvas.block[p / kBlockPixels];
    const int lane = p % kBlockPixels;
    block.transmittance[lane] = inside ? 1.0f : 0.0f;
    float rest = inside && grad_alpha != nullptr ? -grad_alpha[at] * saved[3 * kPixels + p] : 0.0f;
    for (int c = 0; c < 3; ++c) {
      block.grad[c][lane] = inside ? grad_image[at * 3 + c] : 0.0f;
      rest += block.grad[c][lane] * saved[c * kPixels + p];
    }
    block.rest[lane] = rest;
  }
}

// Runs one pair over its blocks and writes its slot.
GSPC_INLINE void pull_pair(const Batch& batch, int i, BackCanvas& canvas, float* slot) {
  const Floats threshold = splat(kLog2MinAlpha), max_alpha = splat(kMaxAlpha),
               least = splat(kMinTransmittance);
  const Floats one = splat(1.0f), zero = splat(0.0f);
  Floats s[8] = {zero, zero, zero, zero, zero, zero, zero, zero}, blue = zero;
  for (std::uint32_t rest = batch.mask[i]; rest != 0; rest &= rest - 1) {
    const int index = __builtin_ctz(rest);
    BackCanvas::Block& block = canvas.block[index];
    for (int v = 0; v < kVectors; ++v) {
      const int p = v * kLanes;
      const Pixels pixels = pixels_of(index, v);
      const Floats t = load(block.transmittance + p);
      const Floats e = exponent(batch, i, pixels);
      const Floats unclamped = vexp2(e);
      const Floats alpha = vmin(unclamped, max_alpha);
      const Mask valid = ge(e, threshold);
      const Floats next = fnma(t, alpha, t);
      const Mask ok = both(valid, gt(next, least));
      const Floats weight = zero_unless(ok, t * alpha);
      store(block.transmittance + p, select(valid, zero_unless(ok, next), t));
      const Floats gr = load(block.grad[0] + p), gg = load(block.grad[1] + p), gb = load(block.grad[2] + p);
      const Floats dot =
          fma(splat(batch.color[0][i]), gr, fma(splat(batch.color[1][i]), gg, splat(batch.color[2][i]) * gb));
      const Floats behind = fnma(weight, dot, load(block.rest + p));
      store(block.rest + p, behind);
      const Floats slope = fnma(behind, reciprocal(one - alpha), t * dot);  // dLoss / dalpha
      const Floats g = zero_unless(both(ok, ge(max_alpha, unclamped)), alpha * slope);
      s[kSum] = s[kSum] + g;
      s[kDx] = fma(g, pixels.x, s[kDx]);
      s[kDy] = fma(g, pixels.y, s[kDy]);
      s[kDxx] = fma(g, pixels.xx, s[kDxx]);
      s[kDxy] = fma(g, pixels.xy, s[kDxy]);
      s[kDyy] = fma(g, pixels.yy, s[kDyy]);
      s[kGradRed] = fma(weight, gr, s[kGradRed]);
      s[kGradGreen] = fma(weight, gg, s[kGradGreen]);
      blue = fma(weight, gb, blue);
    }
  }
  float sums[8];
  sum8(s, sums);
  // From the tile's center to the Gaussian's.
  const float dx = batch.dx[i], dy = batch.dy[i];
  const float g = sums[kSum], gx = sums[kDx], gy = sums[kDy];
  slot[kSum] = g;
  slot[kDx] = gx + dx * g;
  slot[kDy] = gy + dy * g;
  slot[kDxx] = sums[kDxx] + dx * (gx + gx + dx * g);
  slot[kDxy] = sums[kDxy] + dx * gy + dy * (gx + dx * g);
  slot[kDyy] = sums[kDyy] + dy * (gy + gy + dy * g);
  slot[kGradRed] = sums[kGradRed];
  slot[kGradGreen] = sums[kGradGreen];
  slot[kGradBlue] = sum_lanes(blue);
}

}  // namespace

void raster_tile_backward(const State& state, int tile, const float* grad_image, const float* grad_alpha,
                          float* slots, std::uint8_t* used) {
  const int x0 = tile % state.tiles_x * kTile, y0 = tile / state.tiles_x * kTile;
  const std::int32_t first = state.tile_first[tile], last = state.tile_first[tile + 1];
  BackCanvas canvas;
  open_back_canvas(state, tile, grad_image, grad_alpha, canvas);
  Batch batch;
  std::int32_t slot[kBatch];
  const float center_x = static_cast<float>(x0) + 8.0f, center_y = static_cast<float>(y0) + 8.0f;
  for (std::int32_t at = first; at < last;) {
    int count = 0;
    for (; at < last && count < kBatch; ++at) {
      const std::uint32_t mask = state.masks[at];
      if (mask == 0) continue;
      const Pair pair = state.list[at];
      batch.gaussian[count] = pair.gaussian;
      batch.mask[count] = mask;
      slot[count] = pair.slot;
      used[pair.slot] = 1;
      __builtin_prefetch(slots + static_cast<std::int64_t>(pair.slot) * kSlot, 1);
      ++count;
    }
    if (count == 0) break;
    const int padded = (count + kLanes - 1) / kLanes * kLanes;
    for (int i = count; i < padded; ++i) batch.gaussian[i] = batch.gaussian[0];
    load_batch(batch, state.records.get(), padded, center_x, center_y);
    for (int i = 0; i < count; ++i)
      pull_pair(batch, i, canvas, slots + static_cast<std::int64_t>(slot[i]) * kSlot);
  }
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
