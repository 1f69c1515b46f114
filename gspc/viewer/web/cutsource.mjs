// A tile's stream, put together from the tile's own file and pieces that it shares with other tiles (pcgsx(5)).
import { RangeSource } from '../../../kernels/wasm/sources.mjs';

export class CutSource {
  /**
   * @param {string} url of the tile's own file
   * @param {{at: number, bytes: Uint8Array}[]} cuts what that lacks, in order
   * @param {(have: number) => void} onBytes is told how many bytes of its own have come
   */
  constructor(url, cuts, onBytes) {
    this.own = new RangeSource(url, onBytes);
    this.cuts = cuts;
    this.bytes = new Uint8Array(0);
  }

  /** Bytes that came for this tile alone. */
  get have() {
    return this.own.bytes.length;
  }

  /** The stream's first bytes, at least `end` of them; fewer where it ends sooner. */
  async upTo(end) {
    while (this.bytes.length < end) {
      const at = this.bytes.length;
      const cut = this.cuts.find((one) => one.at === at);
      if (cut) this.append(cut.bytes);
      else {
        const next = this.cuts.find((one) => one.at > at)?.at ?? Infinity;
        const shared = this.cuts.reduce((sum, one) => sum + (one.at < at ? one.bytes.length : 0), 0);
        const bytes = await this.own.upTo(Math.min(end, next) - shared);
        const more = bytes.subarray(at - shared, Math.min(bytes.length, next - shared));
        if (more.length === 0) break;
        this.append(more);
      }
    }
    return this.bytes;
  }

  append(more) {
    const all = new Uint8Array(this.bytes.length + more.length);
    all.set(this.bytes);
    all.set(more, this.bytes.length);
    this.bytes = all;
  }

  pause() {
    this.own.pause();
  }
}
