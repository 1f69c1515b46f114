// usage: node viewer_package.mjs FOLDER ADDRESS; FOLDER holds the package, ADDRESS serves a scene of three levels.
// stdout: one JSON line of what each way to load it gave.
import { openAsBlob } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';

const [folder, address, path] = process.argv.slice(2);
const { PcgsError, loadPcgs } = await import(pathToFileURL(`${folder}/loader.mjs`));
const { ply } = await import(pathToFileURL(`${folder}/ply.mjs`));
const bytes = new Uint8Array(await readFile(path));

const told = async (work) => {
  try {
    return await work();
  } catch (error) {
    return { error: error.message, name: error.name, kind: error instanceof PcgsError ? error.kind : null };
  }
};
const brief = ({ level, levels, count, symbolHash }) => ({ level, levels, count, symbolHash });

async function levelByLevel() {
  const events = [];
  let told = 0;
  const scene = await loadPcgs(address, {
    onProgress: ({ bytes: have, total }) => { told = have; events.push(total === null ? 'unknown' : 'known'); },
    onLevel: async ({ level, count }) => { events.push(`level ${level}`); await null; events.push(`${count} at ${told}`); },
  });
  return { events: events.filter((event, i) => event !== events[i - 1]), last: brief(scene) };
}

async function stopped() {
  const abort = new AbortController();
  const seen = [];
  const loading = loadPcgs(address, { signal: abort.signal, onLevel: ({ level }) => { seen.push(level); abort.abort(new Error('enough')); } });
  return { seen, ...(await told(() => loading)) };
}

const streamed = () => new Blob([bytes]).stream();
const damaged = bytes.slice();
damaged[damaged.length - 5] ^= 1;
const scene = await loadPcgs(bytes);
// A scene whose slices two readers decode; the helper answers as one in a worker would.
async function shared() {
  const { Levels, taken } = await import(pathToFileURL(`${folder}/levels.mjs`));
  const { load } = await import(pathToFileURL(`${folder}/pcgs.mjs`));
  const { BytesSource } = await import(pathToFileURL(`${folder}/sources.mjs`));
  const pcgs = await load(await readFile(`${folder}/pcgs.wasm`));
  const reader = pcgs.open();
  const chosen = [];
  const helper = {
    feed: (part, offset) => reader.feed(part, offset),
    choose: (flags) => { chosen.push(...flags); reader.choose(flags); },
    take: async (level) => taken(reader, level),
    takeSlices: async () => reader.takeSlices(),
    close: () => reader.close(),
  };
  const levels = new Levels(pcgs, new BytesSource(bytes), {}, [helper]);
  await levels.fetch(3);
  const found = [];
  for (const level of [2, 3, 1]) {
    const both = await levels.decoded(level);
    found.push([both.count, sum(both.features.values), sum(both.gaussianLevels)]);
  }
  return { found, slices: chosen.length, helped: sum(chosen.map(Number)) };
}

async function whole() {
  const found = [];
  for (const level of [2, 3, 1]) {
    const one = await loadPcgs(bytes, { upto: level });
    found.push([one.count, sum(one.features.values), sum(one.gaussianLevels)]);
  }
  return found;
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
const seen = scene.seenFrom([0.1, 0.2, 0.3]);
const baked = scene.baked({ degree: 1 });

console.log(JSON.stringify({
  levelByLevel: await levelByLevel(),
  upto: brief(await loadPcgs(new URL(address), { upto: 2 })),
  response: brief(await loadPcgs(await fetch(address))),
  stream: brief(await loadPcgs(streamed(), { upto: 1 })),
  blob: brief(await loadPcgs(await openAsBlob(path))),
  bytes: brief(scene),
  stopped: await stopped(),
  stoppedBefore: await told(() => loadPcgs(bytes, { signal: AbortSignal.abort() })),
  damaged: await told(() => loadPcgs(damaged)),
  cut: await told(() => loadPcgs(bytes.subarray(0, bytes.length - 10))),
  noScene: await told(() => loadPcgs(new TextEncoder().encode('hello, this is text and no scene'))),
  nothing: await told(() => loadPcgs(`${address}.not`)),
  nobody: await told(() => loadPcgs('http://127.0.0.1:9/scene.pcgs')),
  number: await told(() => loadPcgs(7)),
  small: await told(() => loadPcgs(bytes, { maxMemory: 1000 })),
  shared: await shared(),
  whole: await whole(),
  frame: scene.frame,
  seen: { count: seen.count, sums: [seen.means, seen.scales, seen.opacities, seen.colors].map(sum) },
  ply: Buffer.from(ply(baked)).toString('base64'),
}));
