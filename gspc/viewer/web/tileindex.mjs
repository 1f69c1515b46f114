// The index of a tiled scene (pcgsx(5)), as the page needs it. Python wrote it, and checked what it was made of.
import { cameraOf } from './place.mjs';

/**
 * @param {object} content of the file
 * @param {string} address of the file, from which the names in it lead on
 */
export function readIndex(content, address) {
  const { scale, rotation, translation } = content.frame;
  const frame = { scale, rotation: rotation.flat(), translation };
  const at = (name) => new URL(name.split('/').map(encodeURIComponent).join('/'), address).href;
  const pieces = content.shared ?? [];
  return {
    frame,
    background: content.background,
    cameras: content.cameras.map(({ name, size: [width, height], intrinsics: [fx, fy, cx, cy], world_to_camera: rows }) =>
      ({ name, width, height, fx, fy, cx, cy, worldToCamera: cameraOf(frame, rows.slice(0, 3)) })),
    sharedUrl: pieces.length > 0 ? at(content.shared_file) : null,
    tiles: content.tiles.map((tile) => ({
      name: tile.name,
      url: at(tile.file),
      low: tile.anchors_from,
      high: tile.anchors_to,
      levels: tile.levels,
      cuts: (tile.cuts ?? []).map(({ at: from, shared }) => ({ at: from, piece: pieces[shared] })),
    })),
  };
}

/** The level of a tile that stands for one of the scene: its last one where it has fewer. */
export const levelOf = (tile, level) => Math.min(level, tile.levels.length);

/** Bytes of all tiles up to each level; what they share counts once. */
export function endsOf({ tiles }) {
  const most = tiles.reduce((found, tile) => Math.max(found, tile.levels.length), 0);
  return Array.from({ length: most }, (_, i) => {
    const shared = new Set();
    let sum = 0;
    for (const tile of tiles) {
      const { end } = tile.levels[levelOf(tile, i + 1) - 1];
      sum += end;
      for (const { at, piece } of tile.cuts) {
        if (at >= end) continue;
        sum -= shared.has(piece) ? piece.length : 0;
        shared.add(piece);
      }
    }
    return sum;
  });
}

/** Low and high corner of all tiles' anchors. */
export function boxOf({ tiles }) {
  const of = (pick, end) => [0, 1, 2].map((a) => tiles.reduce((found, tile) => pick(found, tile[end][a]), tiles[0][end][a]));
  return [of(Math.min, 'low'), of(Math.max, 'high')];
}
