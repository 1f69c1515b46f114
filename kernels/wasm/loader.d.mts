/** A pinhole camera that the scene was made for, OpenCV axes (right, down, forward). Pixels. */
export interface Camera {
  name: string;
  width: number;
  height: number;
  fx: number;
  fy: number;
  cx: number;
  cy: number;
  /** Three rows of [R | t]. */
  worldToCamera: number[];
}

/** A linear layer: y = weight x + bias, weight [outputs, inputs] row by row. */
export interface Layer {
  inputs: number;
  outputs: number;
  weight: Float32Array;
  bias: Float32Array;
}

/** Gaussians as one eye sees them. */
export interface Gaussians {
  count: number;
  /** [count, 3] */
  means: Float32Array;
  /** [count, 3] standard deviations along the axes */
  scales: Float32Array;
  /** [count, 4] unit, w x y z */
  quaternions: Float32Array;
  /** [count] */
  opacities: Float32Array;
  /** [count, 3] sRGB, 0 to 1 */
  colors: Float32Array;
}

/** Plain Gaussians. Color along a unit direction from the eye: 0.5 + sum of harmonics over 3DGS's basis. */
export interface Baked extends Omit<Gaussians, 'colors'> {
  degree: number;
  /** [count, (degree + 1)^2, 3] */
  harmonics: Float32Array;
}

export interface BakeOptions {
  /** Of the harmonics; 2 unless given. */
  degree?: 0 | 1 | 2 | 3;
  /** To bake for; up to 16 of the scene's own unless given. */
  cameras?: Pick<Camera, 'width' | 'height' | 'fx' | 'fy' | 'cx' | 'cy' | 'worldToCamera'>[];
}

/** A scene up to a level: N = count anchors of K = offsets.size Gaussians each, F = features.size. */
export interface Scene {
  level: number;
  /** How many the file has. */
  levels: number;
  /** Whether bytes at the file's end are missing. */
  truncated: boolean;
  count: number;
  /** [N, 3] */
  anchors: Float32Array;
  /** [N, F] */
  features: { size: number; values: Float32Array };
  /** How many of the last features are no pool's. */
  residuals: number;
  /** [N, 6] */
  logScales: Float32Array;
  /** [N, K, 3] */
  offsets: { size: number; values: Float32Array };
  /** [N, K] the level at which a Gaussian appears; 0: not at this one */
  gaussianLevels: Uint8Array;
  /** The networks that make Gaussians of anchors. */
  heads: { hidden: Layer; opacity: Layer; color: Layer; cov: Layer };
  distanceScale: number;
  /** Tells equal scenes apart from others. */
  symbolHash: string;
  cameras: Camera[];
  /** RGB, 0 to 1. */
  background: number[];
  /** Where the scene lies in the coordinates of who made it: scale * rotation * own + translation. */
  frame: { scale: number; rotation: number[]; translation: number[] };
  /** JSON text, '' where there is none. Written by whoever made the file: show it as text only. */
  metadata: string;

  /** What an eye at x, y, z sees. */
  seenFrom(eye: [number, number, number] | number[]): Gaussians;
  /** Gaussians for engines that know no networks. */
  baked(options?: BakeOptions): Baked;
}

export interface LoadOptions {
  /** The level to end with; the file's last unless given. */
  upto?: number;
  /** Ends the loading; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Hears of each level before the next one is fetched. What it returns is awaited. */
  onLevel?: (scene: Scene) => unknown;
  /** Hears of bytes; total is known once the file's index is there. */
  onProgress?: (progress: { bytes: number; total: number | null }) => void;
  /** Bytes that decoding may take; 1 GiB unless given. */
  maxMemory?: number;
  /** The decoder: its address, its bytes or its module; pcgs.wasm beside loader.mjs unless given. */
  wasm?: string | URL | BufferSource | WebAssembly.Module;
}

export type Source = string | URL | Response | ReadableStream<Uint8Array> | Blob | ArrayBuffer | ArrayBufferView;

/** What is wrong: file (no scene, damaged, too new, cut short), network, memory, or paused. */
export class PcgsError extends Error {
  kind: 'file' | 'network' | 'memory' | 'paused';
}

/** Loads a scene. Addresses are read by range requests, level by level, where the server knows them. */
export function loadPcgs(source: Source, options?: LoadOptions): Promise<Scene>;

/** Eye and unit axes of a camera as WebGL has them. */
export interface Pose {
  eye: number[];
  right: number[];
  up: number[];
  back: number[];
}
export function poseOf(camera: Pick<Camera, 'worldToCamera'>): Pose;
/** x y z w */
export function quaternionOf(pose: Pick<Pose, 'right' | 'up' | 'back'>): number[];
/** Degrees from top to bottom. */
export function fieldOfView(camera: Pick<Camera, 'height' | 'fy'>): number;
/** Column-major projection matrix for WebGL. */
export function projectionOf(lens: Pick<Camera, 'fx' | 'fy' | 'cx' | 'cy'>, width: number, height: number, near: number, far: number): number[];
