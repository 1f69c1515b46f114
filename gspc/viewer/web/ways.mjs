// Which way the heads are evaluated.
import { BAKED, BakedLooks } from './bakedlooks.mjs';
import { GpuLooks, canLook } from './gpulooks.mjs';
import { LOOKED, Looks } from './looks.mjs';

// Graphics processors that a program plays. There the processor's own vectors, in workers, are quicker.
const PLAYED = /swiftshader|llvmpipe|softpipe|software|basic render/i;

/** gpu, wasm or baked: what was asked for, as far as the device can do it; otherwise what is quickest. */
export function bestWay(device, asked) {
  const able = canLook(device);
  if (asked === 'baked' || asked === 'wasm' || (asked === 'gpu' && able)) return asked;
  return able && !PLAYED.test(device.unmaskedRenderer ?? '') ? 'gpu' : 'wasm';
}

/**
 * @param {'gpu' | 'wasm' | 'baked'} way
 * @param {() => Lookers} lookers workers for the way that needs them
 * @param {number | null} part of a tiled scene; null for a scene that is one file
 */
export function makeLooks(way, engine, lookers, part) {
  if (way === 'gpu') return new GpuLooks(engine);
  return way === 'baked' ? new BakedLooks(engine) : new Looks(engine, lookers(), part);
}

/** Textures and code of a way's Gaussians, as far as they are known without a scene: to have shaders made early. */
export const kindOf = (way) => (way === 'baked' ? BAKED : LOOKED);
