// Binning: the list of every tile, in order of depth, without sorting pairs.
//
// A Gaussian covers a span of tiles in each tile row that its ellipse reaches. First come the spans of all
// Gaussians and from them where the gradient slots of each begin; then how many pairs each tile gets; then
// one walk over the Gaussians in order of depth appends each to the lists of its tiles, which are in that
// order for it.
#include "raster/bin.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/parallel.hpp"
#include "raster/chunks.hpp"

namespace gspc::raster {
namespace {

constexpr std::int64_t kMaxPairs = 2'000'000'000;  // 32-bit slots

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
static_assert(sizeof(Place) == kPlaceBytes);

// Adds what is about to be allocated for spans or pairs to what the state holds. Throws OverBudget.
void hold(State& state, std::int64_t count, std::uint64_t bytes_each) {
  state.held += static_cast<std::uint64_t>(count) * bytes_each;
  if (count > kMaxPairs) throw OverBudget(state.held);
  require_bytes(state.held, state.budget);
}

struct Spans {
  Pooled<Place> places;  // [M]
  Pooled<Span> spans;    // of every Gaussian, one tile row after the other, in order of index
};

// Counts rows of tiles, then fills the spans; each chunk of Gaussians knows where its spans begin from the
// counts of those before. The same again for pairs and slots.
Spans find_spans(State& state) {
  const std::int64_t count = state.count, chunks = chunk_count(count);
  Spans found;
  Pooled<Place>& places = found.places;
  places.resize(static_cast<std::size_t>(count));
  Pooled<std::int64_t> chunk_spans(static_cast<std::size_t>(chunks + 1)),
      chunk_pairs(static_cast<std::size_t>(chunks + 1));
  parallel_for_dynamic(chunks, 4, [&](std::int64_t c) {
    std::int64_t rows = 0;
    for (std::int64_t i = c * kChunk; i < chunk_end(c, count); ++i) {
      const TileRows r =
          state.radii[i] > 0 ? tile_rows(state.records.get() + i * kRecord, state.tiles_y) : TileRows{0, 0};
      places[i] = {0, static_cast<std::int32_t>(rows), static_cast<std::uint16_t>(r.first),
                   static_cast<std::uint16_t>(r.last - r.first)};
      rows += r.last - r.first;
    }
    chunk_spans[c + 1] = rows;
  });
  const std::int64_t span_count = running_sums(chunk_spans.get(), chunks);
  hold(state, span_count, sizeof(Span));
  found.spans.resize(static_cast<std::size_t>(span_count));
  parallel_for_dynamic(chunks, 4, [&](std::int64_t c) {
    std::int64_t pairs = 0;
    for (std::int64_t i = c * kChunk; i < chunk_end(c, count); ++i) {
      Place& place = places[i];
      place.span += static_cast<std::int32_t>(chunk_spans[c]);
      place.slot = static_cast<std::int32_t>(pairs);
      for (int row = 0; row < place.rows; ++row) {
        const Span span = tile_span(state.records.get() + i * kRecord, place.row + row, state.tiles_x);
        found.spans[place.span + row] = span;
        pairs += span.last - span.first;
      }
    }
    chunk_pairs[c + 1] = pairs;
  });
  state.pairs = running_sums(chunk_pairs.get(), chunks);
  hold(state, state.pairs, sizeof(Pair) + sizeof(std::uint32_t));  // the list and its masks
  parallel_for_dynamic(chunks, 16, [&](std::int64_t c) {
    for (std::int64_t i = c * kChunk; i < chunk_end(c, count); ++i) {
      places[i].slot += static_cast<std::int32_t>(chunk_pairs[c]);
      state.first_slot[i] = places[i].slot;
    }
  });
  state.first_slot[count] = static_cast<std::int32_t>(state.pairs);
  return found;
}

// Fills state.tile_first. A span adds one to the tile where it begins and takes one from that behind its end,
// so that running sums along a row count the pairs of its tiles. Returns how many pairs the rows before each
// have, [tiles_y + 1].
std::vector<std::int32_t> count_pairs(State& state, const Spans& found) {
  const std::int64_t count = state.count;
  const int tiles = state.tiles_x * state.tiles_y;
  state.tile_first.resize(static_cast<std::size_t>(tiles + 1));
  const int parts = std::clamp(omp_get_max_threads(), 1, kMaxBinParts);
  const std::size_t stride = static_cast<std::size_t>(state.tiles_x) + 1, size = state.tiles_y * stride;
  std::vector<std::int32_t> edges(static_cast<std::size_t>(parts) * size, 0);
  parallel_for(parts, [&](std::int64_t part) {
    for (std::int64_t i = count * part / parts; i < count * (part + 1) / parts; ++i) {
      const Place place = found.places[i];
      std::int32_t* row = edges.data() + static_cast<std::size_t>(part) * size + place.row * stride;
      for (std::int32_t s = place.span; s < place.span + place.rows; ++s, row += stride) {
        ++row[found.spans[s].first];
        --row[found.spans[s].last];
      }
    }
  });
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
  return row_total;
}

// Appends the Gaussians to the lists of their tiles in order of depth. Every thread walks over all of them
// but owns whole rows of tiles, about as many pairs as the others: so no two threads write to one list.
void scatter_pairs(State& state, const DepthOrder& order, const Spans& found,
                   const std::vector<std::int32_t>& row_total) {
  const Pooled<Place>& places = found.places;
  const Pooled<Span>& spans = found.spans;
  const int tiles = state.tiles_x * state.tiles_y;
  state.list.resize(static_cast<std::size_t>(state.pairs));
  Pooled<std::int32_t> cursor(static_cast<std::size_t>(tiles));
  std::copy(state.tile_first.get(), state.tile_first.get() + tiles, cursor.get());
  const int bands = std::max(1, std::min(omp_get_max_threads(), state.tiles_y));
  const auto split = [&](std::int64_t band) {
    const std::int64_t want = row_total.back() * band / bands;
    return static_cast<int>(std::lower_bound(row_total.begin(), row_total.end(), want) - row_total.begin());
  };
  parallel_for(bands, [&](std::int64_t band) {
    const int low = band == 0 ? 0 : split(band), high = band + 1 == bands ? state.tiles_y : split(band + 1);
    for (std::int64_t k = 0; k < order.seen; ++k) {
      // Neighbors in depth are strangers in memory.
      if (k + 16 < order.seen) __builtin_prefetch(&places[order.gaussians[k + 16].gaussian]);
      if (k + 8 < order.seen) __builtin_prefetch(&spans[places[order.gaussians[k + 8].gaussian].span]);
      const std::int32_t i = order.gaussians[k].gaussian;
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
  });
}

}  // namespace

void bin(State& state, const DepthOrder& order) {
  const Spans found = find_spans(state);
  const std::vector<std::int32_t> row_total = count_pairs(state, found);
  scatter_pairs(state, order, found, row_total);
}

}  // namespace gspc::raster
