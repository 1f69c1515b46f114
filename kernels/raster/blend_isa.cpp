// Blending of one 16x16 tile and its gradient.
//
// A tile is cut into blocks of 4 x kBlockRows pixels; the pixels of a block lie across vector lanes. The
// tile's pairs are taken in batches: each pair's exponent becomes a quadratic polynomial in tile coordinates,
// a conservative test of the ellipse against every block gives a bit mask. Forward, each block runs over its
// own pairs with its pixels in registers. Backward, each pair runs over the blocks it really contributed to,
// with its nine sums in registers.
#include <cstdint>

#include "raster/raster.hpp"
#include "raster/simd.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {
namespace {

using namespace gspc::raster;

constexpr int kBlockRows = W == 16 ? 4 : 2;
constexpr int kVectors = 4 * kBlockRows / W;  // per block
constexpr int kBands = kTile / kBlockRows;    // rows of blocks
constexpr int kBlocks = 4 * kBands;
constexpr int kLanes = 4 * kBlockRows;  // pixels per block
constexpr int kBatch = 128;
constexpr int kPixels = kTile * kTile;

enum Term { kOne, kTx, kTy, kTxx, kTxy, kTyy, kTerms };

struct Batch {
  alignas(
      64) float k[kTerms][kBatch];  // log2(alpha) = k . (1, x, y, xx, xy, yy), x and y from the tile's center
  alignas(64) float color[3][kBatch];
  alignas(64) float dx[kBatch], dy[kBatch];  // tile center - mean
  alignas(64) std::uint32_t mask[kBatch];
  alignas(64) std::int32_t gaussian[kBatch];
};

// Tile coordinates of the pixels of every block, one after the other: a block's data lies within few cache
// lines.
struct Grid {
  alignas(64) float block[kBlocks][5][kLanes]{};
  constexpr Grid() {
    for (int b = 0; b < kBlocks; ++b) {
      for (int lane = 0; lane < kLanes; ++lane) {
        const float x = static_cast<float>(b % 4 * 4 + lane % 4) - 7.5f;
        const float y = static_cast<float>(b / 4 * kBlockRows + lane / 4) - 7.5f;
        block[b][0][lane] = x;
        block[b][1][lane] = y;
        block[b][2][lane] = x * x;
        block[b][3][lane] = x * y;
        block[b][4][lane] = y * y;
      }
    }
  }
};
constexpr Grid grid;  // at compile time: this unit must not run anything before the dispatch

// Fills batch.k, color, dx, dy from records of batch.gaussian[0, count) (padded to a multiple of W by the
// caller).
GSPC_INLINE void load_batch(Batch& batch, const float* records, int count, float center_x, float center_y) {
  for (int i = 0; i < count; i += W) {
    const vi index = load_int(batch.gaussian + i);
    const vf dx = set1(center_x) - gather(records + kX, index, kRecord);
    const vf dy = set1(center_y) - gather(records + kY, index, kRecord);
    const vf slope = gather(records + kSlope, index, kRecord);
    const vf cu = gather(records + kCurveU, index, kRecord), cy = gather(records + kCurveY, index, kRecord);
    const vf u = fnma(slope, dy, dx);
    const vf two_cu = cu + cu;
    const vf k1 = two_cu * u;
    store(batch.k[kOne] + i, fma(cu * u, u, fma(cy * dy, dy, gather(records + kLogOpacity, index, kRecord))));
    store(batch.k[kTx] + i, k1);
    store(batch.k[kTy] + i, fnma(slope, k1, (cy + cy) * dy));
    store(batch.k[kTxx] + i, cu);
    store(batch.k[kTxy] + i, -two_cu * slope);
    store(batch.k[kTyy] + i, fma(cu * slope, slope, cy));
    for (int c = 0; c < 3; ++c) store(batch.color[c] + i, gather(records + kRed + c, index, kRecord));
    store(batch.dx + i, dx);
    store(batch.dy + i, dy);
  }
}

// Which blocks may hold a pixel center inside the ellipse alpha >= 1/255: per band, the ellipse's extent in
// x.
GSPC_INLINE void mask_batch(Batch& batch, const float* records, int count) {
  for (int i = 0; i < count; i += W) {
    const vi index = load_int(batch.gaussian + i);
    const vf mx = set1(8.0f) - load(batch.dx + i),
             my = set1(8.0f) - load(batch.dy + i);  // from the tile's corner
    const vf slope = gather(records + kSlope, index, kRecord);
    const vf cu = load(batch.k[kTxx] + i), cy = gather(records + kCurveY, index, kRecord);
    const vf level = gather(records + kLogOpacity, index, kRecord) + set1(1e-4f - kLog2MinAlpha);
    const vf height = gather(records + kHeight, index, kRecord), tip = gather(records + kTip, index, kRecord);
    const vf scale = set1(-1.0f) / cu;
    vi mask = set1i(0);
    for (int band = 0; band < kBands; ++band) {
      const vf top = set1(static_cast<float>(band * kBlockRows) + 0.5f) - my;
      const vf bottom = top + set1(static_cast<float>(kBlockRows - 1));
      const vf low = vmax(top, -height), high = vmin(bottom, height);
      const vf at_right = vmin(vmax(tip, low), high), at_left = vmin(vmax(-tip, low), high);
      const vf zero = set1(0.0f);
      const vf half_right = vsqrt(vmax(fma(cy * at_right, at_right, level), zero) * scale);
      const vf half_left = vsqrt(vmax(fma(cy * at_left, at_left, level), zero) * scale);
      const vf right = fma(slope, at_right, mx + half_right), left = fma(slope, at_left, mx - half_left);
      // First block whose last pixel center (4 j + 3.5) is not left of the ellipse; one past the last whose
      // first (4 j + 0.5) is not right of it. Widened by 0.02 pixels.
      const vf first = vmin(vmax(fma(left, set1(0.25f), set1(-0.88f)), set1(-1.0f)), set1(4.0f));
      const vf last = vmin(vmax(fma(right, set1(0.25f), set1(-0.12f)), set1(-1.0f)), set1(4.0f));
      vi from = 5 - truncate(set1(5.0f) - first);
      vi to = truncate(last + set1(1.0f));
      from = from < 0 ? set1i(0) : from;
      to = to > 4 ? set1i(4) : to;
      const vi span = (set1i(1) << to) - (set1i(1) << from);
      const vm hit = ge(high, low);
      const vi hit_int = reinterpret_int(zero_unless(hit, reinterpret_float(set1i(-1))));
      mask |= ((to > from ? span : set1i(0)) & hit_int) << (band * 4);
    }
    store_int(reinterpret_cast<int*>(batch.mask + i), mask);
  }
}

// Positions in the batch of the pairs whose mask has `block` set.
GSPC_INLINE int list_block(const Batch& batch, int count, int block, std::uint16_t* list) {
  int n = 0;
  for (int i = 0; i < count; i += W) {
#if defined(GSPC_ISA_IS_v4)
    const __m512i masks = _mm512_load_si512(batch.mask + i);
    const __mmask16 hit = _mm512_test_epi32_mask(masks, _mm512_set1_epi32(1 << block));
    const __m512i lanes = _mm512_add_epi32(
        _mm512_set1_epi32(i), _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    const __m256i packed = _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(hit, lanes));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(list + n), packed);
    n += __builtin_popcount(hit);
#elif defined(GSPC_ISA_IS_v3)
    const __m256i masks = _mm256_load_si256(reinterpret_cast<const __m256i*>(batch.mask + i));
    unsigned hit = static_cast<unsigned>(
        _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_sll_epi32(masks, _mm_cvtsi32_si128(31 - block)))));
    for (; hit != 0; hit &= hit - 1) list[n++] = static_cast<std::uint16_t>(i + __builtin_ctz(hit));
