// Matrices as vector kernels read them.
#pragma once

#include <cstddef>
#include <cstring>

namespace gspc {

// Copies a matrix [rows, columns], whose rows begin `from` floats apart, into zeroed rows of `stride` floats,
// as it is or transposed. Advances `at`.
inline const float* pack(float*& at, const float* m, int rows, int columns, int from, int stride,
                         bool transposed) {
  float* const out = at;
  const int out_rows = transposed ? columns : rows;
  std::memset(out, 0, sizeof(float) * out_rows * stride);
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < columns; ++c) out[transposed ? c * stride + r : r * stride + c] = m[r * from + c];
  at += static_cast<size_t>(out_rows) * stride;
  return out;
}

}  // namespace gspc
