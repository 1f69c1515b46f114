// A scene's levels, fetched and decoded one after another.
import { PcgsError } from './errors.mjs';

// Enough for the index of nearly every scene, and less than any level 1 but those of toys: nothing is fetched twice
// and nothing that is not needed. What is missing of a longer index comes with a second request.
const FIRST_BYTES = 4096;

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
