// A scene from its first byte to its last level: asks the stream's worker for one level after another, has the other
// workers look at it, and shows it. Each level is on screen before the next one is asked for.
import { Desk } from './desk.mjs';
import { Lookers } from './lookers.mjs';
import { bestWay, makeLooks } from './ways.mjs';

const SLOW_MS = 1500; // heads that take longer for an eye give way to baked harmonics, unless they were asked for

export class Player {
  /**
   * @param {object} engine from startEngine
   * @param {{makeWorker: (name: string) => Worker, module: Promise<WebAssembly.Module>, heads: string | null}} tools `heads`:
   *   the way of evaluating heads that was asked for
   * @param {object} listener with eye, onIndex, onProgress, onScene, onShown, onStopped
   * @param {{desk: Desk, lookers: () => Lookers, part: number, component: object} | null} home what a tile is given that shares
   *   workers with others, and what shows it; null for a scene that is one file
   */
  constructor(engine, tools, listener, home = null) {
    Object.assign(this, { engine, tools, listener, home });
    this.component = home?.component ?? engine.scene.gsplat;
    this.ends = []; // bytes of the file up to each level's end
    this.have = 0; // bytes
    this.level = 0; // on screen
    this.parts = 0; // how often a part of a level was shown before all of it
    this.want = Infinity; // the level to reach
    this.working = false;
    this.paused = false;
    this.stopped = null; // why it went no further
    this.splats = null;
    this.memory = 0;
  }

  /**
   * @param {{url?: string, cuts?: object[], bytes?: ArrayBuffer}} source `cuts`: see CutSource
   * @param {number} want level to reach
   */
  async open(source, want = Infinity) {
    this.want = want;
    const { makeWorker, module } = this.tools;
    this.working = true;
    this.desk = this.home === null ? new Desk(makeWorker) : null; // of its own
    this.stream = (this.desk ?? this.home.desk).file((data) => this.heard(data));
    const compiled = await module;
    if (this.closed) return;
    this.useHeads(bestWay(this.engine.device, this.tools.heads), compiled);
    const told = { type: 'open', module: compiled, form: this.looks.form, alone: this.home === null, ...source };
    this.stream.tell(told, source.bytes ? [source.bytes] : []);
    this.ask(1);
  }

  ask(level) {
    this.stream.tell({ type: 'show', level, eye: this.listener.eye() });
  }

  useHeads(way, compiled) {
    this.looks?.close();
    this.lookers?.close();
    this.lookers = null; // of its own
    this.way = way;
    const own = () => { this.lookers = new Lookers(this.tools.makeWorker, compiled); return this.lookers; };
    const lookers = this.home?.lookers ?? own;
    this.looks = makeLooks(way, this.engine, lookers, this.home?.part ?? null);
    this.looks.onLooked = () => this.giveWay();
  }

  /** Other heads from now on; what is shown is handed over once more. */
  async changeHeads(way) {
    const compiled = await this.tools.module;
    if (this.closed) return;
    this.useHeads(way, compiled);
    this.stream.tell({ type: 'form', form: this.looks.form });
    this.working = true;
    this.ask(Math.max(this.level, 1));
  }

  /** Baked harmonics where the heads take too long. */
  giveWay() {
    const slow = this.way === 'wasm' && this.tools.heads === null && this.looks.took > SLOW_MS;
    if (slow && !this.working) this.changeHeads('baked');
  }

  heard(data) {
    if (this.closed) return;
    if (data.type === 'index') {
      this.ends = data.ends;
      this.listener.onIndex(data);
    } else if (data.type === 'progress') {
      this.have = data.have;
      this.listener.onProgress();
    } else if (data.type === 'level' || data.type === 'part') {
      this.memory = data.memory;
      this.show(data).catch((error) => this.stop({ kind: 'file', message: error.message, level: data.level }));
    } else if (data.type === 'glance') this.onGlance(data);
    else this.stop(data);
  }

  async show(data) {
    if (this.level === 0) this.listener.onScene(data);
    const { looks } = this;
    if (!(looks.form.kind in data)) return; // was asked for before the heads changed
    let splats;
    try {
      splats = await looks.take(data, this.listener.eye());
    } catch (error) {
      if (this.way !== 'gpu') throw error;
      await this.changeHeads('wasm'); // the scene is too much for the graphics device
      return;
    }
    if (splats === null || this.closed || looks !== this.looks) return;
    if (data.type === 'level') data.times.seen = performance.timeOrigin + performance.now();
    const { engine } = this;
    if (splats.count > 0) engine.exchange(() => splats.show(this.component));
    else splats.show(this.component);
    this.splats = splats;
    await this.engine.drawn();
    if (this.closed) return;
    looks.shown?.();
    this.glanced = null;
    this.parts = data.type === 'part' ? this.parts + 1 : this.parts;
    if (data.type === 'part') return; // the rest of the level is on its way
    this.level = data.level;
    this.listener.onShown(data);
    this.working = false;
    this.step();
  }

  /** What an eye sees of the level that is shown, as textures hold it, for small pictures; null: another level by now. */
  async glance() {
    this.glanced ??= new Promise((resolve) => {
      this.onGlance = resolve;
      this.stream.tell({ type: 'glance', level: this.level, eye: this.listener.eye() });
    });
    const { shapes, colors } = await this.glanced;
    if (colors.length !== 4 * this.count) return null;
    return { means: this.splats.texels('means'), shapes, colors, count: this.count };
  }

  /** Gaussians on screen. */
  get count() {
    return this.splats?.count ?? 0;
  }

  /** Where they are, [M, 3]. */
  get centers() {
    return this.splats.container.centers;
  }

  /** Low and high corner of them; null while there are none. */
  get box() {
    if (this.splats === null) return null;
    const { aabb } = this.splats.container;
    const [low, high] = [aabb.getMin(), aabb.getMax()];
    return [[low.x, low.y, low.z], [high.x, high.y, high.z]];
  }

  /** How the heads are evaluated: {label, took}, ms. */
  get heads() {
    return { label: this.looks?.label ?? '', took: this.looks?.took ?? 0 };
  }

  /** Called for every frame: has the Gaussians evaluated again where that is worth it. */
  follow(eye, reach, now) {
    this.looks?.follow(eye, reach, now);
  }

  /** Whether what is shown was seen from exactly this eye. */
  exact(eye) {
    return this.level === 0 || this.looks.exact(eye);
  }

  /** Goes on towards the level that is wanted. Those whose bytes are there need not be shown one by one. */
  step() {
    const want = Math.min(this.want, this.ends.length || 1);
    if (this.working || this.paused || this.level === want) return;
    const there = this.have >= (this.ends[want - 1] ?? Infinity);
    this.working = true;
    this.stopped = null;
    this.ask(there ? want : Math.min(this.level + 1, want));
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
    this.stream?.tell({ type: 'pause' });
  }

  resume() {
    this.paused = false;
    this.step();
  }

  /** Bytes of the decoder, of what evaluates the heads, and of textures. */
  get bytes() {
    return { decoder: this.memory, looks: this.looks?.bytes ?? 0, textures: this.splats?.bytes ?? 0 };
  }

  close() {
    this.closed = true;
    this.stream?.close();
    this.desk?.close();
    this.looks?.close();
    this.lookers?.close();
    const shown = this.component.resource;
    this.component.resource = null;
    shown?.destroy();
    this.splats = null;
  }
}
