// Streams that come in pieces: each level is decoded once, on what the reader kept of those before (pcgs.h).

import { PcgsError, failure } from './errors.mjs';

const RANGE_BYTES = 16; // pcgs_range: u64 offset, u64 size

/**
 * @param {object} core the exports of pcgs.wasm
 * @param {{withOptions: Function, text: Function, contents: Function}} shared helpers of pcgs.mjs
 * @param {object} options as for decode()
 */
export function open(core, { withOptions, text, contents }, options) {
  const reader = withOptions(core, options, (at) => core.pcgs_open(at));
  if (reader === 0) throw new PcgsError('memory', 'out of memory');
  const failed = () => failure(text(core, core.pcgs_error(reader)));
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
      try {
        return contents(core, scene);
      } finally {
        core.pcgs_free(scene);
      }
    },
    close: () => core.pcgs_close(reader),
  };
}
