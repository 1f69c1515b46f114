// usage: node wasm_decode.mjs pcgs.wasm
// stdin: one JSON line [path, upto] for each stream; stdout: what it holds, one JSON line each.
import { readFileSync } from 'node:fs';

import { load } from '../../kernels/wasm/pcgs.mjs';

const sum = (values) => values.reduce((total, value) => total + value, 0);
const pcgs = await load(readFileSync(process.argv[2]));
for (const line of readFileSync(0, 'utf8').trim().split('\n')) {
  const [path, upto] = JSON.parse(line);
  try {
    const scene = pcgs.decode(readFileSync(path), { upto });
    const { level, levels, truncated, symbolHash, count, cameras, metadata } = scene;
    const sums = [scene.anchors, scene.features.values, scene.logScales, scene.offsets.values].map(sum);
    const alive = scene.gaussianLevels.filter((value) => value > 0).length;
    const layers = ['hidden', 'opacity', 'color', 'cov'].map((name) => scene.heads[name]);
    const heads = layers.map(({ outputs, inputs, weight, bias }) => [outputs, inputs, sum(weight), sum(bias)]);
    const shown = { level, levels, truncated, symbolHash, count, metadata, sums, alive, heads };
    const sizes = { features: scene.features.size, residuals: scene.residuals, cameras: cameras.length };
    console.log(JSON.stringify({ ...shown, ...sizes }));
  } catch (error) {
    console.log(JSON.stringify({ error: error.message }));
  }
}
