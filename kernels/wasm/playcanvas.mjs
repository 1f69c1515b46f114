// Scenes for PlayCanvas: a parser of gsplat assets, or the engine's data from a scene that is there already.
import { GSplatData, GSplatResource } from 'playcanvas';

import { loadPcgs } from './loader.mjs';
import { columns } from './plain.mjs';

/** The engine's data of a scene, baked. `options`: as for baked(). */
export function gsplatData(scene, options) {
  const baked = scene.baked(options);
  const properties = Object.entries(columns(baked)).map(([name, storage]) => ({ type: 'float', name, storage, byteSize: 4 }));
  return new GSplatData([{ name: 'vertex', count: baked.count, properties }]);
}

/** Lets an application load assets of type gsplat from .pcgs files. `options`: as for loadPcgs() and baked(). */
export function registerPcgs(app, options = {}) {
  const parser = new PcgsParser(app, options);
  app.loader.getHandler('gsplat').addParser(parser);
  return parser;
}

class PcgsParser {
  constructor(app, options) {
    this.app = app;
    this.options = options;
  }

  canParse({ ext }) {
    return ext === 'pcgs';
  }

  /** Called by the engine. The resource has what the scene says about itself, its cameras above all, as `pcgs`. */
  async load(url, callback, asset) {
    try {
      const source = asset.file?.contents ? await asset.file.contents : new URL(url.load, globalThis.location?.href);
      const onProgress = ({ bytes, total }) => asset.fire('progress', bytes, total ?? 0);
      const scene = await loadPcgs(source, { onProgress, ...this.options });
      const data = gsplatData(scene, this.options);
      asset.fire('load:data', data);
      data.reorderData(); // Gaussians side by side in space lie side by side in textures
      const resource = new GSplatResource(this.app.graphicsDevice, data);
      const { cameras, background, metadata, level, levels, frame } = scene;
      callback(null, Object.assign(resource, { pcgs: { cameras, background, metadata, level, levels, frame } }));
    } catch (error) {
      callback(error, null);
    }
  }

  open(url, data) {
    return data;
  }
}
