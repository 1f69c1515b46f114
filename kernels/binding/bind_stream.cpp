// Streams: whole scenes in and out. gspc/codec/stream.py turns these tuples and dictionaries into
// dataclasses.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>

#include "codec/stream/stream.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

template <class T>
using In = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;

template <class T>
std::vector<T> vector_of(nb::handle object, size_t size, const char* what) {
  const auto array = nb::cast<In<T>>(object);
  if (array.size() != size)
    throw nb::value_error((std::string(what) + ": " + std::to_string(size) + " values expected, not " +
                           std::to_string(array.size()))
                              .c_str());
  return std::vector<T>(array.data(), array.data() + array.size());
}

// (weight, bias, multiplier, shift)
void fill_layer(gspc::IntegerLayer& layer, nb::handle object, const std::string& name) {
  const auto parts = nb::cast<nb::tuple>(object);
  const size_t in = static_cast<size_t>(layer.in), out = static_cast<size_t>(layer.out),
               v = layer.gains.size();
  layer.weight = vector_of<int8_t>(parts[0], in * out, (name + " weight").c_str());
  layer.bias = vector_of<int32_t>(parts[1], out, (name + " bias").c_str());
  const auto multiplier = vector_of<int16_t>(parts[2], v * out, (name + " multiplier").c_str());
  const auto shift = vector_of<uint8_t>(parts[3], v, (name + " shift").c_str());
  for (size_t i = 0; i < v; ++i) {
    layer.gains[i].multiplier.assign(multiplier.begin() + static_cast<std::ptrdiff_t>(i * out),
                                     multiplier.begin() + static_cast<std::ptrdiff_t>((i + 1) * out));
    layer.gains[i].shift = shift[i];
  }
  for (int8_t w : layer.weight)
    if (w == -128) throw nb::value_error((name + ": weights are -127 to 127").c_str());
}

gspc::Networks networks_of(const gspc::StreamHeader& header, int levels, const nb::dict& layers) {
  gspc::Networks n(header, levels);
  fill_layer(n.steps_hidden, layers["steps_hidden"], "steps");
  fill_layer(n.steps_out, layers["steps_out"], "steps output");
  fill_layer(n.trunk, layers["trunk"], "trunk");
  fill_layer(n.center, layers["center"], "center");
  fill_layer(n.scale, layers["scale"], "scale");
  const auto fill_two = [&](gspc::TwoLayers<gspc::IntegerLayer>& net, const std::string& name) {
    fill_layer(net.hidden, layers[(name + "_hidden").c_str()], name);
    fill_layer(net.out, layers[(name + "_out").c_str()], name + " output");
  };
  for (size_t i = 0; i < n.chunks.size(); ++i) fill_two(n.chunks[i], "chunk_" + std::to_string(i + 1));
  if (header.pool_features > 0) fill_two(n.pool, "pool");
  const char* const trits[3] = {"trit_features", "trit_scaling", "trit_offsets"};
  for (int a = 0; a < 3; ++a)
    if (levels > 1 && header.trit_hidden[a] > 0) fill_two(n.trits[a], trits[a]);
  return n;
}

template <class T, class C>
void fill_array(C& out, nb::handle object) {
  size_t i = 0;
  for (nb::handle item : nb::cast<nb::sequence>(object)) {
    if (i == 3) throw nb::value_error("3 values expected");
    out[i++] = nb::cast<T>(item);
  }
  if (i != 3) throw nb::value_error("3 values expected");
}

gspc::GridSpec grid_of(const nb::dict& d) {
  gspc::GridSpec grid{};
  fill_array<int32_t>(grid.box_low, d["box_low"]);
  fill_array<int32_t>(grid.box_size, d["box_size"]);
  for (nb::handle plane : nb::cast<nb::sequence>(d["planes"])) {
    const auto p = nb::cast<nb::tuple>(plane);
    grid.planes.push_back({nb::cast<int32_t>(p[0]), nb::cast<int32_t>(p[1]), nb::cast<int32_t>(p[2])});
  }
  if (const char* error = gspc::grid_spec_error(grid)) throw nb::value_error(error);
  return grid;
}

