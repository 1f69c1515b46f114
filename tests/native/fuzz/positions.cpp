// The octree of positions, after known ones and within an interval that the input names.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "codec/positions/positions.hpp"

using namespace gspc;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 8) return 0;
  const int bits = 1 + data[0] % 21;
  const uint64_t end = uint64_t{1} << (3 * bits);
  const size_t fresh_count = data[1], known_count = data[2] % 64;
  uint64_t a = end * data[3] / 256, b = end * data[4] / 256;
  if (data[3] == data[4]) a = 0, b = end;
  const KeyInterval interval{std::min(a, b), std::max(a, b)};
  uint64_t state = data[5] * 0x9e3779b97f4a7c15u + data[6];
  std::vector<uint64_t> known;
  for (size_t i = 0; i < known_count; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const uint64_t span = interval.high - interval.low;
    if (span > 0) known.push_back(interval.low + (state >> 1) % span);
  }
  std::sort(known.begin(), known.end());
  known.erase(std::unique(known.begin(), known.end()), known.end());
  const std::vector<uint8_t> bytes(data + 7, data + size);
  BinaryDecoder decoder(bytes.data(), bytes.size());
  std::vector<uint64_t> fresh;
  if (!decode_positions(decoder, known, interval, bits, fresh_count, fresh)) {
    if (!fresh.empty()) std::abort();
    return 0;
  }
  BinaryEncoder encoder;  // refuses keys that are not sorted, distinct, new and inside
  if (fresh.size() != fresh_count || !encode_positions(encoder, known, fresh, interval, bits)) std::abort();
  const std::vector<uint8_t> written = encoder.finish();
  BinaryDecoder second(written.data(), written.size());
  std::vector<uint64_t> again;
  if (!decode_positions(second, known, interval, bits, fresh_count, again) || again != fresh) std::abort();
  return 0;
}
