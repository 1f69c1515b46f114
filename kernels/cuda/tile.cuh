// Products of small matrices by a block of threads.
#pragma once

#include "launch.cuh"

namespace gspc {

constexpr int TILE = 64;   // rows and columns of the sums that a block has
constexpr int DEPTH = 16;  // of the parts of the factors that lie in shared memory at once
constexpr int SIDE = 4;    // a thread has SIDE x SIDE of the sums, 16 rows and columns apart

struct Stage {
  float left[DEPTH][TILE + 1], right[DEPTH][TILE + 1];
};

struct Sums {
  float at[SIDE][SIDE];
};

__device__ inline void clear(Sums& sums) {
  for (int i = 0; i < SIDE; ++i)
    for (int j = 0; j < SIDE; ++j) sums.at[i][j] = 0.0f;
}

// sums += a b, with a(row, k) and b(k, column), which are 0 beyond their factors' sides. Threads that follow
// each other fetch along k where kDeep..., else along rows or columns, whichever lies side by side in memory.
template <bool kDeepLeft, bool kDeepRight, class A, class B>
__device__ inline void add_products(Stage& stage, Sums& sums, uint64_t depth, A a, B b) {
  const int row = threadIdx.x / 16, column = threadIdx.x % 16;
  for (uint64_t base = 0; base < depth; base += DEPTH) {
    for (int i = threadIdx.x; i < TILE * DEPTH; i += BLOCK) {
      const int deep = i % DEPTH, along = i / DEPTH, other_deep = i / TILE, other_along = i % TILE;
      const int k = kDeepLeft ? deep : other_deep, m = kDeepLeft ? along : other_along;
      stage.left[k][m] = base + k < depth ? a(m, base + k) : 0.0f;
      const int k2 = kDeepRight ? deep : other_deep, m2 = kDeepRight ? along : other_along;
      stage.right[k2][m2] = base + k2 < depth ? b(base + k2, m2) : 0.0f;
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < DEPTH; ++k) {
      float left[SIDE], right[SIDE];
      for (int i = 0; i < SIDE; ++i) left[i] = stage.left[k][row + 16 * i];
      for (int j = 0; j < SIDE; ++j) right[j] = stage.right[k][column + 16 * j];
      for (int i = 0; i < SIDE; ++i)
        for (int j = 0; j < SIDE; ++j) sums.at[i][j] += left[i] * right[j];
    }
    __syncthreads();
  }
}

// Calls put(row, column, sum) for every sum of the tile.
template <class Put>
__device__ inline void each_sum(const Sums& sums, Put put) {
  const int row = threadIdx.x / 16, column = threadIdx.x % 16;
  for (int i = 0; i < SIDE; ++i)
    for (int j = 0; j < SIDE; ++j) put(row + 16 * i, column + 16 * j, sums.at[i][j]);
}

}  // namespace gspc
