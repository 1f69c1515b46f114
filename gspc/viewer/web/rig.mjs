// The camera that the visitor holds: pose, pivot, lens, and what gestures do with them.
import { poseOf, projectionOf, quaternionOf } from '../../../kernels/wasm/poses.mjs';
import { PLAIN_LENS, fieldOfView, fitted, look, meanUp, move, orbit, poseBefore, zoomFor } from './camera.mjs';
import { add, distance, dot, scaled } from './vectors.mjs';

const NEAR = 0.01; // where gspc's rasterizer stops drawing
const FAR = 1e6; // nothing is cut off there: the engine draws by order, not by depth
const MIDDLE = 0.35; // what is looked at lies within this share of the picture's half sides

export class Rig {
  constructor() {
    this.mode = 'orbit';
    this.cameras = [];
    this.up = [0, -1, 0];
    this.pose = poseBefore([-1, -1, -1], [1, 1, 1], this.up);
    this.lens = PLAIN_LENS;
    this.zoom = 1;
    this.reach = 1; // distance to the pivot
    this.version = 0; // grows with every change
  }

  get pivot() {
    return add(this.pose.eye, this.pose.back, -this.reach);
  }

  set(pose) {
    this.pose = pose;
    this.version++;
  }

  /** A new scene: its suggested cameras say where to stand and which way is up. */
  begin(cameras) {
    this.cameras = cameras;
    this.up = meanUp(cameras);
    this.reach = 1;
    if (cameras.length > 0) this.goTo(0);
  }

  /** Stands where a suggested camera stood, and sees what it saw. */
  goTo(index) {
    const camera = this.cameras[index];
    const { width, height, fx, fy, cx, cy } = camera;
    this.lens = { width, height, fx, fy, cx, cy };
    this.zoom = 1;
    this.set(poseOf(camera));
    if (this.means) this.measure(this.means);
  }

  /** Finds how far away lies what is looked at: the median depth of the Gaussians in the picture's middle. */
  measure(means) {
    this.means = means;
    const { eye, right, up, back } = this.pose;
    const tan = { x: (MIDDLE * this.lens.width) / 2 / this.lens.fx, y: (MIDDLE * this.lens.height) / 2 / this.lens.fy };
    const depths = [];
    const stride = 3 * Math.max(1, Math.floor(means.length / 60000));
    for (let i = 0; i + 2 < means.length; i += stride) {
      const seen = [means[i] - eye[0], means[i + 1] - eye[1], means[i + 2] - eye[2]];
      const depth = -dot(seen, back);
      if (depth > 0.01 && Math.abs(dot(seen, right)) < tan.x * depth && Math.abs(dot(seen, up)) < tan.y * depth) depths.push(depth);
    }
    if (depths.length > 0) this.reach = depths.sort((a, b) => a - b)[depths.length >> 1];
  }

  /** For scenes without cameras: stands before the box. */
  frame(low, high) {
    this.set(poseBefore(low, high, this.up));
    this.reach = distance(this.pose.eye, scaled(add(low, high), 0.5));
  }

  turn(left, raised) {
    this.set(this.mode === 'fly' ? look(this.pose, this.up, left, raised) : orbit(this.pose, this.up, this.pivot, left, raised));
  }

  pan(dx, dy) {
    this.set(move(this.pose, [-dx * this.reach, dy * this.reach, 0]));
  }

  /** Nearer or farther by a factor; flying, a step along the line of sight. */
  dolly(by) {
    const after = Math.max(this.reach * by, 1e-4);
    this.set(move(this.pose, [0, 0, after - this.reach]));
    if (this.mode === 'orbit') this.reach = after;
  }

  fly(by) {
    this.set(move(this.pose, by.map((value) => value * this.reach)));
  }

  degrees(width, height) {
    return fieldOfView(this.lens, this.zoom, width, height);
  }

  setDegrees(degrees, width, height) {
    this.zoom = zoomFor(degrees, this.lens, width, height);
    this.version++;
  }

  /** Writes pose and projection into the engine's camera. */
  apply(entity, width, height) {
    entity.setLocalPosition(...this.pose.eye);
    entity.setLocalRotation(...quaternionOf(this.pose));
    const seen = fitted(this.lens, this.zoom, width, height);
    entity.camera.calculateProjection = (matrix) => matrix.data.set(projectionOf(seen, width, height, NEAR, FAR));
  }

  /** As a text for links: eye, quaternion, zoom and reach. */
  toText() {
    const { lens } = this;
    const all = [...this.pose.eye, ...quaternionOf(this.pose), this.zoom, this.reach, lens.width, lens.height, lens.fx, lens.fy, lens.cx, lens.cy];
    return all.map((value) => Number(value.toPrecision(6))).join(',');
  }

  /** Takes over a text of toText(); false where it makes no sense. */
  fromText(text) {
    const v = text.split(',').map(Number);
    const norm = Math.hypot(...v.slice(3, 7));
    const positive = v.slice(7, 13).every((value) => value > 0);
    if (v.length !== 15 || !v.every((value) => Math.abs(value) < 1e9) || Math.abs(norm - 1) > 1e-3 || !positive) return false;
    [this.zoom, this.reach] = [v[7], v[8]];
    this.lens = { width: v[9], height: v[10], fx: v[11], fy: v[12], cx: v[13], cy: v[14] };
    this.set({ eye: v.slice(0, 3), ...axesOf(v.slice(3, 7).map((value) => value / norm)) });
    return true;
  }
}

/** The axes of a unit quaternion. */
function axesOf([x, y, z, w]) {
  return {
    right: [1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)],
    up: [2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)],
    back: [2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)],
  };
}
