#include "codec/positions.hpp"

#include <algorithm>
#include <memory>

namespace gspc {
namespace {

struct Node {
  uint64_t prefix;
  uint32_t known, fresh;  // first key at or after the node in either list
};

struct Models {
  BinaryModel child[22][3][8][8];
};

bool valid(KeySpan known, KeySpan fresh, KeyInterval interval, int bits) {
  if (bits < 1 || bits > kMaxPositionBits || interval.low > interval.high) return false;
  if (interval.high > uint64_t{1} << (3 * bits)) return false;
  for (KeySpan keys : {known, fresh})
    for (size_t i = 0; i < keys.size; ++i)
      if (keys[i] < interval.low || keys[i] >= interval.high || (i > 0 && keys[i] <= keys[i - 1])) return false;
  for (size_t i = 0, j = 0; i < known.size && j < fresh.size;) {
    if (known[i] == fresh[j]) return false;
    known[i] < fresh[j] ? ++i : ++j;
  }
  return true;
}

// One walk for both directions; `fresh` is read when encoding, and empty when decoding.
template <class Coder>
bool walk(Coder& coder, KeySpan known, KeySpan fresh, KeyInterval interval, int bits, size_t n_fresh,
          std::vector<uint64_t>& out) {
  if (n_fresh == 0) return true;
  auto models = std::make_unique<Models>();
  std::vector<Node> nodes{{0, 0, 0}}, next;
  for (int depth = 0; depth < bits; ++depth) {
    const int shift = 3 * (bits - 1 - depth);
    next.clear();
    for (const Node& node : nodes) {
      uint32_t k = node.known, f = node.fresh;
      int set = 0;
      for (uint64_t c = 0; c < 8; ++c) {
        const uint64_t prefix = node.prefix << 3 | c;
        const uint64_t low = prefix << shift, high = (prefix + 1) << shift;
        const uint32_t k0 = k, f0 = f;
        while (k < known.size && known[k] < high) ++k;
        while (f < fresh.size && fresh[f] < high) ++f;
        if (high <= interval.low || low >= interval.high) continue;
        if (shift == 0 && k > k0) continue;
        BinaryModel& model = models->child[bits - depth][std::min<uint32_t>(k - k0, 2)][c][set];
        if (!coder.bit(model, f > f0)) continue;
        ++set;
        next.push_back({prefix, k0, f0});
        if (next.size() > n_fresh) return false;
      }
      if (set == 0) return false;
    }
    nodes.swap(next);
  }
  if (nodes.size() != n_fresh || coder.overrun()) return false;
  for (const Node& node : nodes) out.push_back(node.prefix);
  return true;
}

}  // namespace

bool encode_positions(BinaryEncoder& coder, KeySpan known, KeySpan fresh, KeyInterval interval, int bits) {
  if (!valid(known, fresh, interval, bits)) return false;
  std::vector<uint64_t> out;
  return walk(coder, known, fresh, interval, bits, fresh.size, out);
}

bool decode_positions(BinaryDecoder& coder, KeySpan known, KeyInterval interval, int bits, size_t n_fresh,
                      std::vector<uint64_t>& fresh) {
  if (!valid(known, {}, interval, bits)) return false;
  return walk(coder, known, {}, interval, bits, n_fresh, fresh);
}

}  // namespace gspc
