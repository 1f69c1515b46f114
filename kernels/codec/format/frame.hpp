// The fram chunk: where the stream's own coordinates lie in the user's. Anchors and suggested cameras are in
// the stream's own; a reader that does not know the chunk shows the same pictures in these.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gspc {

// user = scale * rotation * own + translation.
struct StoredFrame {
  double scale = 1;
  double rotation[4] = {1, 0, 0, 0};  // unit quaternion wxyz
  double translation[3] = {0, 0, 0};

  bool identity() const;
  void matrix(double rows[9]) const;  // of the rotation
};

// nullptr, or why a frame cannot be used.
const char* frame_error(const StoredFrame& frame);

std::vector<uint8_t> write_frame(const StoredFrame& frame);
StoredFrame read_frame(const uint8_t* data, size_t size);  // throws StreamError

}  // namespace gspc
