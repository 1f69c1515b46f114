#include "rate/rate.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/noise.hpp"
#include "common/parallel.hpp"
#include "rate/rate_isa.hpp"

namespace gspc {
namespace {

constexpr size_t kElements = 2048;  // of a block, about
constexpr size_t kRows = 64;        // and at most
constexpr size_t kOverhang = 16;    // floats that whole vectors may reach beyond a block's values
constexpr float kSoFarLimit = 2047.0f / 512.0f;

// Calls work(first row, rows, memory) for fixed blocks in parallel; memory holds `arrays` Arrays of a block's
// values.
template <class Work>
void each_block(size_t n, size_t width, size_t arrays, const Work& work) {
  const size_t rows = std::clamp<size_t>(kElements / std::max<size_t>(width, 1), 1, kRows);
  thread_local Scratch kept;
  const ThreadScratch scratch(kept, arrays * round16(rows * width + kOverhang));
  parallel_for(static_cast<int64_t>((n + rows - 1) / rows), [&](int64_t block) {
    const size_t first = static_cast<size_t>(block) * rows;
    work(first, std::min(rows, n - first), scratch.mine());
  });
}

// A block's arrays, one after the other.
class Arrays {
 public:
  Arrays(float* memory, size_t elements) : stride_(round16(elements)), at_(memory) {}
  float* next() {
    float* const array = at_;
    at_ += stride_;
    return array;
  }

 private:
  size_t stride_;
  float* at_;
};

// Ends an array with ones up to a whole vector.
void pad(float* array, size_t count) { std::fill(array + count, array + round16(count), 1.0f); }

// The block's values of the channels [begin, end), row by row.
struct Part {
  size_t first, rows, begin, end;
  size_t width() const { return end - begin; }
  size_t count() const { return rows * width(); }

  void gather(RateMatrix from, float* to) const {
    if (from.stride == width()) std::memcpy(to, from.row(first) + begin, count() * sizeof(float));
    else
      for (size_t i = 0; i < rows; ++i)
        std::memcpy(to + i * width(), from.row(first + i) + begin, width() * sizeof(float));
    pad(to, count());
  }
  void repeat(const float* of_rows, float* to) const {
    for (size_t i = 0; i < rows; ++i) std::fill_n(to + i * width(), width(), of_rows[i]);
    pad(to, count());
  }
  void scatter(const float* from, size_t stride, float* to) const {
    if (stride == width()) std::memcpy(to + first * stride + begin, from, count() * sizeof(float));
    else
      for (size_t i = 0; i < rows; ++i)
        std::memcpy(to + (first + i) * stride + begin, from + i * width(), width() * sizeof(float));
  }
  // Each group's weight to its values, and sums of values to their groups.
  void spread(const float* weights, size_t groups, size_t group, float* to) const {
    each_group(groups, group,
               [&](size_t of, size_t from, size_t n) { std::fill_n(to + from, n, weights[of]); });
    pad(to, count());
  }
  void add(const float* from, size_t groups, size_t group, float* sums) const {
    each_group(groups, group, [&](size_t of, size_t begin_of, size_t n) {
      float sum = 0.0f;
      for (size_t j = 0; j < n; ++j) sum += from[begin_of + j];
      sums[of] += sum;
    });
  }

 private:
  // Calls work(group among all, first of its values in the block, how many).
  template <class Work>
  void each_group(size_t groups, size_t group, const Work& work) const {
    for (size_t i = 0; i < rows; ++i) {
      size_t g = begin / group;
      for (size_t c = begin; c < end; ++g) {
        const size_t stop = std::min(end, (g + 1) * group);
        work((first + i) * groups + g, i * width() + c - begin, stop - c);
        c = stop;
      }
    }
  }
};

// Steps of a block's rows.
struct Steps {
  float step[kRows], log2_step[kRows], slope[kRows];

