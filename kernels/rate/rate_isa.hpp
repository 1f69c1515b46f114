// Per-instruction-set parts of rate.hpp. Arrays hold one element per value, those of a block's rows one after
// the other, and may be read and written up to a multiple of 16.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/isa.hpp"

namespace gspc {

struct RateBlock {
  size_t count;
  const float *values, *center, *octaves;
  const float *step, *log2_step;          // log2 of the step over base
  const float *mean2, *octaves2, *logit;  // null: plain Gaussians
  const float* weights;
  const uint32_t* numbers;  // of the noise; null: none
  uint64_t key;
  float base;
  float* bits;
  float *by_values, *by_center, *by_octaves,
      *by_log_step;  // null: no derivatives; by the step's natural logarithm
  float *by_mean2, *by_octaves2, *by_logit;
};

struct RateTritBlock {
  size_t count;
  const float *first, *second;  // logits; for Gaussians the symbols of the level before, and octaves
  const float* log2_step;
  const float *trits, *weights;
  float* bits;
  float *by_first, *by_second;  // null: no derivatives; Gaussians have the second alone
};

}  // namespace gspc

GSPC_DECLARE_ISA(
    // Of rows: steps of the level, log2 of them over base, derivatives of ln(step) by r.
    void rate_steps(const float* r, size_t count, float base, float refinement, float* step, float* log2_step,
                    float* slope);
    void rate_appearance_block(const RateBlock& block); void rate_three_way_block(const RateTritBlock& block);
    void rate_gaussian_trits_block(const RateTritBlock& block);
    // Rows of the three parts of the chunk networks' inputs.
    void rate_chunk_row(const float* values, const float* center, const float* octaves, size_t width,
                        float base, float step, float log2_step, float* scales, float* means, float* so_far);
    // Symbols of a level and the one before, the first as trits.
    void rate_symbols_row(const float* values, const float* center, size_t width, float base,
                          float finest_step, size_t coarser, float* before, float* trits);)
