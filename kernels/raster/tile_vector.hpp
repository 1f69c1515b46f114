// What blending and its gradient share: a tile in blocks of pixels, its pairs in batches.
//
// A tile is cut into blocks of 4 x kBlockRows pixels; the pixels of a block lie across vector lanes. The
// tile's pairs are taken in batches, and each pair's exponent becomes a quadratic polynomial in tile
// coordinates. For
// *_isa.cpp files only.
#pragma once

#include <cstdint>

#include "common/vector_math.hpp"
#include "raster/raster.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {

using namespace gspc::raster;

constexpr int kBlockRows = kLanes == 16 ? 4 : 2;
constexpr int kVectors = 4 * kBlockRows / kLanes;  // per block
constexpr int kBands = kTile / kBlockRows;         // rows of blocks
constexpr int kBlocks = 4 * kBands;
constexpr int kBlockPixels = 4 * kBlockRows;  // pixels per block
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
struct PixelGrid {
  alignas(64) float block[kBlocks][5][kBlockPixels]{};
  constexpr PixelGrid() {
    for (int b = 0; b < kBlocks; ++b) {
      for (int lane = 0; lane < kBlockPixels; ++lane) {
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
constexpr PixelGrid kPixelGrid;  // at compile time: this unit must not run anything before the dispatch

// Fills batch.k, color, dx, dy from records of batch.gaussian[0, count) (padded to a multiple of kLanes by
// the caller).
GSPC_INLINE void load_batch(Batch& batch, const float* records, int count, float center_x, float center_y) {
  for (int i = 0; i < count; i += kLanes) {
    const Ints index = load(batch.gaussian + i);
    const Floats dx = splat(center_x) - gather(records + kX, index, kRecord);
    const Floats dy = splat(center_y) - gather(records + kY, index, kRecord);
    const Floats slope = gather(records + kSlope, index, kRecord);
    const Floats cu = gather(records + kCurveU, index, kRecord),
                 cy = gather(records + kCurveY, index, kRecord);
    const Floats u = fnma(slope, dy, dx);
    const Floats two_cu = cu + cu;
    const Floats k1 = two_cu * u;
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

struct Pixels {  // of one vector
  Floats x, y, xx, xy, yy;
};

GSPC_INLINE Pixels pixels_of(int block, int v) {
  const float* at = kPixelGrid.block[block][0] + v * kLanes;
  return {load(at), load(at + kBlockPixels), load(at + 2 * kBlockPixels), load(at + 3 * kBlockPixels),
          load(at + 4 * kBlockPixels)};
}

GSPC_INLINE Floats exponent(const Batch& batch, int i, const Pixels& p) {
  Floats e = fma(splat(batch.k[kTx][i]), p.x, splat(batch.k[kOne][i]));
  e = fma(splat(batch.k[kTy][i]), p.y, e);
  e = fma(splat(batch.k[kTxx][i]), p.xx, e);
  e = fma(splat(batch.k[kTxy][i]), p.xy, e);
  return fma(splat(batch.k[kTyy][i]), p.yy, e);
}

GSPC_INLINE int pixel_x(int p) { return p / kBlockPixels % 4 * 4 + p % kBlockPixels % 4; }
GSPC_INLINE int pixel_y(int p) { return p / kBlockPixels / 4 * kBlockRows + p % kBlockPixels / 4; }

}  // namespace gspc::GSPC_ISA_NAMESPACE
