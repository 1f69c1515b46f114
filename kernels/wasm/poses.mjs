// Where a camera of a stream stands and looks. Streams have axes right, down, forward (OpenCV); WebGL's engines have
// right, up, back.

/** Eye and axes of a suggested camera. */
export function poseOf({ worldToCamera: m }) {
  const row = (i, sign = 1) => [sign * m[4 * i], sign * m[4 * i + 1], sign * m[4 * i + 2]];
  const eye = [0, 1, 2].map((a) => -(m[a] * m[3] + m[4 + a] * m[7] + m[8 + a] * m[11]));
  return { eye, right: row(0), up: row(1, -1), back: row(2, -1) };
}

/** At most `most` of the cameras, each as far as can be from those before it. */
export function spread(cameras, most) {
  if (cameras.length <= most) return cameras;
  const places = cameras.map((camera) => poseOf(camera).eye);
  const apart = (i, j) => Math.hypot(...places[i].map((value, a) => value - places[j][a]));
  const chosen = [0];
  const distances = cameras.map((_, i) => apart(i, 0));
  while (chosen.length < most) {
    const next = distances.indexOf(Math.max(...distances));
    chosen.push(next);
    distances.forEach((value, i) => { distances[i] = Math.min(value, apart(i, next)); });
    distances[next] = -1;
  }
  return chosen.map((i) => cameras[i]);
}

/** Unit quaternion x, y, z, w of a camera's axes, from its largest part. */
export function quaternionOf({ right, up, back }) {
  const [xx, yy, zz] = [right[0], up[1], back[2]];
  const squares = [1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz, 1 + xx + yy + zz];
  const i = squares.indexOf(Math.max(...squares));
  const [xw, yw, zw] = [up[2] - back[1], back[0] - right[2], right[1] - up[0]];
  const [xy, xz, yz] = [right[1] + up[0], back[0] + right[2], up[2] + back[1]];
  const rows = [
    [squares[0], xy, xz, xw],
    [xy, squares[1], yz, yw],
    [xz, yz, squares[2], zw],
    [xw, yw, zw, squares[3]],
  ];
  return rows[i].map((value) => (value * 0.5) / Math.sqrt(squares[i]));
}

/** Degrees from top to bottom of a camera's picture, whose middle is taken for the lens's. */
export const fieldOfView = ({ height, fy }) => (2 * Math.atan(height / 2 / fy) * 180) / Math.PI;

/** Column-major projection matrix of a lens in a picture of some pixels, for WebGL. */
export function projectionOf({ fx, fy, cx, cy }, width, height, near, far) {
  const out = new Array(16).fill(0);
  out[0] = (2 * fx) / width;
  out[5] = (2 * fy) / height;
  out[8] = 1 - (2 * cx) / width;
  out[9] = (2 * cy) / height - 1;
  out[10] = (far + near) / (near - far);
  out[11] = -1;
  out[14] = (2 * far * near) / (near - far);
  return out;
}
