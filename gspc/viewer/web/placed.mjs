// A scene as the graphics processor takes it: where its Gaussians are, and its numbers and networks in rows of four.

const fours = (n) => Math.ceil(n / 4);

/**
 * @param {object} scene what decode() gives
 * @returns {{placed: object, transfer: ArrayBuffer[]}}
 */
export function placedScene(scene) {
  const { heads, features, offsets, distanceScale } = scene;
  const sizes = { hidden: fours(heads.opacity.inputs), features: fours(features.size), offsets: offsets.size, distanceScale };
  const { means, links } = gaussians(scene);
  const arrays = {
    means,
    links,
    anchors: padded(scene.anchors, 3, 4),
    extents: extents(scene),
    features: padded(features.values, features.size, 4 * sizes.features),
    first: firstLayer(scene, sizes),
    second: secondLayers(scene, sizes),
  };
  return { placed: { ...arrays, sizes }, transfer: Object.values(arrays).map((array) => array.buffer) };
}

/** Means [M, 3] of the Gaussians that are alive, and which they are: anchor * 256 + number of the offset. */
function gaussians({ anchors, logScales, offsets, gaussianLevels }) {
  const count = gaussianLevels.reduce((sum, level) => sum + (level > 0 ? 1 : 0), 0);
  const means = new Float32Array(3 * count);
  const links = new Uint32Array(count);
  let at = 0;
  for (let i = 0; i < gaussianLevels.length; i++) {
    if (gaussianLevels[i] === 0) continue;
    const anchor = Math.floor(i / offsets.size);
    for (let a = 0; a < 3; a++)
      means[3 * at + a] = anchors[3 * anchor + a] + offsets.values[3 * i + a] * Math.exp(logScales[6 * anchor + a]);
    links[at++] = anchor * 256 + (i % offsets.size);
  }
  return { means, links };
}

function extents({ count, logScales }) {
  const found = new Float32Array(4 * count);
  for (let n = 0; n < count; n++) for (let a = 0; a < 3; a++) found[4 * n + a] = Math.exp(logScales[6 * n + 3 + a]);
  return found;
}

/** Rows of `from` numbers as rows of `to`, zeros behind. */
function padded(values, from, to) {
  if (from === to) return values;
  const rows = values.length / from;
  const found = new Float32Array(rows * to);
  for (let row = 0; row < rows; row++) found.set(values.subarray(row * from, (row + 1) * from), row * to);
  return found;
}

/** [4 features + 5, 3 heads, units]: a row for each input of the hidden layer, then its biases. */
function firstLayer({ heads: { hidden: layer, opacity }, features }, sizes) {
  const units = 4 * sizes.hidden;
  const width = 3 * units;
  const found = new Float32Array((4 * sizes.features + 5) * width);
  for (let o = 0; o < layer.outputs; o++) {
    const column = Math.floor(o / opacity.inputs) * units + (o % opacity.inputs);
    for (let i = 0; i < layer.inputs; i++) {
      const row = i < features.size ? i : 4 * sizes.features + (i - features.size);
      found[row * width + column] = layer.weight[o * layer.inputs + i];
    }
    found[(4 * sizes.features + 4) * width + column] = layer.bias[o];
  }
  return found;
}

/** [11 offsets, units + 4]: opacity, color, cov; a row's bias in its last four. */
function secondLayers({ heads }, sizes) {
  const width = 4 * sizes.hidden + 4;
  const found = new Float32Array(11 * sizes.offsets * width);
  let row = 0;
  for (const { weight, bias, inputs, outputs } of [heads.opacity, heads.color, heads.cov])
    for (let o = 0; o < outputs; o++, row++) {
      found.set(weight.subarray(o * inputs, (o + 1) * inputs), row * width);
      found[row * width + width - 4] = bias[o];
    }
  return found;
}
