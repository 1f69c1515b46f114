// Heads in workers, by WebAssembly: what it takes to have all parts of a scene seen from one eye, and to see them again
// when the eye has moved enough to matter.
import { PIXELFORMAT_RGBA16F, PIXELFORMAT_RGBA32U } from 'playcanvas';

import { Follower } from './follower.mjs';
import { READ_SHAPES, Splats } from './splats.mjs';

const SHARE = 4; // taking over what was seen costs the page at most a fifth of its time

// Shapes are eight half floats: scale, quaternion wxyz, nothing.
export const LOOKED = {
  streams: [{ name: 'shapes', format: PIXELFORMAT_RGBA32U }, { name: 'colors', format: PIXELFORMAT_RGBA16F }],
  read: /* glsl */ `
vec3 getCenter() { return loadMeans().xyz; }
vec4 getColor() { return loadColors(); }
${READ_SHAPES}`,
};

export class Looks extends Follower {
  /**
   * @param {object} engine from startEngine
   * @param {Lookers} lookers the workers
   * @param {number | null} part the number of a tile, all of which one worker looks at; null: all workers share the scene
   */
  constructor(engine, lookers, part = null) {
    super();
    this.engine = engine;
    this.lookers = lookers;
    this.first = part ?? 0; // worker
    this.most = part === null ? lookers.count : 1; // parts
    this.number = 0; // of the scene that is looked at
    this.parts = 0;
    this.looked = [];
    this.placed = [];
  }

  /** How the stream's worker hands over a level: in as many parts. */
  get form() {
    return { kind: 'split', parts: this.most };
  }

  get label() {
    const { count } = this.lookers;
    return `WASM, ${count} worker${count > 1 ? 's' : ''}`;
  }

  /** Looks at another scene. Resolves to its Splats; null once replaced. */
  async take({ split }, eye) {
    this.lookers.drop(this.number);
    this.number = this.lookers.scene((data, worker) => this.heard(data, this.most === 1 ? 0 : worker));
    this.parts = split.length;
    this.begin(eye);
    this.resolve?.(null);
    this.placed = new Array(this.parts).fill(null);
    this.looked = new Array(this.parts).fill(null);
    const seen = await new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
      split.forEach((part, i) => {
        const arrays = [part.anchors, part.features.values, part.logScales, part.offsets.values, part.gaussianLevels];
        const transfer = arrays.map((array) => array.buffer);
        this.lookers.tell(this.first + i, { type: 'part', scene: this.number, part, eye }, transfer);
      });
      if (this.parts === 0) this.done();
    });
    if (seen === null) return null;
    this.splats = new Splats(this.engine.device, seen.means, LOOKED);
    this.fill(seen.looked);
    return this.splats;
  }

  heard(data, i) {
    if (data.type === 'failed') this.reject?.(new Error(data.message));
    if (data.type === 'placed') {
      this.placed[i] = data.means;
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
    else this.takeOver();
  }

  /** Called by the page for every frame: asks for another look where it is worth it. */
  follow(eye, reach, now) {
    if (!this.due(eye, reach, now)) return;
    const before = this.looked;
    this.looked = new Array(this.parts).fill(null);
    for (let i = 0; i < this.parts; i++) {
      const { shapes, colors } = before[i];
      const told = { type: 'look', scene: this.number, eye, shapes, colors };
      this.lookers.tell(this.first + i, told, [shapes.buffer, colors.buffer]);
    }
  }

  takeOver() {
    const began = performance.now();
    this.fill(this.looked);
    this.splats.refresh(this.engine);
    const now = performance.now();
    this.free = now + SHARE * (now - began);
    this.onLooked?.();
  }

  /** Takes over what the workers saw: half floats, a pair of arrays for each part. */
  fill(looked) {
    const { counts } = this.splats;
    let at = 0;
    this.splats.write(['shapes', 'colors'], (shapes, colors) => {
      looked.forEach((part, i) => {
        shapes.set(new Uint32Array(part.shapes.buffer), at * 4);
        colors.set(part.colors, at * 4);
        at += counts[i];
      });
    });
  }

  get bytes() {
    return this.lookers.bytes;
  }

  close() {
    this.lookers.drop(this.number);
    this.resolve?.(null);
  }
}
