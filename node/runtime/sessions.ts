/**
 * Exec and attach: one hijacked connection, turned into the streams of an {@link ExecSession}. Ending `stdin` closes
 * the connection's writing side only, so that a command which reads to the end of its input can still answer.
 */
import { type Duplex, PassThrough, Writable } from 'node:stream';
import { FrameReader } from './frames.ts';
import type { ExecSession } from './runtime.ts';

export interface SessionParts {
  readonly socket: Duplex;
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly resize: (size: { readonly columns: number; readonly rows: number }) => Promise<void>;
  /** Asked once, after all output was delivered. */
  readonly exitCode: () => Promise<number>;
  readonly kill: () => Promise<void>;
}

export function sessionOver(parts: SessionParts): ExecSession {
  const { socket, tty } = parts;
  const stdout = new PassThrough();
  const stderr = tty ? undefined : new PassThrough();
  // The end of the connection is told by the end of the streams and by the exit code.
  socket.on('error', () => undefined);
  const delivered = pump(socket, stdout, stderr).finally(() => {
    stdout.end();
    stderr?.end();
    socket.destroy();
  });
  const exitCode = delivered.then(parts.exitCode);
  // Whoever killed the session need not listen any more.
  exitCode.catch(() => undefined);
  return {
    stdin: parts.stdin ? stdinOver(socket) : undefined,
    stdout,
    stderr,
    resize: parts.resize,
    exitCode,
    async kill() {
      socket.destroy();
      stdout.destroy();
      stderr?.destroy();
      await parts.kill();
    },
  };
}

/** Input after the command's end is dropped, as a terminal's would be. */
function stdinOver(socket: Duplex): Writable {
  const stdin = new Writable({
    write(chunk: Buffer, _encoding, callback) {
      if (socket.destroyed || socket.writableEnded || socket.write(chunk)) return callback();
      const proceed = () => {
        socket.off('drain', proceed);
        socket.off('close', proceed);
        callback();
      };
      socket.once('drain', proceed);
      socket.once('close', proceed);
    },
    final(callback) {
      if (!socket.destroyed) socket.end();
      callback();
    },
  });
  stdin.on('error', () => undefined);
  return stdin;
}

/** Resolves when the connection has ended and the readers have room for the last of it. */
async function pump(socket: Duplex, stdout: PassThrough, stderr: PassThrough | undefined): Promise<void> {
  const frames = new FrameReader();
  try {
    for await (const chunk of socket) {
      if (stderr === undefined) await write(stdout, chunk);
      else {
        for (const frame of frames.push(chunk)) await write(frame.stream === 'stderr' ? stderr : stdout, frame.data);
      }
    }
  } catch (error) {
    if (!socket.destroyed) throw error;
  }
}

function write(target: PassThrough, data: Buffer): Promise<void> {
  if (target.destroyed || target.write(data)) return Promise.resolve();
  return new Promise(resolve => {
    const proceed = () => {
      target.off('drain', proceed);
      target.off('close', proceed);
      resolve();
    };
    target.once('drain', proceed);
    target.once('close', proceed);
  });
}
