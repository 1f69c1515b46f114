#include "codec/positions/positions_geometry.hpp"

#include <algorithm>

namespace gspc::positions {
namespace {

// One row of the score and face tables: neighbor in direction d whose children are `mask`.
void add_touching(const int (&d)[3], int mask, int c, Geometry::Row& coded, Geometry::Row& expected) {
  // By the number of axes that differ (1 face, 2 edge, 3 corner): weight of the cell straight ahead, of each
  // other cell that touches the child, and of a node of which nothing is known yet.
  static const int kDirect[4] = {0, 4, 3, 3}, kNear[4] = {0, 2, 1, 0}, kGuess[4] = {0, 3, 1, 1};
  int flips = 0, order = 0, axis = 0;
  for (int a = 0; a < 3; ++a) {
    if (d[a] == 0) continue;
    if ((d[a] > 0) != (c >> a & 1)) return;  // on the child's far side
    ++order;
    axis = a;
    flips |= 1 << a;
  }
  if (order == 0) return;
  const int direct = c ^ flips, hit = mask >> direct & 1;
  int near = 0;
  for (int o = 0; o < 8; ++o) near += ((o ^ direct) & flips) == 0 && (mask >> o & 1);
  const int weight = kDirect[order] * hit + kNear[order] * near;
  coded.score |= static_cast<uint64_t>(weight) << (8 * c);
  expected.score |= static_cast<uint64_t>(std::max(weight, kGuess[order])) << (8 * c);
  if (order > 1) return;
  coded.face |= static_cast<uint64_t>(hit ? 3 : 2) << (8 * c + 2 * axis);
  expected.face |= static_cast<uint64_t>(hit ? 3 : 1) << (8 * c + 2 * axis);
}

}  // namespace

Geometry::Geometry() noexcept : facing(), direction(), coded(), expected(), ones() {
  for (int t = 0; t < 27; ++t) {
    const int d[3] = {t % 3 - 1, t / 3 % 3 - 1, t / 9 - 1};
    for (int c = 0; c < 8; ++c) {
      int parent = 0, digit = 0, scale = 1;
      for (int a = 0; a < 3; ++a, scale *= 3) {
        const int v = (c >> a & 1) + d[a];
        parent += ((v < 0 ? -1 : v > 1 ? 1 : 0) + 1) * scale;
        digit |= (v & 1) << a;
      }
      if (t != kSelf) {
        facing[c][parent] = static_cast<uint8_t>(facing[c][parent] | 1 << digit);
        direction[c][parent][digit] = static_cast<uint8_t>(t);
      }
      for (int mask = 0; mask < 256; ++mask) add_touching(d, mask, c, coded[t][mask], expected[t][mask]);
    }
  }
  for (int mask = 0; mask < 256; ++mask)
    for (int c = 0; c < 8; ++c) ones[mask] = static_cast<uint8_t>(ones[mask] + (mask >> c & 1));
}

Classes::Classes() noexcept : score16(), score8(), around8() {
  // First value of each class after the first.
  static const int k16[15] = {1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 19, 24, 30, 38, 48};
  static const int k8[7] = {1, 2, 4, 7, 11, 17, 27}, kAround[7] = {1, 2, 4, 6, 9, 13, 19};
  for (int w = 0; w < 256; ++w) {
    if (w < 64) score16[w] = static_cast<uint8_t>(std::upper_bound(k16, k16 + 15, w) - k16);
    score8[w] = static_cast<uint8_t>(std::upper_bound(k8, k8 + 7, w) - k8);
    if (w < 27) around8[w] = static_cast<uint8_t>(std::upper_bound(kAround, kAround + 7, w) - kAround);
  }
}

const Geometry kGeometry;
const Classes kClasses;

}  // namespace gspc::positions
