// Streams: whole scenes in and out. gspc/codec/core.py turns these classes and tuples into dataclasses.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "binding/arrays.hpp"
#include "codec/stream/cost.hpp"
#include "codec/stream/stream.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using gspc::binding::array_of;
using gspc::binding::bytes_of;
using gspc::binding::copy_of;
using gspc::binding::In;
using gspc::binding::Out;
using gspc::binding::vector_of;
using gspc::binding::view_of;

size_t size(int n) { return static_cast<size_t>(n); }

void check_weights(const std::vector<int8_t>& weights, const std::string& name) {
  for (int8_t w : weights)
    if (w == -128) throw nb::value_error((name + ": weights are -127 to 127").c_str());
}

// (weight, bias, multiplier, shift)
void fill_layer(gspc::IntegerLayer& layer, const nb::tuple& parts, const std::string& name) {
  const size_t out = size(layer.out), variants = layer.gains.size();
  layer.weight = vector_of<int8_t>(parts[0], size(layer.in) * out, name + " weight");
  layer.bias = vector_of<int32_t>(parts[1], out, name + " bias");
  const auto multiplier = vector_of<int16_t>(parts[2], variants * out, name + " multiplier");
  const auto shift = vector_of<uint8_t>(parts[3], variants, name + " shift");
  for (size_t i = 0; i < variants; ++i) {
    const auto first = multiplier.begin() + static_cast<std::ptrdiff_t>(i * out);
    layer.gains[i].multiplier.assign(first, first + static_cast<std::ptrdiff_t>(out));
    layer.gains[i].shift = shift[i];
  }
  check_weights(layer.weight, name);
}

// Raises ValueError unless `layers` are as many as `each` visits.
template <class Each>
void check_count(const nb::list& layers, const char* what, Each each) {
  size_t expected = 0;
  each([&](const auto&, const auto&) { ++expected; });
  if (layers.size() != expected)
    throw nb::value_error((std::string(what) + ": " + std::to_string(expected) + " layers expected, not " +
                           std::to_string(layers.size()))
                              .c_str());
}

// `layers` in the order of StreamShape.layers.
gspc::Networks networks_of(const gspc::StreamShape& shape, int levels, const nb::list& layers) {
  gspc::Networks networks(shape, levels);
  check_count(layers, "networks", [&](auto visit) { gspc::each_layer(networks, visit); });
  size_t at = 0;
  gspc::each_layer(networks, [&](const std::string& name, gspc::IntegerLayer& layer) {
    fill_layer(layer, nb::cast<nb::tuple>(layers[at++]), name);
  });
  return networks;
}

std::vector<uint8_t> signs_of(const gspc::GridSpec& grid, const In<uint8_t>& signs) {
  if (signs.size() != gspc::grid_entries(grid) * gspc::kGridFeatures)
    throw nb::value_error("grid signs: 4 per entry of the grid expected");
  return gspc::grid_sign_table(grid, signs.data());
}

// (weight, scale, bias) of every layer, in the stream's order.
gspc::StoredHeads heads_of(const gspc::StreamShape& shape, const nb::list& layers, float distance_scale) {
  gspc::StoredHeads heads(shape);
  check_count(layers, "heads", [&](auto visit) { gspc::each_head_layer(heads, visit); });
  size_t at = 0;
  gspc::each_head_layer(heads, [&](const char* name, gspc::HeadLayer& layer) {
    const auto parts = nb::cast<nb::tuple>(layers[at++]);
    layer.weight = vector_of<int8_t>(parts[0], size(layer.in) * size(layer.out), name);
    layer.scale = vector_of<float>(parts[1], size(layer.out), name);
    layer.bias = vector_of<float>(parts[2], size(layer.out), name);
    check_weights(layer.weight, name);
  });
  heads.distance_scale = distance_scale;
  return heads;
}

void check_header(const gspc::StreamHeader& header, int levels) {
  if (levels < 1 || levels > gspc::kMaxLevels) throw nb::value_error("a scene has 1 to 8 levels");
  if (const char* error = gspc::header_error(header)) throw nb::value_error(error);
}

