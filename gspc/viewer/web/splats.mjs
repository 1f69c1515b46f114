// A level's Gaussians as textures of the engine. Where they are never changes; what the eye sees of them does.
import {
  GSplatContainer, GSplatFormat, PIXELFORMAT_RGBA32F, TEXTURELOCK_READ, Vec3, WORKBUFFER_UPDATE_ONCE,
} from 'playcanvas';

const WGSL_UNUSED = '// the page asks for WebGL2 only';

/** Code that reads scale and quaternion wxyz from the first seven half floats of a texture `shapes`. */
export const READ_SHAPES = /* glsl */ `
vec3 getScale() {
    uvec4 shape = loadShapes();
    return vec3(unpackHalf2x16(shape.x), unpackHalf2x16(shape.y).x);
}
vec4 getRotation() {
    uvec4 shape = loadShapes();
    return vec4(unpackHalf2x16(shape.y).y, unpackHalf2x16(shape.z), unpackHalf2x16(shape.w).x);
}
`;

export class Splats {
  /**
   * @param {object} device
   * @param {Float32Array[]} means of each part, [M, 3]
   * @param {{streams: object[], read: string}} kind textures beside `means`, and the code that makes a Gaussian of them
   */
  constructor(device, means, { streams, read }) {
    this.counts = means.map((part) => part.length / 3);
    this.count = this.counts.reduce((sum, n) => sum + n, 0);
    this.parameters = {}; // of the code: names to textures and numbers
    const all = [{ name: 'means', format: PIXELFORMAT_RGBA32F }, ...streams];
    const format = new GSplatFormat(device, all, { readGLSL: read, readWGSL: WGSL_UNUSED });
    this.container = new GSplatContainer(device, Math.max(this.count, 1), format);
    this.names = all.map(({ name }) => name);
    this.write(['means'], (texels) => this.place(means, texels));
  }

  place(means, texels) {
    const { container } = this;
    const centers = container.centers;
    const low = [Infinity, Infinity, Infinity];
    const high = [-Infinity, -Infinity, -Infinity];
    let at = 0;
    for (const part of means) {
      centers.set(part, at * 3);
      for (let i = 0; i < part.length; i += 3, at++)
        for (let a = 0; a < 3; a++) {
          const value = part[i + a];
          texels[at * 4 + a] = value;
          if (value < low[a]) low[a] = value;
          if (value > high[a]) high[a] = value;
        }
    }
    if (this.count > 0) container.aabb.setMinMax(new Vec3(...low), new Vec3(...high));
    container.update(this.count, true);
  }

  /** Has work(texels of each) fill some of the textures. */
  write(names, work) {
    const textures = names.map((name) => this.container.getTexture(name));
    work(...textures.map((texture) => texture.lock()));
    textures.forEach((texture) => texture.unlock());
  }

  /** What a texture holds: for `means` four floats each. */
  texels(name) {
    const texture = this.container.getTexture(name);
    const found = texture.lock({ mode: TEXTURELOCK_READ });
    texture.unlock();
    return found;
  }

  /** Bytes of the textures and of the copies of them in memory. */
  get bytes() {
    return this.names.reduce((sum, name) => sum + 2 * this.container.getTexture(name).gpuSize, 0);
  }

  /** Shows these Gaussians in place of those that the component shows. */
  show(component) {
    const before = component.resource;
    this.component = component;
    this.pass(component);
    component.resource = this.container;
    before?.destroy();
  }

  pass(component) {
    for (const [name, value] of Object.entries(this.parameters)) component.setParameter(name, value);
  }

  /** After a change: has the engine evaluate all Gaussians again, and draw them. */
  refresh(engine) {
    this.pass(this.component);
    this.component.workBufferUpdate = WORKBUFFER_UPDATE_ONCE;
    engine.wake();
  }
}
