// What three.js finds in a glTF file of Gaussians, as JSON. node three_reads_glb.mjs THREE FILE, where THREE is the
// folder of the npm package.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

globalThis.self = globalThis; // the loader looks for a browser's window under this name
const [three, file] = process.argv.slice(2);
const { GLTFLoader } = await import(pathToFileURL(`${three}/examples/jsm/loaders/GLTFLoader.js`));
const data = readFileSync(file);
const content = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
const { scene } = await new GLTFLoader().parseAsync(content, '');
const found = [];
scene.updateMatrixWorld(true);
scene.traverse((object) => {
  if (!object.geometry) return;
  const attributes = {};
  for (const [name, values] of Object.entries(object.geometry.attributes)) {
    attributes[name] = [];
    for (let row = 0; row < values.count; ++row) {
      attributes[name].push(Array.from({ length: values.itemSize }, (_, column) => values.getComponent(row, column)));
    }
  }
  found.push({ type: object.type, matrix: object.matrixWorld.elements, attributes });
});
console.log(JSON.stringify(found));
