// @gspc/pcgs: scenes of .pcgs streams as arrays, level by level, in browsers and node. loader.d.mts has the types.
import { PcgsError } from './errors.mjs';
import { Levels } from './levels.mjs';
import { load } from './pcgs.mjs';
import { baked, seenFrom } from './plain.mjs';
import { BytesSource, RangeSource, StreamSource } from './sources.mjs';

export { PcgsError } from './errors.mjs';
export { fieldOfView, poseOf, projectionOf, quaternionOf } from './poses.mjs';

/**
 * Loads a scene and resolves to it at the level that was asked for. Each level is handed to `onLevel` before the next
 * one is fetched; what that returns is awaited. Rejects with PcgsError, or with the signal's reason.
 * @param {string | URL | Response | ReadableStream<Uint8Array> | Blob | ArrayBuffer | ArrayBufferView} source
 * @param {import('./loader.d.mts').LoadOptions} options
 * @returns {Promise<import('./loader.d.mts').Scene>}
 */
export async function loadPcgs(source, options = {}) {
  const { upto = Infinity, signal, onLevel, onProgress, maxMemory, wasm } = options;
  signal?.throwIfAborted();
  const state = { total: null };
  const bytes = await sourceOf(source, (have) => onProgress?.({ bytes: have, total: state.total }));
  const stop = () => bytes.pause();
  signal?.addEventListener('abort', stop);
  let levels = null;
  try {
    const pcgs = await core(wasm);
    signal?.throwIfAborted();
    levels = new Levels(pcgs, bytes, { maxMemory });
    const ends = await levels.index();
    const last = Math.min(upto, ends.length);
    state.total = ends[last - 1];
    for (let level = onLevel ? 1 : last; ; level++) {
      await levels.fetch(level);
      signal?.throwIfAborted();
      const scene = withMethods(pcgs, await levels.decoded(level));
      if (onLevel) await onLevel(scene);
      signal?.throwIfAborted();
      if (level === last) return scene;
    }
  } catch (error) {
    signal?.throwIfAborted(); // what a canceled request says is the abort's doing
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
    levels?.close();
  }
}

async function sourceOf(source, onBytes) {
  if (typeof source === 'string' || source instanceof URL) return new RangeSource(source, onBytes);
  if (source instanceof Response) {
    if (!source.ok) throw new PcgsError('network', `the server answered ${source.status}`);
    return new StreamSource(source.body, onBytes);
  }
  if (source instanceof ReadableStream) return new StreamSource(source, onBytes);
  if (source instanceof Blob) return new BytesSource(new Uint8Array(await source.arrayBuffer()));
  if (source instanceof ArrayBuffer) return new BytesSource(new Uint8Array(source));
  if (ArrayBuffer.isView(source)) return new BytesSource(new Uint8Array(source.buffer, source.byteOffset, source.byteLength));
  throw new TypeError('loadPcgs takes an address, a Response, a stream, a Blob or bytes');
}

const cores = new Map(); // of decoders by what they were made of; each a promise

/** The decoder: pcgs.wasm beside this file, or what `wasm` is: an address, bytes or a module. */
function core(wasm = new URL('./pcgs.wasm', import.meta.url)) {
  const key = wasm instanceof URL ? wasm.href : wasm;
  if (!cores.has(key)) cores.set(key, made(wasm));
  return cores.get(key).catch((error) => {
    cores.delete(key); // another try may do better
    throw error;
  });
}

async function made(wasm) {
  if (typeof wasm !== 'string' && !(wasm instanceof URL)) return load(wasm);
  if (String(wasm).startsWith('file:')) {
    const { readFile } = await import('node:fs/promises'); // node's fetch knows no files
    return load(await readFile(new URL(wasm)));
  }
  let response;
  try {
    response = await fetch(wasm);
  } catch (error) {
    throw new PcgsError('network', 'the decoder could not be fetched', { cause: error });
  }
  if (!response.ok) throw new PcgsError('network', `the decoder could not be fetched: the server answered ${response.status}`);
  return load(await response.arrayBuffer());
}

function withMethods(pcgs, scene) {
  return Object.assign(scene, {
    seenFrom: (eye) => seenFrom(pcgs, scene, eye),
    baked: (options) => baked(pcgs, scene, options),
  });
}
