// Sums over blocks of threads: totals, and where each block's share begins.
#pragma once

#include "launch.cuh"

namespace gspc {
namespace {

// The sum of all threads' values, the same in every thread and every run.
template <class Value>
__device__ inline Value block_sum(Value* scratch, Value value) {
  scratch[threadIdx.x] = value;
  __syncthreads();
  for (unsigned half = BLOCK / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) scratch[threadIdx.x] += scratch[threadIdx.x + half];
    __syncthreads();
  }
  const Value sum = scratch[0];
  __syncthreads();
  return sum;
}

// The largest of all threads' values, likewise.
__device__ inline float block_largest(float* scratch, float value) {
  scratch[threadIdx.x] = value;
  __syncthreads();
  for (unsigned half = BLOCK / 2; half > 0; half /= 2) {
    if (threadIdx.x < half && scratch[threadIdx.x + half] > scratch[threadIdx.x])
      scratch[threadIdx.x] = scratch[threadIdx.x + half];
    __syncthreads();
  }
  const float largest = scratch[0];
  __syncthreads();
  return largest;
}

// The sum of the values of all threads before this one.
__device__ inline uint32_t block_before(uint32_t* scratch, uint32_t value) {
  scratch[threadIdx.x] = value;
  __syncthreads();
  for (unsigned reach = 1; reach < BLOCK; reach *= 2) {
    const uint32_t more = threadIdx.x >= reach ? scratch[threadIdx.x - reach] : 0;
    __syncthreads();
    scratch[threadIdx.x] += more;
    __syncthreads();
  }
  const uint32_t before = scratch[threadIdx.x] - value;
  __syncthreads();
  return before;
}

// By one block: counts [n] of parts become where each part begins, and total[0] all of them.
__global__ void __launch_bounds__(BLOCK) counts_added(uint32_t* counts, uint64_t n, int64_t* total) {
  __shared__ uint32_t scratch[BLOCK];
  const uint64_t begin = n * threadIdx.x / BLOCK, end = n * (threadIdx.x + 1) / BLOCK;
  uint32_t own = 0;
  for (uint64_t i = begin; i < end; ++i) own += counts[i];
  uint32_t before = block_before(scratch, own);
  for (uint64_t i = begin; i < end; ++i) {
    const uint32_t count = counts[i];
    counts[i] = before;
    before += count;
  }
  if (threadIdx.x == BLOCK - 1) total[0] = before;
}

// By one block: a mean, factor times the sum of parts [n].
__global__ void __launch_bounds__(BLOCK)
    parts_added(const double* parts, uint64_t n, double factor, float* mean) {
  __shared__ double scratch[BLOCK];
  double sum = 0.0;
  for (uint64_t i = threadIdx.x; i < n; i += BLOCK) sum += parts[i];
  sum = block_sum(scratch, sum);
  if (threadIdx.x == 0) mean[0] = static_cast<float>(sum * factor);
}

}  // namespace
}  // namespace gspc
