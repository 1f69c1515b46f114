// The state of a slice: its arrays and its hash.
#include "codec/stream/slice.hpp"

namespace gspc {

void SliceState::reset(const StreamHeader& h, size_t anchors) {
  count = 0;
  known.clear();
  positions.clear();
  gaussian_level.clear();
  for (auto& values : symbols) values.clear();
  step_levels.clear();
  grow(h, anchors);
}

void SliceState::grow(const StreamHeader& h, size_t anchors) {
  const size_t k = static_cast<size_t>(h.offsets());
  known.reserve(anchors);
  positions.reserve(3 * anchors);
  gaussian_level.reserve(k * anchors);
  for (int a : {kFeatures, kScaling, kOffsets})
    symbols[a].reserve(static_cast<size_t>(h[a].values) * anchors);
  step_levels.reserve(kAttributes * anchors);
  const auto exactly = [](auto& values, size_t n) {  // resize alone would take up to twice as much
    values.reserve(n);
    values.resize(n);
  };
  // Kernels read whole groups of 8 rows.
  exactly(context, (anchors + 8) * static_cast<size_t>(h.context_size()));
  exactly(means, anchors * static_cast<size_t>(h.values()));
  exactly(steps, 3 * anchors);
  exactly(offset_scales, 3 * k * anchors);
}

namespace {

constexpr uint64_t kHashFactor = 0x9E3779B97F4A7C15ull;

template <class T>
uint64_t hash_values(uint64_t hash, const std::vector<T>& values) {
  constexpr uint64_t kPower1 = kHashFactor, kPower2 = kPower1 * kPower1, kPower3 = kPower2 * kPower1,
                     kPower4 = kPower2 * kPower2;
  const auto word = [](T v) { return static_cast<uint64_t>(static_cast<int64_t>(v)); };
  const size_t n = values.size();
  size_t i = 0;
  for (; i + 4 <= n; i += 4)
    hash = hash * kPower4 + word(values[i]) * kPower3 + word(values[i + 1]) * kPower2 +
           word(values[i + 2]) * kPower1 + word(values[i + 3]);
  for (; i < n; ++i) hash = hash * kPower1 + word(values[i]);
  return hash;
}

}  // namespace

uint64_t hash_words(uint64_t hash, uint64_t word) { return hash * kHashFactor + word; }

uint64_t hash_slice(const StreamHeader& header, const SliceState& state) {
  uint64_t hash = hash_words(0, state.count);
  hash = hash_values(hash, state.positions);
  hash = hash_values(hash, state.gaussian_level);
  for (const auto& symbols : state.symbols) hash = hash_values(hash, symbols);
  if (header.selective) hash = hash_values(hash, state.step_levels);
  return hash;
}

}  // namespace gspc
