// A whole decode through the C API, and the same stream cut to its first level.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "codec/api/pcgs.h"
#include "codec/stream/stream.hpp"
#include "common/isa.hpp"
#include "mutate.hpp"
#include "use.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::vector<uint8_t> bytes(data, data + size);  // of exact size: what lies behind it is poisoned
  gspc::set_isa(static_cast<gspc::Isa>(size % 3));
  pcgs_options options{};
  options.threads = 1;
  options.max_memory = 16u << 20;
  char error[200] = "";
  pcgs_scene* scene = pcgs_decode(bytes.data(), size, &options, error, sizeof error);
  if (scene != nullptr) {
    gspc::fuzz::use(scene);
    pcgs_free(scene);
  } else if (std::strlen(error) == 0) {
    std::abort();  // refused, and nobody knows why
  }
  if (size % 4 != 0) return 0;  // it reads the file's structure once more, which takes as long as decoding
  try {
    gspc::truncate_stream(bytes.data(), size, 1);
  } catch (const gspc::StreamError&) {}
  return 0;
}
