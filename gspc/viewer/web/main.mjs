// The page: puts engine, scene, camera and controls together. settings say where the parts are (see pages.py).
import { Color } from 'playcanvas';

import { Controls } from './controls.mjs';
import { startEngine } from './engine.mjs';
import { Panel, sized } from './panel.mjs';
import { Player } from './player.mjs';
import { Rig } from './rig.mjs';
import { Splats } from './splats.mjs';
import { drawThumbnail } from './thumbnails.mjs';
import { Tiles } from './tiles.mjs';
import { bestWay, kindOf } from './ways.mjs';

const MOST_PIXELS = 2; // of the screen for one of the page, along a side
const LINK_MS = 400; // a view that has stayed so long goes into the address

export class Viewer {
  /** @param {HTMLCanvasElement} canvas @param {object} settings */
  constructor(canvas, settings) {
    this.canvas = canvas;
    this.settings = settings;
    this.rig = new Rig();
    this.drawnVersion = -1;
    this.frames = 0;
    this.times = {}; // ms since the page began: 'arrived 1', 'shown 1', ...
    const asked = new URLSearchParams(location.search);
    this.heads = asked.get('heads');
    const room = Number(asked.get('memory'));
    this.room = room > 0 ? room * 1e6 : null; // bytes that tiles may take
    const upto = Number(asked.get('upto'));
    this.upto = Number.isInteger(upto) && upto > 0 ? upto : Infinity;
  }

  async start() {
    this.panel = new Panel(this.actions());
    this.controls = new Controls(this.canvas, {
      turn: (left, raised) => this.rig.turn(left, raised),
      pan: (dx, dy) => this.rig.pan(dx, dy),
      dolly: (by) => this.rig.dolly(by),
      fly: (by) => this.rig.fly(by),
      command: (key) => this.command(key),
    });
    const module = this.settings.module();
    module.catch(() => this.panel.message('This browser cannot run the decoder: it needs WebAssembly with SIMD.'));
    this.tools = { makeWorker: this.settings.makeWorker, module, heads: this.heads, room: this.room };
    this.engine = await startEngine(this.canvas);
    this.engine.app.on('update', (seconds) => this.tick(seconds));
    this.engine.app.on('postrender', () => { this.frames++; });
    this.engine.device.on('devicelost', () => this.panel.message('The graphics device was lost; reload the page.'));
    this.warmUp();
    new ResizeObserver(() => this.resize()).observe(this.canvas);
    this.resize();
    this.dropping();
    setInterval(() => this.readOut(), 1000);
    addEventListener('hashchange', () => this.fromLink());
    await this.open(this.settings.source, this.settings.name);
  }

  /** Draws a Gaussian that cannot be seen: the engine makes its shaders while the first bytes are on their way. */
  warmUp() {
    const { device } = this.engine;
    const nothing = new Splats(device, [new Float32Array(3)], kindOf(bestWay(device, this.heads)));
    nothing.show(this.engine.scene.gsplat);
    this.engine.wake();
  }

  /**
   * Shows another scene in place of what is shown.
   * @param {{url?: string, bytes?: ArrayBuffer, index?: string}} source `index`: the address of that of a tiled scene
   */
  async open(source, name) {
    this.player?.close();
    this.rig.means = null;
    this.times = {};
    this.panel.name(name);
    this.panel.message('');
    this.panel.cameras([]);
    this.player = new (source.index ? Tiles : Player)(this.engine, this.tools, this);
    await this.player.open(source, this.upto);
  }

  // What the player says.

  eye() {
    return this.rig.pose.eye;
  }

  onIndex() {
    this.showProgress();
  }

  onProgress() {
    this.showProgress();
  }

  onScene({ cameras, background, metadata, box }) {
    this.rig.begin(cameras);
    if (cameras.length === 0) this.rig.frame(...box);
    this.fromLink();
    this.panel.cameras(cameras);
    this.panel.about(metadata === '' ? '' : this.describe(metadata));
    this.setBackground(background);
  }

  onShown({ level, times }) {
    for (const [step, time] of Object.entries(times)) this.times[`${step} ${level}`] = time - performance.timeOrigin;
    this.times[`shown ${level}`] = performance.now();
    const { centers } = this.player;
    if (this.rig.means === null) this.rig.measure(centers);
    this.rig.means = centers;
    if (this.player.stopped === null) this.panel.message('');
    if (level > 0) this.panel.level(level);
    this.showProgress();
  }

  onStopped({ kind, message }) {
    const { level } = this.player;
    const shown = level > 0 ? ` Level ${level} is shown.` : '';
    if (kind === 'network') this.player.paused = true;
    if (kind === 'network') this.panel.message(`No more of the scene can be fetched: ${message}.${shown} Press Resume to try again.`, level > 0);
    else if (kind !== 'paused') this.panel.message(`${this.settings.name}: ${message}.${shown}`, level > 0);
    this.showProgress();
  }

  showProgress() {
    const { level, have, ends, paused, stopped, want } = this.player;
    const levels = ends.length;
    const done = (level > 0 && level >= Math.min(want, levels)) || stopped?.kind === 'file';
    this.panel.progress({ level, levels, have, total: ends.at(-1) ?? 0, paused, done });
  }

  describe(metadata) {
    try {
      const rows = Object.entries(JSON.parse(metadata).metadata ?? {});
      return rows.map(([key, value]) => `${key}: ${value}`).join('\n');
    } catch {
      return '';
    }
  }

