// Streams that come in pieces. gspc/codec/reader.py wraps it.
#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <utility>
#include <vector>

#include "codec/stream/slice_box.hpp"
#include "codec/stream/stream_reader.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using gspc::StreamReader;

const uint8_t* data_of(const nb::bytes& data) { return reinterpret_cast<const uint8_t*>(data.c_str()); }

std::pair<uint64_t, uint64_t> pair_of(gspc::ByteRange range) { return {range.offset, range.size}; }

// Which slices can hold anchors in a box of voxels, both corners included.
std::vector<bool> slices_in(const StreamReader& reader, const std::array<uint64_t, 3>& low,
                            const std::array<uint64_t, 3>& high) {
  gspc::VoxelBox box{};
  for (size_t a = 0; a < 3; ++a) {
    box.low[a] = low[a];
    box.high[a] = high[a] + 1;
  }
  std::vector<bool> found;
  found.reserve(reader.index().slices());
  for (size_t i = 0; i < reader.index().slices(); ++i)
    found.push_back(
        gspc::interval_meets(gspc::slice_interval(reader.index(), i, reader.header().position_bits), box));
  return found;
}

std::array<double, 6> box_of(const StreamReader& reader, size_t slice) {
  if (slice >= reader.index().slices()) throw nb::index_error("no such slice");
  std::array<double, 6> box;
  gspc::slice_box(reader.index(), reader.header(), slice, box.data());
  return box;
}

void check_level(const StreamReader& reader, int level) {
  if (level < 1 || static_cast<size_t>(level) > reader.index().levels.size())
    throw nb::index_error("no such level");
}

}  // namespace

void bind_reader(nb::module_& m) {
  nb::class_<StreamReader>(m, "StreamReader",
                           "A stream that comes in pieces (kernels/codec/stream/stream_reader.hpp).")
      .def(
          "__init__",
          [](StreamReader* self, int upto, int threads, uint64_t max_memory, bool symbols) {
            gspc::DecodeOptions options;
            options.upto = upto;
            options.threads = threads;
            options.max_memory = max_memory;
            options.symbols = symbols;
            new (self) StreamReader(options);
          },
          "upto"_a, "threads"_a, "max_memory"_a, "symbols"_a)
      .def(
          "feed", [](StreamReader& r, const nb::bytes& data) { r.feed(data_of(data), data.size()); },
          "data"_a)
      .def(
          "feed_at",
          [](StreamReader& r, uint64_t offset, const nb::bytes& data) {
            r.feed_at(offset, data_of(data), data.size());
          },
          "offset"_a, "data"_a)
      .def_prop_ro("opened", &StreamReader::opened)
      .def_prop_ro("header", &StreamReader::header)
      .def_prop_ro("frame",
                   [](const StreamReader& r) {
                     std::array<double, 8> frame{r.frame().scale};
                     std::copy_n(r.frame().rotation, 4, frame.begin() + 1);
                     std::copy_n(r.frame().translation, 3, frame.begin() + 5);
                     return frame;
                   })
      .def_prop_ro("levels", [](const StreamReader& r) { return r.index().levels.size(); })
      .def_prop_ro("slices", [](const StreamReader& r) { return r.index().slices(); })
      .def_prop_ro("level", &StreamReader::level)
      .def_prop_ro("next_level", &StreamReader::next_level)
      .def_prop_ro("ready", &StreamReader::ready)
      .def_prop_ro(
          "wanted", [](const StreamReader& r) { return pair_of(r.wanted()); },
          "(offset, size) of the first bytes that are missing for the next level")
      .def("choose", &StreamReader::choose, "slices"_a)
      .def("slices_in", &slices_in, "low"_a, "high"_a,
           "A flag for each slice: can it hold anchors in a box of voxels, both corners included?")
      .def("slice_box", &box_of, "slice"_a)
      .def(
          "slice_range",
          [](const StreamReader& r, int level, size_t slice) {
            check_level(r, level);
            if (slice >= r.index().slices()) throw nb::index_error("no such slice");
            return pair_of(r.slice_range(level, slice));
          },
          "level"_a, "slice"_a)
      .def(
          "level_end",
          [](const StreamReader& r, int level) {
            check_level(r, level);
            const gspc::LevelEntry& entry = r.index().levels[static_cast<size_t>(level) - 1];
            return entry.offset + entry.length;
          },
          "level"_a)
      .def("advance", &StreamReader::advance, "part"_a = false, nb::call_guard<nb::gil_scoped_release>())
      .def("scene", &StreamReader::scene, nb::call_guard<nb::gil_scoped_release>());
}
