// Small pictures of what the suggested cameras see, drawn without the engine: each Gaussian a dot, nearest first.
import { poseOf } from '../../../kernels/wasm/poses.mjs';
import { dot } from './vectors.mjs';

const HEIGHT = 72;
const WIDEST = 160;
const LEAST_ALPHA = 0.25; // fainter Gaussians would cover what is behind them
const LARGEST = 3; // pixels

/** The number that a half float stands for. */
function fromHalf(bits) {
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  const magnitude = exponent === 0 ? mantissa * 2 ** -24 : (1 + mantissa / 1024) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -magnitude : magnitude;
}

/**
 * @param {HTMLCanvasElement} canvas takes its size from the camera
 * @param {object} camera as the stream suggests it
 * @param {{means: Float32Array, shapes: Uint16Array, colors: Uint16Array, count: number}} splats half floats, as the decoder gives them
 * @param {number[]} background RGB, 0 to 1
 */
export function drawThumbnail(canvas, camera, splats, background) {
  const width = Math.max(8, Math.min(WIDEST, Math.round((HEIGHT * camera.width) / camera.height)));
  canvas.width = width;
  canvas.height = HEIGHT;
  const by = HEIGHT / camera.height;
  const pose = poseOf(camera);
  const context = canvas.getContext('2d');
  const picture = context.createImageData(width, HEIGHT);
  const depths = new Float32Array(width * HEIGHT).fill(Infinity);
  for (let i = 0; i < width * HEIGHT; i++) picture.data.set([...background.map((v) => v * 255), 255], i * 4);
  const x = new Float32Array(3);
  for (let i = 0; i < splats.count; i++) {
    if (fromHalf(splats.colors[i * 4 + 3]) < LEAST_ALPHA) continue;
    for (let a = 0; a < 3; a++) x[a] = splats.means[i * 4 + a] - pose.eye[a];
    const depth = -dot(x, pose.back);
    if (depth < 0.01) continue;
    const u = ((camera.fx * dot(x, pose.right)) / depth + camera.cx) * by;
    const v = ((-camera.fy * dot(x, pose.up)) / depth + camera.cy) * by;
    const scale = fromHalf(splats.shapes[i * 8]);
    const size = Math.min(LARGEST, Math.max(1, Math.round((1.5 * scale * camera.fx * by) / depth)));
    dab(picture, depths, width, Math.floor(u - size / 2 + 0.5), Math.floor(v - size / 2 + 0.5), size, depth, splats.colors, i * 4);
  }
  context.putImageData(picture, 0, 0);
}

function dab(picture, depths, width, left, top, size, depth, colors, from) {
  for (let y = Math.max(top, 0); y < Math.min(top + size, HEIGHT); y++)
    for (let x = Math.max(left, 0); x < Math.min(left + size, width); x++) {
      const at = y * width + x;
      if (depth >= depths[at]) continue;
      depths[at] = depth;
      for (let c = 0; c < 3; c++) picture.data[at * 4 + c] = fromHalf(colors[from + c]) * 255;
    }
}
