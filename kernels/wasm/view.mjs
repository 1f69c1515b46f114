// What an eye sees of a decoded scene (view.h), or of a run of its anchors, so that several workers can share it.

import { PcgsError } from './errors.mjs';

/**
 * A part of a scene, ready for one eye after another. Holds memory of the module until free().
 * @param {object} core the exports of pcgs.wasm
 * @param {object} scene what decode() gives
 * @param {number} first anchor
 * @param {number} end anchor after the last one
 */
export function view(core, scene, first = 0, end = scene.count) {
  const { features, offsets, heads } = scene;
  const part = (values, each) => values.subarray(first * each, end * each);
  const given = [
    Int32Array.of(end - first, features.size, offsets.size, heads.opacity.inputs),
    part(scene.anchors, 3),
    part(features.values, features.size),
    part(scene.logScales, 6),
    part(offsets.values, offsets.size * 3),
    part(scene.gaussianLevels, offsets.size),
    weights(heads),
  ];
  const at = [];
  try {
    for (const values of given) at.push(copied(core, values));
    const made = core.pcgs_view_make(...at, scene.distanceScale);
    if (made === 0) throw new PcgsError('memory', 'out of memory');
    return handle(core, made);
  } finally {
    at.forEach((address) => core.free(address));
  }
}

function weights(heads) {
  const parts = ['hidden', 'opacity', 'color', 'cov'].flatMap((name) => [heads[name].weight, heads[name].bias]);
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let next = 0;
  for (const part of parts) {
    all.set(part, next);
    next += part.length;
  }
  return all;
}

function copied(core, values) {
  const at = core.malloc(Math.max(values.byteLength, 1));
  if (at === 0) throw new PcgsError('memory', 'out of memory');
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  new Uint8Array(core.memory.buffer, at, values.byteLength).set(bytes);
  return at;
}

function handle(core, made) {
  const count = core.pcgs_view_count(made);
  const halves = (at, each) => new Uint16Array(core.memory.buffer, at, count * each);
  return {
    count,
    means: () => new Float32Array(core.memory.buffer, core.pcgs_view_means(made), count * 3).slice(),
    /** Half floats of the Gaussians' shapes [count, 8] and colors [count, 4], copied into the arrays given. */
    look: (eye, shapes, colors) => {
      core.pcgs_view_look(made, ...eye);
      shapes.set(halves(core.pcgs_view_shapes(made), 8));
      colors.set(halves(core.pcgs_view_colors(made), 4));
    },
    /**
     * The plain Gaussians that look most like these to some cameras: plain [count, 8] are scale, quaternion wxyz and
     * opacity, harmonics [count, (degree + 1)^2, 3].
     */
    bake: (cameras, degree) => bake(core, made, count, cameras, degree),
    free: () => core.pcgs_view_free(made),
  };
}

const EYE_FLOATS = 18; // pcgs_eye

function bake(core, made, count, cameras, degree) {
  const eyes = new Float32Array(cameras.length * EYE_FLOATS);
  cameras.forEach(({ worldToCamera, fx, fy, cx, cy, width, height }, i) => {
    eyes.set([...worldToCamera, fx, fy, cx, cy, width, height], i * EYE_FLOATS);
  });
  const at = copied(core, eyes);
  const fine = core.pcgs_view_bake(made, at, cameras.length, degree);
  core.free(at);
  if (fine === 0) throw new PcgsError('memory', 'no memory, or no camera, to bake for');
  const floats = (from, each) => new Float32Array(core.memory.buffer, from, count * each).slice();
  return {
    plain: floats(core.pcgs_view_plain(made), 8),
    harmonics: floats(core.pcgs_view_harmonics(made), 3 * (degree + 1) ** 2),
  };
}
