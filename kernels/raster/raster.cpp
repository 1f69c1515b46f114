#include "raster/raster.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <ctime>
#include <stdexcept>

#include "common/parallel.hpp"
#include "raster/bin.hpp"
#include "raster/chunks.hpp"
#include "raster/depth_sort.hpp"

namespace gspc::raster {
namespace {

constexpr std::int64_t kMaxGaussians = 100'000'000;  // 32-bit gather offsets: M * kRecord < 2^31
constexpr int kMaxSide = 16384;                      // tile coordinates are 16-bit, with room

// Adds the time since the last lap to a part, where somebody asked for timings.
class Laps {
 public:
  explicit Laps(Timings* timings) : timings_(timings) {
    if (timings_) start();
  }
  void lap(Part part) {
    if (!timings_) return;
    const auto wall = wall_;
    const std::clock_t cpu = cpu_;
    start();
    timings_->wall[part] += std::chrono::duration<double>(wall_ - wall).count();
    timings_->cpu[part] += static_cast<double>(cpu_ - cpu) / CLOCKS_PER_SEC;
  }

 private:
  void start() {
    wall_ = std::chrono::steady_clock::now();
    cpu_ = std::clock();
  }
  Timings* timings_;
  std::chrono::steady_clock::time_point wall_;
  std::clock_t cpu_ = 0;
};

int tiles_along(int pixels) { return (pixels + kTile - 1) / kTile; }

void check(const View& view) {
  bool finite =
      std::isfinite(view.fx) && std::isfinite(view.fy) && std::isfinite(view.cx) && std::isfinite(view.cy);
  for (float x : view.rotation) finite = finite && std::isfinite(x);
  for (float x : view.translation) finite = finite && std::isfinite(x);
  if (!finite || view.fx <= 0.0f || view.fy <= 0.0f)
    throw std::invalid_argument("rasterize: the camera must be finite with positive focal lengths");
}

void blend(const State& state, float* image, float* alpha) {
  parallel_for_dynamic(static_cast<std::int64_t>(state.tiles_x) * state.tiles_y, 4, [&](std::int64_t t) {
    GSPC_DISPATCH_AS(state.isa, raster_tile)(state, static_cast<int>(t), image, alpha);
  });
}

}  // namespace

std::uint64_t fixed_bytes(std::int64_t gaussians, int width, int height) {
  if (gaussians < 0 || gaussians > kMaxGaussians)
    throw std::invalid_argument("rasterize: at most 100 million Gaussians");
  if (width < 1 || height < 1 || width > kMaxSide || height > kMaxSide)
    throw std::invalid_argument("rasterize: width and height must lie in 1..16384");
  constexpr std::uint64_t kPerGaussian = sizeof(float) * (kRecord + 1)  // records and depths
                                         + 3 * sizeof(std::int32_t)     // radii twice, first_slot
                                         + 2 * sizeof(Keyed) + kPlaceBytes;
  constexpr std::uint64_t kPerPixel = 4 * sizeof(float);  // red, green, blue, alpha or transmittance
  const auto x = static_cast<std::uint64_t>(tiles_along(width)),
             y = static_cast<std::uint64_t>(tiles_along(height)), edges = y * (x + 1) * kMaxBinParts;
  const std::uint64_t pixels = static_cast<std::uint64_t>(width) * static_cast<std::uint64_t>(height);
  return static_cast<std::uint64_t>(gaussians) * kPerGaussian + pixels * kPerPixel +
         x * y * (kPerPixel * kTile * kTile + 2 * sizeof(std::int32_t)) + edges * sizeof(std::int32_t);
}

void require_bytes(std::uint64_t bytes, std::uint64_t budget) {
  if (bytes > budget) throw OverBudget(bytes);
  if (pool_kept_bytes() > budget - bytes) pool_trim();
}

std::unique_ptr<State> forward(const Scene& scene, const View& view, float* image, float* alpha,
                               std::int32_t* radii, std::uint64_t budget, Timings* timings) {
  const std::uint64_t fixed = fixed_bytes(scene.count, view.width, view.height);
  check(view);
  require_bytes(fixed, budget);
  Laps laps(timings);
  auto state = std::make_unique<State>();
  state->isa = active_isa();
  state->view = view;
  state->count = scene.count;
  state->tiles_x = tiles_along(view.width);
  state->tiles_y = tiles_along(view.height);
  state->budget = budget;
  state->held = fixed;
  const auto count = static_cast<std::size_t>(scene.count);
  const int tiles = state->tiles_x * state->tiles_y;
  state->records.resize(count * kRecord);
  state->radii.resize(count);
  state->first_slot.resize(count + 1);
  Pooled<float> depths(count);
  parallel_for_dynamic(chunk_count(scene.count), 2, [&](std::int64_t c) {
    GSPC_DISPATCH_AS(state->isa, raster_project)
    (scene, view, c * kChunk, chunk_end(c, scene.count), state->records.get(), state->radii.get(),
     depths.get());
  });
  std::copy(state->radii.get(), state->radii.get() + count, radii);
  laps.lap(kProject);
  const DepthOrder order = sort_by_depth(state->radii.get(), depths.get(), scene.count);
  laps.lap(kSort);
  bin(*state, order);
  laps.lap(kBin);
  state->masks.resize(static_cast<std::size_t>(state->pairs));
  state->pixels.resize(static_cast<std::size_t>(tiles) * 4 * kTile * kTile);
  blend(*state, image, alpha);
  laps.lap(kBlend);
  return state;
}

void repaint(State& state, const float* colors, float* image, float* alpha, Timings* timings) {
  Laps laps(timings);
  parallel_for_dynamic(chunk_count(state.count), 2, [&](std::int64_t c) {
    for (std::int64_t i = c * kChunk; i < chunk_end(c, state.count); ++i)
      if (state.radii[static_cast<std::size_t>(i)] > 0)
        std::copy_n(colors + 3 * i, 3, state.records.get() + i * kRecord + kRed);
  });
  laps.lap(kProject);
  blend(state, image, alpha);
  laps.lap(kBlend);
}

void backward(const State& state, const Scene& scene, const float* grad_image, const float* grad_alpha,
              const Gradients& out, Timings* timings) {
  if (scene.count != state.count)
    throw std::invalid_argument("rasterize backward: not the Gaussians of the forward pass");
  constexpr std::uint64_t kPerPair = kSlot * sizeof(float) + 1, kPerGaussian = 16 * sizeof(float);
  require_bytes(state.held + static_cast<std::uint64_t>(state.pairs) * kPerPair +
                    static_cast<std::uint64_t>(state.count) * kPerGaussian,
                state.budget);
  Laps laps(timings);
  Pooled<float> slots(static_cast<std::size_t>(state.pairs) * kSlot);
  Pooled<std::uint8_t> used(static_cast<std::size_t>(state.pairs));
  std::memset(used.get(), 0, static_cast<std::size_t>(state.pairs));
  parallel_for_dynamic(static_cast<std::int64_t>(state.tiles_x) * state.tiles_y, 4, [&](std::int64_t t) {
    GSPC_DISPATCH_AS(state.isa, raster_tile_backward)
    (state, static_cast<int>(t), grad_image, grad_alpha, slots.get(), used.get());
  });
  laps.lap(kBlendBackward);
  parallel_for_dynamic(chunk_count(state.count), 2, [&](std::int64_t c) {
    GSPC_DISPATCH_AS(state.isa, raster_project_backward)
    (state, scene, c * kChunk, chunk_end(c, state.count), slots.get(), used.get(), out);
  });
  laps.lap(kProjectBackward);
}

void backward_colors(const State& state, const float* grad_image, float* colors, Timings* timings) {
  const std::uint64_t slot_bytes = static_cast<std::uint64_t>(state.pairs) * kColorSlot * sizeof(float);
  require_bytes(state.held + slot_bytes + static_cast<std::uint64_t>(state.count) * 3 * sizeof(float),
                state.budget);
  Laps laps(timings);
  Pooled<float> slots(static_cast<std::size_t>(state.pairs) * kColorSlot);
  parallel_for_dynamic(static_cast<std::int64_t>(state.tiles_x) * state.tiles_y, 4, [&](std::int64_t t) {
    GSPC_DISPATCH_AS(state.isa, raster_tile_colors)(state, static_cast<int>(t), grad_image, slots.get());
  });
  laps.lap(kBlendBackward);
  parallel_for_dynamic(chunk_count(state.count), 2, [&](std::int64_t c) {
    for (std::int64_t i = c * kChunk; i < chunk_end(c, state.count); ++i) {
      float sum[3] = {};
      for (std::int64_t s = state.first_slot[static_cast<std::size_t>(i)];
           s < state.first_slot[static_cast<std::size_t>(i) + 1]; ++s)
        for (int a = 0; a < 3; ++a) sum[a] += slots[static_cast<std::size_t>(s * kColorSlot + a)];
      std::copy_n(sum, 3, colors + 3 * i);
    }
  });
  laps.lap(kProjectBackward);
}

}  // namespace gspc::raster
