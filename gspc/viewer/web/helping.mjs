// Workers that decode some slices of a scene for the worker that fetches it. Slices depend on nothing but their level's
// networks and grid, so each worker has a decoder of its own, and no memory is shared.
import { PcgsError } from '../../../kernels/wasm/errors.mjs';
import { taken } from '../../../kernels/wasm/levels.mjs';
import { load } from '../../../kernels/wasm/pcgs.mjs';

const MOST_HELPERS = 3;

/** Starts helpers, one less than there are processors; none where workers cannot start workers. */
export function makeHelpers(module) {
  try {
    const count = Math.min(MOST_HELPERS, (navigator.hardwareConcurrency || 1) - 1);
    return Array.from({ length: count }, () => new Helper(module));
  } catch {
    return [];
  }
}

const LOST = () => new PcgsError('memory', 'a worker that decodes came to an end');

/** A reader in another worker, as Levels wants its helpers. */
class Helper {
  constructor(module) {
    this.worker = new Worker(self.location.href, { name: 'decode' });
    this.waiting = []; // for answers, in order
    this.lost = false; // it could not start, or ended
    this.worker.onmessage = ({ data }) => {
      const { resolve, reject } = this.waiting.shift();
      if (data.error) reject(new PcgsError(data.error.kind, data.error.message));
      else resolve(data.scene);
    };
    this.worker.onerror = () => this.fail();
    this.tell({ type: 'open', module });
  }

  tell(message, transfer = []) {
    this.worker.postMessage(message, transfer);
  }

  ask(message) {
    if (this.lost) return Promise.reject(LOST());
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.tell(message);
    });
  }

  feed(bytes, offset) {
    const own = bytes.slice();
    this.tell({ type: 'feed', bytes: own, offset }, [own.buffer]);
  }

  choose(flags) {
    this.tell({ type: 'choose', flags });
  }

  take(level) {
    return this.ask({ type: 'take', level });
  }

  takeSlices() {
    return this.ask({ type: 'slices' });
  }

  fail() {
    this.lost = true;
    this.waiting.splice(0).forEach(({ reject }) => reject(LOST()));
  }

  close() {
    this.worker.terminate();
    this.fail();
  }
}

// The other side: page to worker open, feed, choose, take, slices; worker to page the scene or an error.

let reader = null; // a promise
let fault = null; // of feeding; told when a scene is asked for

const handlers = {
  open: ({ module }) => { reader = load(module).then((pcgs) => pcgs.open()); },
  feed: (reading, { bytes, offset }) => reading.feed(bytes, offset),
  choose: (reading, { flags }) => reading.choose(flags),
  take: (reading, { level }) => hand(taken(reading, level)),
  slices: (reading) => hand(reading.takeSlices()),
};

let working = Promise.resolve();

/** @param {{data: {type: string}}} event */
export const onHelperMessage = ({ data }) => {
  if (data.type === 'open') {
    handlers.open(data);
    return;
  }
  working = working.then(async () => {
    const asked = data.type === 'take' || data.type === 'slices';
    try {
      if (asked && fault !== null) throw fault;
      handlers[data.type](await reader, data);
    } catch (error) {
      if (asked) postMessage({ error: { kind: error.kind ?? 'memory', message: error.message } });
      else fault = error;
    }
  });
};

function hand(scene) {
  if (scene === null) {
    postMessage({ scene });
    return;
  }
  const { anchors, features, logScales, offsets, gaussianLevels } = scene;
  const arrays = [anchors, features.values, logScales, offsets.values, gaussianLevels];
  postMessage({ scene }, arrays.map((array) => array.buffer));
}
