import type { AppBase, GSplatData } from 'playcanvas';
import type { BakeOptions, LoadOptions, Scene } from './loader.d.mts';

/** Lets an application load assets of type gsplat from .pcgs files. Their resource has the scene's cameras as `pcgs`. */
export function registerPcgs(app: AppBase, options?: Omit<LoadOptions, 'onLevel'> & BakeOptions): object;
/** The engine's data of a scene, baked. */
export function gsplatData(scene: Scene, options?: BakeOptions): GSplatData;