#else
    for (int l = 0; l < W; ++l) {
      list[n] = static_cast<std::uint16_t>(i + l);
      n += static_cast<int>(batch.mask[i + l] >> block & 1u);
    }
#endif
  }
  return n;
}

struct Pixels {  // of one vector
  vf x, y, xx, xy, yy;
};

GSPC_INLINE Pixels pixels_of(int block, int v) {
  const float* at = grid.block[block][0] + v * W;
  return {load(at), load(at + kLanes), load(at + 2 * kLanes), load(at + 3 * kLanes), load(at + 4 * kLanes)};
}

GSPC_INLINE vf exponent(const Batch& batch, int i, const Pixels& p) {
  vf e = fma(set1(batch.k[kTx][i]), p.x, set1(batch.k[kOne][i]));
  e = fma(set1(batch.k[kTy][i]), p.y, e);
  e = fma(set1(batch.k[kTxx][i]), p.xx, e);
  e = fma(set1(batch.k[kTxy][i]), p.xy, e);
  return fma(set1(batch.k[kTyy][i]), p.yy, e);
}

// Pixels of a tile by block; transmittance 0 means finished (or outside the image).
struct Canvas {
  struct Block {
    float transmittance[kLanes], color[3][kLanes], covered[kLanes];
  };
  alignas(64) Block block[kBlocks];
};

