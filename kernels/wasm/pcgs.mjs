// Loads pcgs.wasm (`make wasm`) in browsers and node. decode() gives copies; nothing has to be freed.
//
//   const pcgs = await load(await (await fetch('pcgs.wasm')).arrayBuffer());
//   const scene = pcgs.decode(bytes, { upto: 2 });
//   const view = pcgs.view(scene); // view.mjs: what an eye sees of it
//   const reader = pcgs.open(); // reader.mjs: a stream that comes in pieces

import { PcgsError, failure } from './errors.mjs';
import { open } from './reader.mjs';
import { view } from './view.mjs';

const OPTIONS_BYTES = 16; // pcgs_options: i32 upto, i32 threads, u64 max_memory
const ERROR_BYTES = 256;
const LAYERS = ['hidden', 'opacity', 'color', 'cov'];

// `source`: the bytes of pcgs.wasm, or a compiled WebAssembly.Module.
export async function load(source) {
  const module = source instanceof WebAssembly.Module ? source : await WebAssembly.compile(source);
  const imports = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    imports[from] ??= {};
    imports[from][name] = (...values) => {
      if (name === 'proc_exit') throw new Error(`pcgs.wasm exited with ${values[0]}`);
      return name === 'emscripten_notify_memory_growth' ? undefined : 52; // WASI: no such function
    };
  }
  const { exports } = await WebAssembly.instantiate(module, imports);
  exports._initialize();
  return {
    decode: (data, options = {}) => decode(exports, data, options),
    open: (options = {}) => open(exports, { withOptions, text, contents }, options),
    view: (scene, first, end) => view(exports, scene, first, end),
    memory: () => exports.memory.buffer.byteLength,
  };
}

// What work(address of a pcgs_options) gives.
function withOptions(core, { upto = 0, maxMemory = 1 << 30 }, work) {
  const at = core.malloc(OPTIONS_BYTES);
  if (at === 0) throw new PcgsError('memory', 'out of memory');
  const view = new DataView(core.memory.buffer);
  view.setInt32(at, upto, true);
  view.setInt32(at + 4, 1, true);
  view.setBigUint64(at + 8, BigInt(maxMemory), true);
  try {
    return work(at);
  } finally {
    core.free(at);
  }
}

function decode(core, data, options) {
  const size = data.byteLength;
  const at = core.malloc(size + ERROR_BYTES);
  if (at === 0) throw new PcgsError('memory', 'out of memory');
  const error = at + size;
  new Uint8Array(core.memory.buffer, at, size).set(data);
  const scene = withOptions(core, options, (given) => core.pcgs_decode(at, size, given, error, ERROR_BYTES));
  const message = scene === 0 ? text(core, error) : '';
  core.free(at);
  if (scene === 0) throw failure(message);
  try {
    return contents(core, scene);
  } finally {
    core.pcgs_free(scene);
  }
}

function text(core, at) {
  const bytes = new Uint8Array(core.memory.buffer);
  return new TextDecoder().decode(bytes.slice(at, bytes.indexOf(0, at)));
}

function contents(core, scene) {
  const floats = (at, n) => new Float32Array(core.memory.buffer, at, n).slice();
  const n = core.pcgs_anchor_count(scene);
  const features = core.pcgs_feature_count(scene);
  const offsets = core.pcgs_offset_count(scene);
  const heads = {};
  LAYERS.forEach((name, which) => {
    heads[name] = layer(core, scene, which);
  });
  return {
    level: core.pcgs_level(scene),
    levels: core.pcgs_levels_in_file(scene),
    truncated: core.pcgs_truncated(scene) !== 0,
    symbolHash: BigInt.asUintN(64, core.pcgs_symbol_hash(scene)).toString(16).padStart(16, '0'),
    count: n,
    features: { size: features, values: floats(core.pcgs_features(scene), n * features) },
    residuals: core.pcgs_residual_count(scene), // how many of the last features are no pool's
    anchors: floats(core.pcgs_anchors(scene), n * 3),
    logScales: floats(core.pcgs_log_scales(scene), n * 6),
    offsets: { size: offsets, values: floats(core.pcgs_offsets(scene), n * offsets * 3) },
    gaussianLevels: new Uint8Array(core.memory.buffer, core.pcgs_gaussian_levels(scene), n * offsets).slice(),
    distanceScale: core.pcgs_distance_scale(scene),
    heads,
    cameras: Array.from({ length: core.pcgs_camera_count(scene) }, (_, i) => camera(core, scene, i)),
    background: background(core, scene),
    frame: frame(core, scene),
    metadata: text(core, core.pcgs_metadata(scene)),
  };
}

function background(core, scene) {
  const at = core.malloc(12);
  core.pcgs_background(scene, at);
  const rgb = Array.from(new Float32Array(core.memory.buffer, at, 3));
  core.free(at);
  return rgb;
}

/** Where the scene's coordinates lie in the user's: user = scale * rotation * own + translation. */
function frame(core, scene) {
  const at = core.malloc(13 * 8);
  core.pcgs_frame(scene, at);
  const [scale, ...rest] = new Float64Array(core.memory.buffer, at, 13);
  core.free(at);
  return { scale, rotation: rest.slice(0, 9), translation: rest.slice(9) };
}

// pcgs_camera: the name, u32 width and height, then from byte 16 on doubles.
const CAMERA_BYTES = 144;

function camera(core, scene, index) {
  const at = core.malloc(CAMERA_BYTES);
  core.pcgs_camera_at(at, scene, index);
  const [name, width, height] = new Uint32Array(core.memory.buffer, at, 3);
  const [fx, fy, cx, cy, ...worldToCamera] = new Float64Array(core.memory.buffer, at + 16, 16);
  core.free(at);
  return { name: text(core, name), width, height, fx, fy, cx, cy, worldToCamera };
}

// Structures are returned through a pointer that comes first.
function layer(core, scene, which) {
  const at = core.malloc(16);
  core.pcgs_head(at, scene, which);
  const [inputs, outputs, weight, bias] = new Int32Array(core.memory.buffer, at, 4);
  core.free(at);
  return {
    inputs,
    outputs,
    weight: new Float32Array(core.memory.buffer, weight, inputs * outputs).slice(),
    bias: new Float32Array(core.memory.buffer, bias, outputs).slice(),
  };
}
