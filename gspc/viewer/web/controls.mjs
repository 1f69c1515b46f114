// Mouse, touch and keys, as turns and moves of the camera. What they do depends on the mode: orbit or fly.

const TURN = Math.PI; // for a drag across the shorter side of the window
const KEY_TURN = 1.2; // radians in a second
const KEY_MOVE = 0.6; // of the distance to the pivot in a second
const WHEEL = 0.0012;

// key code -> [right, up, back] of a move, or [left, raised] of a turn
const MOVES = {
  KeyA: [-1, 0, 0], KeyD: [1, 0, 0], KeyW: [0, 0, -1], KeyS: [0, 0, 1], KeyE: [0, 1, 0], KeyQ: [0, -1, 0],
};
const TURNS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const ZOOMS = { Equal: -1, NumpadAdd: -1, Minus: 1, NumpadSubtract: 1 };

/**
 * @param {HTMLElement} target takes the gestures and has the keyboard's focus
 * @param {{turn: Function, pan: Function, dolly: Function, fly: Function, command: (key: string) => void}} act
 *   turn(left, raised) radians; pan(right, up) shares of the window's shorter side; dolly(by) a factor of the
 *   distance; fly([right, up, back], seconds)
 */
export class Controls {
  constructor(target, act) {
    this.target = target;
    this.act = act;
    this.pointers = new Map();
    this.keys = new Set();
    const on = (type, handler, options) => target.addEventListener(type, handler, options);
    on('pointerdown', (event) => this.down(event));
    on('pointermove', (event) => this.moved(event));
    for (const type of ['pointerup', 'pointercancel', 'lostpointercapture']) on(type, (event) => this.pointers.delete(event.pointerId));
    on('contextmenu', (event) => event.preventDefault());
    on('wheel', (event) => this.wheel(event), { passive: false });
    on('keydown', (event) => this.key(event));
    on('keyup', (event) => this.keys.delete(event.code));
    on('blur', () => this.keys.clear());
  }

  get side() {
    return Math.max(Math.min(this.target.clientWidth, this.target.clientHeight), 1);
  }

  down(event) {
    this.target.focus({ preventScroll: true });
    this.target.setPointerCapture?.(event.pointerId);
    const pans = event.button === 2 || event.button === 1 || event.shiftKey;
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY, pans });
  }

  moved(event) {
    const before = this.pointers.get(event.pointerId);
    if (before === undefined) return;
    const now = { ...before, x: event.clientX, y: event.clientY };
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    this.pointers.set(event.pointerId, now);
    const dx = (now.x - before.x) / this.side;
    const dy = (now.y - before.y) / this.side;
    if (others.length > 0) this.pinch(before, now, others[0], dx, dy);
    else if (before.pans) this.act.pan(dx, dy);
    else this.act.turn(-dx * TURN, -dy * TURN);
  }

  /** Two fingers: apart or together is nearer or farther, both along is a move across. */
  pinch(before, now, other, dx, dy) {
    const spread = (at) => Math.max(Math.hypot(at.x - other.x, at.y - other.y), 1);
    this.act.dolly(spread(before) / spread(now));
    this.act.pan(dx / 2, dy / 2);
  }

  wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
    const by = Math.max(-600, Math.min(600, event.deltaY * lines));
    this.act.dolly(Math.exp(by * WHEEL));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.code in MOVES || event.code in TURNS || event.code in ZOOMS) {
      this.keys.add(event.code);
      event.preventDefault();
    } else if (!event.repeat) this.act.command(event.key.toLowerCase());
  }

  /** What the keys that are held down do in so many seconds; whether there are any. */
  step(seconds) {
    const held = [...this.keys];
    const sum = (table, n) => held.filter((key) => key in table).reduce((total, key) => total.map((v, i) => v + table[key][i]), new Array(n).fill(0));
    const moves = sum(MOVES, 3);
    const turns = sum(TURNS, 2);
    if (moves.some(Boolean)) this.act.fly(moves.map((v) => v * KEY_MOVE * seconds));
    if (turns.some(Boolean)) this.act.turn(turns[0] * KEY_TURN * seconds, turns[1] * KEY_TURN * seconds);
    const zoom = held.reduce((total, key) => total + (ZOOMS[key] ?? 0), 0);
    if (zoom !== 0) this.act.dolly(Math.exp(zoom * seconds));
    return held.length > 0;
  }
}
