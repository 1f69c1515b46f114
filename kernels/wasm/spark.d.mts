import type { SplatMesh } from '@sparkjsdev/spark';
import type { Object3D } from 'three';
import type { BakeOptions, LoadOptions, Scene, Source } from './loader.d.mts';

export interface MeshOptions extends Omit<LoadOptions, 'onLevel'>, BakeOptions {
  /** Hears of each level once its mesh is in the parent. */
  onLevel?: (scene: Scene, mesh: SplatMesh) => unknown;
}

/** A mesh of a scene that is there already. */
export function splatMesh(scene: Scene, options?: BakeOptions): Promise<SplatMesh>;
/** Loads a scene into a parent, a level taking the place of the one before. Resolves to the last level's mesh. */
export function addPcgs(parent: Object3D, source: Source, options?: MeshOptions): Promise<SplatMesh>;
