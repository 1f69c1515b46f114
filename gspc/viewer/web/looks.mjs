// The workers that look at a scene: what it takes to have all parts seen from one eye, and to see them again when the
// eye has moved enough to matter.
import { distance } from './vectors.mjs';

const ENOUGH = 0.004; // of the distance to what is looked at: a quarter of a degree
const REST_MS = 120; // an eye that has not moved for so long is seen exactly
const SHARE = 4; // taking over what was seen costs the page at most a fifth of its time

export class Looks {
  /**
   * @param {(name: string) => Worker} makeWorker
   * @param {WebAssembly.Module} module
   * @param {number} count of workers
   */
  constructor(makeWorker, module, count) {
    this.workers = Array.from({ length: count }, () => makeWorker('look'));
    this.memory = new Array(count).fill(0);
    this.number = 0; // of the scene that is looked at
    this.parts = 0;
    this.busy = false;
    this.asked = null; // the eye last asked for
    this.eye = null; // the eye now
    this.movedAt = 0;
    this.free = 0; // when taking over may cost time again
    this.took = 0; // ms of the slowest worker
    this.looked = [];
    this.placed = [];
    this.workers.forEach((worker, i) => {
      worker.postMessage({ type: 'open', module });
      worker.onmessage = ({ data }) => this.heard(data, i);
    });
  }

  /** Looks at another scene. Resolves to {means, looked}, a list for the parts each; null once replaced. */
  take(split, eye) {
    this.number++;
    this.parts = split.length;
    this.busy = true;
    this.asked = this.eye = eye;
    this.resolve?.(null);
    this.placed = new Array(this.parts).fill(null);
    this.looked = new Array(this.parts).fill(null);
    return new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
      split.forEach((part, i) => {
        const arrays = [part.anchors, part.features.values, part.logScales, part.offsets.values, part.gaussianLevels];
        const transfer = arrays.map((array) => array.buffer);
        this.workers[i].postMessage({ type: 'part', scene: this.number, part, eye }, transfer);
      });
      if (this.parts === 0) this.done();
    });
  }

  heard(data, i) {
    if (data.type === 'failed') this.reject?.(new Error(data.message));
    if (data.scene !== this.number) return;
    if (data.type === 'placed') {
      this.placed[i] = data.means;
      this.memory[i] = data.memory;
      return;
    }
    this.looked[i] = data;
    if (this.looked.every((part) => part !== null)) this.done();
  }

  done() {
    this.busy = false;
    this.took = Math.max(0, ...this.looked.map((part) => part.took));
    const resolve = this.resolve;
    this.resolve = null;
    if (resolve) resolve({ means: this.placed, looked: this.looked });
    else this.onLooked(this.looked);
  }

  /** Called by the page for every frame: asks for another look where it is worth it. */
  follow(eye, reach, now) {
    if (this.asked === null) return;
    if (distance(eye, this.eye) > 0) this.movedAt = now;
    this.eye = eye;
    const off = distance(eye, this.asked);
    const worth = off > ENOUGH * reach || (off > 0 && now - this.movedAt >= REST_MS);
    if (!worth || this.busy || now < this.free) return;
    this.busy = true;
    this.asked = eye;
    const before = this.looked;
    this.looked = new Array(this.parts).fill(null);
    for (let i = 0; i < this.parts; i++) {
      const { shapes, colors } = before[i];
      this.workers[i].postMessage({ type: 'look', scene: this.number, eye, shapes, colors }, [shapes.buffer, colors.buffer]);
    }
  }

  /** The page says how many ms it took to take over what was seen. */
  spent(ms, now) {
    this.free = now + SHARE * ms;
  }

  /** Whether what is shown was seen from exactly this eye. */
  exact(eye) {
    return !this.busy && this.asked !== null && distance(eye, this.asked) === 0;
  }

  close() {
    this.workers.forEach((worker) => worker.terminate());
    this.resolve?.(null);
  }
}
