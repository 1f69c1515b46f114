// Headers and indexes: what is read is written again to the same meaning, and is within the limits.
#include <cstdlib>
#include <vector>

#include "codec/format/container.hpp"
#include "codec/format/header.hpp"
#include "codec/format/stream_error.hpp"

using namespace gspc;

namespace {

void header(const std::vector<uint8_t>& bytes) {
  const StreamHeader read = read_header(bytes.data(), bytes.size());
  if (header_error(read) != nullptr) std::abort();
  const std::vector<uint8_t> once = write_header(read);
  if (write_header(read_header(once.data(), once.size())) != once) std::abort();
}

void index(const std::vector<uint8_t>& bytes) {
  const StreamIndex read = read_index(bytes.data(), bytes.size());
  const std::vector<uint8_t> once = write_index(read);
  if (once != bytes) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const std::vector<uint8_t> bytes(data + 1, data + size);
  try {
    if (data[0] % 4 == 0) {
      index(bytes);
    } else if (data[0] % 4 == 1) {
      read_front(bytes.data(), bytes.size());
      read_container(bytes.data(), bytes.size(), data[0] >> 4);
    } else {
      header(bytes);
    }
  } catch (const StreamError&) {}
  return 0;
}
