// A stream that comes in pieces. What a reader gives of it is what a decoder of the whole file gives.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "codec/api/pcgs.h"
#include "mutate.hpp"
#include "use.hpp"

namespace {

// The last level that could be taken, and the hash of its symbols.
struct Taken {
  int level = 0;
  uint64_t hash = 0;
};

Taken feed(const std::vector<uint8_t>& bytes, const pcgs_options& options) {
  Taken taken;
  pcgs_reader* reader = pcgs_open(&options);
  if (reader == nullptr) return taken;
  size_t at = 0, step = 1 + bytes.size() % 97;
  while (at < bytes.size()) {
    const size_t now = std::min(step, bytes.size() - at);
    const std::vector<uint8_t> piece(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                                     bytes.begin() + static_cast<std::ptrdiff_t>(at + now));
    at += now;
    step = step * 3 / 2 + 1;
    if (!pcgs_feed(reader, piece.data(), piece.size())) break;
    const int next = pcgs_next_level(reader);
    if (!pcgs_ready(reader)) continue;
    pcgs_scene* scene = pcgs_take_level(reader);
    if (scene == nullptr) {
      if (std::strlen(pcgs_error(reader)) == 0) std::abort();
      break;
    }
    if (pcgs_level(scene) != next) std::abort();
    taken = {pcgs_level(scene), pcgs_symbol_hash(scene)};
    gspc::fuzz::use(scene);
    pcgs_free(scene);
  }
  while (pcgs_ready(reader)) {  // the levels whose bytes were there when one was taken
    pcgs_scene* scene = pcgs_take_level(reader);
    if (scene == nullptr) break;
    taken = {pcgs_level(scene), pcgs_symbol_hash(scene)};
    pcgs_free(scene);
  }
  pcgs_close(reader);
  return taken;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::vector<uint8_t> bytes(data, data + size);
  pcgs_options options{};
  options.threads = 1;
  options.max_memory = 16u << 20;
  const Taken taken = feed(bytes, options);
  if (taken.level == 0) return 0;
  options.upto = taken.level;
  char error[200];
  pcgs_scene* whole = pcgs_decode(bytes.data(), size, &options, error, sizeof error);
  if (whole != nullptr && pcgs_symbol_hash(whole) != taken.hash) std::abort();
  pcgs_free(whole);
  return 0;
}
