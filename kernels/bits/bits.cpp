#include "bits/bits.hpp"

#include <algorithm>
#include <cstdint>

namespace gspc {
namespace {

constexpr size_t kBlock = 2048;  // elements per task: a multiple of every vector width

template <class Work>
void each_block(size_t n, const Work& work) {
  const auto blocks = static_cast<int64_t>((n + kBlock - 1) / kBlock);
#pragma omp parallel for schedule(static) if (blocks > 1)
  for (int64_t block = 0; block < blocks; ++block) {
    const size_t begin = static_cast<size_t>(block) * kBlock;
    work(begin, std::min(n, begin + kBlock));
  }
}

}  // namespace

void gaussian_bits(const GaussianBits& values, size_t n) {
  each_block(n, [&](size_t begin, size_t end) { GSPC_DISPATCH(gaussian_bits_range)(values, begin, end); });
}

void mixture_bits(const MixtureBits& values, size_t n) {
  each_block(n, [&](size_t begin, size_t end) { GSPC_DISPATCH(mixture_bits_range)(values, begin, end); });
}

void trit_bits(const TritBits& values, size_t n) {
  each_block(n, [&](size_t begin, size_t end) { GSPC_DISPATCH(trit_bits_range)(values, begin, end); });
}

}  // namespace gspc
