#include "codec/stream/cost.hpp"

#include <atomic>
#include <string>

#include "codec/format/stream_error.hpp"

namespace gspc {

namespace {

uint64_t count(int n) { return static_cast<uint64_t>(n); }

// Products of a network of two layers.
uint64_t products(int in, int hidden, int out) { return count(hidden) * (count(in) + count(out)); }

constexpr uint64_t kProductsPerWork = 4;  // of 16-bit integers, without wide vectors
constexpr uint64_t kSymbolWork = 12;      // a symbol under its table, and its share of escapes
constexpr uint64_t kPositionWork = 2500;  // an anchor's way down the octree, with its neighbors
constexpr uint64_t kPlaneWork = 60;       // looking up a position in a plane of the grid
constexpr uint64_t kSliceWork = 100000;   // models of a slice's binary coders

std::atomic<uint64_t> g_max_work{0};

std::string seconds(uint64_t work) {
  return work < 1000000000 ? std::to_string(work / 1000000) + " ms"
                           : std::to_string(work / 1000000000) + " s";
}

}  // namespace

uint64_t state_bytes(const StreamHeader& h) {
  const uint64_t k = count(h.offsets()), c = count(h.context_size());
  return 40 + kAttributes + k + 2 * c + 32 * count(h.values());
}

uint64_t worker_bytes(const StreamHeader& h) {
  constexpr uint64_t kModels = 384 << 10;
  const uint64_t widest = count(h.context_size() + h.pool_context_size() + 4 * h.values() + 4096);
  return kModels + 32 * 8 * widest;
}

uint64_t slice_work(const StreamHeader& h, int level, uint64_t fresh, uint64_t old) {
  const int c = h.context_size(), values = h.values();
  uint64_t appear =
      products(c, h.steps_hidden, 3) + products(c, h.trunk_hidden, 2 * values + 3 * h.offsets());
  for (int j = 1; j < h.groups.count; ++j) {
    const int first = h.group_begin(j), n = h.group_begin(j + 1) - first;
    appear += products(2 * n + first, h.groups.hidden, 3 * n);
  }
  if (h.pool.features > 0) appear += products(h.pool_context_size(), h.pool.hidden, h.pool.features);
  uint64_t refine = 0, trits = 0;
  for (const Attribute& a : h.attributes) {
    if (h.selective ? level == 1 || !a.refined() : !a.refines_at(level)) continue;
    trits += count(a.values);
    if (a.wants_network()) refine += products(c + a.values, a.hidden, 2 * a.values);
  }
  // The pool's features are restored for every anchor at every level.
  const uint64_t each_fresh = appear / kProductsPerWork + kSymbolWork * count(values) + kPositionWork +
                              kPlaneWork * count(static_cast<int>(h.grid.planes.size()));
  const uint64_t each_old =
      refine / kProductsPerWork + kSymbolWork * trits + kSymbolWork * count(h.offsets());
  return kSliceWork + fresh * each_fresh + old * each_old;
}

uint64_t model_work(const StreamHeader& h) { return 40 * kGridFeatures * grid_entries(h.grid); }

uint64_t default_work(uint64_t file_bytes) {
  constexpr uint64_t kBase = 20000000, kPerByte = 50000;
  return kBase + kPerByte * file_bytes;
}

void set_max_work(uint64_t most) { g_max_work = most; }

void check_memory(uint64_t need, uint64_t limit, const char* work) {
  if (need > limit)
    stream_fail(std::string(work) + " needs about " + std::to_string((need >> 20) + 1) +
                " MiB of memory, the limit is " + std::to_string(limit >> 20) + " MiB; raise --max-memory");
}

void check_work(uint64_t need, const DecodeOptions& options, uint64_t file_bytes) {
  const uint64_t asked = options.max_work > 0 ? options.max_work : g_max_work.load();
  const uint64_t limit = asked > 0 ? asked : default_work(file_bytes);
  if (need <= limit) return;
  const std::string reason = asked > 0 ? "allowed" : "that " + std::to_string(file_bytes) + " bytes may cost";
  stream_fail("decoding takes about " + seconds(need) + " of work, more than the " + seconds(limit) + " " +
              reason + "; raise --max-work");
}

void check_cancel(const DecodeOptions& options) {
  if (options.canceled && options.canceled()) stream_fail("canceled");
}

}  // namespace gspc
