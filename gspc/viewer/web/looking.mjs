// A worker that evaluates the heads of some anchors for one eye after another.
//
// Page to worker: open, part, look. Worker to page: placed (where the Gaussians are), looked.
import { load } from '../../../kernels/wasm/pcgs.mjs';

let core = null; // a promise
let current = null; // the view that `look` is about
let working = Promise.resolve();

const handlers = {
  open({ module }) {
    core = load(module);
  },
  async part({ scene, part, eye }) {
    const pcgs = await core;
    current?.free();
    current = pcgs.view(part);
    const means = current.means();
    postMessage({ type: 'placed', scene, means, memory: pcgs.memory() }, [means.buffer]);
    look(scene, eye);
  },
  look({ scene, eye, shapes, colors }) {
    look(scene, eye, shapes, colors);
  },
};

/** @param {{data: {type: string}}} event */
export const onLookMessage = ({ data }) => {
  working = working
    .then(() => handlers[data.type](data))
    .catch((error) => postMessage({ type: 'failed', message: error.message }));
};

/** The arrays go back and forth between page and worker, so that none is made for every look. */
function look(scene, eye, shapes, colors) {
  const fits = shapes?.length === current.count * 8;
  const found = fits ? { shapes, colors } : { shapes: new Uint16Array(current.count * 8), colors: new Uint16Array(current.count * 4) };
  const began = performance.now();
  current.look(eye, found.shapes, found.colors);
  const took = performance.now() - began;
  postMessage({ type: 'looked', scene, eye, took, ...found }, [found.shapes.buffer, found.colors.buffer]);
}
