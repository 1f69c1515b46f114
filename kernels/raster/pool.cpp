#include "raster/pool.hpp"

#include <cstdlib>
#include <mutex>
#include <new>
#include <unordered_map>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace gspc {
namespace {

constexpr std::size_t kSmall = std::size_t{64} << 10;  // below: plain allocation, malloc keeps those itself
constexpr std::size_t kPage = std::size_t{2} << 20;    // a huge page
constexpr std::size_t kHuge = 4 * kPage;               // above: on huge pages
constexpr std::size_t kKeep = std::size_t{1} << 30;    // kept at most

struct Block {
  void* data;
  std::size_t bytes;
};

struct Pool {
  Pool() { free_blocks.reserve(256); }
  std::mutex mutex;
  std::vector<Block> free_blocks;  // in the order they were given back; never grows beyond its reserve
  std::unordered_map<void*, std::size_t> taken;  // blocks that came from here and how large they are
  std::size_t kept = 0;
};

Pool& pool() {
  static Pool* instance = new Pool;  // never destroyed: arrays may outlive static destructors
  return *instance;
}

std::size_t rounded(std::size_t bytes) {
  // Steps of an eighth of the size, so that slightly growing scenes still find their blocks.
  std::size_t step = std::size_t{4} << 10;
  while (step * 16 < bytes) step *= 2;
  if (bytes >= kHuge && step < kPage) step = kPage;
  return (bytes + step - 1) / step * step;
}

}  // namespace

void* pool_take(std::size_t bytes) {
  bytes = rounded(bytes < 64 ? 64 : bytes);
  Pool& p = pool();
  if (bytes >= kSmall) {
    const std::lock_guard<std::mutex> lock(p.mutex);
    std::size_t best = p.free_blocks.size();
    for (std::size_t i = 0; i < p.free_blocks.size(); ++i) {
      const std::size_t size = p.free_blocks[i].bytes;
      if (size >= bytes && size <= bytes + bytes / 2 &&
          (best == p.free_blocks.size() || size < p.free_blocks[best].bytes))
        best = i;
    }
    if (best != p.free_blocks.size()) {
      const Block block = p.free_blocks[best];
      p.taken.emplace(block.data, block.bytes);
      p.free_blocks.erase(p.free_blocks.begin() + static_cast<std::ptrdiff_t>(best));
      p.kept -= block.bytes;
      return block.data;
    }
  }
  void* data = std::aligned_alloc(bytes >= kHuge ? kPage : 64, bytes);
  if (data == nullptr) throw std::bad_alloc();
#if defined(__linux__)
  if (bytes >= kHuge) madvise(data, bytes, MADV_HUGEPAGE);
#endif
  if (bytes >= kSmall) {
    const std::lock_guard<std::mutex> lock(p.mutex);
    p.taken.emplace(data, bytes);
  }
  return data;
}

void pool_give(void* block) noexcept {
  if (block == nullptr) return;
  Pool& p = pool();
  {
    const std::lock_guard<std::mutex> lock(p.mutex);
    const auto found = p.taken.find(block);
    if (found != p.taken.end()) {
      const std::size_t size = found->second;
      p.taken.erase(found);
      while (p.kept + size > kKeep && !p.free_blocks.empty()) {  // those unused for longest go first
        p.kept -= p.free_blocks.front().bytes;
        std::free(p.free_blocks.front().data);
        p.free_blocks.erase(p.free_blocks.begin());
      }
      if (p.kept + size <= kKeep && p.free_blocks.size() < p.free_blocks.capacity()) {
        p.free_blocks.push_back({block, size});
        p.kept += size;
        return;
      }
    }
  }
  std::free(block);
}

std::size_t pool_kept_bytes() {
  const std::lock_guard<std::mutex> lock(pool().mutex);
  return pool().kept;
}

void pool_trim() noexcept {
  const std::lock_guard<std::mutex> lock(pool().mutex);
  for (const Block& block : pool().free_blocks) std::free(block.data);
  pool().free_blocks.clear();
  pool().kept = 0;
}

}  // namespace gspc
