// The symbols of a stream from one coder to another; everything else keeps its bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codec/format/container.hpp"
#include "codec/format/header.hpp"
#include "codec/stream/run_coder.hpp"

namespace gspc {

inline constexpr size_t kCoderAt = 12;              // byte of HEAD
enum class SymbolCoder { lanes = 0, torchac = 1 };  // its values

// HEAD as if lanes coded the symbols: nothing else in it depends on the coder. read_header() refuses the
// streams of others, since the core cannot decode them alone.
StreamHeader read_header_of_any_coder(const Chunk& head);

struct TranscodeOptions {
  SymbolCoder to = SymbolCoder::lanes;
  int upto = 0;  // 0: the finest whole level
  uint64_t max_memory = kMaxMemory;
};

// The levels up to options.upto with symbols coded by options.to, where `foreign` stands for the coder that
// is not lanes. The index keeps all levels, so that what was left out counts as cut off. Slices are done one
// after another, as nothing is known about `foreign` and threads.
std::vector<uint8_t> transcode_stream(const uint8_t* data, size_t size, const TranscodeOptions& options,
                                      ForeignCoder& foreign);

}  // namespace gspc
