// Blending of one 16x16 tile: a conservative test of each pair's ellipse against every block gives a bit
// mask, then each block runs over its own pairs with its pixels in registers.
#include <cstdint>

#include "raster/tile_vector.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {
namespace {

// Which blocks may hold a pixel center inside the ellipse alpha >= 1/255: per band, the ellipse's extent in
// x.
GSPC_INLINE void mask_batch(Batch& batch, const float* records, int count) {
  for (int i = 0; i < count; i += kLanes) {
    const Ints index = load(batch.gaussian + i);
    const Floats mx = splat(8.0f) - load(batch.dx + i),
                 my = splat(8.0f) - load(batch.dy + i);  // from the tile's corner
    const Floats slope = gather(records + kSlope, index, kRecord);
    const Floats cu = load(batch.k[kTxx] + i), cy = gather(records + kCurveY, index, kRecord);
    const Floats level = gather(records + kLogOpacity, index, kRecord) + splat(1e-4f - kLog2MinAlpha);
    const Floats height = gather(records + kHeight, index, kRecord),
                 tip = gather(records + kTip, index, kRecord);
    const Floats scale = splat(-1.0f) / cu;
    Ints mask = splat(0);
    for (int band = 0; band < kBands; ++band) {
      const Floats top = splat(static_cast<float>(band * kBlockRows) + 0.5f) - my;
      const Floats bottom = top + splat(static_cast<float>(kBlockRows - 1));
      const Floats low = vmax(top, -height), high = vmin(bottom, height);
      const Floats at_right = vmin(vmax(tip, low), high), at_left = vmin(vmax(-tip, low), high);
      const Floats zero = splat(0.0f);
      const Floats half_right = vsqrt(vmax(fma(cy * at_right, at_right, level), zero) * scale);
      const Floats half_left = vsqrt(vmax(fma(cy * at_left, at_left, level), zero) * scale);
      const Floats right = fma(slope, at_right, mx + half_right), left = fma(slope, at_left, mx - half_left);
      // First block whose last pixel center (4 j + 3.5) is not left of the ellipse; one past the last whose
      // first (4 j + 0.5) is not right of it. Widened by 0.02 pixels.
      const Floats first = vmin(vmax(fma(left, splat(0.25f), splat(-0.88f)), splat(-1.0f)), splat(4.0f));
      const Floats last = vmin(vmax(fma(right, splat(0.25f), splat(-0.12f)), splat(-1.0f)), splat(4.0f));
      Ints from = 5 - truncate(splat(5.0f) - first);
      Ints to = truncate(last + splat(1.0f));
      from = from < 0 ? splat(0) : from;
      to = to > 4 ? splat(4) : to;
      const Ints span = (splat(1) << to) - (splat(1) << from);
      const Mask hit = ge(high, low);
      const Ints hit_int = (Ints)(zero_unless(hit, (Floats)(splat(-1))));
      mask |= ((to > from ? span : splat(0)) & hit_int) << (band * 4);
    }
    store(reinterpret_cast<int*>(batch.mask + i), mask);
  }
}

// Positions in the batch of the pairs whose mask has `block` set.
GSPC_INLINE int list_block(const Batch& batch, int count, int block, std::uint16_t* list) {
  int n = 0;
  for (int i = 0; i < count; i += kLanes) {
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
    for (int l = 0; l < kLanes; ++l) {
      list[n] = static_cast<std::uint16_t>(i + l);
      n += static_cast<int>(batch.mask[i + l] >> block & 1u);
    }
#endif
  }
  return n;
}

// Pixels of a tile by block; transmittance 0 means finished (or outside the image).
struct Canvas {
  struct Block {
    float transmittance[kBlockPixels], color[3][kBlockPixels], covered[kBlockPixels];
  };
  alignas(64) Block block[kBlocks];
};

// Blends the listed pairs into one block. Returns false when all its pixels are finished.
GSPC_INLINE bool blend_block(Batch& batch, const std::uint16_t* list, int n, int block, Canvas& canvas,
                             std::uint32_t* contributed) {
  const Floats threshold = splat(kLog2MinAlpha), max_alpha = splat(kMaxAlpha),
               least = splat(kMinTransmittance);
  Floats t[kVectors], red[kVectors], green[kVectors], blue[kVectors], covered[kVectors];
  Pixels pixels[kVectors];
  Canvas::Block& at = canvas.block[block];
  for (int v = 0; v < kVectors; ++v) {
    t[v] = load(at.transmittance + v * kLanes);
    red[v] = load(at.color[0] + v * kLanes);
    green[v] = load(at.color[1] + v * kLanes);
    blue[v] = load(at.color[2] + v * kLanes);
    covered[v] = load(at.covered + v * kLanes);
    pixels[v] = pixels_of(block, v);
  }
  bool alive = true;
  for (int begin = 0; begin < n && alive; begin += 16) {
    const int end = begin + 16 < n ? begin + 16 : n;
    for (int j = begin; j < end; ++j) {
      const int i = list[j];
      unsigned any = 0;
      for (int v = 0; v < kVectors; ++v) {
        const Floats e = exponent(batch, i, pixels[v]);
        const Floats alpha = vmin(vexp2(e), max_alpha);
        const Mask valid = ge(e, threshold);
        const Floats next = fnma(t[v], alpha, t[v]);
        const Mask ok = both(valid, gt(next, least));
        const Floats weight = zero_unless(ok, t[v] * alpha);
        red[v] = fma(weight, splat(batch.color[0][i]), red[v]);
        green[v] = fma(weight, splat(batch.color[1][i]), green[v]);
        blue[v] = fma(weight, splat(batch.color[2][i]), blue[v]);
        covered[v] = covered[v] + weight;
        t[v] = select(valid, zero_unless(ok, next), t[v]);
        any |= bits(ok);
      }
      contributed[i] |= static_cast<std::uint32_t>(any != 0) << block;
    }
    unsigned open = 0;
    for (int v = 0; v < kVectors; ++v) open |= bits(gt(t[v], splat(0.0f)));
    alive = open != 0;
  }
  for (int v = 0; v < kVectors; ++v) {
    store(at.transmittance + v * kLanes, t[v]);
    store(at.color[0] + v * kLanes, red[v]);
    store(at.color[1] + v * kLanes, green[v]);
    store(at.color[2] + v * kLanes, blue[v]);
    store(at.covered + v * kLanes, covered[v]);
  }
  return alive;
}

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
    canvas.block[p / kBlockPixels].transmittance[p % kBlockPixels] = inside ? 1.0f : 0.0f;
    if (inside) open |= 1u << (p / kBlockPixels);
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
    const int padded = (count + kLanes - 1) / kLanes * kLanes;
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
    const Canvas::Block& block = canvas.block[p / kBlockPixels];
    const int lane = p % kBlockPixels;
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

}  // namespace gspc::GSPC_ISA_NAMESPACE
