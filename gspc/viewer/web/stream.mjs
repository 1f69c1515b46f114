// The worker that fetches and decodes: one level after another, each when the page asks for it.
//
// Page to worker: open, next, pause, show. Worker to page: index, progress, level, stopped.
import { load } from '../../../kernels/wasm/pcgs.mjs';
import { BytesSource, RangeSource, SourceError, fetchIndex } from './ranges.mjs';

let core = null; // a promise
let source = null;
let index = null;
let parts = 1;
let working = Promise.resolve(); // what was asked for is done one after another

const handlers = {
  open({ module, url, bytes, workers }) {
    core = load(module);
    parts = workers;
    source = bytes ? new BytesSource(new Uint8Array(bytes)) : new RangeSource(url, progress);
  },
  /** Fetches what is missing of `level`, decodes it and hands it over. */
  next: ({ level }) => later(level, () => show(level)),
  show: ({ level }) => later(level, () => show(level)),
  pause: () => source?.pause(),
};

/** @param {{data: {type: string}}} event */
export const onStreamMessage = ({ data }) => handlers[data.type](data);

function later(level, work) {
  working = working.then(work).catch((error) => {
    const kind = error instanceof SourceError ? error.kind : 'file';
    postMessage({ type: 'stopped', kind, message: error.message, level });
  });
}

function progress(have) {
  postMessage({ type: 'progress', have });
}

async function show(level) {
  index ??= await announced();
  const asked = Math.min(level, index.ends.length);
  const end = index.ends[asked - 1];
  const bytes = await source.upTo(end);
  const fetched = performance.timeOrigin + performance.now();
  progress(Math.min(bytes.length, index.ends.at(-1)));
  if (bytes.length < end) throw new SourceError('file', `the file is cut short: level ${asked} is not there`);
  const scene = (await core).decode(bytes.subarray(0, end), { upto: asked });
  const memory = (await core).memory();
  const { split, transfer } = divided(scene, parts);
  const { cameras, background, metadata, count } = scene;
  postMessage({ type: 'level', level: asked, count, cameras, background, metadata, split, fetched, memory }, transfer);
}

async function announced() {
  const found = await fetchIndex(source);
  postMessage({ type: 'index', ends: found.ends, anchors: found.anchors });
  return found;
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