  // What the visitor does.

  actions() {
    return {
      mode: (mode) => { this.rig.mode = mode; },
      degrees: (degrees) => this.rig.setDegrees(degrees, this.width, this.height),
      background: (hex) => this.setBackground([1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)),
      reset: () => this.goTo(0),
      full: () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()).catch(() => {}),
      link: () => this.copyLink(),
      shot: () => this.savePicture(),
      level: (level) => this.wantLevel(level),
      hold: () => this.hold(),
      camera: (index) => this.goTo(index),
      thumbnail: (canvas, camera) => this.thumbnail(canvas, camera),
    };
  }

  command(key) {
    const does = {
      r: () => this.goTo(0),
      m: () => { this.rig.mode = this.rig.mode === 'orbit' ? 'fly' : 'orbit'; this.panel.mode(this.rig.mode); },
      f: () => this.actions().full(),
      p: () => this.savePicture(),
    };
    if (key in does) does[key]();
    else if (/^[1-9]$/.test(key) && Number(key) <= this.rig.cameras.length) this.goTo(Number(key) - 1);
  }

  goTo(index) {
    if (index < this.rig.cameras.length) this.rig.goTo(index);
    else if (this.player.box) this.rig.frame(...this.player.box);
  }

  wantLevel(level) {
    this.player.wantLevel(Math.min(level, this.player.ends.length));
    this.panel.level(level);
    this.showProgress();
  }

  hold() {
    if (this.player.paused) {
      this.panel.message('');
      this.player.resume();
    } else this.player.pause();
    this.showProgress();
  }

  setBackground(rgb) {
    this.background = rgb;
    this.engine.eye.camera.clearColor = new Color(...rgb, 1);
    this.panel.background(`#${rgb.map((v) => Math.round(v * 255).toString(16).padStart(2, '0')).join('')}`);
    this.engine.wake();
  }

  async thumbnail(canvas, camera) {
    const seen = await this.player.glance();
    if (seen !== null) drawThumbnail(canvas, camera, seen, this.background);
  }

  /** The picture without controls, as a PNG. */
  async picture() {
    await this.settled();
    return new Promise((resolve) => {
      this.engine.app.once('postrender', () => this.canvas.toBlob(resolve, 'image/png'));
      this.engine.wake();
    });
  }

  async savePicture() {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(await this.picture());
    link.download = `${this.settings.name.replace(/\.pcgsx?$/, '') || 'scene'}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  copyLink() {
    this.toLink();
    navigator.clipboard?.writeText(location.href).catch(() => {});
  }

  toLink() {
    const address = `#view=${this.rig.toText()}`;
    if (location.hash !== address) history.replaceState(null, '', address);
  }

  fromLink() {
    const found = /^#view=([-0-9.,e+]+)$/.exec(location.hash);
    if (found !== null) this.rig.fromText(found[1]);
  }

  /** A file that is dropped onto the page is shown in it. */
  dropping() {
    addEventListener('dragover', (event) => event.preventDefault());
    addEventListener('drop', async (event) => {
      event.preventDefault();
      const [file] = event.dataTransfer?.files ?? [];
      if (file === undefined) return;
      this.settings.name = file.name;
      this.open({ bytes: await file.arrayBuffer() }, file.name);
    });
  }

  // Frames.

  resize() {
    const by = Math.min(devicePixelRatio || 1, MOST_PIXELS);
    this.width = Math.max(1, Math.round(this.canvas.clientWidth * by));
    this.height = Math.max(1, Math.round(this.canvas.clientHeight * by));
    this.engine.device.setResolution(this.width, this.height);
    this.rig.version++;
  }

  tick(seconds) {
    const now = performance.now();
    this.controls.step(Math.min(seconds, 0.1));
    this.player.follow(this.rig.pose.eye, this.rig.reach, now);
    if (this.rig.version === this.drawnVersion) return;
    this.drawnVersion = this.rig.version;
    this.rig.apply(this.engine.eye, this.width, this.height);
    this.panel.degrees(this.rig.degrees(this.width, this.height));
    this.engine.wake();
    clearTimeout(this.linking);
    if (this.player.level > 0) this.linking = setTimeout(() => this.toLink(), LINK_MS);
  }

  readOut() {
    const frames = this.frames;
    this.frames = 0;
    if (!this.panel.readsOut) return;
    const { decoder, looks, textures } = this.player.bytes;
    const { label, took } = this.player.heads;
    this.panel.numbers(
      `${frames} frames/s\n${this.player.count.toLocaleString('en')} Gaussians\nheads ${label}, ${Math.round(took)} ms\n` +
        `decoder ${sized(decoder)}\nheads ${sized(looks)}\ntextures ${sized(textures)}`,
    );
  }

  /** Resolves when nothing is under way: the level that is wanted is shown as seen from where the visitor stands. */
  async settled() {
    const pause = () => new Promise((resolve) => { setTimeout(resolve, 20); });
    for (;;) {
      const { player } = this;
      const still = player.stopped !== null || player.paused || !player.working;
      if (still && player.exact(this.rig.pose.eye)) break;
      await pause();
    }
    if (this.player.level > 0) await this.engine.drawn();
  }

  close() {
    this.player?.close();
    this.engine?.close();
  }
}
