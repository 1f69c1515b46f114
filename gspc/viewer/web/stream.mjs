// The worker that fetches and decodes: one level after another, each when the page asks for it.
//
// Page to worker: open, form, show, glance, pause. Worker to page: index, progress, part (of a level), level, glance,
// stopped.
import { PcgsError } from '../../../kernels/wasm/errors.mjs';
import { Levels } from '../../../kernels/wasm/levels.mjs';
import { load } from '../../../kernels/wasm/pcgs.mjs';
import { spread } from '../../../kernels/wasm/poses.mjs';
import { BytesSource, RangeSource } from '../../../kernels/wasm/sources.mjs';
import { makeHelpers } from './helping.mjs';
import { placedScene } from './placed.mjs';

const MOST_CAMERAS = 16; // to bake for
// Axes (right, down, forward) of cameras on all six sides.
const AROUND = [
  [[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[-1, 0, 0], [0, 1, 0], [0, 0, -1]],
  [[0, 0, -1], [0, 1, 0], [1, 0, 0]], [[0, 0, 1], [0, 1, 0], [-1, 0, 0]],
  [[1, 0, 0], [0, 0, -1], [0, 1, 0]], [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
];

/** ms, for pages and workers alike. */
const sinceEpoch = () => performance.timeOrigin + performance.now();

let core = null; // a promise
let helpers = []; // that decode, too
let source = null;
let levels = null; // fetches and decodes
let form = { kind: 'split', parts: 1 }; // in which levels are handed over
let working = Promise.resolve(); // what was asked for is done one after another

const handlers = {
  open({ module, url, bytes, form: wanted }) {
    core = load(module);
    helpers = makeHelpers(module);
    form = wanted;
    source = bytes ? new BytesSource(new Uint8Array(bytes)) : new RangeSource(url, progress);
  },
  /** Fetches what is missing of `level`, decodes it and hands it over. */
  show: ({ level, eye }) => later(level, () => show(level, eye)),
  form: ({ form: wanted }) => { form = wanted; },
  /** What one eye sees of a level that was shown, for small pictures. */
  glance: ({ level, eye }) => later(level, () => glance(level, eye)),
  pause: () => source?.pause(),
};

/** @param {{data: {type: string}}} event */
export const onStreamMessage = ({ data }) => handlers[data.type](data);

function later(level, work) {
  working = working.then(work).catch((error) => {
    const kind = error instanceof PcgsError ? error.kind : 'file';
    postMessage({ type: 'stopped', kind, message: error.message, level });
  });
}

function progress(have) {
  postMessage({ type: 'progress', have });
}

async function show(level, eye) {
  const pcgs = await core;
  levels ??= new Levels(pcgs, source, {}, helpers);
  const known = levels.ends.length > 0;
  const ends = await levels.index();
  if (!known) postMessage({ type: 'index', ends });
  const asked = Math.min(level, ends.length);
  const near = form.kind === 'baked' ? null : await levels.near(asked, eye);
  if (near !== null) hand(pcgs, near, { type: 'part', level: asked });
  await levels.fetch(asked);
  progress(Math.min(source.bytes.length, ends.at(-1)));
  const arrived = sinceEpoch();
  const scene = await levels.decoded(asked);
  const decoded = sinceEpoch();
  hand(pcgs, scene, { type: 'level', level: asked, times: { arrived, decoded } });
}

/** Hands a scene over to the page. */
function hand(pcgs, scene, told) {
  const { content, transfer } = handedOver(pcgs, scene);
  const { cameras, background, metadata, count } = scene;
  const about = { count, cameras, background, metadata, box: boxOf(scene.anchors), memory: pcgs.memory() };
  postMessage({ ...told, ...about, ...content }, transfer);
}

/** A level in the form that the page wants. */
function handedOver(pcgs, scene) {
  if (form.kind === 'placed') {
    const { placed, transfer } = placedScene(scene);
    return { content: { placed }, transfer };
  }
  if (form.kind === 'baked') {
    const baked = bakedScene(pcgs, scene);
    return { content: { baked }, transfer: Object.values(baked).map((array) => array.buffer) };
  }
  const { split, transfer } = divided(scene, form.parts);
  return { content: { split }, transfer };
}

function bakedScene(pcgs, scene) {
  const view = pcgs.view(scene);
  try {
    return { means: view.means(), ...view.bake(spread(camerasOf(scene), MOST_CAMERAS), form.degree) };
  } finally {
    view.free();
  }
}

async function glance(level, eye) {
  const view = (await core).view(await levels.decoded(level));
  const [shapes, colors] = [new Uint16Array(view.count * 8), new Uint16Array(view.count * 4)];
  view.look(eye, shapes, colors);
  view.free();
  postMessage({ type: 'glance', shapes, colors }, [shapes.buffer, colors.buffer]);
}

/** The scene's anchors in as many runs as there are workers to look at them, each with memory of its own. */
function divided(scene, wanted) {
  const each = Math.ceil(scene.count / wanted);
  const split = [];
  const transfer = [];
  const { features, offsets, heads, distanceScale } = scene;
  for (let first = 0; first < scene.count; first += each) {
    const end = Math.min(first + each, scene.count);
    const part = (values, n) => {
      const own = values.slice(first * n, end * n);
      transfer.push(own.buffer);
      return own;
    };
    split.push({
      count: end - first,
      anchors: part(scene.anchors, 3),
      features: { size: features.size, values: part(features.values, features.size) },
      logScales: part(scene.logScales, 6),
      offsets: { size: offsets.size, values: part(offsets.values, offsets.size * 3) },
      gaussianLevels: part(scene.gaussianLevels, offsets.size),
      heads,
      distanceScale,
    });
  }
  return { split, transfer };
}

/** The suggested cameras; around the scene, where there are none. */
function camerasOf({ cameras, anchors }) {
  if (cameras.length > 0) return cameras;
  const [low, high] = boxOf(anchors);
  const middle = low.map((value, a) => (value + high[a]) / 2);
  const reach = Math.max(Math.hypot(...high.map((value, a) => value - low[a])), 1e-3);
  const lens = { width: 400, height: 400, fx: 400, fy: 400, cx: 200, cy: 200 };
  return AROUND.map(([right, down, forward]) => {
    // The middle lies so far ahead of the camera that all of the scene is in its picture.
    const row = (axis, more) => [...axis, more - axis.reduce((sum, value, a) => sum + value * middle[a], 0)];
    return { ...lens, worldToCamera: [...row(right, 0), ...row(down, 0), ...row(forward, 1.2 * reach)] };
  });
}

/** Low and high corner of the anchors. */
function boxOf(anchors) {
  const low = [Infinity, Infinity, Infinity];
  const high = [-Infinity, -Infinity, -Infinity];
  anchors.forEach((value, i) => {
    low[i % 3] = Math.min(low[i % 3], value);
    high[i % 3] = Math.max(high[i % 3], value);
  });
  return low[0] <= high[0] ? [low, high] : [[-1, -1, -1], [1, 1, 1]];
}
