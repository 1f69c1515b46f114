// Sizes rounded up.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gspc {

// To whole vectors of every instruction set: the widest have 16 lanes.
constexpr int round16(int n) { return (n + 15) / 16 * 16; }
constexpr size_t round16(size_t n) { return (n + 15) / 16 * 16; }

constexpr int64_t divide_up(int64_t n, int64_t by) { return (n + by - 1) / by; }

}  // namespace gspc
