// What can go wrong with a scene.

/**
 * `kind` says what kind of fault it is: file (what is there is no scene, or cannot be shown), network, memory, or
 * paused (somebody ended it).
 */
export class PcgsError extends Error {
  constructor(kind, message, options) {
    super(message, options);
    this.name = 'PcgsError';
    this.kind = kind;
  }
}

/** The core's message as an error. */
export const failure = (message) => new PcgsError(/memory/.test(message) ? 'memory' : 'file', message);
