// Where the visitor stands and looks, in the scene's own coordinates. A pose is an eye and three axes of the camera:
// right, up, and back (against the line of sight), as WebGL has them; streams have right, down, forward.
import { poseOf } from '../../../kernels/wasm/poses.mjs';
import { across, add, cross, dot, scaled, turned, unit } from './vectors.mjs';

const STEEPEST = 0.995; // cosine between line of sight and up: beyond, left and right would trade places

/** Up, as the photographers held their cameras; some axis where they disagree or there are none. */
export function meanUp(cameras) {
  const sum = cameras.map(poseOf).reduce((total, pose) => add(total, pose.up), [0, 0, 0]);
  return dot(sum, sum) > 1e-6 ? unit(sum) : [0, -1, 0];
}

/** A pose from outside that sees the box, for scenes without suggested cameras. */
export function poseBefore(low, high, up) {
  const center = scaled(add(low, high), 0.5);
  const reach = Math.max(Math.hypot(...add(high, low, -1)), 1e-3);
  return upright({ eye: add(center, across(up), 1.2 * reach), back: across(up) }, up);
}

/** The lens of a picture of so many pixels, for scenes without suggested cameras. */
export const PLAIN_LENS = { width: 400, height: 300, fx: 400, fy: 400, cx: 200, cy: 150 };

/** The pose with the same line of sight and a level horizon; where there is none, it keeps its own. */
export function upright(pose, up) {
  const back = unit(pose.back);
  const right = Math.abs(dot(back, up)) < STEEPEST ? unit(cross(up, back)) : (pose.right ?? across(back));
  return { eye: pose.eye, right, up: cross(back, right), back };
}

/** Turned in place, by radians to the left and upwards, unless that would pass straight up or down. */
function looking(pose, up, left, raised) {
  const back = turned(turned(pose.back, up, left), turned(pose.right, up, left), raised);
  const steep = Math.abs(dot(back, up)) > STEEPEST;
  return upright({ ...pose, back: steep ? turned(pose.back, up, left) : back }, up);
}

export const look = (pose, up, left, raised) => looking(upright(pose, up), up, left, raised);

/** Moved around a pivot that stays where it is in the picture. */
export function orbit(pose, up, pivot, left, raised) {
  const before = upright(pose, up);
  const after = looking(before, up, left, raised);
  const seen = add(pivot, pose.eye, -1);
  const at = [dot(seen, before.right), dot(seen, before.up), dot(seen, before.back)];
  const eye = ['right', 'up', 'back'].reduce((sum, axis, i) => add(sum, after[axis], -at[i]), pivot);
  return { ...after, eye };
}

/** Moved along the camera's own axes. */
export function move(pose, [right, up, back]) {
  return { ...pose, eye: add(add(add(pose.eye, pose.right, right), pose.up, up), pose.back, back) };
}

/**
 * What a lens shows in a window of any shape: all of the picture it was made for, and more beside it.
 * `zoom` stretches the focal length. Pixels of the window.
 */
export function fitted(lens, zoom, width, height) {
  const by = Math.min(width / lens.width, height / lens.height) * zoom;
  return {
    fx: lens.fx * by,
    fy: lens.fy * by,
    cx: width / 2 + (lens.cx - lens.width / 2) * by,
    cy: height / 2 + (lens.cy - lens.height / 2) * by,
  };
}

/** Degrees from top to bottom of the window. */
export function fieldOfView(lens, zoom, width, height) {
  return (2 * Math.atan(height / 2 / fitted(lens, zoom, width, height).fy) * 180) / Math.PI;
}

/** The zoom that gives so many degrees. */
export function zoomFor(degrees, lens, width, height) {
  return height / 2 / Math.tan((degrees * Math.PI) / 360) / fitted(lens, 1, width, height).fy;
}
