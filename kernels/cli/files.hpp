// Files of the command line tool: read whole, written whole or not at all.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace gspc::cli {

// Exit codes, those of gspc.
enum Exit : int { kFine = 0, kBug = 1, kUsage = 2, kInput = 3, kDamaged = 4, kOutput = 6 };

// What ends the program: one line for the user, and the exit code.
struct Failure : std::runtime_error {
  Failure(Exit code, const std::string& line) : std::runtime_error(line), code(code) {}
  Exit code;
};

using Bytes = std::vector<uint8_t>;

// The content of a file, or of standard input for "-". Throws Failure.
Bytes read_file(const std::string& name);

// Throws Failure where `name` exists and may not be overwritten, before any work is done.
void check_target(const std::string& name, bool overwrite);

// Writes a file beside `name` and renames it; for "-" writes to standard output. Throws Failure.
void write_file(const std::string& name, const Bytes& data);

}  // namespace gspc::cli