nb::bytes encode(const gspc::StreamHeader& header, const gspc::Stages& stages, const nb::list& networks,
                 const In<uint8_t>& signs, const nb::list& heads, float distance_scale,
                 const std::vector<gspc::StoredCamera>& cameras, const nb::bytes& metadata,
                 const std::array<double, 8>& frame, const nb::bytes& swell, const In<int32_t>& positions,
                 const std::vector<In<int32_t>>& symbols, const In<uint8_t>& gaussian_level,
                 const In<uint8_t>& refined_at, int levels, size_t slice_anchors, int threads) {
  const int scene_levels = static_cast<int>(stages.size());
  check_header(header, scene_levels);
  const int last = *std::max_element(stages.begin(), stages.end());
  if (last < 1 || last > scene_levels) throw nb::value_error("a scene has 1 stage and at most one a level");
  gspc::SceneSource scene;
  scene.header = header;
  scene.levels = scene_levels;
  scene.stages = stages;
  scene.networks = networks_of(header, last, networks);
  scene.signs = signs_of(header.grid, signs);
  scene.heads = heads_of(header, heads, distance_scale);
  scene.cameras = cameras;
  scene.metadata.assign(metadata.c_str(), metadata.size());
  scene.frame.scale = frame[0];
  std::copy_n(frame.begin() + 1, 4, scene.frame.rotation);
  std::copy_n(frame.begin() + 5, 3, scene.frame.translation);
  scene.swell.assign(swell.c_str(), swell.c_str() + swell.size());
  scene.count = positions.size() / 3;
  bool fits =
      positions.size() == scene.count * 3 && symbols.size() == gspc::kAttributes &&
      gaussian_level.size() == scene.count * size(header.offsets()) &&
      (!header.selective || refined_at.size() == scene.count * gspc::kAttributes * (size(stages.back()) - 1));
  for (size_t a = 0; fits && a < gspc::kAttributes; ++a) {
    fits = symbols[a].size() == scene.count * size(header.attributes[a].values);
    scene.symbols[a] = symbols[a].data();
  }
  if (!fits)
    throw nb::value_error(
        "positions, symbols of the attributes, gaussian_level and refined_at do not belong together");
  scene.positions = positions.data();
  scene.gaussian_level = gaussian_level.data();
  scene.refined_at = refined_at.data();
  std::vector<uint8_t> file;
  {
    nb::gil_scoped_release release;
    file = gspc::encode_stream(scene, levels, slice_anchors, threads);
  }
  return bytes_of(file);
}

gspc::DecodedStream decode(const nb::bytes& data, int upto, int threads, uint64_t max_memory, bool symbols,
                           bool ideal, bool reverse) {
  gspc::DecodeOptions options;
  options.upto = upto;
  options.threads = threads;
  options.max_memory = max_memory;
  options.symbols = symbols;
  options.ideal = ideal;
  options.reverse = reverse;
  const auto* bytes = reinterpret_cast<const uint8_t*>(data.c_str());
  const size_t count = data.size();
  nb::gil_scoped_release release;
  return gspc::decode_stream(bytes, count, options);
}

std::pair<uint64_t, uint64_t> cost(const nb::bytes& data, int upto, int threads) {
  gspc::DecodeOptions options;
  options.upto = upto;
  options.threads = threads;
  const auto found = gspc::decode_cost(reinterpret_cast<const uint8_t*>(data.c_str()), data.size(), options);
  return {found.memory, found.work};
}

// What positions alone predict.
gspc::StreamModel model_of(const gspc::StreamShape& shape, int levels, const nb::list& layers,
                           const In<uint8_t>& signs) {
  gspc::StreamHeader header;
  static_cast<gspc::StreamShape&>(header) = shape;
  header.position_bits = gspc::kMaxPositionBits;
  check_header(header, levels);
  const gspc::Networks networks = networks_of(shape, levels, layers);
  gspc::Stages stages;
  for (int stage = 1; stage <= levels; ++stage) {
    gspc::check_networks(networks, stage);
    stages.push_back(stage);
  }
  return {header, signs_of(shape.grid, signs), networks, stages};
}

size_t position_count(const In<int32_t>& positions) {
  if (positions.size() % 3 != 0) throw nb::value_error("positions [N, 3] expected");
  return positions.size() / 3;
}

Out<float> predict_pool(const gspc::StreamShape& shape, int levels, const nb::list& networks,
                        const In<uint8_t>& signs, const In<int32_t>& positions, int threads) {
  const gspc::StreamModel model = model_of(shape, levels, networks, signs);
  if (!shape.predictive()) throw nb::value_error("these networks have no pool");
  const size_t count = position_count(positions), p = size(shape.pool.features);
  gspc::Buffer<float> features(count * p);
  {
    nb::gil_scoped_release release;
    gspc::predict_pool_scene(model, positions.data(), count, threads, features.data.get());
  }
  return array_of(features, {count, p});
}

