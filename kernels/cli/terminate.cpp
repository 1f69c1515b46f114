// The standard library's handler of exceptions that nobody catches names their types in full: 60 kB of the
// program for a message that nobody is to see. This one takes its place.
#include <cstdlib>

namespace __gnu_cxx {
// NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming): the name is libstdc++'s.
[[noreturn]] void __verbose_terminate_handler();
[[noreturn]] void __verbose_terminate_handler() { std::abort(); }
}  // namespace __gnu_cxx
