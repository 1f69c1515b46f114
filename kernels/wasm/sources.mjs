// Where the bytes of a scene come from. All sources give the file's first bytes, as many as are asked for, and keep them.

import { PcgsError } from './errors.mjs';

/** Bytes that grow at their end; `bytes` is what is there. Pieces further on wait until the end has come to them. */
class Growing {
  constructor() {
    this.bytes = new Uint8Array(0);
    this.room = new Uint8Array(0);
    this.pieces = []; // {from, bytes} in order
  }

  /** Where the piece begins that comes next. */
  get gapEnd() {
    return this.pieces.length > 0 ? this.pieces[0].from : Infinity;
  }

  /** How many bytes there are, pieces included. */
  get have() {
    return this.pieces.reduce((sum, { bytes }) => sum + bytes.length, this.bytes.length);
  }

  put(from, bytes) {
    this.pieces.push({ from, bytes });
    this.pieces.sort((a, b) => a.from - b.from);
    this.join();
  }

  join() {
    while (this.gapEnd <= this.bytes.length) {
      const { from, bytes } = this.pieces.shift();
      const known = this.bytes.length - from;
      if (known < bytes.length) this.grow(bytes.subarray(known));
    }
  }

  append(part) {
    this.grow(part);
    this.join();
  }

  grow(part) {
    const length = this.bytes.length + part.length;
    if (length > this.room.length) {
      const room = new Uint8Array(Math.max(length, this.room.length * 2));
      room.set(this.bytes);
      this.room = room;
    }
    this.room.set(part, this.bytes.length);
    this.bytes = this.room.subarray(0, length);
  }
}

/** A scene that is there already: in the page, or a file of the visitor's. */
export class BytesSource {
  constructor(bytes) {
    this.bytes = bytes;
    this.total = bytes.length;
  }

  async upTo() {
    return this.bytes;
  }

  pause() {}
}

/** A scene that comes through a stream, of a Response for example. `onBytes(have)` is told whenever bytes have come. */
export class StreamSource {
  /** @param {ReadableStream<Uint8Array>} stream */
  constructor(stream, onBytes = () => {}) {
    this.reader = stream.getReader();
    this.onBytes = onBytes;
    this.data = new Growing();
    this.total = null; // bytes of the file, once it has ended
  }

  get bytes() {
    return this.data.bytes;
  }

  async upTo(end) {
    while (this.bytes.length < end && this.total === null) {
      let part;
      try {
        part = await this.reader.read();
      } catch (error) {
        throw new PcgsError('network', 'the connection was lost', { cause: error });
      }
      if (part.done) this.total = this.bytes.length;
      else {
        this.data.append(part.value);
        this.onBytes(this.bytes.length);
      }
    }
    return this.bytes;
  }

  pause() {
    this.reader.cancel().catch(() => {});
  }
}

/** A scene behind an address. `onBytes(have)` is told whenever bytes have come. */
export class RangeSource {
  constructor(url, onBytes = () => {}) {
    this.url = url;
    this.onBytes = onBytes;
    this.data = new Growing();
    this.total = null; // bytes of the file, once a server said so
    this.tag = null; // what tells versions of the file apart
    this.abort = null;
    this.body = null; // the rest of a file whose server knows no ranges
    this.waited = 0; // ms for the bytes that came
  }

  get bytes() {
    return this.data.bytes;
  }

  /** Bytes in a ms, so far. */
  get rate() {
    return this.data.have / Math.max(this.waited, 1);
  }

  /**
   * The file's first bytes, at least `end` of them; fewer where the file ends sooner.
   * Throws PcgsError; what has come stays, and another call goes on behind it.
   */
  async upTo(end) {
    while (this.bytes.length < end && this.bytes.length !== this.total) {
      const had = this.bytes.length;
      const began = performance.now();
      this.abort ??= new AbortController();
      if (this.body !== null) await this.readBody(end);
      else await this.request(Math.min(end, this.data.gapEnd));
      this.waited += performance.now() - began;
      if (this.bytes.length === had) throw new PcgsError('network', 'the server sends no more bytes');
    }
    return this.bytes;
  }

  /** Fetches bytes further on, before those between; null where the server knows no ranges. */
  async part(from, end) {
    this.abort ??= new AbortController();
    const response = await this.answer(from, end);
    if (response.status !== 206) {
      response.body?.cancel().catch(() => {});
      return null;
    }
    let bytes;
    try {
      bytes = new Uint8Array(await response.arrayBuffer());
    } catch (error) {
      throw this.broken(error);
    }
    if (bytes.length !== end - from) throw new PcgsError('network', 'the server sends no more bytes');
    this.data.put(from, bytes);
    this.onBytes(this.data.have);
    return bytes;
  }

  /** Ends the request that is under way. */
  pause() {
    this.abort?.abort();
    this.abort = null;
    this.body = null;
  }

  async request(end) {
    const from = this.bytes.length;
    const response = await this.answer(from, end);
    this.body = response.body.getReader();
    this.skip = response.status === 206 ? 0 : from; // without ranges the file begins again
    await this.readBody(response.status === 206 ? Infinity : end);
  }

  async answer(from, end) {
    let response;
    try {
      const headers = { Range: `bytes=${from}-${end - 1}` };
      response = await fetch(this.url, { headers, signal: this.abort.signal, cache: 'no-store' });
    } catch (error) {
      throw this.broken(error);
    }
    if (response.status === 416) throw new PcgsError('file', 'the file on the server ends too early');
    if (!response.ok) throw new PcgsError('network', `the server answered ${response.status}`);
    this.checkSame(response);
    return response;
  }

  /** Remembers which file it is, and refuses another one under the same address. */
  checkSame(response) {
    const range = /\/(\d+)$/.exec(response.headers.get('Content-Range') ?? '');
    const length = response.headers.get('Content-Length');
    const total = range ? Number(range[1]) : response.status === 200 && length !== null ? Number(length) : null;
    const tag = response.headers.get('ETag') ?? response.headers.get('Last-Modified');
    const other = (this.total !== null && total !== null && total !== this.total) || (this.tag !== null && tag !== this.tag);
    if (this.bytes.length > 0 && other) throw new PcgsError('file', 'the file on the server has changed; reload the page');
    this.total = total ?? this.total;
    this.tag = tag;
  }

  /** Takes from the response until `end` bytes are there, or to its end. */
  async readBody(end) {
    while (this.bytes.length < end) {
      let part;
      try {
        part = await this.body.read();
      } catch (error) {
        this.body = null;
        throw this.broken(error);
      }
      if (part.done) {
        this.body = null;
        if (end !== Infinity && this.total === null) this.total = this.bytes.length;
        return;
      }
      const skipped = Math.min(this.skip, part.value.length);
      this.skip -= skipped;
      this.data.append(part.value.subarray(skipped));
      this.onBytes(this.data.have);
    }
  }

  broken(error) {
    if (error.name === 'AbortError') return new PcgsError('paused', 'paused');
    return new PcgsError('network', 'the connection was lost');
  }
}
