// When an eye has moved enough for the Gaussians to be evaluated again.
import { distance } from './vectors.mjs';

const ENOUGH = 0.004; // of the distance to what is looked at: a quarter of a degree
const REST_MS = 120; // an eye that has not moved for so long is seen exactly

export class Follower {
  constructor() {
    this.asked = null; // the eye last asked for
    this.eye = null; // the eye now
    this.movedAt = 0;
    this.free = 0; // when evaluating may cost time again
    this.busy = false;
    this.took = 0; // ms of the last evaluation
  }

  /** A first look, which is under way. */
  begin(eye) {
    this.asked = this.eye = eye;
    this.busy = true;
  }

  /** Called for every frame: whether to look again now, which is then under way. */
  due(eye, reach, now) {
    if (this.asked === null) return false;
    if (distance(eye, this.eye) > 0) this.movedAt = now;
    this.eye = eye;
    const off = distance(eye, this.asked);
    const worth = off > ENOUGH * reach || (off > 0 && now - this.movedAt >= REST_MS);
    if (!worth || this.busy || now < this.free) return false;
    this.busy = true;
    this.asked = eye;
    return true;
  }

  /** Whether what is shown was seen from exactly this eye. */
  exact(eye) {
    return !this.busy && this.asked !== null && distance(eye, this.asked) === 0;
  }
}
