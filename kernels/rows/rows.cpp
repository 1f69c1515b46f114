#include "rows/rows.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <vector>

#include "common/noise.hpp"
#include "common/parallel.hpp"
#include "rows/rows_isa.hpp"

namespace gspc {
namespace {

constexpr size_t kBlock = 64;  // rows per task

// Calls work(part, first, last + 1) for parts of `size` of n items in parallel. Parts do not follow the
// threads, so that sums of them are the same for any number.
template <class Work>
void each_part(size_t n, size_t size, const Work& work) {
  parallel_for(static_cast<int64_t>((n + size - 1) / size), [&](int64_t part) {
    const size_t begin = static_cast<size_t>(part) * size;
    work(static_cast<size_t>(part), begin, std::min(n, begin + size));
  });
}

// Calls work(first row, last row + 1) for fixed blocks of rows in parallel.
template <class Work>
void each_block(const RowsIndex& rows, const Work& work) {
  each_part(rows.count, kBlock, [&](size_t, size_t begin, size_t end) { work(begin, end); });
}

// Calls work(row, source row) for all rows of `index` in parallel.
template <class Work>
void each_row(const RowsIndex& rows, const Work& work) {
  each_block(rows, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) work(i, static_cast<size_t>(rows.index[i]));
  });
}

void copy_also(const RowsIndex& rows, const float* values, size_t width, float* out) {
  for (size_t i = 0; i < rows.also_count; ++i)
    std::memcpy(out + i * width, values + static_cast<size_t>(rows.also[i]) * width, width * sizeof(float));
}

// Zeroes the gradient between the row before `i` and `i`, and after the last.
void zero_gaps(const RowsIndex& rows, size_t width, float* grad, size_t i, size_t n) {
  const size_t from = i == 0 ? 0 : static_cast<size_t>(rows.index[i - 1]) + 1;
  std::memset(grad + from * width, 0, (n - from) * width * sizeof(float));
  if (i + 1 == rows.count) std::memset(grad + (n + 1) * width, 0, (rows.n - n - 1) * width * sizeof(float));
}

// Adds the extra rows in order, once the others are written.
void add_also(const RowsIndex& rows, size_t width, const float* grad_also, float* grad) {
  if (grad_also == nullptr) return;
  for (size_t i = 0; i < rows.also_count; ++i) {
    float* to = grad + static_cast<size_t>(rows.also[i]) * width;
    for (size_t c = 0; c < width; ++c) to[c] += grad_also[i * width + c];
  }
}

// Calls work(first anchor, anchors, first of `index` among them, how many, memory) for fixed blocks of all
// anchors in parallel; memory holds `floats` per anchor, and up to a multiple of 16.
template <class Work>
void each_block_of_all(const RowsIndex& rows, size_t floats, const Work& work) {
  thread_local Scratch kept;
  const ThreadScratch scratch(kept, kBlock * floats);
  each_part(rows.n, kBlock, [&](size_t, size_t begin, size_t end) {
    const int64_t* const first =
        std::lower_bound(rows.index, rows.index + rows.count, static_cast<int64_t>(begin));
    const int64_t* const last = std::lower_bound(first, rows.index + rows.count, static_cast<int64_t>(end));
    work(begin, end - begin, static_cast<size_t>(first - rows.index), static_cast<size_t>(last - first),
         scratch.mine());
  });
}

}  // namespace

const char* rows_error(const RowsIndex& rows) {
  // Sign bits of what must not be negative, without a branch. Within [0, n) no difference overflows.
  const auto index = [&](size_t i) { return static_cast<uint64_t>(rows.index[i]); };
  const uint64_t last = static_cast<uint64_t>(rows.n) - 1;
  uint64_t range = 0, order = 0, also = 0;
  for (size_t i = 0; i < rows.count; ++i) range |= index(i) | (last - index(i));
  for (size_t i = 1; i < rows.count; ++i) order |= index(i) - index(i - 1) - 1;
  for (size_t i = 0; i < rows.also_count; ++i) {
    const uint64_t row = static_cast<uint64_t>(rows.also[i]);
    also |= row | (last - row);
  }
  if (rows.count > 0 && range >> 63 != 0) return "rows: index is out of range";
  if (order >> 63 != 0) return "rows: index must ascend from 0";
  return rows.also_count > 0 && also >> 63 != 0 ? "rows: also is out of range" : nullptr;
}

