// Baked Gaussians as a .ply file, which other viewers and libraries read.
import { columns } from './plain.mjs';

/** @param {import('./loader.d.mts').Baked} baked @returns {Uint8Array} as 3DGS writes it, binary and little-endian */
export function ply(baked) {
  const found = columns(baked);
  const names = Object.keys(found);
  const lines = ['ply', 'format binary_little_endian 1.0', `element vertex ${baked.count}`];
  const header = new TextEncoder().encode([...lines, ...names.map((name) => `property float ${name}`), 'end_header\n'].join('\n'));
  const bytes = new Uint8Array(header.length + 4 * names.length * baked.count);
  bytes.set(header);
  const view = new DataView(bytes.buffer, header.length);
  names.forEach((name, at) => {
    const column = found[name];
    for (let i = 0; i < baked.count; i++) view.setFloat32(4 * (i * names.length + at), column[i], true);
  });
  return bytes;
}
