#include "raster/raster.hpp"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <utility>
#include <vector>

namespace gspc::raster {
namespace {

constexpr std::int64_t kChunk = 1024;  // Gaussians per work item; fixed, so results do not depend on threads
constexpr std::int64_t kMaxGaussians = 100'000'000;  // 32-bit gather offsets: M * kRecord < 2^31
constexpr std::int64_t kMaxPairs = 2'000'000'000;    // 32-bit slots
constexpr int kMaxSide = 16384;                      // tile coordinates are 16-bit, with room

// Runs work(i) for i in [0, n), the items handed out in order; an exception cannot leave an OpenMP region, so
// work must not throw.
template <class Work>
void parallel_items(std::int64_t n, int grain, const Work& work) {
#pragma omp parallel for schedule(dynamic, grain) if (n > 1)
  for (std::int64_t i = 0; i < n; ++i) work(i);
}

#define GSPC_CALL(isa, function, ...)                               \
  do {                                                              \
    if ((isa) == Isa::v4) GSPC_CALL_V4(function, __VA_ARGS__);      \
    else if ((isa) == Isa::v3) GSPC_CALL_V3(function, __VA_ARGS__); \
    else isa_base::function(__VA_ARGS__);                           \
  } while (false)
#if defined(GSPC_MULTI_ISA)
#define GSPC_CALL_V4(function, ...) isa_v4::function(__VA_ARGS__)
#define GSPC_CALL_V3(function, ...) isa_v3::function(__VA_ARGS__)
#else
#define GSPC_CALL_V4(function, ...) isa_base::function(__VA_ARGS__)
#define GSPC_CALL_V3(function, ...) isa_base::function(__VA_ARGS__)
#endif

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

struct Keyed {
  std::uint32_t depth;  // bits of a positive float: ordered like the float
  std::int32_t gaussian;
};

// Seen Gaussians by depth, ties by index: least significant digit first, so every pass keeps the order of the
// last.
Pooled<Keyed> sort_by_depth(const std::int32_t* radii, const float* depths, std::int64_t count,
                            std::int64_t& seen) {
  const std::int64_t chunks = (count + kChunk - 1) / kChunk;
  Pooled<std::int64_t> first(static_cast<std::size_t>(chunks + 1));
  parallel_items(chunks, 8, [&](std::int64_t c) {
    std::int64_t n = 0;
    for (std::int64_t i = c * kChunk; i < std::min(count, (c + 1) * kChunk); ++i) n += radii[i] > 0;
    first[c + 1] = n;
  });
  first[0] = 0;
  for (std::int64_t c = 0; c < chunks; ++c) first[c + 1] += first[c];
  seen = first[chunks];
  Pooled<Keyed> from(static_cast<std::size_t>(seen)), to(static_cast<std::size_t>(seen));
  parallel_items(chunks, 8, [&](std::int64_t c) {
    std::int64_t at = first[c];
    for (std::int64_t i = c * kChunk; i < std::min(count, (c + 1) * kChunk); ++i) {
      if (radii[i] <= 0) continue;
      std::uint32_t key;
      std::memcpy(&key, depths + i, sizeof key);
      from[at++] = {key, static_cast<std::int32_t>(i)};
    }
  });
  const int parts = seen < 4096 ? 1 : std::clamp(omp_get_max_threads(), 1, 16);
  constexpr int kDigit = 11, kBuckets = 1 << kDigit;
  std::vector<std::uint32_t> start(static_cast<std::size_t>(parts) * kBuckets);
  for (int shift = 0; shift < 3 * kDigit; shift += kDigit) {
    const auto bucket_of = [&](const Keyed& k) { return k.depth >> shift & (kBuckets - 1); };
    const auto cut = [&](int part) { return seen * part / parts; };
#pragma omp parallel for schedule(static, 1) if (parts > 1)
    for (int part = 0; part < parts; ++part) {
      std::uint32_t* own = start.data() + static_cast<std::size_t>(part) * kBuckets;
      std::fill(own, own + kBuckets, 0u);
      for (std::int64_t i = cut(part); i < cut(part + 1); ++i) ++own[bucket_of(from[i])];
    }
    std::uint32_t total = 0;
    bool one_bucket = false;
    for (int b = 0; b < kBuckets; ++b) {
      const std::uint32_t before = total;
      for (int part = 0; part < parts; ++part)
        total += std::exchange(start[static_cast<std::size_t>(part) * kBuckets + b], total);
      one_bucket = one_bucket || total - before == seen;
    }
    if (one_bucket) continue;
#pragma omp parallel for schedule(static, 1) if (parts > 1)
    for (int part = 0; part < parts; ++part) {
      std::uint32_t* own = start.data() + static_cast<std::size_t>(part) * kBuckets;
      for (std::int64_t i = cut(part); i < cut(part + 1); ++i) to[own[bucket_of(from[i])]++] = from[i];
    }
    std::swap(from, to);
  }
  return from;
}

// Tiles [first, last) of one tile row.
struct Span {
  std::uint16_t first, last;
};

struct TileRows {
  int first, last;
};

// Rows of tiles whose pixel centers the ellipse reaches.
TileRows tile_rows(const float* record, int tiles_y) {
  const float scale = 1.0f / kTile;
  const float top = (record[kY] - record[kHeight] - (kTile - 0.5f)) * scale;
  const float bottom = (record[kY] + record[kHeight] - 0.5f) * scale;
  const float limit = static_cast<float>(tiles_y);
  const int first = static_cast<int>(std::ceil(std::max(top, 0.0f) < limit ? std::max(top, 0.0f) : limit));
  const int last = bottom < 0.0f ? 0 : static_cast<int>(std::min(bottom, limit - 1.0f)) + 1;
  return {first, std::max(first, last)};
}

// Tiles of one row whose pixel centers the ellipse reaches: its extent in x within the row.
Span tile_span(const float* record, int row, int tiles_x) {
  const float top = static_cast<float>(row * kTile) + 0.5f - record[kY];
  const float height = record[kHeight], tip = record[kTip];
  const float low = std::max(top, -height), high = std::min(top + (kTile - 1), height);
  if (low > high) return {0, 0};
  const float at_right = std::min(std::max(tip, low), high), at_left = std::min(std::max(-tip, low), high);
  const float level = record[kLogOpacity] + (1e-4f - kLog2MinAlpha), scale = -1.0f / record[kCurveU];
  const float half_right = std::sqrt(std::max(level + record[kCurveY] * at_right * at_right, 0.0f) * scale);
  const float half_left = std::sqrt(std::max(level + record[kCurveY] * at_left * at_left, 0.0f) * scale);
  const float right = record[kX] + record[kSlope] * at_right + half_right + 0.02f;
  const float left = record[kX] + record[kSlope] * at_left - half_left - 0.02f;
  const float limit = static_cast<float>(tiles_x), per_tile = 1.0f / kTile;
  const float from = std::min(std::max((left - (kTile - 0.5f)) * per_tile, 0.0f), limit);
  const float to = std::min((right - 0.5f) * per_tile, limit - 1.0f);
  if (!(to >= 0.0f)) return {0, 0};
  const int first = static_cast<int>(std::ceil(from)), last = static_cast<int>(to) + 1;
  return {static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(std::max(first, last))};
}

// Where a Gaussian's spans and pairs lie: one cache line's part for the scatter, which meets Gaussians in
// order of depth.
struct Place {
  std::int32_t slot, span;
  std::uint16_t row, rows;
};

// Fills state.first_slot, tile_first and list.
void bin(State& state, const float* depths, Laps& laps) {
  const std::int64_t count = state.count;
  const std::int64_t chunks = (count + kChunk - 1) / kChunk;
  const int tiles = state.tiles_x * state.tiles_y;
  std::int64_t seen = 0;
  const Pooled<Keyed> order = sort_by_depth(state.radii.get(), depths, count, seen);
  laps.lap(kSort);

  // Spans of every Gaussian, consecutive per chunk, in order of index.
  Pooled<std::int64_t> chunk_spans(static_cast<std::size_t>(chunks + 1)),
      chunk_pairs(static_cast<std::size_t>(chunks + 1));
  Pooled<Place> places(static_cast<std::size_t>(count));
  parallel_items(chunks, 4, [&](std::int64_t c) {
    std::int64_t rows = 0;
    for (std::int64_t i = c * kChunk; i < std::min(count, (c + 1) * kChunk); ++i) {
      const TileRows r =
          state.radii[i] > 0 ? tile_rows(state.records.get() + i * kRecord, state.tiles_y) : TileRows{0, 0};
      places[i] = {0, static_cast<std::int32_t>(rows), static_cast<std::uint16_t>(r.first),
                   static_cast<std::uint16_t>(r.last - r.first)};
      rows += r.last - r.first;
    }
    chunk_spans[c + 1] = rows;
  });
  chunk_spans[0] = 0;
  for (std::int64_t c = 0; c < chunks; ++c) chunk_spans[c + 1] += chunk_spans[c];
  if (chunk_spans[chunks] > kMaxPairs) throw std::length_error("rasterize: too many (Gaussian, tile) pairs");
  Pooled<Span> spans(static_cast<std::size_t>(chunk_spans[chunks]));
  parallel_items(chunks, 4, [&](std::int64_t c) {
    std::int64_t pairs = 0;
    const std::int64_t end = std::min(count, (c + 1) * kChunk);
    for (std::int64_t i = c * kChunk; i < end; ++i) {
      Place& place = places[i];
      place.span += static_cast<std::int32_t>(chunk_spans[c]);
      place.slot = static_cast<std::int32_t>(pairs);
      for (int row = 0; row < place.rows; ++row) {
        const Span span = tile_span(state.records.get() + i * kRecord, place.row + row, state.tiles_x);
        spans[place.span + row] = span;
        pairs += span.last - span.first;
      }
    }
    chunk_pairs[c + 1] = pairs;
  });
  chunk_pairs[0] = 0;
  for (std::int64_t c = 0; c < chunks; ++c) chunk_pairs[c + 1] += chunk_pairs[c];
  state.pairs = chunk_pairs[chunks];
  if (state.pairs > kMaxPairs) throw std::length_error("rasterize: too many (Gaussian, tile) pairs");
  parallel_items(chunks, 16, [&](std::int64_t c) {
    for (std::int64_t i = c * kChunk; i < std::min(count, (c + 1) * kChunk); ++i) {
      places[i].slot += static_cast<std::int32_t>(chunk_pairs[c]);
      state.first_slot[i] = places[i].slot;
    }
  });
  state.first_slot[count] = static_cast<std::int32_t>(state.pairs);

  // Pairs per tile, from the ends of spans.
  state.tile_first.resize(static_cast<std::size_t>(tiles + 1));
  const int parts = std::clamp(omp_get_max_threads(), 1, 16);
  const std::size_t stride = static_cast<std::size_t>(state.tiles_x) + 1, size = state.tiles_y * stride;
  std::vector<std::int32_t> edges(static_cast<std::size_t>(parts) * size, 0);
#pragma omp parallel for schedule(static, 1) if (parts > 1)
  for (int part = 0; part < parts; ++part) {
    for (std::int64_t i = count * part / parts; i < count * (part + 1) / parts; ++i) {
      const Place place = places[i];
      std::int32_t* row = edges.data() + static_cast<std::size_t>(part) * size + place.row * stride;
      for (std::int32_t s = place.span; s < place.span + place.rows; ++s, row += stride) {
        ++row[spans[s].first];
        --row[spans[s].last];
      }
    }
  }
  for (int part = 1; part < parts; ++part)
    for (std::size_t k = 0; k < size; ++k) edges[k] += edges[static_cast<std::size_t>(part) * size + k];
  std::int32_t total = 0;
  std::vector<std::int32_t> row_total(static_cast<std::size_t>(state.tiles_y) + 1, 0);
  for (int y = 0; y < state.tiles_y; ++y) {
    std::int32_t inside = 0;
    for (int x = 0; x < state.tiles_x; ++x) {
      inside += edges[static_cast<std::size_t>(y) * stride + static_cast<std::size_t>(x)];
      state.tile_first[y * state.tiles_x + x] = total;
      total += inside;
    }
    row_total[static_cast<std::size_t>(y) + 1] = total;
  }
  state.tile_first[tiles] = total;

  // Stable scatter in order of depth. Every thread owns whole rows of tiles.
  state.list.resize(static_cast<std::size_t>(state.pairs));
  Pooled<std::int32_t> cursor(static_cast<std::size_t>(tiles));
  std::copy(state.tile_first.get(), state.tile_first.get() + tiles, cursor.get());
  const int bands = std::max(1, std::min(omp_get_max_threads(), state.tiles_y));
#pragma omp parallel for schedule(static, 1) if (bands > 1)
  for (int band = 0; band < bands; ++band) {
    const auto split = [&](int b) {
      const std::int64_t want = static_cast<std::int64_t>(total) * b / bands;
      return static_cast<int>(std::lower_bound(row_total.begin(), row_total.end(), want) - row_total.begin());
    };
    const int low = band == 0 ? 0 : split(band), high = band + 1 == bands ? state.tiles_y : split(band + 1);
    for (std::int64_t k = 0; k < seen; ++k) {
      // Neighbors in depth are strangers in memory.
      if (k + 16 < seen) __builtin_prefetch(&places[order[k + 16].gaussian]);
      if (k + 8 < seen) __builtin_prefetch(&spans[places[order[k + 8].gaussian].span]);
      const std::int32_t i = order[k].gaussian;
      const Place place = places[i];
      std::int32_t slot = place.slot;
      int row = place.row;
      const int end = std::min(high, row + place.rows);
      for (std::int32_t s = place.span; row < end; ++s, ++row) {
        const Span span = spans[s];
        if (row >= low) {
          for (int x = span.first; x < span.last; ++x)
            state.list[cursor[row * state.tiles_x + x]++] = {i, slot + (x - span.first)};
        }
        slot += span.last - span.first;
      }
    }
  }
}

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
  parallel_items((scene.count + kChunk - 1) / kChunk, 2, [&](std::int64_t c) {
    GSPC_CALL(state->isa, raster_project, scene, view, c * kChunk, std::min(scene.count, (c + 1) * kChunk),
              state->records.get(), state->radii.get(), depths.get());
  });
  std::copy(state->radii.get(), state->radii.get() + count, radii);
  laps.lap(kProject);
  bin(*state, depths.get(), laps);
  laps.lap(kBin);
  state->masks.resize(static_cast<std::size_t>(state->pairs));
  state->pixels.resize(static_cast<std::size_t>(tiles) * 4 * kTile * kTile);
  parallel_items(tiles, 4, [&](std::int64_t t) {
    GSPC_CALL(state->isa, raster_tile, *state, static_cast<int>(t), image, alpha);
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
  parallel_items(static_cast<std::int64_t>(state.tiles_x) * state.tiles_y, 4, [&](std::int64_t t) {
    GSPC_CALL(state.isa, raster_tile_backward, state, static_cast<int>(t), grad_image, grad_alpha,
              slots.get(), used.get());
  });
  laps.lap(kBlendBackward);
  parallel_items((state.count + kChunk - 1) / kChunk, 2, [&](std::int64_t c) {
    GSPC_CALL(state.isa, raster_project_backward, state, scene, c * kChunk,
              std::min(state.count, (c + 1) * kChunk), slots.get(), used.get(), out);
  });
  laps.lap(kProjectBackward);
}

}  // namespace gspc::raster