gspc::StreamHeader header_of(const nb::dict& d) {
  gspc::StreamHeader h;
  h.family = nb::cast<std::string>(d["family"]);
  h.features = nb::cast<int>(d["features"]);
  h.offsets = nb::cast<int>(d["offsets"]);
  h.position_bits = 21;
  h.steps_hidden = nb::cast<int>(d["steps_hidden"]);
  h.trunk_hidden = nb::cast<int>(d["trunk_hidden"]);
  h.trit_hidden[gspc::kFeatures] = nb::cast<int>(d["trit_features_hidden"]);
  h.trit_hidden[gspc::kScaling] = nb::cast<int>(d["trit_scaling_hidden"]);
  h.trit_hidden[gspc::kOffsets] = nb::cast<int>(d["trit_offsets_hidden"]);
  h.heads_hidden = nb::cast<int>(d["heads_hidden"]);
  h.chunk_hidden = nb::cast<int>(d["chunk_hidden"]);
  h.pool_features = nb::cast<int>(d["pool_features"]);
  h.pool_hidden = nb::cast<int>(d["pool_hidden"]);
  h.residual_hidden = nb::cast<int>(d["residual_hidden"]);
  h.refined = nb::cast<int>(d["refined"]);
  h.scales = nb::cast<int>(d["scales"]);
  h.trit_model = nb::cast<int>(d["trit_model"]);
  h.chunks = nb::cast<int>(d["chunks"]);
  h.pool_planes = nb::cast<int>(d["pool_planes"]);
  fill_array<double>(h.step_base, d["step_base"]);
  fill_array<double>(h.origin, d["origin"]);
  fill_array<float>(h.background, d["background"]);
  h.voxel_size = nb::cast<double>(d["voxel_size"]);
  h.grid = grid_of(d);
  if (const char* error = gspc::header_error(h)) throw nb::value_error(error);
  return h;
}

std::vector<uint8_t> signs_of(const gspc::GridSpec& grid, In<uint8_t> signs) {
  if (signs.size() != gspc::grid_entries(grid) * gspc::kGridFeatures)
    throw nb::value_error("grid signs: 4 per entry of the grid expected");
  return gspc::grid_sign_table(grid, signs.data());
}

void fill_head(gspc::HeadLayer& layer, nb::handle object, const char* name) {
  const auto parts = nb::cast<nb::tuple>(object);
  layer.weight =
      vector_of<int8_t>(parts[0], static_cast<size_t>(layer.in) * static_cast<size_t>(layer.out), name);
  layer.scale = vector_of<float>(parts[1], static_cast<size_t>(layer.out), name);
  layer.bias = vector_of<float>(parts[2], static_cast<size_t>(layer.out), name);
  for (int8_t w : layer.weight)
    if (w == -128) throw nb::value_error((std::string(name) + ": weights are -127 to 127").c_str());
}

gspc::StoredHeads heads_of(const gspc::StreamHeader& header, const nb::dict& d) {
  gspc::StoredHeads heads(header);
  fill_head(heads.hidden, d["hidden"], "hidden heads");
  fill_head(heads.opacity, d["opacity"], "opacity head");
  fill_head(heads.color, d["color"], "color head");
  fill_head(heads.cov, d["cov"], "cov head");
  if (heads.residual) {
    fill_head(heads.shape_hidden, d["shape_hidden"], "hidden layer of the shape decoder");
    fill_head(heads.shape_out, d["shape_out"], "shape decoder");
    fill_head(heads.appearance_hidden, d["appearance_hidden"], "hidden layer of the appearance decoder");
    fill_head(heads.appearance_out, d["appearance_out"], "appearance decoder");
  }
  heads.distance_scale = nb::cast<float>(d["distance_scale"]);
  return heads;
}

// (name, width, height, fx, fy, cx, cy, 12 numbers)
gspc::StoredCamera camera_of(nb::handle object) {
  const auto t = nb::cast<nb::tuple>(object);
  gspc::StoredCamera c;
  c.name = nb::cast<std::string>(t[0]);
  c.width = nb::cast<uint32_t>(t[1]);
  c.height = nb::cast<uint32_t>(t[2]);
  c.focal_x = nb::cast<double>(t[3]);
  c.focal_y = nb::cast<double>(t[4]);
  c.center_x = nb::cast<double>(t[5]);
  c.center_y = nb::cast<double>(t[6]);
  const auto pose = nb::cast<std::vector<double>>(t[7]);
  if (pose.size() != 12) throw nb::value_error("a camera pose has 12 numbers");
  std::copy(pose.begin(), pose.end(), c.world_to_camera);
  return c;
}

nb::bytes bytes_of(const std::vector<uint8_t>& v) { return nb::bytes(v.data(), v.size()); }

template <class T>
nb::object array_of(gspc::Buffer<T>& buffer, std::vector<size_t> shape) {
  T* data = buffer.data.release();
  nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
  return nb::cast(nb::ndarray<nb::numpy, T>(data, shape.size(), shape.data(), owner));
}

template <class T>
nb::object copy_of(const std::vector<T>& values, std::vector<size_t> shape) {
  gspc::Buffer<T> buffer(values.size());
  std::copy(values.begin(), values.end(), buffer.data.get());
  return array_of(buffer, shape);
}

