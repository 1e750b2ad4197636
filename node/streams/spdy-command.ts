/** exec and attach over SPDY: the client opens one stream for each purpose, named by its `streamtype` header. */
import { type Clock, sleep } from '../clock.ts';
import { STREAM_CLOSE_TIMEOUT_MS, STREAM_CREATION_TIMEOUT_MS } from '../limits.ts';
import type { ByteChannel } from './channel.ts';
import {
  parseSize,
  type RemoteRequest,
  type RemoteStatus,
  type RemoteStreams,
  type TerminalSize,
} from './remote-command.ts';
import { SpdyConnection, type SpdyStream } from './spdy.ts';

/** Protocol versions, best first. */
export const SPDY_COMMAND_PROTOCOLS = [
  'v5.channel.k8s.io',
  'v4.channel.k8s.io',
  'v3.channel.k8s.io',
  'v2.channel.k8s.io',
  'channel.k8s.io',
] as const;

/**
 * Reads the connection and hands the client's streams to `serve` once all that the request announced are there. Resolves
 * when the connection has ended.
 */
export async function serveSpdyCommand(
  channel: ByteChannel,
  options: { request: RemoteRequest; protocol: string; clock: Clock; serve: (streams: RemoteStreams) => Promise<void> },
): Promise<void> {
  const { request, protocol, clock, serve } = options;
  const wanted = expectedStreams(request, protocol);
  const found = new Map<string, SpdyStream>();
  const complete = Promise.withResolvers<void>();
  const connection = new SpdyConnection(channel, stream => {
    const type = stream.headers.get('streamtype') ?? '';
    if (!wanted.includes(type) || found.has(type)) return void stream.reset();
    found.set(type, stream);
    if (found.size === wanted.length) complete.resolve();
  });
  const running = connection.run();
  const late = new AbortController();
  const inTime = await Promise.race([
    complete.promise.then(() => true),
    sleep(clock, STREAM_CREATION_TIMEOUT_MS, AbortSignal.any([late.signal, channel.signal])).then(() => false),
  ]);
  late.abort();
  if (inTime) await serve(streamsOf(connection, found, protocol));
  else channel.destroy();
  // A client that does not hang up after the status is hung up on.
  const grace = new AbortController();
  await Promise.race([running, sleep(clock, STREAM_CLOSE_TIMEOUT_MS, AbortSignal.any([grace.signal, channel.signal]))]);
  grace.abort();
  channel.destroy();
  await running;
}

function expectedStreams(request: RemoteRequest, protocol: string): string[] {
  return [
    // The first version had no way to tell of an error but its stream's mere presence; clients open it all the same.
    'error',
    ...(request.stdin ? ['stdin'] : []),
    ...(request.stdout ? ['stdout'] : []),
    ...(request.stderr && !request.tty ? ['stderr'] : []),
    ...(request.tty && hasResize(protocol) ? ['resize'] : []),
  ];
}

const hasResize = (protocol: string) => /^v[345]\./.test(protocol);
const hasStatus = (protocol: string) => /^v[45]\./.test(protocol);

function streamsOf(
  connection: SpdyConnection,
  found: ReadonlyMap<string, SpdyStream>,
  protocol: string,
): RemoteStreams {
  const write = (type: string) => async (bytes: Uint8Array) => found.get(type)?.write(bytes);
  const resize = found.get('resize');
  return {
    stdin: found.get('stdin')?.incoming,
    stdout: write('stdout'),
    stderr: write('stderr'),
    sizes: resize && sizesFrom(resize.incoming),
    finish: async status => {
      await found.get('error')?.write(Buffer.from(statusText(status, protocol)));
      for (const stream of found.values()) await stream.end();
      await connection.close();
    },
    signal: connection.signal,
  };
}

function statusText(status: RemoteStatus, protocol: string): string {
  if (hasStatus(protocol)) return JSON.stringify(status);
  return status.status === 'Success' ? '' : (status.message ?? 'failed');
}

/** Sizes are JSON values one behind the other, without a fixed boundary between chunks. */
async function* sizesFrom(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<TerminalSize> {
  let text = '';
  for await (const chunk of chunks) {
    text += Buffer.from(chunk).toString('utf8');
    for (let end = text.indexOf('}'); end >= 0; end = text.indexOf('}')) {
      const size = parseSize(text.slice(0, end + 1).trim());
      text = text.slice(end + 1);
      if (size) yield size;
    }
    // No size is that long; a client that sends none must not fill the memory.
    if (text.length > 1024) text = '';
  }
}
