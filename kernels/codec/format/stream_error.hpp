// The codec core's one exception: a stream that is damaged, truncated, too new or beyond the limits. what()
// is one line.
#pragma once

#include <stdexcept>
#include <string>

namespace gspc {

struct StreamError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn]] inline void stream_fail(const std::string& what) { throw StreamError(what); }

}  // namespace gspc