nb::tuple head_tuple(const gspc::HeadLayer& layer) {
  const size_t in = static_cast<size_t>(layer.in), out = static_cast<size_t>(layer.out);
  return nb::make_tuple(copy_of(layer.weight, {out, in}), copy_of(layer.scale, {out}),
                        copy_of(layer.bias, {out}));
}

nb::dict decoded_dict(gspc::DecodedStream& s, bool symbols) {
  const size_t n = s.count, f = static_cast<size_t>(s.header.features),
               k = static_cast<size_t>(s.header.offsets);
  nb::dict d;
  d["level"] = s.level;
  d["levels_in_file"] = s.levels_in_file;
  d["truncated"] = s.truncated;
  d["hash"] = s.hash;
  d["metadata"] = nb::bytes(s.metadata.data(), s.metadata.size());
  d["background"] = nb::make_tuple(s.header.background[0], s.header.background[1], s.header.background[2]);
  nb::list cameras;
  for (const auto& c : s.cameras) {
    const std::vector<double> pose(c.world_to_camera, c.world_to_camera + 12);
    cameras.append(nb::make_tuple(nb::bytes(c.name.data(), c.name.size()), c.width, c.height, c.focal_x,
                                  c.focal_y, c.center_x, c.center_y, pose));
  }
  d["cameras"] = cameras;
  d["hidden"] = head_tuple(s.heads.hidden);
  d["opacity"] = head_tuple(s.heads.opacity);
  d["color"] = head_tuple(s.heads.color);
  d["cov"] = head_tuple(s.heads.cov);
  if (s.heads.residual) {
    d["shape_hidden"] = head_tuple(s.heads.shape_hidden);
    d["shape_out"] = head_tuple(s.heads.shape_out);
    d["appearance_hidden"] = head_tuple(s.heads.appearance_hidden);
    d["appearance_out"] = head_tuple(s.heads.appearance_out);
  }
  d["residuals"] = s.header.pool_features > 0 ? s.header.features : 0;
  d["distance_scale"] = s.heads.distance_scale;
  d["gaussian_level"] = array_of(s.gaussian_level, {n, k});
  nb::list ideal;
  for (const auto& bits : s.ideal) {
    nb::dict row;
    const char* const names[] = {"features", "scaling", "offsets"};
    for (int a = 0; a < 3; ++a) row[names[a]] = bits.first[a];
    for (int a = 0; a < 3; ++a) row[(std::string("refined_") + names[a]).c_str()] = bits.trits[a];
    ideal.append(row);
  }
  d["ideal"] = ideal;
  if (symbols) {
    d["positions"] = array_of(s.positions, {n, 3});
    d["features"] = array_of(s.attribute_symbols[gspc::kFeatures], {n, f});
    d["scaling"] = array_of(s.attribute_symbols[gspc::kScaling], {n, static_cast<size_t>(s.header.scales)});
    d["offsets"] = array_of(s.attribute_symbols[gspc::kOffsets], {n, k, 3});
    d["means"] = array_of(s.means, {n, static_cast<size_t>(s.header.attributes())});
    d["steps"] = array_of(s.steps, {n, 3});
  } else {
    d["anchors"] = array_of(s.anchors, {n, 3});
    d["features"] = array_of(s.features, {n, static_cast<size_t>(s.header.restored_features())});
    d["log_scales"] = array_of(s.log_scales, {n, 6});
    d["offsets"] = array_of(s.offsets, {n, k, 3});
  }
  return d;
}

nb::dict decode(nb::bytes data, int upto, int threads, uint64_t max_memory, bool symbols, bool ideal,
                bool reverse) {
  gspc::DecodeOptions options;
  options.upto = upto;
  options.threads = threads;
  options.max_memory = max_memory;
  options.symbols = symbols;
  options.ideal = ideal;
  options.reverse = reverse;
  gspc::DecodedStream out;
  {
    const auto* bytes = reinterpret_cast<const uint8_t*>(data.c_str());
    const size_t size = data.size();
    nb::gil_scoped_release release;
    out = gspc::decode_stream(bytes, size, options);
  }
  return decoded_dict(out, symbols);
}

