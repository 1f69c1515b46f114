// Streams that come in pieces: each level is decoded once, on what the reader kept of those before (pcgs.h).

import { PcgsError, failure } from './errors.mjs';

const RANGE_BYTES = 16; // pcgs_range: u64 offset, u64 size
const BOX_BYTES = 48; // six doubles

/**
 * @param {object} core the exports of pcgs.wasm
 * @param {{withOptions: Function, text: Function, contents: Function}} shared helpers of pcgs.mjs
 * @param {object} options as for decode()
 */
export function open(core, { withOptions, text, contents }, options) {
  const reader = withOptions(core, options, (at) => core.pcgs_open(at));
  if (reader === 0) throw new PcgsError('memory', 'out of memory');
  const failed = () => failure(text(core, core.pcgs_error(reader)));
  const given = (scene) => {
    try {
      return contents(core, scene);
    } finally {
      core.pcgs_free(scene);
    }
  };
  return {
    /** Gives bytes of the file from `offset` on, in any pieces and order. Throws where they cannot be a stream. */
    feed(bytes, offset) {
      const at = core.malloc(Math.max(bytes.length, 1));
      if (at === 0) throw new PcgsError('memory', 'out of memory');
      new Uint8Array(core.memory.buffer, at, bytes.length).set(bytes);
      const fine = core.pcgs_feed_at(reader, BigInt(offset), at, bytes.length);
      core.free(at);
      if (fine === 0) throw failed();
    },
    /** What is missing for the next level: bytes of the file. Size 0: nothing. */
    wanted() {
      const at = core.malloc(RANGE_BYTES);
      core.pcgs_wanted(at, reader);
      const [offset, size] = new BigUint64Array(core.memory.buffer, at, 2);
      core.free(at);
      return { offset: Number(offset), size: Number(size) };
    },
    /** The level that comes next; 0 when there is none. */
    next: () => core.pcgs_next_level(reader),
    /** Bytes of the file up to the end of each level; nothing until the index is there. */
    ends: () => Array.from({ length: core.pcgs_levels(reader) }, (_, i) => Number(core.pcgs_level_end(reader, i + 1))),
    /** Decodes the next level; what decode() gives. */
    take() {
      const scene = core.pcgs_take_level(reader);
      if (scene === 0) throw failed();
      return given(scene);
    },
    /** The same of those slices of the next level whose bytes are there; null while there are none. */
    takeSlices() {
      const scene = core.pcgs_take_slices(reader);
      if (scene !== 0) return given(scene);
      const message = text(core, core.pcgs_error(reader));
      if (message !== '') throw failure(message);
      return null;
    },
    /** Limits the reader to some slices, a flag for each. */
    choose(flags) {
      const at = core.malloc(Math.max(flags.length, 1));
      new Uint8Array(core.memory.buffer, at, flags.length).set(flags.map(Number));
      const fine = core.pcgs_choose_slices(reader, at, flags.length);
      core.free(at);
      if (fine === 0) throw failed();
    },
    /** Slices, parts of space: a box [low, high] around the anchors of each, and its bytes of a level. */
    slices(level) {
      const at = core.malloc(BOX_BYTES + RANGE_BYTES);
      const count = core.pcgs_slice_count(reader);
      const found = Array.from({ length: count }, (_, i) => {
        core.pcgs_slice_box(reader, i, at);
        core.pcgs_slice_range(at + BOX_BYTES, reader, level, i);
        const box = [...new Float64Array(core.memory.buffer, at, 6)];
        const [offset, size] = new BigUint64Array(core.memory.buffer, at + BOX_BYTES, 2);
        return { low: box.slice(0, 3), high: box.slice(3), offset: Number(offset), size: Number(size) };
      });
      core.free(at);
      return found;
    },
    close: () => core.pcgs_close(reader),
  };
}
