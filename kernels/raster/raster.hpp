// Rasterizer of 3D Gaussians on a CPU: projection, depth sort, binning into 16x16 tiles, blending, and their
// gradients. Conventions are gsplat 1.5.3's: pixel centers at +0.5, 0.3 added to the diagonal of the 2D
// covariance, alpha clamped to 0.999 and skipped below 1/255, a pixel stops before its transmittance would
// reach 1e-4, near plane 0.01. A Gaussian with any parameter that is not finite, or with a null quaternion,
// is culled. All arrays are row-major float32. Results are bit-equal for any number of threads.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>

#include "common/isa.hpp"
#include "raster/pool.hpp"

namespace gspc::raster {

constexpr int kTile = 16;
constexpr int kRecord = 12;    // floats per projected Gaussian, see Field
constexpr int kSlot = 16;      // floats per (Gaussian, tile) gradient slot, see Moment; a cache line
constexpr int kColorSlot = 4;  // the same where only gradients by the colors are asked for
constexpr float kNear = 0.01f;
constexpr float kFar = 1e10f;
constexpr float kBlur = 0.3f;
constexpr float kMaxAlpha = 0.999f;
constexpr float kMinAlpha = 1.0f / 255.0f;
constexpr float kMinTransmittance = 1e-4f;
constexpr float kLog2MinAlpha = -7.9943534368588579f;

// A projected Gaussian. With d = pixel - mean and u = dx - slope * dy,
// log2(alpha) = log_opacity + curve_u * u^2 + curve_y * dy^2 (the 2D covariance in Cholesky form: no
// cancellation).
enum Field { kX, kY, kSlope, kCurveU, kCurveY, kLogOpacity, kRed, kGreen, kBlue, kHeight, kTip, kUnused };
// kHeight: half height in pixels of the ellipse alpha >= 1/255; kTip: dy of its rightmost point.

// Per (Gaussian, tile) sums over pixels of g = dLoss / d ln(alpha), d = pixel - mean, and of weight * dLoss /
// dcolor.
enum Moment { kSum, kDx, kDy, kDxx, kDxy, kDyy, kGradRed, kGradGreen, kGradBlue, kMoments };

struct View {
  float rotation[9];  // world to camera, row-major
  float translation[3];
  float fx, fy, cx, cy;  // pixels
  int width, height;
  float background[3];
};

// Drawing would take more memory than its caller allows. What is counted is known before it is allocated.
struct OverBudget : std::runtime_error {
  explicit OverBudget(std::uint64_t bytes)
      : std::runtime_error("drawing takes " + std::to_string(bytes) + " bytes of memory"), needed(bytes) {}
  std::uint64_t needed;  // at least
};
constexpr std::uint64_t kNoBudget = std::numeric_limits<std::uint64_t>::max();

struct Scene {
  std::int64_t count;
  const float* means;      // [M, 3]
  const float* quats;      // [M, 4] wxyz, any norm
  const float* scales;     // [M, 3]
  const float* opacities;  // [M]
  const float* colors;     // [M, 3]
};

struct Gradients {
  float* means;      // [M, 3]
  float* quats;      // [M, 4]
  float* scales;     // [M, 3]
  float* opacities;  // [M]
  float* colors;     // [M, 3]
  float* means2d;    // [M, 2] pixels
};

// One tile's entry in the depth-ordered list.
struct Pair {
  std::int32_t gaussian;
  std::int32_t slot;  // where its gradients go; the slots of one Gaussian are consecutive
};

// What a backward pass needs from its forward pass. Only `repaint` changes it; may be used for several
// backward passes.
struct State {
  Isa isa = Isa::base;
  View view{};
  std::int64_t count = 0;  // M
  int tiles_x = 0, tiles_y = 0;
  std::int64_t pairs = 0;
  std::uint64_t budget = kNoBudget;  // bytes that the forward and the backward pass may take each
  std::uint64_t held = 0;            // of them, by what is in here and by the pictures
  Pooled<float> records;             // [M, kRecord]; undefined for culled Gaussians
  Pooled<std::int32_t> radii;        // [M]
  Pooled<std::int32_t> first_slot;   // [M + 1]
  Pooled<std::int32_t> tile_first;   // [tiles + 1] into list
  Pooled<Pair> list;                 // [pairs] per tile in order of depth (ties: index)
  Pooled<std::uint32_t> masks;       // [pairs] blocks of the tile to which the pair contributed
  Pooled<float> pixels;              // [tiles, 4, 256] red, green, blue (with background), transmittance
};

// Seconds spent in each part, by the clock on the wall and by all cores together. Calls that are given one
// add to it; it must not be given to two calls at once.
enum Part { kProject, kSort, kBin, kBlend, kBlendBackward, kProjectBackward, kParts };
struct Timings {
  double wall[kParts] = {}, cpu[kParts] = {};
};

// Bytes that drawing takes before its Gaussians meet its tiles: they grow with the numbers of Gaussians and
// of pixels. To be asked before the pictures are allocated. Throws std::invalid_argument.
std::uint64_t fixed_bytes(std::int64_t gaussians, int width, int height);
// Throws OverBudget when `bytes` are too many. Blocks that the pool keeps are given back where both would be.
void require_bytes(std::uint64_t bytes, std::uint64_t budget);

// image [H, W, 3], alpha [H, W], radii [M] (0: culled). Throws std::invalid_argument, OverBudget,
// std::bad_alloc.
std::unique_ptr<State> forward(const Scene& scene, const View& view, float* image, float* alpha,
                               std::int32_t* radii, std::uint64_t budget = kNoBudget,
                               Timings* timings = nullptr);

// grad_image [H, W, 3], grad_alpha [H, W] or null. Every gradient is written in full (zero where culled).
void backward(const State& state, const Scene& scene, const float* grad_image, const float* grad_alpha,
              const Gradients& out, Timings* timings = nullptr);

// The picture of a forward pass again, of Gaussians that differ in their colors [M, 3] alone: what has been
// projected, sorted and binned stays. Backward passes from here on are those of the new picture.
void repaint(State& state, const float* colors, float* image, float* alpha, Timings* timings = nullptr);

// Gradients by the colors [M, 3] alone, the same as those of `backward` up to rounding, in half its time.
// Throws OverBudget.
void backward_colors(const State& state, const float* grad_image, float* colors, Timings* timings = nullptr);

}  // namespace gspc::raster

GSPC_DECLARE_ISA(
    // Gaussians [begin, end): writes records and radii.
    void raster_project(const raster::Scene& scene, const raster::View& view, std::int64_t begin,
                        std::int64_t end, float* records, std::int32_t* radii, float* depths);
    // One tile: blends, writes its pixels to the image and everything the backward pass needs.
    void raster_tile(const raster::State& state, int tile, float* image, float* alpha);
    // One tile: writes the slots of its contributing pairs and marks them in `used`.
    void raster_tile_backward(const raster::State& state, int tile, const float* grad_image,
                              const float* grad_alpha, float* slots, std::uint8_t* used);
    // One tile: writes red, green and blue of the slots [pairs, kColorSlot] of all its pairs.
    void raster_tile_colors(const raster::State& state, int tile, const float* grad_image, float* slots);
    // Gaussians [begin, end): gathers slots and writes all gradients.
    void raster_project_backward(const raster::State& state, const raster::Scene& scene, std::int64_t begin,
                                 std::int64_t end, const float* slots, const std::uint8_t* used,
                                 const raster::Gradients& out);)
