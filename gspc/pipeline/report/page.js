'use strict';

const data = JSON.parse(document.getElementById('data').textContent);
const byId = (id) => document.getElementById(id);
const COLORS = ['#0868ac', '#d95f02', '#1b9e77', '#7b3294', '#c51b8a', '#8c6d1f', '#5e8fbf', '#b2182b', '#7f7f7f', '#4daf4a'];
const state = { level: data.levels.length - 1, view: 0, right: 'photograph', at: 50 };

/** An element with attributes and children; texts are written as text. */
function make(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for drawings. */
function draw(name, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const decibels = (value) => (value === null ? 'equal' : value.toFixed(2));
const share = (value) => (value === null ? 'n/a' : value.toFixed(4));
const count = (value) => (value === null ? 'n/a' : value.toLocaleString('en-US'));

/** Bytes as people read them. */
function size(bytes) {
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(2)} MB`;
  return bytes >= 1e3 ? `${(bytes / 1e3).toFixed(0)} kB` : `${bytes} bytes`;
}

function heading() {
  const views = data.levels[0].views.length;
  const kind = data.views === 'test' ? 'held-out view' : 'training view';
  byId('title').textContent = data.source;
  byId('about').textContent =
    `${views} ${kind}${views === 1 ? '' : 's'} of ${data.data}` + (data.made_with ? ` · ${data.made_with}` : '');
  byId('made').textContent = `gspc ${data.version}` + (data.levels[0].lpips === null ? ` · ${data.lpips_status}` : '');
  byId('warnings').hidden = data.warnings.length === 0;
  byId('warnings').append(...data.warnings.map((text) => make('li', {}, text)));
}

// Pictures

function thumbnails() {
  const chosen = data.pictures.map((view, number) => {
    const picture = make('img', { src: view.photograph, alt: '', loading: 'lazy' });
    const button = make('button', { type: 'button', role: 'option', title: view.name }, picture, make('span', {}, view.name));
    button.addEventListener('click', () => show({ view: number }));
    return button;
  });
  byId('views').append(...chosen);
}

function pictures() {
  const view = data.pictures[state.view];
  const level = data.levels[state.level];
  const shown = view.levels[level.level];
  const wipe = byId('wipe');
  wipe.style.aspectRatio = `${view.width} / ${view.height}`;
  wipe.style.width = `min(100%, ${view.width * 2}px, calc(80vh * ${view.width / view.height}))`;
  byId('left').src = shown.drawn;
  byId('right').src = state.right === 'error' ? shown.error : view.photograph;
  byId('left').alt = `${view.name} as drawn at level ${level.level}`;
  byId('right').alt = `${view.name}, ${state.right}`;
  const score = level.views.find((row) => row.view === view.name);
  byId('left-tag').textContent = `level ${level.level}` + (score ? ` · ${decibels(score.psnr)} dB` : '');
  byId('right-tag').textContent = state.right;
  byId('legend').hidden = state.right !== 'error';
  [...byId('views').children].forEach((button, number) => {
    button.setAttribute('aria-selected', number === state.view);
  });
}

function wipe() {
  byId('right').style.clipPath = `inset(0 0 0 ${state.at}%)`;
  byId('bar').style.left = `${state.at}%`;
  byId('wipe').setAttribute('aria-valuenow', Math.round(state.at));
}

function errorLegend() {
  const stops = data.shades.map((color, number) =>
    draw('stop', { offset: number / (data.shades.length - 1), 'stop-color': color }));
  const bar = draw('svg', { 'aria-hidden': 'true' },
    draw('linearGradient', { id: 'shades' }, ...stops), draw('rect', { width: '100%', height: '100%', fill: 'url(#shades)' }));
  byId('legend').append('no error', bar, `mean error of ${data.whiteAt * 100} % or more`);
}

// Quality over size

/** Some three to six easy numbers between two. */
function ticks(low, high, wanted = 5) {
  const rough = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(at);
  return found;
}

function curve() {
  const rows = data.levels.filter((level) => level.bytes !== null && level.psnr !== null);
  if (rows.length === 0) {
    byId('curve').textContent = 'A decoded scene has no size of its own as a stream; evaluate the stream to see a curve.';
    return;
  }
  const [width, height, left, bottom] = [640, 320, 52, 40];
  const most = Math.max(...rows.map((row) => row.bytes)) * 1.08;
  const values = rows.map((row) => row.psnr);
  const margin = Math.max(0.1, (Math.max(...values) - Math.min(...values)) * 0.15);
  const [low, high] = [Math.min(...values) - margin, Math.max(...values) + margin];
  const x = (bytes) => left + (bytes / most) * (width - left - 20);
  const y = (psnr) => 12 + ((high - psnr) / (high - low)) * (height - bottom - 12);
  const plot = draw('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': 'PSNR over bytes' });
  for (const at of ticks(low, high)) {
    plot.append(draw('line', { class: 'grid', x1: left, x2: width - 20, y1: y(at), y2: y(at) }),
      draw('text', { x: left - 8, y: y(at) + 4, 'text-anchor': 'end' }, Number(at.toPrecision(4)).toString()));
  }
  for (const at of ticks(0, most)) {
    plot.append(draw('text', { x: x(at), y: height - bottom + 18, 'text-anchor': 'middle' }, at ? size(at) : '0'));
  }
  plot.append(draw('text', { x: left - 8, y: height - 4 }, 'PSNR in dB over bytes on disk; a point is a level'));
  const line = rows.map((row) => `${x(row.bytes)},${y(row.psnr)}`).join(' ');
  plot.append(draw('polyline', { class: 'curve', points: line }));
  for (const row of rows) {
    const about = `level ${row.level}: ${decibels(row.psnr)} dB, ${count(row.bytes)} bytes`;
    const point = draw('circle', { class: 'point', cx: x(row.bytes), cy: y(row.psnr), r: 6 }, draw('title', {}, about));
    point.dataset.level = row.level;
    point.addEventListener('click', () => show({ level: data.levels.indexOf(row) }));
    plot.append(point, draw('text', { x: x(row.bytes), y: y(row.psnr) + 22, 'text-anchor': 'middle' }, row.level));
  }
  byId('curve').append(plot);
}

// Bytes

/** What the bytes up to a level are spent on, largest first in the last level; what takes less than a hundredth
 * is taken together. */
function spending() {
  const rows = data.levels.filter((level) => level.components);
  const names = new Map();
  const parts = rows.map((level) => {
    const spent = { ...level.components };
    const coded = (spent.symbols ?? 0) + (spent.escapes ?? 0);
    const known = ['features', 'scaling', 'offsets'].filter((name) => level.attributes[name]);
    if (known.length > 0) {
      delete spent.symbols;
      delete spent.escapes;
      for (const name of known) spent[name] = level.attributes[name];
      const rest = coded - known.reduce((sum, name) => sum + level.attributes[name], 0);
      if (rest > 0) spent.framing = (spent.framing ?? 0) + rest;
    }
    const large = {};
    for (const [name, bytes] of Object.entries(spent)) {
      const shown = bytes < 0.01 * level.bytes ? 'the rest' : name;
      large[shown] = (large[shown] ?? 0) + bytes;
    }
    for (const [name, bytes] of Object.entries(large)) names.set(name, bytes);
    return { level, spent: large };
  });
  return { parts, names: [...names.keys()].sort((a, b) => names.get(b) - names.get(a)) };
}

function bits() {
  const { parts, names } = spending();
  if (parts.length === 0) {
    byId('bits').textContent = 'Only a stream has bytes to account for.';
    return;
  }
  const color = (name) => COLORS[names.indexOf(name) % COLORS.length];
  const most = Math.max(...parts.map(({ level }) => level.bytes));
  const [width, row, left] = [640, 34, 64];
  const chart = draw('svg', { viewBox: `0 0 ${width} ${parts.length * row}`, role: 'img', 'aria-label': 'Bytes by component' });
  parts.forEach(({ level, spent }, number) => {
    let at = left;
    chart.append(draw('text', { x: 0, y: number * row + 20 }, `level ${level.level}`));
    for (const name of names.filter((each) => spent[each])) {
      const long = (spent[name] / most) * (width - left);
      const about = `${name}: ${count(spent[name])} bytes, ${((100 * spent[name]) / level.bytes).toFixed(1)} %`;
      chart.append(draw('rect', { x: at, y: number * row + 4, width: long, height: row - 8, fill: color(name) }, draw('title', {}, about)));
      at += long;
    }
  });
  const last = parts[parts.length - 1].spent;
  const keys = names.map((name) => make('span', {},
    draw('svg', { 'aria-hidden': 'true' }, draw('rect', { width: 12, height: 12, fill: color(name) })), `${name} ${size(last[name] ?? 0)}`));
  byId('bits').append(chart, make('div', { class: 'keys' }, ...keys));
}

// Tables

function levels() {
  const head = make('tr', {}, ...['level', 'PSNR dB', 'SSIM', 'LPIPS', 'bytes on disk'].map((text) => make('th', { scope: 'col' }, text)));
  const rows = data.levels.map((level) => {
    const cells = [level.level, decibels(level.psnr), share(level.ssim), share(level.lpips), count(level.bytes)];
    const row = make('tr', {}, ...cells.map((text) => make('td', {}, text)));
    row.dataset.level = level.level;
    return row;
  });
  byId('levels').append(make('thead', {}, head), make('tbody', {}, ...rows));
}

/** The views' table, sorted by a column: 0 is the name, then one for each level. */
function scores(column = 0, down = false) {
  const rows = data.levels[0].views.map((view, number) => [view.view, ...data.levels.map((level) => level.views[number].psnr)]);
  const value = (row) => (column && row[column] === null ? Infinity : row[column]);
  rows.sort((a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0) * (down ? -1 : 1));
  const names = ['view', ...data.levels.map((level) => `level ${level.level}`)];
  const head = names.map((name, number) => {
    const button = make('button', { type: 'button' }, name + (number === column ? (down ? ' ↓' : ' ↑') : ''));
    button.addEventListener('click', () => scores(number, number === column ? !down : false));
    return make('th', { scope: 'col', 'aria-sort': number === column ? (down ? 'descending' : 'ascending') : 'none' }, button);
  });
  const body = rows.map((row) => make('tr', {}, ...row.map((cell, number) => make('td', {}, number ? decibels(cell) : cell))));
  byId('scores').replaceChildren(make('thead', {}, make('tr', {}, ...head)), make('tbody', {}, ...body));
}

// Control

function show(change) {
  Object.assign(state, change);
  const level = data.levels[state.level];
  byId('level').value = state.level;
  byId('level-name').textContent = `${level.level}` + (level.bytes === null ? '' : `, ${size(level.bytes)}`);
  for (const marked of document.querySelectorAll('[data-level]')) {
    marked.classList.toggle('on', Number(marked.dataset.level) === level.level);
  }
  if (data.pictures.length > 0) pictures();
  wipe();
}

function listen() {
  const box = byId('wipe');
  const drag = (event) => {
    const area = box.getBoundingClientRect();
    show({ at: Math.min(100, Math.max(0, (100 * (event.clientX - area.left)) / area.width)) });
  };
  box.addEventListener('pointerdown', (event) => {
    box.setPointerCapture(event.pointerId);
    drag(event);
  });
  box.addEventListener('pointermove', (event) => event.buttons && drag(event));
  byId('level').max = data.levels.length - 1;
  byId('level').addEventListener('input', (event) => show({ level: Number(event.target.value) }));
  byId('sides').addEventListener('change', (event) => show({ right: event.target.value }));
  document.addEventListener('keydown', (event) => {
    if (event.target.matches('input') || event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = {
      ArrowLeft: { view: Math.max(0, state.view - 1) },
      ArrowRight: { view: Math.min(data.pictures.length - 1, state.view + 1) },
      ArrowUp: { level: Math.min(data.levels.length - 1, state.level + 1) },
      ArrowDown: { level: Math.max(0, state.level - 1) },
    };
    if (!(event.key in moves) || data.pictures.length === 0) return;
    event.preventDefault();
    show(moves[event.key]);
  });
}

heading();
if (data.pictures.length > 0) {
  thumbnails();
  errorLegend();
} else {
  document.querySelector('.look').hidden = true;
}
curve();
bits();
levels();
scores();
listen();
show({});
