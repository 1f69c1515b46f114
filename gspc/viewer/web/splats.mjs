// A level's Gaussians as textures of the engine. Where they are never changes; what the eye sees of them does.
import {
  GSplatContainer, GSplatFormat, PIXELFORMAT_RGBA16F, PIXELFORMAT_RGBA32F, PIXELFORMAT_RGBA32U, TEXTURELOCK_READ, Vec3,
  WORKBUFFER_UPDATE_ONCE,
} from 'playcanvas';

// Shapes are eight half floats: scale, quaternion wxyz, nothing.
const READ = /* glsl */ `
vec3 getCenter() { return loadMeans().xyz; }
vec4 getColor() { return loadColors(); }
vec3 getScale() {
    uvec4 shape = loadShapes();
    return vec3(unpackHalf2x16(shape.x), unpackHalf2x16(shape.y).x);
}
vec4 getRotation() {
    uvec4 shape = loadShapes();
    return vec4(unpackHalf2x16(shape.y).y, unpackHalf2x16(shape.z), unpackHalf2x16(shape.w).x);
}
`;

const WGSL_UNUSED = '// the page asks for WebGL2 only';

export class Splats {
  /**
   * @param {object} device
   * @param {Float32Array[]} means of each part, [M, 3]
   */
  constructor(device, means) {
    this.counts = means.map((part) => part.length / 3);
    this.count = this.counts.reduce((sum, n) => sum + n, 0);
    const format = new GSplatFormat(
      device,
      [
        { name: 'means', format: PIXELFORMAT_RGBA32F },
        { name: 'shapes', format: PIXELFORMAT_RGBA32U },
        { name: 'colors', format: PIXELFORMAT_RGBA16F },
      ],
      { readGLSL: READ, readWGSL: WGSL_UNUSED },
    );
    this.container = new GSplatContainer(device, Math.max(this.count, 1), format);
    this.place(means);
  }

  place(means) {
    const { container } = this;
    const centers = container.centers;
    const texture = container.getTexture('means');
    const texels = texture.lock();
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
    texture.unlock();
    if (this.count > 0) container.aabb.setMinMax(new Vec3(...low), new Vec3(...high));
    container.update(this.count, true);
  }

  /** Takes over what the workers saw: half floats, a pair of arrays for each part. */
  fill(looked) {
    const shapes = this.container.getTexture('shapes');
    const colors = this.container.getTexture('colors');
    const shapeTexels = shapes.lock();
    const colorTexels = colors.lock();
    let at = 0;
    looked.forEach((part, i) => {
      shapeTexels.set(new Uint32Array(part.shapes.buffer), at * 4);
      colorTexels.set(part.colors, at * 4);
      at += this.counts[i];
    });
    shapes.unlock();
    colors.unlock();
  }

  /** What a texture holds: means (four floats each), shapes (four u32 of two half floats) or colors (four half floats). */
  texels(name) {
    const texture = this.container.getTexture(name);
    const found = texture.lock({ mode: TEXTURELOCK_READ });
    texture.unlock();
    return found;
  }

  /** Bytes of the textures and of the copies of them in memory. */
  get bytes() {
    return this.container.textureDimensions.x * this.container.textureDimensions.y * (16 + 16 + 8) * 2;
  }

  /** Shows these Gaussians in place of those that the component shows. */
  show(component) {
    const before = component.resource;
    component.resource = this.container;
    before?.destroy();
  }

  /** After fill(): has the engine take the new shapes and colors over. */
  refresh(component) {
    component.workBufferUpdate = WORKBUFFER_UPDATE_ONCE;
  }
}
