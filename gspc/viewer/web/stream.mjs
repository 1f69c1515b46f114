// The worker that fetches and decodes: one level after another, each when the page asks for it.
//
// Page to worker: open, show, pause. Worker to page: index, progress, level, stopped.
import { load } from '../../../kernels/wasm/pcgs.mjs';
import { BytesSource, RangeSource, SourceError } from './ranges.mjs';

// Enough for the index of nearly every scene, and less than any level 1 but those of toys: nothing is fetched twice
// and nothing that is not needed. What is missing of a longer index comes with a second request.
const FIRST_BYTES = 4096;

let core = null; // a promise
let source = null;
let reader = null; // decodes what comes, each level once
let fed = 0; // bytes of the source that the reader has
let ends = []; // bytes of the file up to each level's end
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
    const kind = error instanceof SourceError ? error.kind : 'file';
    postMessage({ type: 'stopped', kind, message: error.message, level });
  });
}

function progress(have) {
  postMessage({ type: 'progress', have });
}

async function show(level) {
  const pcgs = await core;
  if (ends.length === 0) await begin(pcgs);
  const asked = Math.min(level, ends.length);
  const end = ends[asked - 1];
  await fetched(end);
  const arrived = performance.timeOrigin + performance.now();
  const scene = decoded(pcgs, asked);
  const { split, transfer } = divided(scene, parts);
  const { cameras, background, metadata, count } = scene;
  const told = { type: 'level', level: asked, count, cameras, background, metadata, arrived, memory: pcgs.memory() };
  postMessage({ ...told, split }, transfer);
}

/** Has the reader know the index, and tells the page. */
async function begin(pcgs) {
  reader ??= pcgs.open();
  let need = FIRST_BYTES;
  while (ends.length === 0) {
    await fetched(need);
    const { offset, size } = reader.wanted();
    ends = reader.ends();
    if (ends.length === 0 && (size === 0 || offset + size <= need)) throw new SourceError('file', 'it has no index');
    need = offset + size;
  }
  postMessage({ type: 'index', ends });
}

/** Has the reader know the file's first `end` bytes, or all of it where it ends sooner. */
async function fetched(end) {
  const bytes = await source.upTo(end);
  progress(Math.min(bytes.length, ends.at(-1) ?? bytes.length));
  if (fed < bytes.length) reader.feed(bytes.subarray(fed), fed);
  fed = bytes.length;
  if (fed < end && ends.length > 0) throw new SourceError('file', `it is cut short: it ends after ${fed} of ${end} bytes`);
}

/** The scene up to a level: the reader goes on from the levels before; earlier ones are decoded again. */
function decoded(pcgs, level) {
  if (reader.next() === 0 || reader.next() > level) return pcgs.decode(source.bytes.subarray(0, ends[level - 1]), { upto: level });
  for (;;) {
    const at = reader.next();
    const scene = reader.take();
    if (at === level) return scene;
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
