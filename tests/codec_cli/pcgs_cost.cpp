// usage: pcgs_cost FILE [threads]. What pcgs_estimate promises and what decoding takes, a line for each
// level: "estimated-memory peak-memory estimated-work time decoded", memory in bytes of the heap (every
// allocation of the process counts), work and processor time in nanoseconds, and bytes of the arrays that
// came out (0: the stream was refused, at that cost).
#include <malloc.h>

#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <new>
#include <vector>

#include "codec/api/pcgs.h"

namespace {

std::atomic<size_t> g_now{0}, g_peak{0};

void* taken(void* data) {
  if (data == nullptr) throw std::bad_alloc();
  const size_t now = g_now += malloc_usable_size(data);
  size_t peak = g_peak;
  while (now > peak && !g_peak.compare_exchange_weak(peak, now)) {}
  return data;
}

void given_back(void* data) {
  if (data != nullptr) g_now -= malloc_usable_size(data);
  std::free(data);
}

size_t decoded_bytes(const pcgs_scene* scene) {
  const size_t k = static_cast<size_t>(pcgs_offset_count(scene)),
               f = static_cast<size_t>(pcgs_feature_count(scene));
  return pcgs_anchor_count(scene) * (4 * (3 + f + 6 + 3 * k) + k);
}

}  // namespace

void* operator new(size_t size) { return taken(std::malloc(size)); }
void* operator new[](size_t size) { return taken(std::malloc(size)); }
void operator delete(void* data) noexcept { given_back(data); }
void operator delete[](void* data) noexcept { given_back(data); }
void operator delete(void* data, size_t) noexcept { given_back(data); }
void operator delete[](void* data, size_t) noexcept { given_back(data); }

int main(int argc, char** argv) {
  std::FILE* file = argc > 1 ? std::fopen(argv[1], "rb") : nullptr;
  if (file == nullptr) return 3;
  std::vector<unsigned char> data;
  for (int byte; (byte = std::fgetc(file)) != EOF;) data.push_back(static_cast<unsigned char>(byte));
  std::fclose(file);
  for (int level = 1; level <= 8; ++level) {
    const pcgs_options options{level, argc > 2 ? std::atoi(argv[2]) : 1, 0};
    pcgs_cost cost{};
    const bool planned = pcgs_estimate(data.data(), data.size(), &options, &cost, nullptr, 0) != 0;
    if (!planned && level > 1) break;
    const size_t before = g_now;
    g_peak = before;
    const std::clock_t began = std::clock();
    pcgs_scene* scene = pcgs_decode(data.data(), data.size(), &options, nullptr, 0);
    const double took = 1e9 * static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
    std::printf("%" PRIu64 " %zu %" PRIu64 " %.0f %zu\n", cost.memory, g_peak - before, cost.work, took,
                decoded_bytes(scene));
    pcgs_free(scene);
  }
  return 0;
}
