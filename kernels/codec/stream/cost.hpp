// What decoding will cost, known before it begins: bytes of memory, and work.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/format/header.hpp"
#include "codec/stream/stream.hpp"

namespace gspc {

// Bytes of a slice's state, for each anchor.
uint64_t state_bytes(const StreamHeader& header);
// Bytes of the octree of positions, for each anchor of the slice that is walked.
inline constexpr uint64_t kTreeBytes = 2 * (32 + 5) + 2 * 26 * 4 + 8;
// Bytes of a thread's buffers: batches through the networks, models of the coders.
uint64_t worker_bytes(const StreamHeader& header);

// Work counts nanoseconds of one thread of a slow machine, roughly.
// Of a slice at one level: `fresh` anchors appear, `old` ones were there.
uint64_t slice_work(const StreamHeader& header, int level, uint64_t fresh, uint64_t old);
// Of the grid and of networks.
uint64_t model_work(const StreamHeader& header);
// What is allowed unless asked otherwise, by the size of the file: no stream that was made from a scene comes
// near, and no small file keeps a reader busy for long.
uint64_t default_work(uint64_t file_bytes);
// What this process allows where options name no limit; 0: default_work. Set once, before decoding.
void set_max_work(uint64_t most);

// Throws StreamError when `need` is beyond `limit` bytes. work: "decoding".
void check_memory(uint64_t need, uint64_t limit, const char* work);
// Throws StreamError when `need` is beyond what the options allow for a file of this size.
void check_work(uint64_t need, const DecodeOptions& options, uint64_t file_bytes);
// Throws StreamError when the caller wants no more.
void check_cancel(const DecodeOptions& options);

}  // namespace gspc
