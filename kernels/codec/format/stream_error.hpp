// The codec core's one exception: a stream that is damaged, truncated, too new or beyond the limits.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace gspc {

// `place` says what is wrong ("chunk SLIC level 2 slice 3"), or is empty where the caller knows that, and
// `problem` what is wrong with it. what() is both in one line.
struct StreamError : std::runtime_error {
  explicit StreamError(std::string problem, std::string place = {})
      : std::runtime_error(place.empty() ? problem : place + ": " + problem),
        problem(std::move(problem)),
        place(std::move(place)) {}

  std::string problem, place;
};

[[noreturn]] inline void stream_fail(std::string problem) { throw StreamError(std::move(problem)); }
[[noreturn]] inline void stream_fail_in(std::string place, std::string problem) {
  throw StreamError(std::move(problem), std::move(place));
}

}  // namespace gspc
