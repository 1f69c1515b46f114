// The worker that fetches and decodes: one level after another, each when the page asks for it.
//
// Page to worker: open, show, pause. Worker to page: index, progress, level, stopped.
import { PcgsError } from '../../../kernels/wasm/errors.mjs';
import { Levels } from '../../../kernels/wasm/levels.mjs';
import { load } from '../../../kernels/wasm/pcgs.mjs';
import { BytesSource, RangeSource } from '../../../kernels/wasm/sources.mjs';

let core = null; // a promise
let source = null;
let levels = null; // fetches and decodes
let parts = 1;
let working = Promise.resolve(); // what was asked for is done one after another

const handlers = {
  open({ module, url, bytes, workers }) {
    core = load(module);
    parts = workers;
    source = bytes ? new BytesSource(new Uint8Array(bytes)) : new RangeSource(url, progress);
  },
  /** Fetches what is missing of `level`, decodes it and hands it over. */
  show: ({ level }) => later(level, () => show(level)),
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

async function show(level) {
  const pcgs = await core;
  levels ??= new Levels(pcgs, source);
  const known = levels.ends.length > 0;
  const ends = await levels.index();
  if (!known) postMessage({ type: 'index', ends });
  const asked = Math.min(level, ends.length);
  await levels.fetch(asked);
  progress(Math.min(source.bytes.length, ends.at(-1)));
  const arrived = performance.timeOrigin + performance.now();
  const scene = levels.decoded(asked);
  const { split, transfer } = divided(scene, parts);
  const { cameras, background, metadata, count } = scene;
  const told = { type: 'level', level: asked, count, cameras, background, metadata, arrived, memory: pcgs.memory() };
  postMessage({ ...told, split }, transfer);
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
