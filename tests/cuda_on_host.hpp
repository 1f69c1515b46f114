// Enough of CUDA to run the kernels of kernels/cuda on the host, force-included before them: blocks one after
// another, the threads of a block as coroutines that take turns at every __syncthreads(). Threads run in
// ascending or, on odd launches, in descending order, so that a missing barrier shows in one of the two.
#pragma once

#include <ucontext.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
typedef void* cudaStream_t;
constexpr int cudaErrorInvalidValue = 1;
inline int cudaGetLastError() { return 0; }

static dim3 threadIdx, blockIdx, blockDim, gridDim;

#define __global__ static
#define __device__ static
#define __host__
#define __constant__ static const
#define __shared__ static
#define __launch_bounds__(threads)

namespace host {

constexpr size_t STACK = 32 << 10;

static ucontext_t scheduler;
static std::vector<ucontext_t> contexts;
static std::vector<char> waiting;  // reached a barrier, not finished
static unsigned current;
static bool descending;

template <typename Body>
void run_block(const dim3& block, Body& body) {
  static std::vector<std::unique_ptr<char[]>> stacks;
  static Body* entry;
  entry = &body;
  const unsigned count = block.x * block.y * block.z;
  while (stacks.size() < count) stacks.emplace_back(new char[STACK]);
  contexts.resize(count);
  waiting.assign(count, 1);
  for (unsigned i = 0; i < count; ++i) {
    getcontext(&contexts[i]);
    contexts[i].uc_stack.ss_sp = stacks[i].get();
    contexts[i].uc_stack.ss_size = STACK;
    contexts[i].uc_link = &scheduler;
    void (*start)() = [] {
      (*entry)();
      waiting[current] = 0;
    };
    makecontext(&contexts[i], start, 0);
  }
  for (unsigned running = count; running > 0;) {
    const unsigned before = running;
    for (unsigned step = 0; step < count; ++step) {
      const unsigned i = descending ? count - 1 - step : step;
      if (!waiting[i]) continue;
      current = i;
      threadIdx = dim3(i % block.x, i / block.x % block.y, i / (block.x * block.y));
      swapcontext(&scheduler, &contexts[i]);
      if (!waiting[i]) --running;
    }
    if (running != before && running != 0) {
      std::fprintf(stderr, "a barrier that %u of %u threads passed by\n", before - running, before);
      std::abort();
    }
  }
}

inline unsigned long long launched = 0;  // so far, by all sources together

template <typename Body>
void launch(const dim3& grid, const dim3& block, Body body) {
  ++launched;
  gridDim = grid;
  blockDim = block;
  for (unsigned y = 0; y < grid.y; ++y)
    for (unsigned x = 0; x < grid.x; ++x) {
      blockIdx = dim3(x, y, 0);
      run_block(block, body);
    }
  descending = !descending;
}

}  // namespace host

extern "C" __attribute__((weak, visibility("default"))) unsigned long long host_launched() {
  return host::launched;
}

inline void __syncthreads() {
  const dim3 self = threadIdx;
  swapcontext(&host::contexts[host::current], &host::scheduler);
  threadIdx = self;
}

template <typename Value>
Value atomicAdd(Value* address, Value value) {
  const Value old = *address;
  *address = old + value;
  return old;
}
template <typename Value>
Value atomicMax(Value* address, Value value) {
  const Value old = *address;
  *address = value > old ? value : old;
  return old;
}
template <typename Value>
Value atomicExch(Value* address, Value value) {
  const Value old = *address;
  *address = value;
  return old;
}
inline unsigned __float_as_uint(float value) {
  unsigned bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}
inline float __uint_as_float(unsigned bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}
using std::llrint;
using std::scalbn;

#define GSPC_LAUNCH(kernel, grid, block, stream, ...) \
  host::launch(grid, block, [=] { (kernel)(__VA_ARGS__); })
