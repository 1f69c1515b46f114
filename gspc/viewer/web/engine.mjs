// The engine, set up for one thing: Gaussians as gspc draws them.
//
// PlayCanvas blurs, cuts and clamps a little differently from gspc's own rasterizer, whose conventions the scenes
// were fitted with (kernels/raster/raster.hpp). The shader lines concerned are replaced. The engine's version is
// pinned; should a line be another one after an upgrade, the page says so instead of drawing something else.
import {
  AppBase, AppOptions, CameraComponentSystem, DEVICETYPE_WEBGL2, Entity, FILLMODE_NONE, GAMMA_SRGB, GSPLATDATA_LARGE,
  GSplatComponentSystem, RESOLUTION_AUTO, RenderTarget, SHADERLANGUAGE_GLSL, ShaderChunks, TONEMAP_NONE, Texture, createGraphicsDevice,
} from 'playcanvas';

// chunk -> [engine's line, ours]. The engine's unit is half a pixel, so a variance of 0.3 pixels is 1.2 there.
const CHANGES = {
  gsplatCornerVS: [
    ['float diagonal1 = cov[0][0] + 0.3;', 'float diagonal1 = cov[0][0] + 1.2;'],
    ['float diagonal2 = cov[1][1] + 0.3;', 'float diagonal2 = cov[1][1] + 1.2;'],
    // Large Gaussians stay as large as they are.
    ['float vmin = min(1024.0, min(viewport_size.x, viewport_size.y));', 'float vmin = 1.0e6;'],
    // Slopes are held within the picture and some margin: the linear projection is no good further out.
    ['vec3 vp = camera_params.w == 1.0 ? vec3(0.0, 0.0, 1.0) : v;',
      'vec2 wide = 1.3 / vec2(center.projMat00, abs(center.projMat11));' +
      ' vec3 vp = vec3(clamp(v.xy / v.z, -wide, wide) * v.z, v.z);'],
  ],
  gsplatCenterVS: [['camera_params.w != 1.0 && centerView.z > 0.0', 'centerView.z > -0.01']],
  gsplatCommonVS: [['min(1.0, sqrt(max(0.0, log(alpha / alphaClipValue))) * 0.5)', 'sqrt(max(0.0, log(alpha / alphaClipValue))) * 0.5']],
  gsplatPS: [
    ['return (exp(x * -4.0) - EXP4) * INV_EXP4;', 'return exp(x * -4.0);'],
    ['if (A > 1.0) {', 'if (A > 1.4) {'],
    ['mediump float alpha = normExp(A) * gaussianColor.a;', 'float alpha = min(0.999, normExp(A) * gaussianColor.a);'],
  ],
};

function changed(device, material) {
  const engine = ShaderChunks.get(device, SHADERLANGUAGE_GLSL);
  for (const [name, lines] of Object.entries(CHANGES)) {
    let code = engine.get(name);
    for (const [theirs, ours] of lines) {
      if (!code.includes(theirs)) throw new Error(`this version of the engine has another ${name}`);
      code = code.replace(theirs, ours);
    }
    material.shaderChunks.glsl.set(name, code);
  }
}

/**
 * The engine on a canvas, idle until `app.renderNextFrame` is set. `scene` shows Gaussians; `added()` gives another entity
 * that does, and all of them are sorted together.
 * @param {HTMLCanvasElement} canvas
 */
export async function startEngine(canvas) {
  const device = await createGraphicsDevice(canvas, {
    deviceTypes: [DEVICETYPE_WEBGL2], antialias: false, alpha: false, depth: true, stencil: false, powerPreference: 'high-performance',
  });
  const app = new AppBase(canvas);
  const options = new AppOptions();
  options.graphicsDevice = device;
  options.componentSystems = [CameraComponentSystem, GSplatComponentSystem];
  app.init(options);
  app.autoRender = false;
  app.setCanvasFillMode(FILLMODE_NONE);
  app.setCanvasResolution(RESOLUTION_AUTO);
  const splats = app.scene.gsplat;
  splats.dataFormat = GSPLATDATA_LARGE;
  splats.minPixelSize = 0;
  splats.useFog = false;
  splats.useTonemap = false;
  changed(device, splats.material);
  splats.material.update();
  const eye = new Entity('eye');
  eye.addComponent('camera', { toneMapping: TONEMAP_NONE, gammaCorrection: GAMMA_SRGB, frustumCulling: false });
  app.root.addChild(eye);
  const added = () => {
    const entity = new Entity('scene');
    entity.addComponent('gsplat');
    app.root.addChild(entity);
    return entity;
  };
  const scene = added();
  app.start();
  const exchange = exchanging(app, device, eye);
  return { app, device, eye, scene, added, exchange, ...watching(app, device), close: () => app.destroy() };
}

const SORTING_MS = 1000; // a sorter that takes longer is not waited for

/**
 * exchange(component's work): new Gaussians take the place of others. The engine draws twice then: the old ones once
 * more, because their order is the only one it has, and the new ones when they are sorted. The first of these frames goes
 * into a picture of one pixel, without Gaussians: it would take as long as the second, and show nothing new.
 */
function exchanging(app, device, eye) {
  const colorBuffer = new Texture(device, { name: 'unseen', width: 1, height: 1, mipmaps: false });
  const unseen = new RenderTarget({ colorBuffer, depth: false });
  let timer = null;
  const resume = () => {
    clearTimeout(timer);
    eye.camera.renderTarget = null;
    app.renderNextFrame = true;
  };
  app.scene.on('gsplat:sorted', resume);
  app.systems.gsplat.on('frame:ready', (camera, layer, all) => {
    if (all || eye.camera.renderTarget === null) return;
    layer.meshInstances.forEach((instance) => { instance.visible = false; }); // until the engine has an order again
  });
  return (work) => {
    eye.camera.renderTarget = unseen;
    work();
    clearTimeout(timer);
    timer = setTimeout(resume, SORTING_MS);
    app.renderNextFrame = true;
  };
}

/** wake(): draw a frame soon. drawn(): resolves when a frame with all that was set by now has been drawn. */
function watching(app, device) {
  let waiting = [];
  let ready = false;
  app.systems.gsplat.on('frame:ready', (camera, layer, all) => { ready = all; });
  app.on('postrender', () => {
    if (!ready || waiting.length === 0) return;
    const done = waiting;
    waiting = [];
    finished(device.gl).then(() => done.forEach((resolve) => resolve()));
  });
  const wake = () => { app.renderNextFrame = true; };
  const drawn = () => new Promise((resolve) => {
    ready = false;
    waiting.push(resolve);
    wake();
  });
  return { wake, drawn };
}

/** Resolves when the graphics processor has done all it was told. */
async function finished(gl) {
  const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
  gl.flush();
  while (!gl.isContextLost() && gl.clientWaitSync(fence, 0, 0) === gl.TIMEOUT_EXPIRED)
    await new Promise((resolve) => { setTimeout(resolve, 4); });
  gl.deleteSync(fence);
}
