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
   */
  constructor(pcgs, source, options = {}) {
    this.pcgs = pcgs;
    this.source = source;
    this.options = options;
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
    }
    return this.ends;
  }

  /** Has the reader know the file's first `end` bytes, or all of it where it ends sooner. */
  async fetched(end) {
    const bytes = await this.source.upTo(end);
    if (this.fed < bytes.length) this.reader.feed(bytes.subarray(this.fed), this.fed);
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
      reader.feed(bytes, first);
    }
    return reader.takeSlices();
  }

  /** The scene up to a level whose bytes are there: the reader goes on from levels before; earlier ones are decoded again. */
  decoded(level) {
    const { pcgs, reader, source, options } = this;
    if (reader.next() === 0 || reader.next() > level)
      return pcgs.decode(source.bytes.subarray(0, this.ends[level - 1]), { ...options, upto: level });
    for (;;) {
      const at = reader.next();
      const scene = reader.take();
      if (at === level) return scene;
    }
  }

  close() {
    this.source.pause();
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
