// Heads on the graphics processor. What the features give the hidden layer is computed once for each anchor; a pass adds
// an eye's part; the shader that hands Gaussians to the engine computes the rest. Nothing is read back.
import {
  PIXELFORMAT_R32U, PIXELFORMAT_RGBA16F, PIXELFORMAT_RGBA32F, RenderTarget, SEMANTIC_POSITION, ShaderUtils, Texture, drawQuadWithShader,
} from 'playcanvas';

import { Follower } from './follower.mjs';
import { EYE_PASS, FEATURES_PASS, readCode } from './gpushaders.mjs';
import { Splats } from './splats.mjs';

const QUICK_MS = 20; // an evaluation that takes no longer leaves no frame out
const WIDEST = 4096; // texels of a texture's row, which every device can do

// What a link has room for.
const MOST_ANCHORS = 2 ** 24;
const MOST_OFFSETS = 256;

/** Whether the device can do it at all. */
export const canLook = (device) => device.textureFloatRenderable;

export class GpuLooks extends Follower {
  constructor(engine) {
    super();
    this.engine = engine;
    this.textures = {};
    this.targets = [];
    this.old = []; // textures and targets of scenes before
  }

  get form() {
    return { kind: 'placed', parts: 1 };
  }

  get label() {
    return 'GPU';
  }

  get bytes() {
    return Object.values(this.textures).reduce((sum, texture) => sum + texture.gpuSize, 0);
  }

  /** Takes over a level from the stream's worker (placed.mjs). Resolves to its Splats. */
  async take({ placed }, eye) {
    const { device } = this.engine;
    const { sizes } = placed;
    const rows = (texels) => Math.ceil(texels / WIDEST);
    const units = rows(placed.anchors.length * 3 * sizes.hidden / 4);
    const fits = units <= device.maxTextureSize && placed.anchors.length / 4 <= MOST_ANCHORS && sizes.offsets <= MOST_OFFSETS;
    if (!fits) throw new Error('the scene is too large for this graphics device');
    this.sizes = sizes;
    this.old.push(...this.targets, ...Object.values(this.textures));
    this.textures = {
      Anchors: this.filled('Anchors', PIXELFORMAT_RGBA32F, placed.anchors),
      Extents: this.filled('Extents', PIXELFORMAT_RGBA32F, placed.extents),
      Features: this.filled('Features', PIXELFORMAT_RGBA32F, placed.features),
      First: this.table('First', placed.first, 3 * sizes.hidden),
      Second: this.table('Second', placed.second, sizes.hidden + 1),
      Prepared: Texture.createDataTexture2D(device, 'Prepared', WIDEST, units, PIXELFORMAT_RGBA32F),
      Hidden: Texture.createDataTexture2D(device, 'Hidden', WIDEST, units, PIXELFORMAT_RGBA16F),
    };
    this.targets = [this.textures.Prepared, this.textures.Hidden].map((colorBuffer) => new RenderTarget({ colorBuffer, depth: false }));
    this.begin(eye);
    this.pass('features', FEATURES_PASS, 0);
    this.pass('eye', EYE_PASS, 1, eye);
    this.busy = false;
    const links = { name: 'links', format: PIXELFORMAT_R32U };
    this.splats = new Splats(device, [placed.means], { streams: [links], read: readCode(sizes) });
    this.splats.write(['links'], (texels) => texels.set(placed.links));
    for (const name of ['Hidden', 'Second', 'Extents']) this.splats.parameters[`gspc${name}`] = this.textures[name];
    return this.splats;
  }

  /** Frees what scenes before needed; called once they are out of sight. */
  shown() {
    this.old.splice(0).forEach((item) => item.destroy());
  }

  filled(name, format, values) {
    const texels = values.length / 4;
    const height = Math.max(1, Math.ceil(texels / WIDEST));
    const texture = Texture.createDataTexture2D(this.engine.device, name, WIDEST, height, format);
    texture.lock().set(values);
    texture.unlock();
    return texture;
  }

  /** A matrix, `width` texels of four floats a row. */
  table(name, values, width) {
    const height = values.length / 4 / width;
    const texture = Texture.createDataTexture2D(this.engine.device, name, width, height, PIXELFORMAT_RGBA32F);
    texture.lock().set(values);
    texture.unlock();
    return texture;
  }

  /** Fills a target. */
  pass(name, code, target, eye = [0, 0, 0]) {
    const { device } = this.engine;
    const { hidden, features } = this.sizes;
    const shader = ShaderUtils.createShader(device, {
      uniqueName: `gspc-${name}-${hidden}-${features}`,
      attributes: { vertex_position: SEMANTIC_POSITION },
      vertexChunk: 'fullscreenQuadVS',
      fragmentGLSL: code(this.sizes),
    });
    for (const [key, texture] of Object.entries(this.textures))
      if (texture !== this.targets[target].colorBuffer) device.scope.resolve(`gspc${key}`).setValue(texture);
    device.scope.resolve('gspcEye').setValue(eye);
    device.scope.resolve('gspcDistanceScale').setValue(this.sizes.distanceScale);
    drawQuadWithShader(device, this.targets[target], shader);
    if (shader.failed) throw new Error('this graphics device cannot do it');
  }

  follow(eye, reach, now) {
    if (!this.due(eye, reach, now)) return;
    this.pass('eye', EYE_PASS, 1, eye);
    this.splats.refresh(this.engine);
    this.engine.drawn().then(() => {
      this.busy = false;
      const ended = performance.now();
      this.took = ended - now;
      this.free = this.took > QUICK_MS ? ended + this.took : 0;
    });
  }

  close() {
    this.old.push(...this.targets, ...Object.values(this.textures));
    this.shown();
  }
}
