// What every CUDA source here shares. The launchers are extern "C", take raw device pointers and a stream,
// synchronize nothing and return a cudaError_t as int (0 is success), so that they load through ctypes
// without any torch header. Tests compile the same sources for the host, with GSPC_LAUNCH defined to run
// blocks one after another.
#pragma once

#include <stddef.h>
#include <stdint.h>

#if defined(__CUDACC__)
#include <cuda_runtime.h>
#define GSPC_LAUNCH(kernel, grid, block, stream, ...) (kernel)<<<(grid), (block), 0, (stream)>>>(__VA_ARGS__)
#endif

#if defined(_WIN32)
#define GSPC_EXPORT extern "C" __declspec(dllexport)
#else
#define GSPC_EXPORT extern "C" __attribute__((visibility("default")))
#endif

namespace gspc {

constexpr int BLOCK = 256;  // threads per block of the one-dimensional kernels

inline unsigned blocks(uint64_t count) { return static_cast<unsigned>((count + BLOCK - 1) / BLOCK); }

inline int launch_status() { return static_cast<int>(cudaGetLastError()); }

}  // namespace gspc
