#include "cli/files.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace gspc::cli {
namespace {

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Close>;

[[noreturn]] void fail(Exit code, const std::string& name, const char* what) {
  const int reason = errno;
  throw Failure(code, name + ": " + what + " (" + std::strerror(reason) + ")");
}

void write_all(std::FILE* file, const std::string& name, const Bytes& data) {
  if (std::fwrite(data.data(), 1, data.size(), file) != data.size() || std::fflush(file) != 0)
    fail(kOutput, name, "cannot be written");
}

}  // namespace

Bytes read_file(const std::string& name) {
  File opened;
  std::FILE* file = stdin;
  if (name != "-") {
    opened.reset(std::fopen(name.c_str(), "rb"));
    if (opened == nullptr) fail(kInput, name, "cannot be read");
    file = opened.get();
  }
  Bytes data;
  size_t used = 0;
  for (;;) {
    data.resize(used + (used < (1u << 20) ? 1u << 16 : used));
    const size_t got = std::fread(data.data() + used, 1, data.size() - used, file);
    used += got;
    if (std::ferror(file)) fail(kInput, name, "cannot be read");
    if (got == 0) break;
  }
  data.resize(used);
  return data;
}

void check_target(const std::string& name, bool overwrite) {
  if (name == "-") {
    if (isatty(STDOUT_FILENO)) throw Failure(kUsage, "-: this is a terminal; name a file or use a pipe");
  } else if (!overwrite && access(name.c_str(), F_OK) == 0) {
    throw Failure(kOutput, name + ": exists already; add -f to overwrite it");
  }
}

void write_file(const std::string& name, const Bytes& data) {
  if (name == "-") return write_all(stdout, name, data);
  const std::string beside = name + "." + std::to_string(getpid()) + ".part";
  File file(std::fopen(beside.c_str(), "wbx"));
  if (file == nullptr) fail(kOutput, name, "cannot be written");
  try {
    write_all(file.get(), name, data);
    if (std::fclose(file.release()) != 0 || std::rename(beside.c_str(), name.c_str()) != 0)
      fail(kOutput, name, "cannot be written");
  } catch (const Failure&) {
    std::remove(beside.c_str());
    throw;
  }
}

}  // namespace gspc::cli
