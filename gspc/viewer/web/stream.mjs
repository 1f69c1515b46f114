// The worker that fetches and decodes: one level after another, each when the page asks for it. Messages are about a
// file each, by its number.
//
// Page to worker: open, form, show, glance, pause, close. Worker to page: index, progress, part (of a level), level,
// glance, stopped.
import { PcgsError } from '../../../kernels/wasm/errors.mjs';
import { Levels } from '../../../kernels/wasm/levels.mjs';
import { load } from '../../../kernels/wasm/pcgs.mjs';
import { spread } from '../../../kernels/wasm/poses.mjs';
import { BytesSource, RangeSource } from '../../../kernels/wasm/sources.mjs';
import { CutSource } from './cutsource.mjs';
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
const files = new Map(); // by their numbers

const handlers = {
  open(told) {
    core ??= load(told.module);
    files.set(told.file, new File(told));
  },
  /** Fetches what is missing of `level`, decodes it and hands it over. */
  show: ({ file, level, eye }) => files.get(file)?.later(level, (one) => one.show(level, eye)),
  form: ({ file, form }) => { files.get(file).form = form; },
  /** What one eye sees of a level that was shown, for small pictures. */
  glance: ({ file, level, eye }) => files.get(file)?.later(level, (one) => one.glance(level, eye)),
  pause: ({ file }) => files.get(file)?.source.pause(),
  close({ file }) {
    files.get(file)?.close();
    files.delete(file);
  },
};

/** @param {{data: {type: string, file: number}}} event */
export const onStreamMessage = ({ data }) => handlers[data.type](data);

/** A file that levels come from. What is asked for is done one after another; other files do not wait for its bytes. */
class File {
  /** @param {object} told `alone`: other workers help to decode it */
  constructor({ file, module, url, cuts, bytes, form, alone }) {
    this.number = file;
    this.form = form; // in which levels are handed over
    this.helpers = alone ? makeHelpers(module) : [];
    this.working = Promise.resolve();
    const progress = (have) => this.tell({ type: 'progress', have });
    if (bytes) this.source = new BytesSource(new Uint8Array(bytes));
    else this.source = cuts?.length > 0 ? new CutSource(url, cuts, progress) : new RangeSource(url, progress);
  }

  tell(message, transfer = []) {
    postMessage({ ...message, file: this.number }, transfer);
  }

  later(level, work) {
    this.working = this.working.then(() => work(this)).catch((error) => {
      const kind = error instanceof PcgsError ? error.kind : 'file';
      this.tell({ type: 'stopped', kind, message: error.message, level });
    });
  }

  async show(level, eye) {
    const pcgs = await core;
    this.levels ??= new Levels(pcgs, this.source, {}, this.helpers);
    const { levels, source, form } = this;
    const known = levels.ends.length > 0;
    const ends = await levels.index();
    if (!known) this.tell({ type: 'index', ends });
    const asked = Math.min(level, ends.length);
    const near = form.kind === 'baked' ? null : await levels.near(asked, eye);
    if (near !== null) this.hand(pcgs, near, { type: 'part', level: asked });
    await levels.fetch(asked);
    this.tell({ type: 'progress', have: source.have ?? Math.min(source.bytes.length, ends.at(-1)) });
    const arrived = sinceEpoch();
    const scene = await levels.decoded(asked);
    const decoded = sinceEpoch();
    this.hand(pcgs, scene, { type: 'level', level: asked, times: { arrived, decoded } });
  }

  /** Hands a scene over to the page. */
  hand(pcgs, scene, told) {
    const { content, transfer } = handedOver(pcgs, scene, this.form);
    const { cameras, background, metadata, frame } = scene;
    const about = { cameras, background, metadata, frame, box: boxOf(scene.anchors), memory: pcgs.memory() };
    this.tell({ ...told, ...about, ...content }, transfer);
  }

  async glance(level, eye) {
    const view = (await core).view(await this.levels.decoded(level));
    const [shapes, colors] = [new Uint16Array(view.count * 8), new Uint16Array(view.count * 4)];
    view.look(eye, shapes, colors);
    view.free();
    this.tell({ type: 'glance', shapes, colors }, [shapes.buffer, colors.buffer]);
  }

  close() {
    this.source.pause();
    this.working.finally(() => this.levels?.close());
  }
}

/** A level in the form that the page wants. */
function handedOver(pcgs, scene, form) {
  if (form.kind === 'placed') {
    const { placed, transfer } = placedScene(scene);
    return { content: { placed }, transfer };
  }
  if (form.kind === 'baked') {
    const baked = bakedScene(pcgs, scene, form.degree);
    return { content: { baked }, transfer: Object.values(baked).map((array) => array.buffer) };
  }
  const { split, transfer } = divided(scene, form.parts);
  return { content: { split }, transfer };
}

function bakedScene(pcgs, scene, degree) {
  const view = pcgs.view(scene);
  try {
    return { means: view.means(), ...view.bake(spread(camerasOf(scene), MOST_CAMERAS), degree) };
  } finally {
    view.free();
  }
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
