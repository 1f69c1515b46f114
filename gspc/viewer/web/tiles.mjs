// A scene of many tiles, shown as one: each tile has a player of its own, and the engine sorts the Gaussians of all of
// them together. Coarse levels come before fine ones, near tiles before far ones, and as many as memory holds.
import { PcgsError } from '../../../kernels/wasm/errors.mjs';
import { Desk } from './desk.mjs';
import { Lookers } from './lookers.mjs';
import { HERE, ownOf, placeOf, setPlace, wholeOf } from './place.mjs';
import { Player } from './player.mjs';
import { boxOf, endsOf, readIndex } from './tileindex.mjs';
import { nextOf, planned, reached } from './tileplan.mjs';
import { distance } from './vectors.mjs';

const MOST_DESKS = 2; // workers that fetch and decode
const SHARE = 8; // of the device's memory one part in so many is for tiles
const GUESS = 4; // gigabytes of a device that does not tell
const MOVED = 0.1; // of the distance to what is looked at: far enough that other tiles may be nearer
const MOST_CENTERS = 60000; // that are looked at to find what lies ahead

/** Bytes that tiles may take here. */
const roomHere = () => ((navigator.deviceMemory ?? GUESS) * 2 ** 30) / SHARE;

export class Tiles {
  /** As a Player; `tools.room`: bytes that tiles may take, null for a share of the device's memory. */
  constructor(engine, tools, listener) {
    Object.assign(this, { engine, tools, listener });
    this.tiles = []; // of the index, with what is shown of each
    this.levels = []; // that each is to have
    this.ends = [];
    this.pieces = new Map(); // shared bytes, promises
    this.shared = 0; // bytes of them
    this.desks = [];
    this.jobs = new Set(); // numbers of the tiles that are on their way
    this.want = Infinity;
    this.working = true;
    this.paused = false;
    this.stopped = null;
    this.room = tools.room ?? roomHere();
  }

  /** @param {{index: string}} source the address of the index */
  async open({ index }, want = Infinity) {
    this.want = want;
    this.address = index;
    this.working = true;
    const compiling = this.tools.module;
    try {
      const content = await this.fetched(index, {}, (response) => response.json());
      if (this.closed) return;
      this.index = readIndex(content, index);
    } catch (error) {
      this.stop({ kind: error.kind ?? 'file', message: error.message });
      return;
    }
    this.compiled = await compiling;
    if (this.closed) return;
    this.ends = endsOf(this.index);
    this.tiles = this.index.tiles.map((tile) => ({ ...tile, level: 0, player: null, place: HERE, failed: false }));
    const count = Math.min(MOST_DESKS, this.tiles.length, Math.max(1, (navigator.hardwareConcurrency || 1) - 1));
    this.desks = Array.from({ length: count }, () => new Desk(this.tools.makeWorker));
    const { cameras, background } = this.index;
    this.listener.onIndex({ ends: this.ends });
    this.listener.onScene({ cameras, background, metadata: '', box: boxOf(this.index) });
    this.step();
  }

  /** Workers that evaluate heads, where that takes any. */
  get lookers() {
    this.looking ??= new Lookers(this.tools.makeWorker, this.compiled);
    return this.looking;
  }

  /** What a server answers. Throws PcgsError. */
  async fetched(url, headers, content) {
    let response;
    try {
      response = await fetch(url, { headers });
    } catch (error) {
      throw new PcgsError('network', 'the connection was lost', { cause: error });
    }
    if (!response.ok) throw new PcgsError('network', `the server answered ${response.status}`);
    return content(response);
  }

  /** Bytes that tiles share, fetched once. */
  piece(piece) {
    if (!this.pieces.has(piece)) {
      const { offset, length } = piece;
      const coming = this.fetched(this.index.sharedUrl, { Range: `bytes=${offset}-${offset + length - 1}` }, async (response) => {
        const bytes = new Uint8Array(await response.arrayBuffer());
        const found = response.status === 206 ? bytes : bytes.slice(offset, offset + length);
        if (found.length !== length) throw new PcgsError('file', 'the file of what tiles share ends too early');
        this.shared += length;
        return found;
      });
      coming.catch(() => this.pieces.delete(piece)); // another tile tries again
      this.pieces.set(piece, coming);
    }
    return this.pieces.get(piece);
  }

  /** Looks again which tiles should be here, and goes on towards them. */
  step() {
    if (this.closed || this.paused || this.tiles.length === 0) return;
    const eye = this.listener.eye();
    this.plannedFor = eye;
    this.levels = planned(this.tiles, eye, Math.min(this.want, this.ends.length), this.room);
    this.tiles.forEach((tile, i) => {
      if (this.levels[i] === 0 && tile.player !== null && !this.jobs.has(i)) this.drop(tile);
    });
    while (this.jobs.size < this.desks.length) {
      const next = nextOf(this.tiles, this.levels, eye, (i) => !this.jobs.has(i) && !this.tiles[i].failed);
      if (next === null) break;
      this.jobs.add(next.number);
      this.start(next).catch((error) => this.ended(next.number, { kind: error.kind ?? 'file', message: error.message }));
    }
    this.working = this.jobs.size > 0;
  }

