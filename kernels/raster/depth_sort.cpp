#include "raster/depth_sort.hpp"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "common/parallel.hpp"
#include "raster/chunks.hpp"

namespace gspc::raster {
namespace {

// The seen Gaussians in order of index.
DepthOrder keys_of(const std::int32_t* radii, const float* depths, std::int64_t count) {
  const std::int64_t chunks = chunk_count(count);
  Pooled<std::int64_t> first(static_cast<std::size_t>(chunks + 1));
  parallel_for_dynamic(chunks, 8, [&](std::int64_t c) {
    std::int64_t n = 0;
    for (std::int64_t i = c * kChunk; i < chunk_end(c, count); ++i) n += radii[i] > 0;
    first[c + 1] = n;
  });
  DepthOrder keys;
  keys.seen = running_sums(first.get(), chunks);
  keys.gaussians.resize(static_cast<std::size_t>(keys.seen));
  parallel_for_dynamic(chunks, 8, [&](std::int64_t c) {
    std::int64_t at = first[c];
    for (std::int64_t i = c * kChunk; i < chunk_end(c, count); ++i) {
      if (radii[i] <= 0) continue;
      std::uint32_t key;
      std::memcpy(&key, depths + i, sizeof key);
      keys.gaussians[at++] = {key, static_cast<std::int32_t>(i)};
    }
  });
  return keys;
}

}  // namespace

// A radix sort, least significant digit first: every pass keeps the order of the last among equals. Each
// thread counts and moves one part of the list; a bucket holds the parts one after the other.
DepthOrder sort_by_depth(const std::int32_t* radii, const float* depths, std::int64_t count) {
  DepthOrder order = keys_of(radii, depths, count);
  Pooled<Keyed>& from = order.gaussians;
  const std::int64_t seen = order.seen;
  Pooled<Keyed> to(static_cast<std::size_t>(seen));
  const int parts = seen < 4096 ? 1 : std::clamp(omp_get_max_threads(), 1, 16);
  constexpr int kDigit = 11, kBuckets = 1 << kDigit;
  std::vector<std::uint32_t> start(static_cast<std::size_t>(parts) * kBuckets);
  for (int shift = 0; shift < 3 * kDigit; shift += kDigit) {
    const auto bucket_of = [&](const Keyed& k) { return k.depth >> shift & (kBuckets - 1); };
    const auto cut = [&](std::int64_t part) { return seen * part / parts; };
    parallel_for(parts, [&](std::int64_t part) {
      std::uint32_t* own = start.data() + static_cast<std::size_t>(part) * kBuckets;
      std::fill(own, own + kBuckets, 0u);
      for (std::int64_t i = cut(part); i < cut(part + 1); ++i) ++own[bucket_of(from[i])];
    });
    std::uint32_t total = 0;
    bool one_bucket = false;
    for (int b = 0; b < kBuckets; ++b) {
      const std::uint32_t before = total;
      for (int part = 0; part < parts; ++part)
        total += std::exchange(start[static_cast<std::size_t>(part) * kBuckets + b], total);
      one_bucket = one_bucket || total - before == seen;
    }
    if (one_bucket) continue;  // nothing would move
    parallel_for(parts, [&](std::int64_t part) {
      std::uint32_t* own = start.data() + static_cast<std::size_t>(part) * kBuckets;
      for (std::int64_t i = cut(part); i < cut(part + 1); ++i) to[own[bucket_of(from[i])]++] = from[i];
    });
    std::swap(from, to);
  }
  return order;
}

}  // namespace gspc::raster
