// Where the parts of the page are: files beside it, or, in a page that is one file, texts within it.
import { Viewer } from './main.mjs';

const given = JSON.parse(document.getElementById('settings').textContent);
const parts = globalThis.gspcParts; // of a page that is one file: {worker, wasm, scene}

const at = (name) => new URL(name, document.baseURI).href;
const there = given.index ? { index: at(given.index) } : { url: at(given.scene ?? '') };

const settings = {
  name: given.name,
  source: parts ? { bytes: parts.scene } : there,
  makeWorker: (name) => new Worker(parts ? parts.worker : at(given.worker), { name }),
  module: async () => {
    if (parts) return WebAssembly.compile(parts.wasm);
    const response = await fetch(at(given.wasm));
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    return WebAssembly.compile(await response.arrayBuffer());
  },
};

const viewer = new Viewer(document.getElementById('picture'), settings);
globalThis.gspcViewer = viewer; // for scripts of the page that embeds it
viewer.start().catch((error) => viewer.panel.message(`The viewer cannot start: ${error.message}`));

addEventListener('pagehide', () => viewer.close());
addEventListener('pageshow', (event) => {
  if (event.persisted) location.reload(); // everything was freed when the page was left
});