// Blends the listed pairs into one block. Returns false when all its pixels are finished.
GSPC_INLINE bool blend_block(Batch& batch, const std::uint16_t* list, int n, int block, Canvas& canvas,
                             std::uint32_t* contributed) {
  const vf threshold = set1(kLog2MinAlpha), max_alpha = set1(kMaxAlpha), least = set1(kMinTransmittance);
  vf t[kVectors], red[kVectors], green[kVectors], blue[kVectors], covered[kVectors];
  Pixels pixels[kVectors];
  Canvas::Block& at = canvas.block[block];
  for (int v = 0; v < kVectors; ++v) {
    t[v] = load(at.transmittance + v * W);
    red[v] = load(at.color[0] + v * W);
    green[v] = load(at.color[1] + v * W);
    blue[v] = load(at.color[2] + v * W);
    covered[v] = load(at.covered + v * W);
    pixels[v] = pixels_of(block, v);
  }
  bool alive = true;
  for (int begin = 0; begin < n && alive; begin += 16) {
    const int end = begin + 16 < n ? begin + 16 : n;
    for (int j = begin; j < end; ++j) {
      const int i = list[j];
      unsigned any = 0;
      for (int v = 0; v < kVectors; ++v) {
        const vf e = exponent(batch, i, pixels[v]);
        const vf alpha = vmin(exp2_fast(e), max_alpha);
        const vm valid = ge(e, threshold);
        const vf next = fnma(t[v], alpha, t[v]);
        const vm ok = both(valid, gt(next, least));
        const vf weight = zero_unless(ok, t[v] * alpha);
        red[v] = fma(weight, set1(batch.color[0][i]), red[v]);
        green[v] = fma(weight, set1(batch.color[1][i]), green[v]);
        blue[v] = fma(weight, set1(batch.color[2][i]), blue[v]);
        covered[v] = covered[v] + weight;
        t[v] = select(valid, zero_unless(ok, next), t[v]);
        any |= bits(ok);
      }
      contributed[i] |= static_cast<std::uint32_t>(any != 0) << block;
    }
    unsigned open = 0;
    for (int v = 0; v < kVectors; ++v) open |= bits(gt(t[v], set1(0.0f)));
    alive = open != 0;
  }
  for (int v = 0; v < kVectors; ++v) {
    store(at.transmittance + v * W, t[v]);
    store(at.color[0] + v * W, red[v]);
    store(at.color[1] + v * W, green[v]);
    store(at.color[2] + v * W, blue[v]);
    store(at.covered + v * W, covered[v]);
  }
  return alive;
}

GSPC_INLINE int pixel_x(int p) { return p / kLanes % 4 * 4 + p % kLanes % 4; }
GSPC_INLINE int pixel_y(int p) { return p / kLanes / 4 * kBlockRows + p % kLanes / 4; }

}  // namespace

