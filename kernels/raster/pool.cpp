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

constexpr std::size_t kSmall = std::size_t{64} << 10;     // below: plain allocation, malloc keeps those itself
constexpr std::size_t kHuge = std::size_t{2} << 20;       // above: aligned for huge pages
constexpr std::size_t kKeep = std::size_t{1} << 30;       // kept at most

struct Block {
  void* data;
  std::size_t bytes;
};

struct Pool {
  std::mutex mutex;
  std::vector<Block> free_blocks;
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
      p.free_blocks[best] = p.free_blocks.back();
      p.free_blocks.pop_back();
      p.kept -= block.bytes;
      return block.data;
    }
  }
  const std::size_t alignment = bytes >= kHuge ? kHuge : 64;
  const std::size_t size = (bytes + alignment - 1) / alignment * alignment;
  void* data = std::aligned_alloc(alignment, size);
  if (data == nullptr) throw std::bad_alloc();
#if defined(__linux__)
  if (size >= kHuge) madvise(data, size, MADV_HUGEPAGE);
#endif
  if (size >= kSmall) {
    const std::lock_guard<std::mutex> lock(p.mutex);
    p.taken.emplace(data, size);
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
      if (p.kept + size <= kKeep) {
        try {
          p.free_blocks.push_back({block, size});
          p.kept += size;
          return;
        } catch (const std::bad_alloc&) {
        }
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