std::pair<Out<int16_t>, Out<uint8_t>> predict(const gspc::StreamShape& shape, int levels,
                                              const nb::list& networks, const In<uint8_t>& signs,
                                              const In<int32_t>& positions, int threads) {
  const gspc::StreamModel model = model_of(shape, levels, networks, signs);
  const size_t count = position_count(positions), values = size(shape.values());
  gspc::Buffer<int16_t> means(count * values);
  gspc::Buffer<uint8_t> steps(count * gspc::kAttributes);
  {
    nb::gil_scoped_release release;
    gspc::predict_scene(model, positions.data(), count, threads, means.data.get(), steps.data.get());
  }
  return {array_of(means, {count, values}), array_of(steps, {count, gspc::kAttributes})};
}

nb::bytes keep_levels(const nb::bytes& data, int levels) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(data.c_str());
  return bytes_of(gspc::truncate_stream(bytes, data.size(), levels));
}

// (weight, scale, bias) of every layer of the heads, in the stream's order.
nb::list head_tuples(const gspc::DecodedStream& s) {
  nb::list layers;
  gspc::each_head_layer(s.heads, [&](const char*, const gspc::HeadLayer& layer) {
    layers.append(nb::make_tuple(copy_of(layer.weight, {size(layer.out), size(layer.in)}),
                                 copy_of(layer.scale, {size(layer.out)}),
                                 copy_of(layer.bias, {size(layer.out)})));
  });
  return layers;
}

void bind_camera(nb::module_& m) {
  using gspc::StoredCamera;
  nb::class_<StoredCamera>(m, "StoredCamera", "A suggested camera as the stream holds it.")
      .def(
          "__init__",
          [](StoredCamera* self, const nb::bytes& name, uint32_t width, uint32_t height,
             const std::array<double, 4>& intrinsics, const std::array<double, 12>& pose) {
            new (self) StoredCamera();
            self->name.assign(name.c_str(), name.size());
            self->width = width;
            self->height = height;
            self->focal_x = intrinsics[0];
            self->focal_y = intrinsics[1];
            self->center_x = intrinsics[2];
            self->center_y = intrinsics[3];
            std::copy(pose.begin(), pose.end(), self->world_to_camera);
          },
          "name"_a, "width"_a, "height"_a, "intrinsics"_a, "pose"_a)
      .def_prop_ro("name", [](const StoredCamera& c) { return nb::bytes(c.name.data(), c.name.size()); })
      .def_ro("width", &StoredCamera::width)
      .def_ro("height", &StoredCamera::height)
      .def_prop_ro("intrinsics",
                   [](const StoredCamera& c) {
                     return std::array<double, 4>{c.focal_x, c.focal_y, c.center_x, c.center_y};
                   })
      .def_prop_ro("pose", [](const StoredCamera& c) {
        std::array<double, 12> pose;
        std::copy(c.world_to_camera, c.world_to_camera + 12, pose.begin());
        return pose;
      });
}

// An array of a decoded stream, [N, columns], as a read-only property.
template <class T, class Columns>
auto rows(gspc::Buffer<T> gspc::DecodedStream::* member, Columns columns) {
  return [member, columns](nb::handle_t<gspc::DecodedStream> self) {
    const auto& s = nb::cast<const gspc::DecodedStream&>(self);
    return view_of(s.*member, {s.count, columns(s)}, self);
  };
}