void raster_tile(const State& state, int tile, float* image, float* alpha) {
  const View& view = state.view;
  const int x0 = tile % state.tiles_x * kTile, y0 = tile / state.tiles_x * kTile;
  const std::int32_t first = state.tile_first[tile], total = state.tile_first[tile + 1] - first;
  Batch batch;
  Canvas canvas;
  std::uint16_t list[kBatch + 16];
  std::uint32_t open = 0;  // blocks with unfinished pixels
  canvas = {};
  for (int p = 0; p < kPixels; ++p) {
    const bool inside = x0 + pixel_x(p) < view.width && y0 + pixel_y(p) < view.height;
    canvas.block[p / kLanes].transmittance[p % kLanes] = inside ? 1.0f : 0.0f;
    if (inside) open |= 1u << (p / kLanes);
  }
  const float* records = state.records.get();
  const float center_x = static_cast<float>(x0) + 8.0f, center_y = static_cast<float>(y0) + 8.0f;
  std::int32_t done = 0;
  for (; done < total && open != 0; done += kBatch) {
    const int count = total - done < kBatch ? total - done : kBatch;
    const Pair* pairs = state.list.get() + first + done;
    std::uint32_t* contributed = state.masks.get() + first + done;
    for (int i = 0; i < count; ++i) {
      batch.gaussian[i] = pairs[i].gaussian;
      contributed[i] = 0;
    }
    const int padded = (count + W - 1) / W * W;
    for (int i = count; i < padded; ++i) batch.gaussian[i] = pairs[0].gaussian;
    load_batch(batch, records, padded, center_x, center_y);
    mask_batch(batch, records, padded);
    for (int i = count; i < padded; ++i) batch.mask[i] = 0;
    for (std::uint32_t rest = open; rest != 0; rest &= rest - 1) {
      const int block = __builtin_ctz(rest);
      const int n = list_block(batch, padded, block, list);
      if (!blend_block(batch, list, n, block, canvas, contributed)) open &= ~(1u << block);
    }
  }
  for (std::int32_t i = done; i < total; ++i) state.masks[first + i] = 0;

  float* saved = state.pixels.get() + static_cast<std::int64_t>(tile) * 4 * kPixels;
  for (int p = 0; p < kPixels; ++p) {
    const Canvas::Block& block = canvas.block[p / kLanes];
    const int lane = p % kLanes;
    const float rest = 1.0f - block.covered[lane];
    for (int c = 0; c < 3; ++c) saved[c * kPixels + p] = block.color[c][lane] + rest * view.background[c];
    saved[3 * kPixels + p] = rest;
    const int x = x0 + pixel_x(p), y = y0 + pixel_y(p);
    if (x >= view.width || y >= view.height) continue;
    const std::int64_t at = static_cast<std::int64_t>(y) * view.width + x;
    for (int c = 0; c < 3; ++c) image[at * 3 + c] = saved[c * kPixels + p];
    alpha[at] = block.covered[lane];
  }
}

namespace {

// Incoming gradients and running state of a tile's pixels by block.
struct BackCanvas {
  struct Block {
    float transmittance[kLanes];
    float rest[kLanes];  // dot of the incoming gradient with all that is still to come
    float grad[3][kLanes];
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
    BackCanvas::Block& block = canvas.block[p / kLanes];
    const int lane = p % kLanes;
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
  const vf threshold = set1(kLog2MinAlpha), max_alpha = set1(kMaxAlpha), least = set1(kMinTransmittance);
  const vf one = set1(1.0f), zero = set1(0.0f);
  vf s[8] = {zero, zero, zero, zero, zero, zero, zero, zero}, blue = zero;
  for (std::uint32_t rest = batch.mask[i]; rest != 0; rest &= rest - 1) {
    const int index = __builtin_ctz(rest);
    BackCanvas::Block& block = canvas.block[index];
    for (int v = 0; v < kVectors; ++v) {
      const int p = v * W;
      const Pixels pixels = pixels_of(index, v);
      const vf t = load(block.transmittance + p);
      const vf e = exponent(batch, i, pixels);
      const vf unclamped = exp2_fast(e);
      const vf alpha = vmin(unclamped, max_alpha);
      const vm valid = ge(e, threshold);
      const vf next = fnma(t, alpha, t);
      const vm ok = both(valid, gt(next, least));
      const vf weight = zero_unless(ok, t * alpha);
      store(block.transmittance + p, select(valid, zero_unless(ok, next), t));
      const vf gr = load(block.grad[0] + p), gg = load(block.grad[1] + p), gb = load(block.grad[2] + p);
      const vf dot =
          fma(set1(batch.color[0][i]), gr, fma(set1(batch.color[1][i]), gg, set1(batch.color[2][i]) * gb));
      const vf behind = fnma(weight, dot, load(block.rest + p));
      store(block.rest + p, behind);
      const vf slope = fnma(behind, reciprocal(one - alpha), t * dot);  // dLoss / dalpha
      const vf g = zero_unless(both(ok, ge(max_alpha, unclamped)), alpha * slope);
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
  slot[kGradBlue] = sum1(blue);
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
    const int padded = (count + W - 1) / W * W;
    for (int i = count; i < padded; ++i) batch.gaussian[i] = batch.gaussian[0];
    load_batch(batch, state.records.get(), padded, center_x, center_y);
    for (int i = 0; i < count; ++i)
      pull_pair(batch, i, canvas, slots + static_cast<std::int64_t>(slot[i]) * kSlot);
  }
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
