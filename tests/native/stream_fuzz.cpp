// Decodes damaged copies of a stream, payloads changed at random and checksums made to fit; run under
// sanitizers. stream_fuzz FILE SEED COUNT
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

#include "codec/format/crc32.hpp"
#include "codec/format/limits.hpp"
#include "codec/stream/stream.hpp"
#include "common/isa.hpp"

namespace {

using Bytes = std::vector<uint8_t>;

void put(uint8_t* p, uint32_t v) {
  for (int i = 0; i < 4; ++i) p[i] = static_cast<uint8_t>(v >> (8 * i));
}

uint32_t get(const uint8_t* p) {
  return static_cast<uint32_t>(p[0]) | static_cast<uint32_t>(p[1]) << 8 | static_cast<uint32_t>(p[2]) << 16 |
         static_cast<uint32_t>(p[3]) << 24;
}

std::vector<size_t> chunk_offsets(const Bytes& file) {
  std::vector<size_t> found;
  for (size_t at = gspc::kPreambleBytes; at + gspc::kChunkHeaderBytes <= file.size();
       at += gspc::kChunkHeaderBytes + get(file.data() + at + 12))
    found.push_back(at);
  return found;
}

Bytes damaged(const Bytes& file, const std::vector<size_t>& chunks, std::mt19937& random) {
  Bytes copy = file;
  uint8_t* const head = copy.data() + chunks[1 + random() % (chunks.size() - 1)];
  uint8_t* const payload = head + gspc::kChunkHeaderBytes;
  const uint32_t length = get(head + 12);
  for (uint32_t changes = length > 0 ? 1 + random() % 3 : 0; changes > 0; --changes)
    payload[random() % length] = static_cast<uint8_t>(random());
  put(head + 16, gspc::crc32(payload, length));
  put(head + 20, gspc::crc32(head, 20));
  return copy;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  std::ifstream in(argv[1], std::ios::binary);
  const Bytes file{std::istreambuf_iterator<char>(in), {}};
  const std::vector<size_t> chunks = chunk_offsets(file);
  if (chunks.size() < 2) return 2;
  std::mt19937 random(static_cast<uint32_t>(std::atoi(argv[2])));
  int whole = 0, refused = 0;
  for (int i = 0; i < std::atoi(argv[3]); ++i) {
    const Bytes copy = damaged(file, chunks, random);
    gspc::set_isa(static_cast<gspc::Isa>(i % 3));
    gspc::DecodeOptions options;
    options.threads = 1;
    options.max_memory = uint64_t{1} << 28;
    options.symbols = options.ideal = i % 2 != 0;
    try {
      gspc::dequantize(gspc::decode_stream(copy.data(), copy.size(), options).heads);
      ++whole;
    } catch (const gspc::StreamError&) {
      ++refused;
    }
  }
  std::printf("%d %d\n", whole, refused);
}