  Steps(const RateAttribute& attribute, float refinement, size_t first, size_t rows) {
    float r[kRows];
    for (size_t i = 0; i < rows; ++i) r[i] = *attribute.r.row(first + i);
    pad(r, rows);
    GSPC_DISPATCH(rate_steps)(r, rows, attribute.base, refinement, step, log2_step, slope);
  }
};

double weighted(const float* sums, const float* weights, size_t count) {
  double total = 0.0;
  for (size_t i = 0; i < count; ++i) total += static_cast<double>(sums[i]) * weights[i];
  return total;
}

size_t group_of(size_t width, size_t groups) { return groups == 0 ? 1 : std::max<size_t>(width / groups, 1); }

void add_rows(const Part& part, const float* from, float* of_rows) {
  for (size_t i = 0; i < part.rows; ++i)
    for (size_t c = 0; c < part.width(); ++c) of_rows[i] += from[i * part.width() + c];
}

// Outputs of the chunks' networks by kind (0 means, 1 octaves, 2 logits), channel by channel as the other
// arrays.
void gather_chunks(const Part& part, const std::vector<RateChunk>& chunks, size_t kind, float* to) {
  for (size_t i = 0; i < part.rows; ++i)
    for (const RateChunk& chunk : chunks) {
      const size_t own = chunk.end - chunk.first;
      std::memcpy(to + i * part.width() + chunk.first - part.begin,
                  chunk.outputs.row(part.first + i) + kind * own, own * sizeof(float));
    }
  pad(to, part.count());
}

void scatter_chunks(const Part& part, const std::vector<RateChunk>& chunks, size_t kind, const float* from) {
  for (size_t i = 0; i < part.rows; ++i)
    for (const RateChunk& chunk : chunks) {
      const size_t own = chunk.end - chunk.first;
      std::memcpy(chunk.by_outputs + (part.first + i) * 3 * own + kind * own,
                  from + i * part.width() + chunk.first - part.begin, own * sizeof(float));
    }
}

}  // namespace

double rate_appearance(const RateAttribute& attribute, RateNoise noise, const float* weights, size_t groups,
                       const std::vector<RateChunk>& chunks, float* sums, const RateDerivatives& to) {
  const size_t width = attribute.width, group = group_of(width, groups);
  const size_t plain = chunks.empty() ? width : chunks.front().first;
  const uint64_t key = noise_key(noise.seed);
  std::fill_n(sums, attribute.n * groups, 0.0f);
  each_block(attribute.n, width, 18, [&](size_t first, size_t rows, float* memory) {
    const Steps steps(attribute, attribute.refinement, first, rows);
    float by_log_step[kRows] = {};
    for (const Part part : {Part{first, rows, 0, plain}, Part{first, rows, plain, width}}) {
      if (part.width() == 0) continue;
      Arrays arrays(memory, part.count());
      const auto gathered = [&](RateMatrix from) {
        float* const array = arrays.next();
        part.gather(from, array);
        return array;
      };
      const auto repeated = [&](const float* of_rows) {
        float* const array = arrays.next();
        part.repeat(of_rows, array);
        return array;
      };
      RateBlock block{};
      block.count = part.count(), block.base = attribute.base, block.key = key;
      block.values = gathered(attribute.values), block.center = gathered(attribute.center);
      block.octaves = gathered(attribute.octaves);
      block.step = repeated(steps.step), block.log2_step = repeated(steps.log2_step);
      float* const spread = arrays.next();
      part.spread(weights, groups, group, spread);
      block.weights = spread;
      if (noise.on) {
        auto* const numbers = reinterpret_cast<uint32_t*>(arrays.next());
        for (size_t i = 0; i < rows; ++i)
          for (size_t c = 0; c < part.width(); ++c)
            numbers[i * part.width() + c] = static_cast<uint32_t>((first + i) * width + part.begin + c);
        block.numbers = numbers;
      }
      const bool mixed = part.begin > 0 || plain == 0, wanted = to.by_values != nullptr;
      if (mixed) {
        float *const mean2 = arrays.next(), *const octaves2 = arrays.next(), *const logit = arrays.next();
        gather_chunks(part, chunks, 0, mean2);
        gather_chunks(part, chunks, 1, octaves2);
        gather_chunks(part, chunks, 2, logit);
        block.mean2 = mean2, block.octaves2 = octaves2, block.logit = logit;
      }
      block.bits = arrays.next();
      if (wanted) {
        block.by_values = arrays.next(), block.by_center = arrays.next(), block.by_octaves = arrays.next();
        block.by_log_step = arrays.next(), block.by_mean2 = arrays.next(), block.by_octaves2 = arrays.next();
        block.by_logit = arrays.next();
      }
      GSPC_DISPATCH(rate_appearance_block)(block);
      part.add(block.bits, groups, group, sums);
      if (!wanted) continue;
      part.scatter(block.by_values, width, to.by_values);
      part.scatter(block.by_center, width, to.by_center);
      part.scatter(block.by_octaves, width, to.by_octaves);
      add_rows(part, block.by_log_step, by_log_step);
      if (!mixed) continue;
      scatter_chunks(part, chunks, 0, block.by_mean2);
      scatter_chunks(part, chunks, 1, block.by_octaves2);
      scatter_chunks(part, chunks, 2, block.by_logit);
    }
    for (size_t i = 0; to.by_r != nullptr && i < rows; ++i)
      to.by_r[first + i] = by_log_step[i] * steps.slope[i];
  });
  return weighted(sums, weights, attribute.n * groups);
}

void rate_chunk_inputs(const RateAttribute& attribute, const std::vector<RateChunkInputs>& chunks) {
  each_block(attribute.n, attribute.width, 6, [&](size_t first, size_t rows, float* memory) {
    const Steps steps(attribute, attribute.refinement, first, rows);
    Arrays arrays(memory, attribute.width);
    float *const values = arrays.next(), *const center = arrays.next(), *const octaves = arrays.next();
    float *const scales = arrays.next(), *const means = arrays.next(), *const so_far = arrays.next();
    for (size_t i = 0; i < rows; ++i) {
      const Part row{first + i, 1, 0, attribute.width};
      row.gather(attribute.values, values);
      row.gather(attribute.center, center);
      row.gather(attribute.octaves, octaves);
      GSPC_DISPATCH(rate_chunk_row)
      (values, center, octaves, attribute.width, attribute.base, steps.step[i], steps.log2_step[i], scales,
       means, so_far);
      for (const RateChunkInputs& chunk : chunks) {
        const size_t own = chunk.end - chunk.first;
        float* const to = chunk.inputs + (first + i) * (2 * own + chunk.first);
        std::memcpy(to, scales + chunk.first, own * sizeof(float));
        std::memcpy(to + own, means + chunk.first, own * sizeof(float));
        std::memcpy(to + 2 * own, so_far, chunk.first * sizeof(float));
      }
    }
  });
}

void rate_chunk_inputs_backward(const RateAttribute& attribute, const std::vector<RateChunkInputs>& chunks,
                                const RateDerivatives& to) {
  constexpr float kLowest = -3.0f, kHighest = -3.0f + 127.0f / 12.0f, kInverseLn2 = 1.44269504f;
  const size_t width = attribute.width;
  each_block(attribute.n, width, 0, [&](size_t first, size_t rows, float*) {
    const Steps steps(attribute, attribute.refinement, first, rows);
    for (size_t i = 0; i < rows; ++i) {
      const float* const center = attribute.center.row(first + i);
      const float* const octaves = attribute.octaves.row(first + i);
      float* const by_center = to.by_center + (first + i) * width;
      float* const by_octaves = to.by_octaves + (first + i) * width;
      std::memset(by_center, 0, width * sizeof(float));
      std::memset(by_octaves, 0, width * sizeof(float));
      float total = 0.0f;
      for (const RateChunkInputs& chunk : chunks) {
        const size_t own = chunk.end - chunk.first;
        const float* const by = chunk.by + (first + i) * (2 * own + chunk.first);
        for (size_t c = 0; c < own; ++c) {
          const size_t channel = chunk.first + c;
          const float log2 = octaves[channel] - 3.0f - steps.log2_step[i];
          by_octaves[channel] = log2 < kLowest || log2 > kHighest ? 0.0f : by[c] * (12.0f / 32.0f);
          by_center[channel] = std::fabs(center[channel] / 8.0f) > kSoFarLimit ? 0.0f : by[own + c] / 8.0f;
          total += by_octaves[channel];
        }
      }
      to.by_r[first + i] = -total * kInverseLn2 * steps.slope[i];
    }
  });
}

void rate_trits(const RateAttribute& attribute, RateSymbols symbols, float* so_far, float* trits) {
  const size_t width = attribute.width;
  const auto finest = static_cast<float>(symbols.finest);
  const float above =
      finest / std::pow(3.0f, static_cast<float>(symbols.coarser + 1));  // q1 over the step of so_far
  each_block(attribute.n, width, 4, [&](size_t first, size_t rows, float* memory) {
    const Steps steps(attribute, 1.0f, first, rows);
    Arrays arrays(memory, width);
    float *const values = arrays.next(), *const center = arrays.next(), *const before = arrays.next(),
                 *const trit = arrays.next();
    for (size_t i = 0; i < rows; ++i) {
      const Part row{first + i, 1, 0, width};
      row.gather(attribute.values, values);
      row.gather(attribute.center, center);
      GSPC_DISPATCH(rate_symbols_row)
      (values, center, width, attribute.base, steps.step[i] / finest, symbols.coarser, before, trit);
      const float unit = steps.step[i] / (above * 8.0f * attribute.base);
      for (size_t c = 0; c < width; ++c)
        so_far[(first + i) * width + c] = std::clamp(before[c] * unit, -kSoFarLimit, kSoFarLimit);
      row.scatter(trit, width, trits);
    }
  });
}

double rate_three_way(size_t n, size_t width, RateMatrix outputs, const float* trits, const float* weights,
                      size_t groups, float* sums, float* by_outputs) {
  const size_t group = group_of(width, groups);
  std::fill_n(sums, n * groups, 0.0f);
  each_block(n, width, 7, [&](size_t first, size_t rows, float* memory) {
    const Part part{first, rows, 0, width};
    Arrays arrays(memory, part.count());
    float *const zero = arrays.next(), *const sign = arrays.next(), *const trit = arrays.next(),
                 *const weight = arrays.next();
    part.gather(outputs, zero);
    part.gather({outputs.data + width, outputs.stride}, sign);
    part.gather({trits, width}, trit);
    part.spread(weights, groups, group, weight);
    RateTritBlock block{};
    block.count = part.count(), block.first = zero, block.second = sign, block.trits = trit,
    block.weights = weight;
    block.bits = arrays.next();
    if (by_outputs != nullptr) block.by_first = arrays.next(), block.by_second = arrays.next();
    GSPC_DISPATCH(rate_three_way_block)(block);
    part.add(block.bits, groups, group, sums);
    if (by_outputs == nullptr) return;
    part.scatter(block.by_first, 2 * width, by_outputs);
    part.scatter(block.by_second, 2 * width, by_outputs + width);
  });
  return weighted(sums, weights, n * groups);
}

double rate_gaussian_trits(const RateAttribute& attribute, RateSymbols symbols, const float* weights,
                           size_t groups, float* sums, const RateDerivatives& to) {
  const size_t width = attribute.width, group = group_of(width, groups);
  const auto finest = static_cast<float>(symbols.finest);
  std::fill_n(sums, attribute.n * groups, 0.0f);
  each_block(attribute.n, width, 9, [&](size_t first, size_t rows, float* memory) {
    const Part part{first, rows, 0, width};
    const Steps first_steps(attribute, 1.0f, first, rows),
        steps(attribute, attribute.refinement, first, rows);
    Arrays arrays(memory, part.count() + kOverhang);  // the last row may end beyond
    float *const values = arrays.next(), *const center = arrays.next();
    float *const before = arrays.next(), *const trit = arrays.next();
    float *const octaves = arrays.next(), *const log2_step = arrays.next(), *const weight = arrays.next();
    for (size_t i = 0; i < rows; ++i) {
      const Part row{first + i, 1, 0, width};
      row.gather(attribute.values, values);
      row.gather(attribute.center, center);
      // Rows follow each other: what is written beyond one is overwritten by the next.
      GSPC_DISPATCH(rate_symbols_row)
      (values, center, width, attribute.base, first_steps.step[i] / finest, symbols.coarser,
       before + i * width, trit + i * width);
    }
    part.gather(attribute.octaves, octaves);
    part.repeat(steps.log2_step, log2_step);
    part.spread(weights, groups, group, weight);
    RateTritBlock block{};
    block.count = part.count(), block.first = before, block.second = octaves, block.log2_step = log2_step;
    block.trits = trit, block.weights = weight, block.bits = arrays.next();
    if (to.by_octaves != nullptr) block.by_second = arrays.next();
    GSPC_DISPATCH(rate_gaussian_trits_block)(block);
    part.add(block.bits, groups, group, sums);
    if (to.by_octaves == nullptr) return;
    part.scatter(block.by_second, width, to.by_octaves);
    float by_octaves[kRows] = {};
    add_rows(part, block.by_second, by_octaves);
    for (size_t i = 0; i < rows; ++i) to.by_r[first + i] = -by_octaves[i] * 1.44269504f * steps.slope[i];
  });
  return weighted(sums, weights, attribute.n * groups);
}

}  // namespace gspc
