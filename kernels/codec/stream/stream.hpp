// Whole streams: scene to bytes, bytes to scene, bytes to fewer levels. Errors are StreamError with one clear
// line.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "codec/context/network.hpp"
#include "codec/format/container.hpp"
#include "codec/format/frame.hpp"
#include "codec/format/header.hpp"
#include "codec/format/parameters.hpp"
#include "codec/format/swell.hpp"
#include "codec/stream/slice.hpp"
#include "codec/stream/slice_streams.hpp"

namespace gspc {

// A scene as integers. Arrays belong to the caller; N = count, anchors in any order.
struct SceneSource {
  StreamHeader header;  // position_bits is set by encode_stream
  int levels = 1;
  Stages stages;  // of the levels
  Networks networks;
  std::vector<uint8_t> signs;  // grid_sign_table
  StoredHeads heads;
  std::vector<StoredCamera> cameras;
  std::string metadata;  // JSON text, "" = none
  StoredFrame frame;     // of the identity nothing is written
  Swell swell;           // empty: nothing is written
  size_t count = 0;
  const int32_t* positions = nullptr;  // [N, 3]
  const int32_t* symbols[3] = {};  // per attribute [N, F], [N, Z], [N, K, 3]; those refined of the last stage
  const uint8_t* gaussian_level = nullptr;  // [N, K]
  // Of selective refinement, [N, 3, T - 1] with T the last stage: the level at which the step of stage t + 1
  // follows that of stage t, at t - 1; 0: never. What an anchor has from the start does not count.
  const uint8_t* refined_at = nullptr;

  // [N, 3, this] of refined_at.
  size_t refinements() const { return static_cast<size_t>(stages.back()) - 1; }
};

// The first `levels` levels of the scene; slice_anchors anchors of the finest level per slice, more when the
// index would not fit. threads 0: one per processor.
std::vector<uint8_t> encode_stream(SceneSource& scene, int levels, size_t slice_anchors, int threads);

// Memory that is not cleared first.
template <class T>
struct Buffer {
  std::unique_ptr<T[]> data;
  size_t size = 0;

  Buffer() = default;
  explicit Buffer(size_t n) : data(new T[n]), size(n) {}
};

struct DecodeOptions {
  int upto = 0;     // 0: the finest whole level
  int threads = 0;  // 0: one per processor
  uint64_t max_memory = kMaxMemory;
  uint64_t max_work = 0;           // as cost.hpp counts it; 0: default_work
  std::function<bool()> canceled;  // asked before each slice and level, from any thread
  bool symbols = false;            // integers instead of floats
  bool ideal = false;              // sum what symbols cost under their tables
  bool reverse = false;            // slices in the opposite order: same result, for tests
};

using ComponentBits = std::array<double, kComponents>;  // what SliceMeter measures, of all anchors

// N anchors in stream order: slices, inside them order of appearance.
struct DecodedStream {
  StreamHeader header;
  int level = 0, levels_in_file = 0;
  bool truncated = false;
  size_t count = 0;
  StoredHeads heads;
  std::vector<StoredCamera> cameras;
  std::string metadata;
  StoredFrame frame;
  Swell swell;  // log_scales hold it
  uint64_t hash = 0;

  Buffer<uint8_t> gaussian_level;  // [N, K]; 0 = not alive
  Buffer<float> anchors, features, log_scales,
      offsets;  // [N, 3], [N, P + F], [N, 6], [N, K, 3]; unless symbols
  // Only with options.symbols:
  Buffer<int32_t> positions, attribute_symbols[3];
  Buffer<int16_t> means;             // [N, F + Z + 3K]
  Buffer<uint8_t> steps;             // [N, 3]
  Buffer<uint8_t> step_levels;       // [N, 3]
  std::vector<ComponentBits> ideal;  // per level
};

// What decode_stream will take at most, from the stream's structure alone: bytes of memory, and work as
// cost.hpp counts it. Throws StreamError for a stream whose structure is damaged.
struct DecodeCost {
  uint64_t memory = 0, work = 0;
};
DecodeCost decode_cost(const uint8_t* data, size_t size, const DecodeOptions& options);

DecodedStream decode_stream(const uint8_t* data, size_t size, const DecodeOptions& options);

// A stream that holds only the first `levels` levels, byte for byte what encode_stream would have written.
std::vector<uint8_t> truncate_stream(const uint8_t* data, size_t size, int levels);

// means [N, F + Z + 3K] int16 and steps [N, 3] for any positions, as the codec computes them.
void predict_scene(const StreamModel& model, const int32_t* positions, size_t count, int threads,
                   int16_t* means, uint8_t* steps);

// Features [N, P] of the pool at any positions, as decoders restore them.
void predict_pool_scene(const StreamModel& model, const int32_t* positions, size_t count, int threads,
                        float* features);

std::vector<uint8_t> write_slice(const SliceParts& parts);
SliceParts read_slice(const Chunk& chunk);

}  // namespace gspc
