// Where a file's own coordinates lie in those of the whole scene: whole = scale * rotation * own + translation. Rotations
// are rows of three numbers, one after another.
import { quaternionOf } from '../../../kernels/wasm/poses.mjs';

/** A file that is the whole scene. */
export const HERE = { scale: 1, rotation: [1, 0, 0, 0, 1, 0, 0, 0, 1], translation: [0, 0, 0] };

const turned = (r, p) => [0, 3, 6].map((i) => r[i] * p[0] + r[i + 1] * p[1] + r[i + 2] * p[2]);
const back = (r, p) => [0, 1, 2].map((i) => r[i] * p[0] + r[i + 3] * p[1] + r[i + 6] * p[2]);

/** The place of a file of one frame in a scene of another; frames lead to the user's coordinates. */
export function placeOf(frame, whole) {
  const columns = [0, 1, 2].map((i) => back(whole.rotation, [0, 3, 6].map((row) => frame.rotation[row + i])));
  const moved = frame.translation.map((value, a) => (value - whole.translation[a]) / whole.scale);
  return {
    scale: frame.scale / whole.scale,
    rotation: [0, 1, 2].flatMap((row) => columns.map((column) => column[row])),
    translation: back(whole.rotation, moved),
  };
}

/** A point of the whole scene in the file's own coordinates. */
export const ownOf = ({ scale, rotation, translation }, point) =>
  back(rotation, point.map((value, a) => value - translation[a])).map((value) => value / scale);

/** A point of the file in the whole scene. */
export const wholeOf = ({ scale, rotation, translation }, point) =>
  turned(rotation, point).map((value, a) => scale * value + translation[a]);

/** A camera [3, 4] of the user's coordinates in those of a frame. */
export function cameraOf({ scale, rotation, translation }, rows) {
  return rows.flatMap((row) => {
    const along = row[0] * translation[0] + row[1] * translation[1] + row[2] * translation[2] + row[3];
    return [...back(rotation, row), along / scale];
  });
}

/** Has one of the engine's entities, with all that is in it, lie there. */
export function setPlace(entity, { scale, rotation, translation }) {
  const [right, up, away] = [0, 1, 2].map((i) => [rotation[i], rotation[i + 3], rotation[i + 6]]);
  entity.setLocalPosition(...translation);
  entity.setLocalRotation(...quaternionOf({ right, up, back: away }));
  entity.setLocalScale(scale, scale, scale);
}
