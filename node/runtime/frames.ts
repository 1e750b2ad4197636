/**
 * The engine's multiplexed stream: frames of `[stream, 0, 0, 0, length (4 bytes, big endian)]` and as many bytes
 * (Docker Engine API, "Attach to a container, stream format"). Pure.
 */

/** A frame; the engine splits at 32 KiB, a larger one means that the stream is no such thing. */
const frameBytesMax = 16 * 1024 * 1024;

export interface Frame {
  readonly stream: 'stdout' | 'stderr';
  readonly data: Buffer;
}

export class FrameError extends Error {
  override readonly name = 'FrameError';
  readonly code = 'DOCKER_FRAME';
}

const headerBytes = 8;

/** Takes bytes as they come, gives whole frames. Holds at most one frame. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** Throws {@link FrameError} when the bytes are no such stream. */
  push(chunk: Buffer): Frame[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const frames: Frame[] = [];
    let offset = 0;
    while (this.#rest.length - offset >= headerBytes) {
      const kind = this.#rest.readUInt8(offset);
      const length = this.#rest.readUInt32BE(offset + 4);
      if (kind > 2 || length > frameBytesMax)
        throw new FrameError(`no frame of a container's output: ${kind}, ${length}`);
      if (this.#rest.length - offset - headerBytes < length) break;
      const data = this.#rest.subarray(offset + headerBytes, offset + headerBytes + length);
      frames.push({ stream: kind === 2 ? 'stderr' : 'stdout', data });
      offset += headerBytes + length;
    }
    this.#rest = this.#rest.subarray(offset);
    return frames;
  }
}

/**
 * Reads the times that the engine puts before what it kept, and takes away those that no reader wants: all of them, or
 * those in the middle of a line (the engine splits a line longer than its buffer of 16 KiB and writes a time before each
 * part).
 */
export class LineTimes {
  readonly #wanted: boolean;
  readonly #lineIsOpen = { stdout: false, stderr: false };
  #last = '';

  constructor(wanted: boolean) {
    this.#wanted = wanted;
  }

  /** The latest seen, as the engine takes it back: seconds and nanoseconds. Undefined before the first. */
  get last(): string | undefined {
    if (this.#last === '') return undefined;
    const seconds = Math.floor(Date.parse(`${this.#last.slice(0, 19)}Z`) / 1000);
    return `${seconds}.${this.#last.slice(20, 29)}`;
  }

  /** Tells whether a frame is later than all that were seen before this call. */
  later(): (frame: Frame) => boolean {
    const seen = this.#last;
    // RFC 3339 with all nine digits: the order of texts is the order of times.
    return frame => timeOf(frame) > seen;
  }

  push(frame: Frame): Buffer {
    const continues = this.#lineIsOpen[frame.stream];
    this.#lineIsOpen[frame.stream] = frame.data.at(-1) !== newline;
    this.#last = timeOf(frame);
    return this.#wanted && !continues ? frame.data : frame.data.subarray(this.#last.length + 1);
  }
}

const newline = 0x0a;

function timeOf(frame: Frame): string {
  const space = frame.data.indexOf(' ');
  const time = frame.data.toString('latin1', 0, Math.max(0, space));
  if (!timePattern.test(time)) throw new FrameError('the Docker Engine wrote no time before a line');
  return time;
}

const timePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/;
