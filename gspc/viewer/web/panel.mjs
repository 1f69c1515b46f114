// The controls around the picture. All texts from the file are set as text, never as HTML.

const byId = (id) => document.getElementById(id);

/** Bytes for people: 603 kB. */
export const sized = (bytes) => (bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

export class Panel {
  /** @param {object} act what the controls do: mode, degrees, background, reset, full, link, shot, level, hold, camera */
  constructor(act) {
    this.act = act;
    this.bind('menu', 'click', () => this.toggle('panel', 'menu'));
    this.bind('views', 'click', () => this.showCameras());
    this.bind('mode', 'change', (event) => act.mode(event.target.value));
    this.bind('fov', 'input', (event) => act.degrees(Number(event.target.value)));
    this.bind('background', 'input', (event) => act.background(event.target.value));
    this.bind('readout', 'change', (event) => { byId('numbers').hidden = !event.target.checked; });
    this.bind('level', 'input', (event) => act.level(Number(event.target.value)));
    for (const name of ['reset', 'full', 'link', 'shot', 'hold']) this.bind(name, 'click', () => act[name]());
    byId('full').hidden = !document.fullscreenEnabled;
  }

  bind(id, type, handler) {
    byId(id).addEventListener(type, handler);
  }

  toggle(id, button) {
    const shown = byId(id).hidden;
    byId(id).hidden = !shown;
    byId(button).setAttribute('aria-expanded', String(shown));
    return shown;
  }

  name(text) {
    byId('name').textContent = text;
    document.title = text ? `${text} - gspc` : 'gspc';
  }

  about(text) {
    byId('about').textContent = text;
  }

  mode(value) {
    byId('mode').value = value;
  }

  degrees(value) {
    byId('fov').value = String(Math.round(value));
    byId('degrees').textContent = `${Math.round(value)}\u00b0`;
  }

  background(hex) {
    byId('background').value = hex;
  }

  /** How far the scene has come. */
  progress({ level, levels, have, total, paused, done }) {
    byId('progress').max = total || 1;
    byId('progress').value = have;
    const bytes = total ? `${sized(have)} of ${sized(total)}` : sized(have);
    byId('state').textContent = level ? `Level ${level} of ${levels}, ${bytes}${paused ? ', paused' : ''}` : `Loading, ${bytes}`;
    byId('hold').hidden = done;
    byId('hold').textContent = paused ? 'Resume' : 'Pause';
    byId('levels').hidden = levels < 2;
    byId('level').max = String(levels || 1);
  }

  level(value) {
    byId('level').value = String(value);
    byId('levelText').textContent = String(value);
  }

  /** Says what is wrong; beside the picture where there is one. */
  message(text, aside = false) {
    byId('message').textContent = text;
    byId('message').hidden = text === '';
    byId('message').classList.toggle('aside', aside);
  }

  numbers(text) {
    if (!byId('numbers').hidden) byId('numbers').textContent = text;
  }

  get readsOut() {
    return !byId('numbers').hidden;
  }

  cameras(cameras) {
    this.made = false;
    this.suggested = cameras;
    byId('cameras').replaceChildren();
    byId('cameras').hidden = true;
    byId('views').hidden = cameras.length === 0;
  }

  /** The strip of cameras; its pictures are drawn when it is first opened, one after another. */
  showCameras() {
    if (!this.toggle('cameras', 'views') || this.made) return;
    this.made = true;
    const all = this.suggested.map((camera, i) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.title = camera.name;
      button.setAttribute('role', 'option');
      button.setAttribute('aria-label', `Camera ${i + 1}, ${camera.name}`);
      button.addEventListener('click', () => this.act.camera(i));
      const canvas = document.createElement('canvas');
      button.append(canvas);
      byId('cameras').append(button);
      return [canvas, camera];
    });
    const next = () => {
      const item = all.shift();
      if (item === undefined || !item[0].isConnected) return;
      this.act.thumbnail(...item);
      setTimeout(next, 0);
    };
    setTimeout(next, 0);
  }
}
