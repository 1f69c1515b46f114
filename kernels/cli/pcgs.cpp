// pcgs: a small program for people who only receive .pcgs files. It checks them, says what they hold, and
// writes plain Gaussians for the viewers at hand. No Python, no libraries at run time.
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>

#include "cli/files.hpp"
#include "cli/gaussians.hpp"
#include "codec/api/pcgs.h"
#include "codec/format/limits.hpp"

namespace gspc::cli {
namespace {

constexpr char kHelp[] =
    "usage: pcgs info FILE\n"
    "       pcgs check FILE\n"
    "       pcgs decode FILE -o OUTPUT.ply|OUTPUT.spz [--upto LEVEL] [--view NAME|NUMBER]\n"
    "\n"
    "Reads .pcgs streams, compressed scenes of 3D Gaussians. FILE - is standard input.\n"
    "\n"
    "info    says what a file holds: levels, anchors, cameras, bytes.\n"
    "check   decodes every level and compares all checksums; exit code 4 when anything is damaged.\n"
    "decode  writes the scene as plain Gaussians: a .ply of 3D Gaussian Splatting, or .spz (version 3).\n"
    "        The Gaussians of a .pcgs look different from every place. Those written have the shapes, "
    "opacities\n"
    "        and single colors that the chosen view sees: right from there, less so from far away.\n"
    "        `gspc export` fits them to all views, with harmonics.\n"
    "\n"
    "  -o FILE            file to write, by its suffix; ply:- and spz:- write to standard output\n"
    "  -f                 overwrite it if it exists\n"
    "  --upto LEVEL       decode the first levels only\n"
    "  --view NAME|NUMBER suggested camera to write for, by name or from 0; the first by default\n"
    "  --threads N        threads to use; all processors by default\n"
    "  --version          print the version of the format\n"
    "\n"
    "Exit codes: 0 fine, 2 wrong arguments, 3 unusable input, 4 damaged stream, 6 output cannot be "
    "written.\n";

struct Arguments {
  std::string command, input, output, view = "0";
  int upto = 0, threads = 0;
  bool overwrite = false;
};

struct Free {
  void operator()(pcgs_scene* scene) const { pcgs_free(scene); }
};
using Scene = std::unique_ptr<pcgs_scene, Free>;

int whole_number(const std::string& option, const std::string& text, int least, int most) {
  const bool digits =
      !text.empty() && text.size() < 6 && text.find_first_not_of("0123456789") == std::string::npos;
  const int value = digits ? static_cast<int>(std::strtol(text.c_str(), nullptr, 10)) : -1;
  if (value < least || value > most)
    throw Failure(kUsage, option + " '" + text + "': a number from " + std::to_string(least) + " to " +
                              std::to_string(most) + " expected");
  return value;
}

Arguments parse(int argc, char** argv) {
  Arguments found;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto value = [&]() -> std::string {
      if (i + 1 >= argc) throw Failure(kUsage, word + " needs a value; see pcgs --help");
      return argv[++i];
    };
    if (word == "-o") found.output = value();
    else if (word == "-f") found.overwrite = true;
    else if (word == "--upto") found.upto = whole_number(word, value(), 1, 8);
    else if (word == "--threads") found.threads = whole_number(word, value(), 1, 1024);
    else if (word == "--view") found.view = value();
    else if (word.size() > 1 && word[0] == '-')
      throw Failure(kUsage, "no such option: " + word + "; see pcgs --help");
    else if (found.command.empty()) found.command = word;
    else if (found.input.empty()) found.input = word;
    else throw Failure(kUsage, "one FILE is enough: " + word + "; see pcgs --help");
  }
  return found;
}

Scene decode(const Arguments& arguments, const Bytes& data, int upto) {
  const pcgs_options options{upto, arguments.threads, 0};
  char error[512];
  Scene scene(pcgs_decode(data.data(), data.size(), &options, error, sizeof error));
  if (scene == nullptr) throw Failure(kDamaged, arguments.input + ": " + error);
  if (pcgs_truncated(scene.get()))
    std::fprintf(stderr, "pcgs: %s: is cut short; level %d of %d is its last whole one\n",
                 arguments.input.c_str(), static_cast<int>(pcgs_level(scene.get())),
                 static_cast<int>(pcgs_levels_in_file(scene.get())));
  return scene;
}

// Text of a file, for a terminal: what could move its cursor is a question mark. In UTF-8 the control
// characters beyond ASCII are C2 and a byte below A0.
std::string printable(const char* text) {
  std::string clean = text;
  for (size_t i = 0; i < clean.size(); ++i) {
    const auto at = [&](size_t k) { return k < clean.size() ? static_cast<unsigned char>(clean[k]) : 0; };
    if (at(i) < 0x20 || at(i) == 0x7F) clean[i] = '?';
    if (at(i) == 0xC2 && at(i + 1) < 0xA0) clean[i] = clean[i + 1] = '?';
  }
  return clean;
}

size_t alive(const pcgs_scene* scene) {
  const size_t all = pcgs_anchor_count(scene) * static_cast<size_t>(pcgs_offset_count(scene));
  size_t count = 0;
  for (size_t i = 0; i < all; ++i) count += pcgs_gaussian_levels(scene)[i] != 0;
  return count;
}

void info(const Arguments& arguments) {
  const Bytes data = read_file(arguments.input);
  const Scene scene = decode(arguments, data, arguments.upto);
  const pcgs_scene* s = scene.get();
  std::printf("bytes      %zu\n", data.size());
  std::printf("level      %d of %d\n", static_cast<int>(pcgs_level(s)),
              static_cast<int>(pcgs_levels_in_file(s)));
  std::printf("anchors    %zu with %d features, up to %d Gaussians each\n", pcgs_anchor_count(s),
              static_cast<int>(pcgs_feature_count(s)), static_cast<int>(pcgs_offset_count(s)));
  std::printf("gaussians  %zu\n", alive(s));
  std::printf("hash       %016" PRIx64 "\n", pcgs_symbol_hash(s));
  for (size_t i = 0; i < pcgs_camera_count(s); ++i) {
    const pcgs_camera camera = pcgs_camera_at(s, i);
    std::printf("camera %-3zu %ux%u %s\n", i, camera.width, camera.height, printable(camera.name).c_str());
  }
  if (*pcgs_metadata(s) != 0) std::printf("metadata   %s\n", printable(pcgs_metadata(s)).c_str());
}

void check(const Arguments& arguments) {
  const Bytes data = read_file(arguments.input);
  const Scene whole = decode(arguments, data, 0);
  if (pcgs_truncated(whole.get()))
    throw Failure(kDamaged, arguments.input + ": is not whole; get the file again");
  for (int level = 1; level < pcgs_level(whole.get()); ++level) decode(arguments, data, level);
  std::printf("%s: fine, %d levels, hash %016" PRIx64 "\n", arguments.input.c_str(),
              static_cast<int>(pcgs_level(whole.get())), pcgs_symbol_hash(whole.get()));
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

void decode_to_file(const Arguments& arguments) {
  const bool stream = arguments.output == "ply:-" || arguments.output == "spz:-";
  const bool spz = stream ? arguments.output == "spz:-" : ends_with(arguments.output, ".spz");
  if (!stream && !spz && !ends_with(arguments.output, ".ply"))
    throw Failure(kUsage, "-o needs a name that ends in .ply or .spz");
  const std::string target = stream ? "-" : arguments.output;
  check_target(target, arguments.overwrite);
  const Scene scene = decode(arguments, read_file(arguments.input), arguments.upto);
  const pcgs_camera camera = pcgs_camera_at(scene.get(), find_camera(scene.get(), arguments.view));
  const PlainGaussians gaussians = gaussians_for(scene.get(), camera);
  if (gaussians.count == 0) throw Failure(kInput, arguments.input + ": shows no Gaussians to this view");
  const double* moved = gaussians.moved;
  if (moved[0] != 0 || moved[1] != 0 || moved[2] != 0)
    std::fprintf(stderr,
                 "pcgs: the format cannot hold positions this far from the origin: all are moved by minus "
                 "(%.0f %.0f %.0f)\n",
                 moved[0], moved[1], moved[2]);
  write_file(target, spz ? write_spz(gaussians) : write_ply(gaussians));
  std::fprintf(stderr, "pcgs: %s: %zu Gaussians of level %d, as %s sees them\n", arguments.output.c_str(),
               gaussians.count, static_cast<int>(pcgs_level(scene.get())), printable(camera.name).c_str());
}

Exit run(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "-h" || word == "--help") {
      std::fputs(kHelp, stdout);
      return kFine;
    }
    if (word == "-V" || word == "--version") {
      std::printf("pcgs, reads streams of version %d.%d\n", kVersionMajor, kVersionMinor);
      return kFine;
    }
  }
  const Arguments arguments = parse(argc, argv);
  if (arguments.command.empty()) {
    std::fputs(kHelp, stderr);
    return kUsage;
  }
  const bool known =
      arguments.command == "info" || arguments.command == "check" || arguments.command == "decode";
  if (!known) throw Failure(kUsage, "no such command: " + arguments.command + "; see pcgs --help");
  if (arguments.input.empty()) throw Failure(kUsage, "name a FILE, or - for standard input");
  if (arguments.command == "info") info(arguments);
  else if (arguments.command == "check") check(arguments);
  else decode_to_file(arguments);
  if (std::fflush(stdout) != 0) throw Failure(kOutput, "standard output cannot be written");
  return kFine;
}

}  // namespace
}  // namespace gspc::cli

int main(int argc, char** argv) {
  using gspc::cli::Exit;
  try {
    return gspc::cli::run(argc, argv);
  } catch (const gspc::cli::Failure& failure) {
    std::fprintf(stderr, "pcgs: error: %s\n", failure.what());
    return failure.code;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "pcgs: error: out of memory\n");
    return Exit::kInput;
  }
}
