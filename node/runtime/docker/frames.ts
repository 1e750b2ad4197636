/**
 * The engine's multiplexed stream: frames of `[stream, 0, 0, 0, length (4 bytes, big endian)]` and as many bytes
 * (Docker Engine API, "Attach to a container, stream format"). Pure.
 */
import { frameBytesMax } from './limits.ts';

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
 * Takes the times away that the engine puts into the middle of a line: it writes one before each part of a line longer
 * than its buffer of 16 KiB, where a reader expects one a line.
 */
export class TimestampJoiner {
  readonly #openLine = { stdout: false, stderr: false };

  push(frame: Frame): Buffer {
    const continues = this.#openLine[frame.stream];
    this.#openLine[frame.stream] = frame.data.at(-1) !== newline;
    if (!continues) return frame.data;
    const space = frame.data.indexOf(' ');
    return space === -1 ? frame.data : frame.data.subarray(space + 1);
  }
}

const newline = 0x0a;