void bind_decoded(nb::module_& m) {
  using gspc::DecodedStream;
  const auto three = [](const DecodedStream&) { return size_t{3}; };
  const auto six = [](const DecodedStream&) { return size_t{6}; };
  const auto k = [](const DecodedStream& s) { return size(s.header.offsets()); };
  nb::class_<DecodedStream>(
      m, "DecodedStream",
      "A decoded stream of N anchors. Its arrays are views that keep it alive; integers "
      "(positions, symbols, means, steps) or floats are empty, by what was asked for.")
      .def_ro("header", &DecodedStream::header)
      .def_ro("level", &DecodedStream::level)
      .def_ro("levels_in_file", &DecodedStream::levels_in_file)
      .def_ro("truncated", &DecodedStream::truncated)
      .def_ro("hash", &DecodedStream::hash)
      .def_prop_ro("metadata",
                   [](const DecodedStream& s) { return nb::bytes(s.metadata.data(), s.metadata.size()); })
      .def_ro("cameras", &DecodedStream::cameras)
      .def_prop_ro(
          "frame",
          [](const DecodedStream& s) {
            std::array<double, 8> frame{s.frame.scale};
            std::copy_n(s.frame.rotation, 4, frame.begin() + 1);
            std::copy_n(s.frame.translation, 3, frame.begin() + 5);
            return frame;
          },
          "Scale, unit quaternion wxyz and translation from the stream's coordinates to the user's.")
      .def_prop_ro(
          "swell", [](const DecodedStream& s) { return bytes_of(s.swell); },
          "A byte for each level, 64ths that log_scales of Gaussians are larger by.")
      .def_prop_ro("heads", &head_tuples)
      .def_prop_ro("distance_scale", [](const DecodedStream& s) { return s.heads.distance_scale; })
      .def_prop_ro("gaussian_level", rows(&DecodedStream::gaussian_level, k), "[N, K] uint8, 0: not alive")
      .def_prop_ro("anchors", rows(&DecodedStream::anchors, three), "[N, 3] float32, world space")
      .def_prop_ro("features",
                   rows(&DecodedStream::features,
                        [](const DecodedStream& s) { return size(s.header.restored_features()); }),
                   "[N, P + F] float32")
      .def_prop_ro("log_scales", rows(&DecodedStream::log_scales, six), "[N, 6] float32")
      .def_prop_ro(
          "offsets",
          [](nb::handle_t<DecodedStream> self) {
            const auto& s = nb::cast<const DecodedStream&>(self);
            return view_of(s.offsets, {s.count, size(s.header.offsets()), 3}, self);
          },
          "[N, K, 3] float32")
      .def_prop_ro("positions", rows(&DecodedStream::positions, three), "[N, 3] int32, voxels")
      .def_prop_ro(
          "symbols",
          [](nb::handle_t<DecodedStream> self) {
            const auto& s = nb::cast<const DecodedStream&>(self);
            std::vector<Out<int32_t>> found;
            found.reserve(gspc::kAttributes);
            for (size_t a = 0; a < gspc::kAttributes; ++a)
              found.push_back(
                  view_of(s.attribute_symbols[a], {s.count, size(s.header.attributes[a].values)}, self));
            return found;
          },
          "[N, values] int32 of every attribute")
      .def_prop_ro(
          "means",
          rows(&DecodedStream::means, [](const DecodedStream& s) { return size(s.header.values()); }),
          "[N, F + Z + 3K] int16")
      .def_prop_ro("steps", rows(&DecodedStream::steps, three), "[N, 3] uint8")
      .def_prop_ro("step_levels", rows(&DecodedStream::step_levels, three),
                   "[N, 3] uint8: the stage whose step symbols are in")
      .def_ro("ideal", &DecodedStream::ideal,
              "Bits by level of each attribute's first appearances, then of its trits.");
}

}  // namespace

void bind_stream(nb::module_& m) {
  nb::exception<gspc::StreamError>(m, "StreamError", PyExc_ValueError);
  bind_camera(m);
  bind_decoded(m);
  m.def("encode_stream", &encode, "header"_a, "stages"_a, "networks"_a, "signs"_a, "heads"_a,
        "distance_scale"_a, "cameras"_a, "metadata"_a, "frame"_a, "swell"_a, "positions"_a, "symbols"_a,
        "gaussian_level"_a, "refined_at"_a, "levels"_a, "slice_anchors"_a, "threads"_a);
  m.def("decode_stream", &decode, "data"_a, "upto"_a, "threads"_a, "max_memory"_a, "symbols"_a, "ideal"_a,
        "reverse"_a);
  m.def("decode_cost", &cost, "data"_a, "upto"_a, "threads"_a,
        "(bytes of memory, work) that decoding takes at most.");
  m.def("set_max_work", &gspc::set_max_work, "most"_a,
        "The most work that decoding may take in this process; 0: what a file's size allows.");
  m.def("predict_centers", &predict, "shape"_a, "levels"_a, "networks"_a, "signs"_a, "positions"_a,
        "threads"_a);
  m.def("predict_pool", &predict_pool, "shape"_a, "levels"_a, "networks"_a, "signs"_a, "positions"_a,
        "threads"_a);
  m.def("truncate_stream", &keep_levels, "data"_a, "levels"_a);
}