void rows_noisy(const RowsIndex& rows, const float* values, size_t width, const float* step, float scale,
                uint64_t seed, float* out, float* out_also) {
  const uint64_t key = noise_key(seed);
  if (width == 1) {
    each_block(rows, [&](size_t begin, size_t end) {
      GSPC_DISPATCH(rows_noisy_column)
      (values, rows.index + begin, end - begin, step != nullptr ? step + begin : nullptr, scale, key,
       out + begin);
    });
    return copy_also(rows, values, width, out_also);
  }
  each_row(rows, [&](size_t i, size_t n) {
    GSPC_DISPATCH(rows_noisy_row)
    (values + n * width, width, static_cast<uint32_t>(n * width), key,
     step != nullptr ? scale * step[i] : scale, out + i * width);
  });
  copy_also(rows, values, width, out_also);
}

void rows_noisy_backward(const RowsIndex& rows, size_t width, float scale, uint64_t seed,
                         const float* grad_out, const float* grad_also, float* grad_values,
                         float* grad_step) {
  const uint64_t key = noise_key(seed);
  each_row(rows, [&](size_t i, size_t n) {
    float* to = grad_values + n * width;
    zero_gaps(rows, width, grad_values, i, n);
    if (grad_out == nullptr) {
      std::memset(to, 0, width * sizeof(float));
      if (grad_step != nullptr) grad_step[i] = 0.0f;
      return;
    }
    const float* from = grad_out + i * width;
    std::memcpy(to, from, width * sizeof(float));
    if (grad_step != nullptr && width != 1)
      grad_step[i] =
          scale * GSPC_DISPATCH(rows_noise_product)(from, width, static_cast<uint32_t>(n * width), key);
  });
  if (grad_step != nullptr && grad_out != nullptr && width == 1)
    each_block(rows, [&](size_t begin, size_t end) {
      GSPC_DISPATCH(rows_noise_product_column)(grad_out + begin, rows.index + begin, end - begin, scale, key,
                                               grad_step + begin);
    });
  if (rows.count == 0) std::memset(grad_values, 0, rows.n * width * sizeof(float));
  add_also(rows, width, grad_also, grad_values);
}

void rows_rounded(const RowsIndex& rows, const float* values, size_t width, const float* center,
                  const float* step, size_t finest, size_t coarser, float* out, float* out_also) {
  size_t units = finest;
  for (size_t j = 0; j < coarser; ++j) units /= 3;
  each_row(rows, [&](size_t i, size_t n) {
    GSPC_DISPATCH(rows_rounded_row)
    (values + n * width, center + n * width, width, static_cast<float>(finest) / step[n],
     step[n] / static_cast<float>(units), coarser, out + i * width);
  });
  copy_also(rows, values, width, out_also);
}

size_t rows_mask(const RowsIndex& rows, const float* masks, size_t offsets, size_t planes, size_t level,
                 float* out, float* out_also) {
  const size_t width = offsets * planes;
  std::atomic<size_t> open{0};
  each_block_of_all(rows, offsets, [&](size_t n, size_t anchors, size_t i, size_t chosen, float* mask) {
    const size_t count = anchors * offsets;
    open += GSPC_DISPATCH(rows_mask_block)(masks + n * width, count, planes, level, mask);
    for (const size_t end = i + chosen; i < end; ++i)
      std::memcpy(out + i * offsets, mask + (static_cast<size_t>(rows.index[i]) - n) * offsets,
                  offsets * sizeof(float));
  });
  copy_also(rows, masks, width, out_also);
  return open;
}

void rows_mask_backward(const RowsIndex& rows, const float* masks, size_t offsets, size_t planes,
                        size_t level, const float* grad_out, const float* grad_also, float grad_open,
                        float* grad_masks) {
  const size_t width = offsets * planes;
  each_block_of_all(rows, offsets, [&](size_t n, size_t anchors, size_t i, size_t chosen, float* grad) {
    const size_t count = anchors * offsets;
    std::fill_n(grad, round16(count), grad_open);
    for (const size_t end = i + chosen; grad_out != nullptr && i < end; ++i) {
      float* to = grad + (static_cast<size_t>(rows.index[i]) - n) * offsets;
      for (size_t k = 0; k < offsets; ++k) to[k] += grad_out[i * offsets + k];
    }
    GSPC_DISPATCH(rows_mask_block_backward)(masks + n * width, count, planes, level, grad,
                                            grad_masks + n * width);
  });
  add_also(rows, width, grad_also, grad_masks);
}

