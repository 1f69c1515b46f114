// Scenes for three.js, drawn by Spark: plain Gaussians with harmonics, baked from the networks.
import { SplatFileType, SplatMesh } from '@sparkjsdev/spark';

import { loadPcgs } from './loader.mjs';
import { ply } from './ply.mjs';

/** A mesh of a scene that is there already. `options`: as for baked(). */
export async function splatMesh(scene, options) {
  const mesh = new SplatMesh({ fileBytes: ply(scene.baked(options)), fileType: SplatFileType.PLY });
  await mesh.initialized;
  const { cameras, background, metadata, level, levels, frame } = scene;
  mesh.userData.pcgs = { cameras, background, metadata, level, levels, frame };
  return mesh;
}

/**
 * Loads a scene into a parent, a level taking the place of the one before. Resolves to the last level's mesh.
 * @param {import('three').Object3D} parent
 * @param {Parameters<typeof loadPcgs>[0]} source
 * @param {import('./spark.d.mts').MeshOptions} options
 */
export async function addPcgs(parent, source, options = {}) {
  let shown = null;
  await loadPcgs(source, {
    ...options,
    onLevel: async (scene) => {
      const mesh = await splatMesh(scene, options);
      parent.add(mesh);
      shown?.removeFromParent();
      shown?.dispose();
      shown = mesh;
      await options.onLevel?.(scene, mesh);
    },
  });
  return shown;
}
