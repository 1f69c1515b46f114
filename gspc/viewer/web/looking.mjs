// A worker that evaluates the heads of some anchors for one eye after another.
//
// Page to worker: open, part, look, drop. Worker to page: placed (where the Gaussians are), looked.
import { load } from '../../../kernels/wasm/pcgs.mjs';

let core = null; // a promise
const views = new Map(); // what `look` is about, by the scenes' numbers
let working = Promise.resolve();

const handlers = {
  open({ module }) {
    core = load(module).then((pcgs) => {
      practice(pcgs);
      return pcgs;
    });
  },
  async part({ scene, part, eye }) {
    const pcgs = await core;
    const view = pcgs.view(part);
    views.set(scene, view);
    const means = view.means();
    postMessage({ type: 'placed', scene, means, memory: pcgs.memory() }, [means.buffer]);
    look(scene, eye);
  },
  look({ scene, eye, shapes, colors }) {
    look(scene, eye, shapes, colors);
  },
  drop({ scene }) {
    views.get(scene)?.free();
    views.delete(scene);
  },
};

/** @param {{data: {type: string}}} event */
export const onLookMessage = ({ data }) => {
  working = working
    .then(() => handlers[data.type](data))
    .catch((error) => postMessage({ type: 'failed', scene: data.scene, message: error.message }));
};

/** The arrays go back and forth between page and worker, so that none is made for every look. */
function look(scene, eye, shapes, colors) {
  const view = views.get(scene);
  if (view === undefined) return; // dropped meanwhile
  const fits = shapes?.length === view.count * 8;
  const found = fits ? { shapes, colors } : { shapes: new Uint16Array(view.count * 8), colors: new Uint16Array(view.count * 4) };
  const began = performance.now();
  view.look(eye, found.shapes, found.colors);
  const took = performance.now() - began;
  postMessage({ type: 'looked', scene, eye, took, ...found }, [found.shapes.buffer, found.colors.buffer]);
}

// Browsers compile code well once it has run a while: the first scene then took three times as long as the second.
const ROUNDS = 20;
const ANCHORS = 64;

/** Evaluates heads of nothing in particular while the first bytes are on their way. All workers share what is compiled. */
function practice(pcgs) {
  const [features, offsets, hidden] = [48, 10, 64];
  const layer = (inputs, outputs) => ({ inputs, outputs, weight: new Float32Array(inputs * outputs).fill(0.01), bias: new Float32Array(outputs).fill(0.01) });
  const scene = {
    count: ANCHORS,
    anchors: new Float32Array(3 * ANCHORS),
    features: { size: features, values: new Float32Array(features * ANCHORS) },
    logScales: new Float32Array(6 * ANCHORS),
    offsets: { size: offsets, values: new Float32Array(3 * offsets * ANCHORS) },
    gaussianLevels: new Uint8Array(offsets * ANCHORS).fill(1),
    heads: { hidden: layer(features + 4, 3 * hidden), opacity: layer(hidden, offsets), color: layer(hidden, 3 * offsets), cov: layer(hidden, 7 * offsets) },
    distanceScale: 1,
  };
  for (let round = 0; round < ROUNDS; round++) {
    const view = pcgs.view(scene);
    view.look([1, 2, 3], new Uint16Array(view.count * 8), new Uint16Array(view.count * 4));
    view.free();
  }
}
