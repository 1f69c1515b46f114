// A scene from its first byte to its last level: asks the stream's worker for one level after another, has the other
// workers look at it, and shows it. Each level is on screen before the next one is asked for.
import { Looks } from './looks.mjs';
import { Splats } from './splats.mjs';

const MOST_LOOKERS = 3;

/** How many workers look: one core stays free for the page and its engine. */
const lookers = () => Math.min(MOST_LOOKERS, Math.max(1, (navigator.hardwareConcurrency || 2) - 1));

export class Player {
  /**
   * @param {object} engine from startEngine
   * @param {{makeWorker: (name: string) => Worker, module: Promise<WebAssembly.Module>}} tools
   * @param {object} listener with onIndex, onProgress, onScene, onShown, onStopped
   */
  constructor(engine, tools, listener) {
    Object.assign(this, { engine, tools, listener });
    this.ends = []; // bytes of the file up to each level's end
    this.have = 0; // bytes
    this.level = 0; // on screen
    this.want = Infinity; // the level to reach
    this.working = false;
    this.paused = false;
    this.stopped = null; // why it went no further
    this.splats = null;
    this.memory = 0;
  }

  /** @param {{url?: string, bytes?: ArrayBuffer}} source @param {number} want level to reach */
  async open(source, want = Infinity) {
    this.want = want;
    const { makeWorker, module } = this.tools;
    this.working = true;
    this.stream = makeWorker('stream');
    this.stream.onmessage = ({ data }) => this.heard(data);
    const compiled = await module;
    if (this.closed) return;
    const workers = lookers();
    this.looks = new Looks(makeWorker, compiled, workers);
    this.looks.onLooked = (looked) => this.takeOver(looked);
    this.stream.postMessage({ type: 'open', module: compiled, workers, ...source }, source.bytes ? [source.bytes] : []);
    this.stream.postMessage({ type: 'show', level: 1 });
  }

  heard(data) {
    if (this.closed) return;
    if (data.type === 'index') {
      this.ends = data.ends;
      this.listener.onIndex(data);
    } else if (data.type === 'progress') {
      this.have = data.have;
      this.listener.onProgress();
    } else if (data.type === 'level') {
      this.memory = data.memory;
      this.show(data).catch((error) => this.stop({ kind: 'file', message: error.message, level: data.level }));
    } else this.stop(data);
  }

  async show(data) {
    if (this.level === 0) this.listener.onScene(data);
    const seen = await this.looks.take(data.split, this.listener.eye());
    if (seen === null || this.closed) return;
    const splats = new Splats(this.engine.device, seen.means);
    splats.fill(seen.looked);
    splats.show(this.engine.scene.gsplat);
    this.splats = splats;
    this.count = data.count;
    await this.engine.drawn();
    if (this.closed) return;
    this.level = data.level;
    this.listener.onShown(data);
    this.working = false;
    this.step();
  }

  takeOver(looked) {
    const began = performance.now();
    this.splats.fill(looked);
    this.splats.refresh(this.engine.scene.gsplat);
    this.engine.wake();
    const now = performance.now();
    this.looks.spent(now - began, now);
  }

  /** Goes on towards the level that is wanted. Those whose bytes are there need not be shown one by one. */
  step() {
    const want = Math.min(this.want, this.ends.length || 1);
    if (this.working || this.paused || this.level === want) return;
    const there = this.have >= (this.ends[want - 1] ?? Infinity);
    this.working = true;
    this.stopped = null;
    this.stream.postMessage({ type: 'show', level: there ? want : Math.min(this.level + 1, want) });
  }

  stop(why) {
    this.working = false;
    this.stopped = why.kind === 'paused' ? null : why;
    this.listener.onStopped(why);
  }

  wantLevel(level) {
    this.want = level;
    this.step();
  }

  pause() {
    this.paused = true;
    this.stream?.postMessage({ type: 'pause' });
  }

  resume() {
    this.paused = false;
    this.step();
  }

  /** Bytes of the decoder, of the workers that look, and of textures. */
  get bytes() {
    const looks = this.looks?.memory.reduce((sum, bytes) => sum + bytes, 0) ?? 0;
    return { decoder: this.memory, looks, textures: this.splats?.bytes ?? 0 };
  }

  close() {
    this.closed = true;
    this.stream?.terminate();
    this.looks?.close();
    const component = this.engine.scene.gsplat;
    const shown = component.resource;
    component.resource = null;
    shown?.destroy();
    this.splats = null;
  }
}
