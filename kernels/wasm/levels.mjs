// A scene's levels, fetched and decoded one after another.
import { PcgsError } from './errors.mjs';

// Enough for the index of nearly every scene, and less than any level 1 but those of toys: nothing is fetched twice
// and nothing that is not needed. What is missing of a longer index comes with a second request.
const FIRST_BYTES = 4096;

// A level that is here sooner comes in one piece. The near part of others is half of it, in so few requests.
const WORTH_PARTING_MS = 2000;
const MOST_RUNS = 6;
const SMALL_GAP = 8192; // bytes between two pieces that are fetched rather than a request more is made

export class Levels {
  /**
   * @param {object} pcgs from load() of pcgs.mjs
   * @param {object} source of sources.mjs
   * @param {{maxMemory?: number}} options as for decode()
   * @param {object[]} helpers that decode some of the slices: feed, choose, take, takeSlices and close as a reader has them,
   *   with promises for results
   */
  constructor(pcgs, source, options = {}, helpers = []) {
    this.pcgs = pcgs;
    this.source = source;
    this.options = options;
    this.helpers = helpers;
    this.reader = pcgs.open({ ...options, upto: 0 });
    this.fed = 0; // bytes of the source that the reader has
    this.ends = []; // bytes of the file up to each level's end
  }

  /** Has the reader know the index; where each level ends. */
  async index() {
    let need = FIRST_BYTES;
    while (this.ends.length === 0) {
      await this.fetched(need);
      const { offset, size } = this.reader.wanted();
      this.ends = this.reader.ends();
      if (this.ends.length === 0 && (size === 0 || offset + size <= need)) throw new PcgsError('file', 'it has no index');
      need = offset + size;
      if (this.ends.length > 0) this.share();
    }
    return this.ends;
  }

  /** Has helpers decode slices: those with most bytes first, each to whoever has least to do. */
  share() {
    this.helpers = this.helpers.filter((helper) => !helper.lost);
    const { reader, helpers } = this;
    const slices = reader.slices(1);
    if (slices.length < 2) this.dismiss();
    if (helpers.length === 0 || slices.length < 2) return;
    const loads = new Array(helpers.length + 1).fill(0);
    const owner = new Array(slices.length);
    for (const i of [...slices.keys()].sort((a, b) => slices[b].size - slices[a].size)) {
      owner[i] = loads.indexOf(Math.min(...loads));
      loads[owner[i]] += slices[i].size + 1;
    }
    helpers.splice(slices.length - 1).forEach((helper) => helper.close());
    reader.choose(owner.map((who) => who === 0));
    helpers.forEach((helper, h) => {
      helper.feed(this.source.bytes.subarray(0, this.fed), 0);
      helper.choose(owner.map((who) => who === h + 1));
    });
  }

  feed(bytes, offset) {
    this.reader.feed(bytes, offset);
    if (this.ends.length > 0) this.helpers.forEach((helper) => helper.feed(bytes, offset));
  }

  dismiss() {
    this.helpers.splice(0).forEach((helper) => helper.close());
  }

  /** Has the reader know the file's first `end` bytes, or all of it where it ends sooner. */
  async fetched(end) {
    const bytes = await this.source.upTo(end);
    if (this.fed < bytes.length) this.feed(bytes.subarray(this.fed), this.fed);
    this.fed = bytes.length;
    if (this.fed < end && this.ends.length > 0)
      throw new PcgsError('file', `it is cut short: it ends after ${this.fed} of ${end} bytes`);
  }

  /** Fetches what is missing of the first `level` levels. */
  async fetch(level) {
    await this.index();
    await this.fetched(this.ends[level - 1]);
  }

  /**
   * Fetches the slices of the next level that are nearest to an eye, about half of its bytes, and gives the scene with
   * them; the others stay at the level before. null where the rest is here soon: fetch() then gets all at once.
   */
  async near(level, eye) {
    const { reader, source, ends } = this;
    if (!source.part || reader.next() !== level || level < 2 || this.fed < ends[level - 2] || this.fed >= ends[level - 1]) return null;
    if (ends[level - 1] - this.fed < source.rate * WORTH_PARTING_MS) return null;
    const runs = nearRuns(reader.slices(level), eye, ends[level - 2]);
    if (runs === null) return null;
    for (const { from, end } of runs) {
      const first = Math.max(from, this.fed);
      const bytes = first < end ? await source.part(first, end) : null;
      if (bytes === null) return null;
      this.feed(bytes, first);
    }
    const others = this.helpers.map((helper) => helper.takeSlices());
    return joined([reader.takeSlices(), ...(await Promise.all(others))]);
  }

  /** The scene up to a level whose bytes are there: readers go on from levels before; earlier ones are decoded again. */
  async decoded(level) {
    const { pcgs, reader, source, options } = this;
    if (reader.next() === 0 || reader.next() > level)
      return pcgs.decode(source.bytes.subarray(0, this.ends[level - 1]), { ...options, upto: level });
    for (let at = reader.next(); ; at++) {
      const others = this.helpers.map((helper) => helper.take(at));
      others.forEach((other) => other.catch(() => {})); // is awaited below, unless this reader fails first
      const own = taken(reader, at);
      const scene = joined([own, ...(await Promise.all(others))]);
      if (at === this.ends.length) this.dismiss();
      if (at === level) return scene;
    }
  }

  close() {
    this.source.pause();
    this.dismiss();
    this.reader.close();
  }
}

/** Pieces of a file that hold what lies before a level's slices, and the nearest half of these; null: there is no half. */
function nearRuns(slices, eye, begin) {
  const some = slices.filter(({ size }) => size > 0);
  if (some.length < 4) return null;
  const away = ({ low, high }) => Math.hypot(...eye.map((value, a) => Math.max(low[a] - value, 0, value - high[a])));
  const half = some.reduce((sum, { size }) => sum + size, 0) / 2;
  let bytes = 0;
  const nearest = some.sort((a, b) => away(a) - away(b)).filter(({ size }) => (bytes += size) - size < half);
  const first = Math.min(...some.map(({ offset }) => offset));
  const pieces = [{ from: begin, end: first }, ...nearest.map(({ offset, size }) => ({ from: offset, end: offset + size }))];
  const runs = [];
  for (const piece of pieces.sort((a, b) => a.from - b.from)) {
    const last = runs.at(-1);
    if (last && piece.from - last.end <= SMALL_GAP) last.end = Math.max(last.end, piece.end);
    else runs.push({ ...piece });
  }
  return runs.length <= MOST_RUNS ? runs : null;
}

/** A level of a reader; what it has, where it took that level before others failed to. */
export const taken = (reader, level) => (reader.next() === level ? reader.take() : reader.takeSlices());

/** Scenes of some slices each as one; null where there are none. */
function joined(scenes) {
  const some = scenes.filter((scene) => scene !== null);
  if (some.length < 2) return some[0] ?? null;
  const all = (values) => {
    const parts = some.map(values);
    const found = new parts[0].constructor(parts.reduce((sum, part) => sum + part.length, 0));
    parts.reduce((at, part) => (found.set(part, at), at + part.length), 0);
    return found;
  };
  return {
    ...some[0],
    count: some.reduce((sum, { count }) => sum + count, 0),
    anchors: all((scene) => scene.anchors),
    features: { ...some[0].features, values: all((scene) => scene.features.values) },
    logScales: all((scene) => scene.logScales),
    offsets: { ...some[0].offsets, values: all((scene) => scene.offsets.values) },
    gaussianLevels: all((scene) => scene.gaussianLevels),
  };
}
