import type { Baked } from './loader.d.mts';

/** Baked Gaussians as a .ply file, as 3DGS writes it. */
export function ply(baked: Baked): Uint8Array;