nb::bytes encode(nb::dict header, int scene_levels, nb::dict networks, In<uint8_t> signs, nb::dict heads,
                 nb::list cameras, nb::bytes metadata, In<int32_t> positions, In<int32_t> features,
                 In<int32_t> scaling, In<int32_t> offsets, In<uint8_t> gaussian_level, int levels,
                 size_t slice_anchors, int threads) {
  if (scene_levels < 1 || scene_levels > gspc::kMaxLevels) throw nb::value_error("a scene has 1 to 8 levels");
  gspc::SceneSource scene;
  scene.header = header_of(header);
  scene.levels = scene_levels;
  scene.networks = networks_of(scene.header, scene_levels, networks);
  scene.signs = signs_of(scene.header.grid, signs);
  scene.heads = heads_of(scene.header, heads);
  for (nb::handle camera : cameras) scene.cameras.push_back(camera_of(camera));
  scene.metadata.assign(metadata.c_str(), metadata.size());
  const size_t n = positions.size() / 3, f = static_cast<size_t>(scene.header.features),
               z = static_cast<size_t>(scene.header.scales), k = static_cast<size_t>(scene.header.offsets);
  if (positions.size() != n * 3 || features.size() != n * f || scaling.size() != n * z ||
      offsets.size() != n * k * 3 || gaussian_level.size() != n * k)
    throw nb::value_error("positions, features, scaling, offsets and gaussian_level do not belong together");
  scene.count = n;
  scene.positions = positions.data();
  scene.symbols[gspc::kFeatures] = features.data();
  scene.symbols[gspc::kScaling] = scaling.data();
  scene.symbols[gspc::kOffsets] = offsets.data();
  scene.gaussian_level = gaussian_level.data();
  std::vector<uint8_t> file;
  {
    nb::gil_scoped_release release;
    file = gspc::encode_stream(scene, levels, slice_anchors, threads);
  }
  return bytes_of(file);
}

// What positions alone predict.
gspc::StreamModel model_of(const nb::dict& header, int levels, const nb::dict& networks, In<uint8_t> signs) {
  if (levels < 1 || levels > gspc::kMaxLevels) throw nb::value_error("a scene has 1 to 8 levels");
  const gspc::StreamHeader h = header_of(header);
  const gspc::Networks n = networks_of(h, levels, networks);
  for (int level = 1; level <= levels; ++level) gspc::check_networks(n, level);
  return {h, signs_of(h.grid, signs), n, levels};
}

nb::object predict_pool(nb::dict header, int levels, nb::dict networks, In<uint8_t> signs,
                        In<int32_t> positions, int threads) {
  const gspc::StreamModel model = model_of(header, levels, networks, signs);
  if (model.header.pool_features == 0) throw nb::value_error("these networks have no pool");
  if (positions.size() % 3 != 0) throw nb::value_error("positions [N, 3] expected");
  const size_t count = positions.size() / 3, p = static_cast<size_t>(model.header.pool_features);
  gspc::Buffer<float> features(count * p);
  {
    nb::gil_scoped_release release;
    gspc::predict_pool_scene(model, positions.data(), count, threads, features.data.get());
  }
  return array_of(features, {count, p});
}

nb::tuple predict(nb::dict header, int levels, nb::dict networks, In<uint8_t> signs, In<int32_t> positions,
                  int threads) {
  const gspc::StreamModel model = model_of(header, levels, networks, signs);
  if (positions.size() % 3 != 0) throw nb::value_error("positions [N, 3] expected");
  const size_t count = positions.size() / 3, a = static_cast<size_t>(model.header.attributes());
  gspc::Buffer<int16_t> means(count * a);
  gspc::Buffer<uint8_t> steps(count * 3);
  {
    nb::gil_scoped_release release;
    gspc::predict_scene(model, positions.data(), count, threads, means.data.get(), steps.data.get());
  }
  return nb::make_tuple(array_of(means, {count, a}), array_of(steps, {count, 3}));
}

nb::bytes keep_levels(nb::bytes data, int levels) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(data.c_str());
  return bytes_of(gspc::truncate_stream(bytes, data.size(), levels));
}

}  // namespace

void bind_stream(nb::module_& m) {
  nb::exception<gspc::StreamError>(m, "StreamError", PyExc_ValueError);
  m.def("encode_stream", &encode, "header"_a, "scene_levels"_a, "networks"_a, "signs"_a, "heads"_a,
        "cameras"_a, "metadata"_a, "positions"_a, "features"_a, "scaling"_a, "offsets"_a, "gaussian_level"_a,
        "levels"_a, "slice_anchors"_a, "threads"_a);
  m.def("decode_stream", &decode, "data"_a, "upto"_a, "threads"_a, "max_memory"_a, "symbols"_a, "ideal"_a,
        "reverse"_a);
  m.def("truncate_stream", &keep_levels, "data"_a, "levels"_a);
  m.def("predict_pool", &predict_pool, "header"_a, "levels"_a, "networks"_a, "signs"_a, "positions"_a,
        "threads"_a);
  m.def("predict_centers", &predict, "header"_a, "levels"_a, "networks"_a, "signs"_a, "positions"_a,
        "threads"_a);
}
