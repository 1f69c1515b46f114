// Parallel loops of the training and rendering kernels: the one place that speaks OpenMP. The codec core,
// which has std::thread only, does not include it.
//
// An exception that left an OpenMP region would end the process. Here the first one is carried out of the
// region and thrown again behind it, and items not begun by then are left out. Memory that the threads of a
// loop work in is allocated before it (ThreadScratch), so that a full memory is noticed before anything is
// written.
#pragma once

#if defined(_OPENMP)
#include <omp.h>
#endif

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>

#include "common/rounding.hpp"
#include "common/scratch.hpp"

namespace gspc {

#if !defined(_OPENMP)  // in the stand-alone decoder, and where the compiler has no OpenMP: one thread
inline int omp_get_max_threads() { return 1; }
inline int omp_get_thread_num() { return 0; }
inline void omp_set_num_threads(int) {}
#endif

// The first exception of several threads.
class FirstException {
 public:
  // Runs work unless something was thrown before; keeps what it throws.
  template <class Work>
  void guard(const Work& work) noexcept {
    if (thrown_.load(std::memory_order_relaxed)) return;
    try {
      work();
    } catch (...) {
      if (!thrown_.exchange(true)) first_ = std::current_exception();
    }
  }
  void rethrow() const {
    if (first_) std::rethrow_exception(first_);
  }

 private:
  std::atomic<bool> thrown_{false};
  std::exception_ptr first_;
};

// work(i) for every i in [0, n), each thread a run of neighbors: for items that take equally long.
template <class Work>
void parallel_for(int64_t n, const Work& work) {
  FirstException first;
#pragma omp parallel for schedule(static) if (n > 1)
  for (int64_t i = 0; i < n; ++i) first.guard([&] { work(i); });
  first.rethrow();
}

// The same, `grain` items at a time to whichever thread is free: for items that differ in length.
template <class Work>
void parallel_for_dynamic(int64_t n, [[maybe_unused]] int grain, const Work& work) {
  FirstException first;
#pragma omp parallel for schedule(dynamic, grain) if (n > 1)
  for (int64_t i = 0; i < n; ++i) first.guard([&] { work(i); });
  first.rethrow();
}

// work() once on every thread of the pool.
template <class Work>
void on_every_thread(const Work& work) {
  FirstException first;
#pragma omp parallel
  first.guard(work);
  first.rethrow();
}

// `floats` floats of working memory for each thread of the next parallel loop, in memory kept by the caller.
class ThreadScratch {
 public:
  ThreadScratch(Scratch& kept, size_t floats)
      : stride_(round16(floats) + 16),  // a cache line apart
        memory_(kept.get(stride_ * static_cast<size_t>(omp_get_max_threads()))) {}
  // Of the thread that asks, inside the loop.
  float* mine() const { return memory_ + stride_ * static_cast<size_t>(omp_get_thread_num()); }

 private:
  size_t stride_;
  float* memory_;
};

}  // namespace gspc
