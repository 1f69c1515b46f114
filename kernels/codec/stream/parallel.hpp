// Work items over std::thread, taken in order; the first failing item's exception (by number) reaches the
// caller.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace gspc {

#if defined(__EMSCRIPTEN__) && !defined(__EMSCRIPTEN_PTHREADS__)
#define GSPC_NO_THREADS 1
#endif

inline size_t worker_count(int asked, size_t items) {
#if defined(GSPC_NO_THREADS)
  return static_cast<void>(asked), static_cast<void>(items), 1;
#endif
  size_t n = asked > 0 ? static_cast<size_t>(asked) : std::max(1u, std::thread::hardware_concurrency());
  return std::max<size_t>(1, std::min({n, items, size_t{256}}));
}

// work(worker, item) for every item in [0, items); worker in [0, workers).
template <class Work>
void parallel_items(size_t workers, size_t items, Work work) {
  std::atomic<size_t> next{0};
  std::mutex mutex;
  size_t failed = items;
  std::exception_ptr error;
  const auto run = [&](size_t worker) {
    for (size_t item = next++; item < items; item = next++) {
      try {
        work(worker, item);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(mutex);
        if (item < failed) {
          failed = item;
          error = std::current_exception();
        }
        return;
      }
    }
  };
#if defined(GSPC_NO_THREADS)
  static_cast<void>(workers);
  run(0);
#else
  std::vector<std::thread> threads;
  for (size_t w = 1; w < workers; ++w) {
    try {
      threads.emplace_back(run, w);
    } catch (...) {  // no more threads to be had: fewer do the work
      break;
    }
  }
  run(0);
  for (std::thread& thread : threads) thread.join();
#endif
  if (error) std::rethrow_exception(error);
}

}  // namespace gspc
