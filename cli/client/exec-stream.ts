/**
 * Runs a command in a container over WebSocket, protocol v5 (v4 where a server knows no better): the first byte of each
 * message is the channel (0 stdin, 1 stdout, 2 stderr, 3 status, 4 window size, 255 end of another).
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { WebSocket } from 'ws';
import type { Status } from '../../control/api/generated/types.ts';
import { ApiError } from '../../control/api/status.ts';
import { failure } from './errors.ts';
import type { Connection } from './kubeconfig.ts';

export interface ExecStreams {
  readonly stdin: Readable | undefined;
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly isTty: boolean;
}

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const STATUS = 3;
const RESIZE = 4;
const CLOSE = 255;
const V5 = 'v5.channel.k8s.io';
const V4 = 'v4.channel.k8s.io';

/** Unsent input above this holds back the reading of more. */
const BUFFERED_BYTES_MAX = 1024 * 1024;

/**
 * Connects the streams until the command ends.
 * @returns The command's exit code.
 * @throws ApiError if the server refuses, CommandError if the connection breaks.
 */
export async function execute(connection: Connection, path: string, streams: ExecStreams): Promise<number> {
  const socket = openSocket(connection, path, [V5, V4]);
  const outcome = settle(socket, streams);
  await Promise.race([once(socket, 'open'), outcome]);
  const stop = startInput(socket, streams);
  try {
    return await outcome;
  } finally {
    stop();
  }
}

/** Opens a WebSocket to a path of the server. */
export function openSocket(
  { server, tls, token, headers, repeatedHeaders }: Connection,
  path: string,
  protocols: readonly string[],
): WebSocket {
  const url = new URL(server.replace(/^http/, 'ws') + path);
  return new WebSocket(url, [...protocols], {
    headers: { ...headers, ...repeatedHeaders, ...(token && { authorization: `Bearer ${token}` }) },
    perMessageDeflate: false,
    ...(tls.ca && { ca: tls.ca }),
    ...(tls.cert && { cert: tls.cert }),
    ...(tls.key && { key: tls.key }),
    ...(tls.serverName && { servername: tls.serverName }),
    rejectUnauthorized: !tls.insecure,
  });
}

function settle(socket: WebSocket, streams: ExecStreams): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let exitCode: number | undefined;
  socket.on('unexpected-response', (_request, response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('end', () => reject(refusal(response.statusCode ?? 0, Buffer.concat(chunks).toString())));
    response.on('error', reject);
  });
  socket.on('error', error => reject(failure(`unable to upgrade connection: ${error.message}`, error)));
  socket.on('message', (data: Buffer) => {
    const [channel] = data;
    const content = data.subarray(1);
    if (channel === STDOUT) pass(socket, streams.stdout, content);
    else if (channel === STDERR) pass(socket, streams.stderr, content);
    else if (channel === STATUS) {
      const result = readStatus(content.toString());
      if (result instanceof Error) reject(result);
      else exitCode = result;
    }
  });
  socket.on('close', code => {
    if (exitCode !== undefined) resolve(exitCode);
    else reject(failure(`the connection to the server was lost before the command ended (code ${code})`));
  });
  return promise;
}

/** Writes; while the reader is slow, no more is taken from the server. */
function pass(socket: WebSocket, target: Writable, content: Uint8Array): void {
  if (target.write(content)) return;
  socket.pause();
  target.once('drain', () => socket.resume());
}

/** What the server said when it did not open the connection. */
export function refusal(code: number, text: string): Error {
  try {
    const status = JSON.parse(text) as Status;
    if (status.kind === 'Status') return ApiError.fromStatus({ ...status, code });
  } catch {
    // Not every server speaks JSON here.
  }
  return failure(`unable to upgrade connection: ${text.trim() || `the server answered with code ${code}`}`);
}

/** The exit code, or why there is none. */
function readStatus(text: string): number | Error {
  const status = JSON.parse(text) as Status;
  if (status.status === 'Success') return 0;
  const code = status.details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message;
  if (status.reason === 'NonZeroExitCode' && code !== undefined) return Number(code);
  return failure(status.message ?? 'the command could not be run');
}

/** Sends what is typed and how large the window is. Gives a function that ends that. */
function startInput(socket: WebSocket, { stdin, stdout, isTty }: ExecStreams): () => void {
  const send = (channel: number, content: Uint8Array) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(Buffer.concat([Buffer.of(channel), content]));
  };
  const onData = (chunk: Buffer | string) => {
    send(STDIN, Buffer.from(chunk));
    if (socket.bufferedAmount > BUFFERED_BYTES_MAX) {
      stdin?.pause();
      socket.send(Buffer.of(STDIN), () => stdin?.resume());
    }
  };
  const onEnd = () => {
    // v4 has no way to say that there is no more.
    if (socket.protocol === V5) send(CLOSE, Buffer.of(STDIN));
  };
  const onResize = () => {
    const { columns, rows } = stdout as { columns?: number; rows?: number };
    if (columns && rows) send(RESIZE, Buffer.from(JSON.stringify({ Width: columns, Height: rows })));
  };
  stdin?.on('data', onData).on('end', onEnd);
  const isRaw = isTty && setRawMode(stdin, true);
  if (isTty) {
    onResize();
    stdout.on('resize', onResize);
  }
  return () => {
    stdin?.off('data', onData).off('end', onEnd);
    stdin?.pause();
    stdout.off('resize', onResize);
    if (isRaw) setRawMode(stdin, false);
    // A paused standard input would keep the process alive.
    if (stdin && 'unref' in stdin && typeof stdin.unref === 'function') stdin.unref();
  };
}

/** Whether the stream is a terminal that could be switched. */
function setRawMode(stream: Readable | undefined, isRaw: boolean): boolean {
  if (!stream || !('setRawMode' in stream) || typeof stream.setRawMode !== 'function') return false;
  stream.setRawMode(isRaw);
  // Node leaves the terminal to put a carriage return before each line feed, which the remote terminal has done already;
  // programs that draw would be torn. A system without stty keeps it so. The way back restores all of the terminal.
  if (isRaw) spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
  return true;
}
