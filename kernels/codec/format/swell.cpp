#include "codec/format/swell.hpp"

#include "codec/format/bytes.hpp"
#include "codec/format/limits.hpp"

namespace gspc {

namespace {

void check(const Swell& swell) {
  if (swell.empty() || swell.size() > kMaxLevels)
    stream_fail_in("chunk swel", "a byte for each of 1 to 8 levels expected");
}

}  // namespace

double swell_at(const Swell& swell, int level) {
  const size_t at = static_cast<size_t>(level) - 1;
  return at < swell.size() ? swell[at] / 64.0 : 0.0;
}

std::vector<uint8_t> write_swell(const Swell& swell) {
  check(swell);
  return swell;
}

Swell read_swell(const uint8_t* data, size_t size) {
  Swell swell(data, data + size);
  check(swell);
  return swell;
}

}  // namespace gspc
