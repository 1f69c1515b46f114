// Workers that evaluate heads, for one scene or for many tiles: each evaluates parts of scenes, and keeps them.

const MOST_WORKERS = 3;

/** How many workers look: of many cores one stays free for the page and its engine. */
function lookers() {
  const cores = navigator.hardwareConcurrency || 2;
  return Math.min(MOST_WORKERS, Math.max(cores - 1, Math.min(cores, 2)));
}

export class Lookers {
  /** @param {(name: string) => Worker} makeWorker @param {WebAssembly.Module} module */
  constructor(makeWorker, module) {
    this.count = lookers();
    this.scenes = 0; // so far
    this.heard = new Map(); // who is told about a scene
    this.memory = new Array(this.count).fill(0);
    this.workers = Array.from({ length: this.count }, () => makeWorker('look'));
    this.workers.forEach((worker, i) => {
      worker.postMessage({ type: 'open', module });
      worker.onmessage = ({ data }) => {
        this.memory[i] = data.memory ?? this.memory[i];
        this.heard.get(data.scene)?.(data, i);
      };
    });
  }

  /** A number for a scene, about which `heard` is told. */
  scene(heard) {
    this.scenes++;
    this.heard.set(this.scenes, heard);
    return this.scenes;
  }

  tell(which, message, transfer = []) {
    this.workers[which % this.count].postMessage(message, transfer);
  }

  /** Frees what the workers keep of a scene. */
  drop(scene) {
    this.heard.delete(scene);
    this.workers.forEach((worker) => worker.postMessage({ type: 'drop', scene }));
  }

  get bytes() {
    return this.memory.reduce((sum, bytes) => sum + bytes, 0);
  }

  close() {
    this.heard.clear();
    this.workers.forEach((worker) => worker.terminate());
  }
}