  async start({ number, level }) {
    const tile = this.tiles[number];
    if (tile.player !== null) {
      tile.player.resume();
      tile.player.wantLevel(level);
      return;
    }
    const cuts = await Promise.all(tile.cuts.map(async ({ at, piece }) => ({ at, bytes: await this.piece(piece) })));
    if (this.closed) return;
    const entity = this.engine.added();
    tile.entity = entity;
    const home = { desk: this.desks[number % this.desks.length], lookers: () => this.lookers, part: number, component: entity.gsplat };
    tile.player = new Player(this.engine, this.tools, this.ear(number), home);
    await tile.player.open({ url: tile.url, cuts }, level);
  }

  /** What a tile's player tells. */
  ear(number) {
    const tile = this.tiles[number];
    return {
      eye: () => ownOf(tile.place, this.listener.eye()),
      onIndex: () => {},
      onProgress: () => this.listener.onProgress(),
      onScene: ({ frame }) => {
        tile.place = placeOf(frame, this.index.frame);
        setPlace(tile.entity, tile.place);
      },
      onShown: ({ level }) => {
        tile.level = level;
        this.ended(number, null);
      },
      onStopped: (why) => this.ended(number, why),
    };
  }

  /** A tile is shown, or will not be; `why` says why not. */
  ended(number, why) {
    if (this.closed) return;
    const tile = this.tiles[number];
    this.jobs.delete(number);
    if (why !== null && why.kind !== 'paused') {
      tile.failed = why.kind !== 'network';
      this.stop({ ...why, message: `tile ${tile.name}: ${why.message}` });
    }
    this.working = this.jobs.size > 0;
    this.step();
    if (why === null) this.listener.onShown({ level: this.level, times: {} });
  }

  stop(why) {
    this.stopped = why;
    this.working = this.jobs.size > 0;
    this.listener.onStopped(why);
  }

  drop(tile) {
    tile.player.close();
    tile.entity.destroy();
    Object.assign(tile, { player: null, entity: null, level: 0 });
  }

  /** The level that all tiles have that are shown. */
  get level() {
    return reached(this.tiles, this.levels, Math.min(this.want, this.ends.length));
  }

  get shown() {
    return this.tiles.filter((tile) => tile.level > 0);
  }

  /** Bytes that have come. */
  get have() {
    return this.tiles.reduce((sum, tile) => sum + (tile.player?.have ?? 0), this.shared);
  }

  get count() {
    return this.shown.reduce((sum, { player }) => sum + player.count, 0);
  }

  get heads() {
    const heads = this.shown.map(({ player }) => player.heads);
    return { label: heads[0]?.label ?? '', took: Math.max(0, ...heads.map(({ took }) => took)) };
  }

  get box() {
    return this.index ? boxOf(this.index) : null;
  }

  /** Where Gaussians are, [M, 3]; some of them where there are many. */
  get centers() {
    const stride = Math.max(1, Math.ceil(this.count / MOST_CENTERS));
    return Float32Array.from(this.shown.flatMap(({ player: { centers, count }, place }) =>
      Array.from({ length: Math.floor(count / stride) }, (_, i) => wholeOf(place, [...centers.subarray(3 * i * stride, 3 * i * stride + 3)]))).flat());
  }

  follow(eye, reach, now) {
    for (const { player, place } of this.shown) player.follow(ownOf(place, eye), reach / place.scale, now);
    if (this.plannedFor && distance(eye, this.plannedFor) > MOVED * reach && !this.working) this.step();
  }

  exact(eye) {
    return this.shown.every(({ player, place }) => player.exact(ownOf(place, eye)));
  }

  /** As a Player's: of all tiles. */
  async glance() {
    const parts = await Promise.all(this.shown.map(async ({ player, place }) => {
      const seen = await player.glance();
      if (seen === null) return null;
      const means = new Float32Array(4 * seen.count);
      for (let i = 0; i < seen.count; i++) means.set(wholeOf(place, [...seen.means.subarray(4 * i, 4 * i + 3)]), 4 * i);
      return { ...seen, means };
    }));
    const some = parts.filter((part) => part !== null);
    const all = (make, name) => {
      const found = make(some.reduce((sum, part) => sum + part[name].length, 0));
      some.reduce((at, part) => (found.set(part[name], at), at + part[name].length), 0);
      return found;
    };
    return {
      means: all((n) => new Float32Array(n), 'means'),
      shapes: all((n) => new Uint16Array(n), 'shapes'),
      colors: all((n) => new Uint16Array(n), 'colors'),
      count: some.reduce((sum, { count }) => sum + count, 0),
    };
  }

  wantLevel(level) {
    this.want = level;
    this.step();
  }

  pause() {
    this.paused = true;
    this.tiles.forEach(({ player }) => player?.pause());
  }

  resume() {
    this.paused = false;
    this.stopped = null;
    if (this.index) this.step();
    else this.open({ index: this.address }, this.want);
  }

  get bytes() {
    const all = this.shown.map(({ player }) => ({ ...player.bytes, alone: player.way !== 'wasm' }));
    return {
      decoder: Math.max(0, ...all.map(({ decoder }) => decoder)),
      looks: all.reduce((sum, { looks, alone }) => sum + (alone ? looks : 0), this.looking?.bytes ?? 0),
      textures: all.reduce((sum, { textures }) => sum + textures, 0),
    };
  }

  close() {
    this.closed = true;
    this.tiles.forEach((tile) => tile.player !== null && this.drop(tile));
    this.desks.forEach((desk) => desk.close());
    this.looking?.close();
  }
}
