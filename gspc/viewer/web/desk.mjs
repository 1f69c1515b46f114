// A worker that fetches and decodes, and the files that it does that for: what it says goes to whom it is about.

export class Desk {
  /** @param {(name: string) => Worker} makeWorker */
  constructor(makeWorker) {
    this.worker = makeWorker('stream');
    this.heard = new Map(); // by the files' numbers
    this.files = 0; // opened so far
    this.worker.onmessage = ({ data }) => this.heard.get(data.file)?.(data);
  }

  /** A line to the worker about a file of its own. @param {(data: object) => void} heard is told what it says of it */
  file(heard) {
    const file = this.files++;
    this.heard.set(file, heard);
    return {
      tell: (message, transfer = []) => this.worker.postMessage({ ...message, file }, transfer),
      close: () => {
        this.heard.delete(file);
        this.worker.postMessage({ type: 'close', file });
      },
    };
  }

  close() {
    this.heard.clear();
    this.worker.terminate();
  }
}
