// Which tiles are shown, and how fine: as much as memory holds, the nearest first.
import { levelOf } from './tileindex.mjs';

// Bytes that a Gaussian and an anchor take on the page and in the graphics processor: textures and the copies of them,
// the engine's order, hidden layers of the heads.
const GAUSSIAN_BYTES = 160;
const ANCHOR_BYTES = 2000;

const costOf = ({ gaussians, anchors }) => GAUSSIAN_BYTES * gaussians + ANCHOR_BYTES * anchors;

/** Distance from a point to a tile's anchors. */
export const away = ({ low, high }, eye) => Math.hypot(...eye.map((value, a) => Math.max(low[a] - value, 0, value - high[a])));

/**
 * The level of each tile for an eye, 0 for those that are left out. The coarsest level of the nearest tiles takes up to
 * half of `room` bytes; then these become finer, level by level and the nearest first, up to `want`; what is left goes to
 * the coarsest level of more tiles.
 */
export function planned(tiles, eye, want, room) {
  const levels = new Array(tiles.length).fill(0);
  const order = [...tiles.keys()].sort((a, b) => away(tiles[a], eye) - away(tiles[b], eye));
  let left = room;
  const add = (level, kept) => {
    for (const i of order) {
      const { levels: rows } = tiles[i];
      if (level > rows.length || levels[i] !== level - 1) continue;
      const more = costOf(rows[level - 1]) - (level > 1 ? costOf(rows[level - 2]) : 0);
      if (more > left - kept) return;
      left -= more;
      levels[i] = level;
    }
  };
  add(1, room / 2);
  for (let level = 2; level <= want; level++) add(level, 0);
  add(1, 0);
  return levels;
}

/** The tile to be shown next: of those that lack the coarsest level the nearest one; null where nothing is missing. */
export function nextOf(tiles, levels, eye, isFree) {
  const missing = [...tiles.keys()].filter((i) => isFree(i) && levels[i] !== tiles[i].level);
  const step = (i) => (levels[i] > tiles[i].level ? tiles[i].level + 1 : levels[i]);
  const before = (a, b) => step(a) - step(b) || away(tiles[a], eye) - away(tiles[b], eye);
  const [first] = missing.filter((i) => levels[i] > 0).sort(before);
  return first === undefined ? null : { number: first, level: step(first) };
}

/** The level that all tiles which are shown have come to, of a scene of `want` levels. */
export function reached(tiles, levels, want) {
  const some = [...tiles.keys()].filter((i) => levels[i] > 0 && !tiles[i].failed);
  const of = (i) => (tiles[i].level >= Math.min(levels[i], levelOf(tiles[i], want)) ? want : tiles[i].level);
  return some.length === 0 ? 0 : some.reduce((found, i) => Math.min(found, of(i)), want);
}
