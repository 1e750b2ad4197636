/** A container's log, as the engine keeps it. */
import type Dockerode from 'dockerode';
import { ContainerNotFoundError, type LogOptions } from '../runtime.ts';
import { isNotFound, openStream } from './engine.ts';
import { FrameReader, TimestampJoiner } from './frames.ts';

/** Throws {@link ContainerNotFoundError}. Ends quietly when the signal aborts. */
export async function* readLogs(docker: Dockerode, id: string, options: LogOptions): AsyncGenerator<Uint8Array> {
  const { signal } = options;
  try {
    const info = await docker.getContainer(id).inspect();
    const stream = await openStream(docker, { path: `/containers/${id}/logs`, query: queryOf(options), signal });
    if (info.Config.Tty) yield* rawChunks(stream);
    else yield* frameChunks(stream, options.timestamps);
  } catch (error) {
    if (signal.aborted) return;
    if (isNotFound(error)) throw new ContainerNotFoundError(`no container ${id}`, { cause: error });
    throw error;
  }
}

function queryOf(options: LogOptions): Record<string, string | boolean> {
  return {
    stdout: true,
    stderr: true,
    follow: options.follow,
    timestamps: options.timestamps,
    tail: options.tailLines === undefined ? 'all' : String(options.tailLines),
    ...(options.sinceMs !== undefined && { since: (options.sinceMs / 1000).toFixed(3) }),
  };
}

async function* rawChunks(stream: NodeJS.ReadableStream): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) yield bytesOf(chunk);
}

async function* frameChunks(stream: NodeJS.ReadableStream, timestamps: boolean): AsyncGenerator<Uint8Array> {
  const frames = new FrameReader();
  const joiner = new TimestampJoiner();
  for await (const chunk of stream) {
    for (const frame of frames.push(bytesOf(chunk))) yield timestamps ? joiner.push(frame) : frame.data;
  }
}

function bytesOf(chunk: string | Buffer): Buffer {
  return typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
}