size_t rows_count_positive(const float* values, size_t n) {
  return GSPC_DISPATCH(rows_count_positive)(values, n);
}

void rows_within_one(const float* values, size_t n, float amount, float* to) {
  each_part(n, 1 << 16, [&](size_t, size_t begin, size_t end) {
    GSPC_DISPATCH(rows_within_one)(values + begin, end - begin, amount, to + begin);
  });
}

size_t rows_visible(const RowsAnchors& anchors, const RowsView& view, int64_t* index, float* where) {
  constexpr size_t kAnchors = 2048;
  const size_t n = anchors.n;
  std::vector<uint8_t> seen(n);
  std::vector<size_t> first((n + kAnchors - 1) / kAnchors + 1, 0);
  each_part(n, kAnchors, [&](size_t part, size_t begin, size_t end) {
    RowsAnchors some = anchors;
    some.world += 3 * begin;
    some.log_scales += some.scales * begin;
    some.moved += 3 * some.offsets * begin;
    some.n = end - begin;
    first[part + 1] = GSPC_DISPATCH(rows_visible_block)(some, view, seen.data() + begin);
  });
  for (size_t part = 1; part < first.size(); ++part) first[part] += first[part - 1];
  each_part(n, kAnchors, [&](size_t part, size_t begin, size_t end) {
    size_t at = first[part];
    for (size_t i = begin; i < end; ++i) {
      if (seen[i] == 0) continue;
      index[at] = static_cast<int64_t>(i);
      std::memcpy(where + 3 * at, anchors.world + 3 * i, 3 * sizeof(float));
      ++at;
    }
  });
  return first.back();
}

double rows_product(const float* values, size_t n) {
  constexpr size_t kRows = 4096;
  std::vector<float> sums((n + kRows - 1) / kRows);
  each_part(n, kRows, [&](size_t part, size_t begin, size_t end) {
    sums[part] = GSPC_DISPATCH(rows_product_block)(values + 3 * begin, end - begin);
  });
  double total = 0.0;
  for (float sum : sums) total += sum;
  return total;
}

void rows_product_backward(const float* values, size_t n, float amount, float* to) {
  each_part(n, 4096, [&](size_t, size_t begin, size_t end) {
    GSPC_DISPATCH(rows_product_block_backward)(values + 3 * begin, end - begin, amount, to + 3 * begin);
  });
}

void rows_statistics(const int64_t* visible, size_t visible_count, size_t offsets, const int64_t* index,
                     size_t count, const int32_t* radii, const float* means2d_grad, const float* opacities,
                     float half_width, float half_height, const RowsStatistics& to) {
  each_part(visible_count, 1024,
            [&](size_t, size_t begin, size_t last) {  // anchors, each with all of its Gaussians
              for (size_t i = begin; i < last; ++i) to.visible[visible[i]] += 1.0f;
              const int64_t* const from =
                  std::lower_bound(index, index + count, static_cast<int64_t>(begin * offsets));
              const int64_t* const until =
                  std::lower_bound(from, index + count, static_cast<int64_t>(last * offsets));
              for (size_t i = static_cast<size_t>(from - index), stop = static_cast<size_t>(until - index);
                   i < stop;) {
                const size_t row = static_cast<size_t>(index[i]) / offsets;
                const size_t n = static_cast<size_t>(visible[row]), end = (row + 1) * offsets;
                float opacity = 0.0f;
                for (; i < stop && static_cast<size_t>(index[i]) < end; ++i) {
                  opacity += opacities[i];
                  if (radii[i] <= 0) continue;
                  const size_t slot = n * offsets + (static_cast<size_t>(index[i]) - row * offsets);
                  const float x = means2d_grad[2 * i] * half_width, y = means2d_grad[2 * i + 1] * half_height;
                  to.gradient[slot] += std::sqrt(x * x + y * y);
                  to.drawn[slot] += 1.0f;
                }
                to.opacity[n] += opacity;
              }
            });
}

}  // namespace gspc
