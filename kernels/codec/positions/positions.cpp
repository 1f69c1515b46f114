#include "codec/positions/positions.hpp"

#include "codec/positions/positions_walk.hpp"

namespace gspc {
namespace {

bool valid(KeySpan known, KeySpan fresh, KeyInterval interval, int bits) {
  if (bits < 1 || bits > kMaxPositionBits || interval.low > interval.high) return false;
  if (interval.high > uint64_t{1} << (3 * bits)) return false;
  for (KeySpan keys : {known, fresh})
    for (size_t i = 0; i < keys.size; ++i)
      if (keys[i] < interval.low || keys[i] >= interval.high || (i > 0 && keys[i] <= keys[i - 1]))
        return false;
  for (size_t i = 0, j = 0; i < known.size && j < fresh.size;) {
    if (known[i] == fresh[j]) return false;
    known[i] < fresh[j] ? ++i : ++j;
  }
  return true;
}

}  // namespace

bool encode_positions(BinaryEncoder& coder, KeySpan known, KeySpan fresh, KeyInterval interval, int bits) {
  if (!valid(known, fresh, interval, bits)) return false;
  std::vector<uint64_t> out;
  return positions::Walk<BinaryEncoder>(coder, known, fresh, interval, bits, fresh.size).run(out);
}

bool decode_positions(BinaryDecoder& coder, KeySpan known, KeyInterval interval, int bits, size_t n_fresh,
                      std::vector<uint64_t>& fresh) {
  if (!valid(known, {}, interval, bits)) return false;
  return positions::Walk<BinaryDecoder>(coder, known, {}, interval, bits, n_fresh).run(fresh);
}

}  // namespace gspc
