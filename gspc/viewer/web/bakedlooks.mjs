// Baked harmonics in place of the heads, for where these take too long: an eye then costs next to nothing.
import { FloatPacking, PIXELFORMAT_RGBA32U } from 'playcanvas';

import { Follower } from './follower.mjs';
import { READ_SHAPES, Splats } from './splats.mjs';

const DEGREE = 2;
const TERMS = (DEGREE + 1) ** 2;
const PARTS = Math.ceil((3 * TERMS) / 8); // textures of eight half floats a Gaussian

export const BAKED = {
  streams: ['shapes', ...Array.from({ length: PARTS }, (_, i) => `sh${i}`)].map((name) => ({ name, format: PIXELFORMAT_RGBA32U })),
  read: /* glsl */ `
${READ_SHAPES}
uniform vec3 gspcEye;
vec3 gspcMean;
vec3 getCenter() { gspcMean = loadMeans().xyz; return gspcMean; }
vec4 getColor() {
    uvec4 packed[${PARTS}] = uvec4[${PARTS}](${Array.from({ length: PARTS }, (_, i) => `loadSh${i}()`).join(', ')});
    float sh[${8 * PARTS}];
    for (int i = 0; i < ${4 * PARTS}; i++) {
        vec2 pair = unpackHalf2x16(packed[i / 4][i % 4]);
        sh[2 * i] = pair.x;
        sh[2 * i + 1] = pair.y;
    }
    vec3 d = normalize(gspcMean - gspcEye);
    float y[${TERMS}] = float[${TERMS}](
        0.28209479, -0.48860251 * d.y, 0.48860251 * d.z, -0.48860251 * d.x,
        1.09254843 * d.x * d.y, -1.09254843 * d.y * d.z, 0.31539157 * (2.0 * d.z * d.z - d.x * d.x - d.y * d.y),
        -1.09254843 * d.x * d.z, 0.54627422 * (d.x * d.x - d.y * d.y));
    vec3 color = vec3(0.5);
    for (int t = 0; t < ${TERMS}; t++) color += y[t] * vec3(sh[3 * t], sh[3 * t + 1], sh[3 * t + 2]);
    return vec4(max(color, 0.0), unpackHalf2x16(loadShapes().w).y);
}
`,
};

export class BakedLooks extends Follower {
  constructor(engine) {
    super();
    this.engine = engine;
  }

  get form() {
    return { kind: 'baked', parts: 1, degree: DEGREE };
  }

  get label() {
    return 'baked';
  }

  get bytes() {
    return 0;
  }

  async take({ baked }, eye) {
    const { means, plain, harmonics } = baked;
    this.splats = new Splats(this.engine.device, [means], BAKED);
    this.splats.write(BAKED.streams.map(({ name }) => name), (shapes, ...parts) => {
      for (let g = 0; g < means.length / 3; g++) {
        packed(plain, 8 * g, 8, shapes, 4 * g);
        parts.forEach((part, i) => packed(harmonics, 3 * TERMS * g + 8 * i, Math.min(8, 3 * TERMS - 8 * i), part, 4 * g));
      }
    });
    this.begin(eye);
    this.splats.parameters.gspcEye = eye;
    this.busy = false;
    return this.splats;
  }

  follow(eye, reach, now) {
    if (!this.due(eye, reach, now)) return;
    this.splats.parameters.gspcEye = eye;
    this.splats.refresh(this.engine);
    this.busy = false;
  }

  close() {}
}

/** Numbers as half floats, two in each texel's part. */
function packed(values, from, count, texels, to) {
  for (let i = 0; i < count; i += 2) {
    const high = i + 1 < count ? FloatPacking.float2Half(values[from + i + 1]) : 0;
    texels[to + i / 2] = FloatPacking.float2Half(values[from + i]) | (high << 16);
  }
}
