// The start of a page that is one file: unpacks the parts, which are texts in it, and runs the viewer.

/** The bytes of a part; its text is dropped. */
function taken(name) {
  const element = document.getElementById(`part-${name}`);
  const letters = atob(element.textContent);
  element.remove();
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

const inflated = (name) => new Response(new Blob([taken(name)]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();

const script = async (name) => URL.createObjectURL(new Blob([await inflated(name)], { type: 'text/javascript' }));

const viewer = await script('viewer');
globalThis.gspcParts = { worker: await script('worker'), wasm: await inflated('wasm'), scene: taken('scene').buffer };
const element = document.createElement('script');
element.src = viewer;
document.body.append(element);
