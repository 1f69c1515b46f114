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

void check(const Scene& scene, const View& view) {
  if (scene.count < 0 || scene.count > kMaxGaussians)
    throw std::invalid_argument("rasterize: at most 100 million Gaussians");
  if (view.width < 1 || view.height < 1 || view.width > kMaxSide || view.height > kMaxSide)
    throw std::invalid_argument("rasterize: width and height must lie in 1..16384");
  bool finite =
      std::isfinite(view.fx) && std::isfinite(view.fy) && std::isfinite(view.cx) && std::isfinite(view.cy);
  for (float x : view.rotation) finite = finite && std::isfinite(x);
  for (float x : view.translation) finite = finite && std::isfinite(x);
  if (!finite || view.fx <= 0.0f || view.fy <= 0.0f)
    throw std::invalid_argument("rasterize: the camera must be finite with positive focal lengths");
}

}  // namespace

std::unique_ptr<State> forward(const Scene& scene, const View& view, float* image, float* alpha,
                               std::int32_t* radii, Timings* timings) {
  check(scene, view);
  Laps laps(timings);
  auto state = std::make_unique<State>();
  state->isa = active_isa();
  state->view = view;
  state->count = scene.count;
  state->tiles_x = (view.width + kTile - 1) / kTile;
  state->tiles_y = (view.height + kTile - 1) / kTile;
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
  parallel_for_dynamic(tiles, 4, [&](std::int64_t t) {
    GSPC_DISPATCH_AS(state->isa, raster_tile)(*state, static_cast<int>(t), image, alpha);
  });
  laps.lap(kBlend);
  return state;
}

void backward(const State& state, const Scene& scene, const float* grad_image, const float* grad_alpha,
              const Gradients& out, Timings* timings) {
  if (scene.count != state.count)
    throw std::invalid_argument("rasterize backward: not the Gaussians of the forward pass");
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

}  // namespace gspc::raster
