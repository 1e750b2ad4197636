/** A container's log, as the engine keeps it. */
import type Dockerode from 'dockerode';
import { FrameReader, LineTimes } from '../frames.ts';
import { ContainerNotFoundError, type LogOptions } from '../runtime.ts';
import { isNotFound, openStream } from './engine.ts';

type Query = Readonly<Record<string, string | boolean>>;

/** Throws {@link ContainerNotFoundError}. Ends quietly when the signal aborts. */
export async function* readLogs(docker: Dockerode, id: string, options: LogOptions): AsyncGenerator<Uint8Array> {
  const { signal } = options;
  const open = (query: Query) => openStream(docker, { path: `/containers/${id}/logs`, query, signal });
  try {
    const info = await docker.getContainer(id).inspect();
    if (info.Config.Tty) yield* rawChunks(await open(queryOf(options)));
    else yield* frameChunks(open, options);
  } catch (error) {
    if (signal.aborted) return;
    if (isNotFound(error)) throw new ContainerNotFoundError(`no container ${id}`, { cause: error });
    throw error;
  }
}

function queryOf(options: LogOptions): Query {
  return {
    stdout: true,
    stderr: true,
    follow: options.follow,
    timestamps: options.timestamps,
    tail: options.tailLines === undefined ? 'all' : String(options.tailLines),
    ...(options.sinceMs !== undefined && { since: (options.sinceMs / 1000).toFixed(3) }),
  };
}

/** With a terminal the engine gives no frames. */
async function* rawChunks(stream: NodeJS.ReadableStream): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) yield bytesOf(chunk);
}

/**
 * Following ends with the container, but the engine ends it before it has shown what was written last (a line without
 * its end, above all). So the times are always asked for, and what is later than the last one seen is read once more.
 */
async function* frameChunks(
  open: (query: Query) => Promise<NodeJS.ReadableStream>,
  options: LogOptions,
): AsyncGenerator<Uint8Array> {
  const times = new LineTimes(options.timestamps);
  const query = { ...queryOf(options), timestamps: true };
  yield* readFrames(await open(query), times);
  if (!options.follow || options.signal.aborted) return;
  const since = times.last !== undefined && { since: times.last, tail: 'all' };
  yield* readFrames(await open({ ...query, follow: false, ...since }), times);
}

async function* readFrames(stream: NodeJS.ReadableStream, times: LineTimes): AsyncGenerator<Uint8Array> {
  const frames = new FrameReader();
  const isNew = times.later();
  for await (const chunk of stream) {
    for (const frame of frames.push(bytesOf(chunk))) {
      if (isNew(frame)) yield times.push(frame);
    }
  }
}

function bytesOf(chunk: string | Buffer): Buffer {
  return typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
}
