// Gaussians of a scene as plain arrays: as one eye sees them, or baked for all.
import { PcgsError } from './errors.mjs';
import { spread } from './poses.mjs';

const MOST_CAMERAS = 16; // to bake for, spread over the suggested ones
const DEGREE = 2;

const HALVES = new Float32Array(65536); // the numbers that half floats stand for
for (let bits = 0; bits < 65536; bits++) {
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  const magnitude = exponent === 0 ? mantissa * 2 ** -24 : (1 + mantissa / 1024) * 2 ** (exponent - 15);
  HALVES[bits] = bits & 0x8000 ? -magnitude : magnitude;
}

/** Gaussians that are drawn for an eye, with the colors it sees. */
export function seenFrom(pcgs, scene, eye) {
  const view = pcgs.view(scene);
  try {
    const shapes = new Uint16Array(view.count * 8);
    const colors = new Uint16Array(view.count * 4);
    view.look(eye, shapes, colors);
    const drawn = indices(view.count, (i) => HALVES[colors[4 * i + 3]] > 0);
    return {
      count: drawn.length,
      means: taken(view.means(), drawn, 3),
      scales: taken(shapes, drawn, 8, 0, 3, HALVES),
      quaternions: taken(shapes, drawn, 8, 3, 4, HALVES),
      opacities: taken(colors, drawn, 4, 3, 1, HALVES),
      colors: taken(colors, drawn, 4, 0, 3, HALVES),
    };
  } finally {
    view.free();
  }
}

/**
 * Plain Gaussians with harmonics that look like the scene from its suggested cameras, or from those given. Those that
 * no camera sees are left out.
 */
export function baked(pcgs, scene, { degree = DEGREE, cameras = spread(scene.cameras, MOST_CAMERAS) } = {}) {
  if (![0, 1, 2, 3].includes(degree)) throw new TypeError('degree is 0, 1, 2 or 3');
  if (cameras.length === 0) throw new PcgsError('file', 'it suggests no cameras to bake for; give some');
  const view = pcgs.view(scene);
  try {
    const { plain, harmonics } = view.bake(cameras, degree);
    const kept = indices(view.count, (i) => plain[8 * i + 7] > 0);
    const terms = (degree + 1) ** 2;
    return {
      count: kept.length,
      degree,
      means: taken(view.means(), kept, 3),
      scales: taken(plain, kept, 8, 0, 3),
      quaternions: taken(plain, kept, 8, 3, 4),
      opacities: taken(plain, kept, 8, 7, 1),
      harmonics: taken(harmonics, kept, 3 * terms),
    };
  } finally {
    view.free();
  }
}

/**
 * Baked Gaussians as columns under the names that 3DGS gave them: logarithms of scales, logits of opacities,
 * harmonics color after color.
 */
export function columns({ count, degree, means, scales, quaternions, opacities, harmonics }) {
  const terms = (degree + 1) ** 2;
  const column = (values, each, at, map = (value) => value) => Float32Array.from({ length: count }, (_, i) => map(values[each * i + at]));
  const found = {};
  ['x', 'y', 'z'].forEach((name, a) => { found[name] = column(means, 3, a); });
  for (let c = 0; c < 3; c++) found[`f_dc_${c}`] = column(harmonics, 3 * terms, c);
  for (let c = 0; c < 3; c++)
    for (let t = 1; t < terms; t++) found[`f_rest_${c * (terms - 1) + t - 1}`] = column(harmonics, 3 * terms, 3 * t + c);
  found.opacity = column(opacities, 1, 0, (value) => Math.log(value / (1 - value)));
  for (let a = 0; a < 3; a++) found[`scale_${a}`] = column(scales, 3, a, Math.log);
  for (let a = 0; a < 4; a++) found[`rot_${a}`] = column(quaternions, 4, a);
  return found;
}

function indices(count, wanted) {
  const found = [];
  for (let i = 0; i < count; i++) if (wanted(i)) found.push(i);
  return found;
}

/** `width` values from `from` on of some rows of `each`, looked up in a table where there is one. */
function taken(values, rows, each, from = 0, width = each, table = null) {
  const found = new Float32Array(rows.length * width);
  rows.forEach((row, i) => {
    for (let a = 0; a < width; a++) {
      const value = values[row * each + from + a];
      found[i * width + a] = table === null ? value : table[value];
    }
  });
  return found;
}
