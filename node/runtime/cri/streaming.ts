/**
 * Exec and attach through the runtime's streaming server: the runtime gives a URL, and behind it speaks what kubectl
 * speaks to a kubelet (SPDY/3.1 with version 4 of the remote command protocol; see shared facts in `node/streams`). SPDY
 * and not WebSocket, because only it can end the input and go on reading in every runtime that is supported.
 */
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import { PassThrough, Writable } from 'node:stream';
import { http } from '../../api.ts';
import { socketChannel, writeTo } from '../../streams/channel.ts';
import { SpdyConnection, type SpdyStream } from '../../streams/spdy.ts';
import type { ExecSession } from '../runtime.ts';
import { streamDialTimeoutMs, streamStatusBytesMax } from './limits.ts';

const protocol = 'v4.channel.k8s.io';
const killedExitCode = 137;

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}
export interface StreamRequest {
  readonly url: string;
  readonly tty: boolean;
  readonly stdin: boolean;
  /** Resolves when the terminal has that size: the runtime itself gives no answer. */
  readonly resized: (size: TerminalSize) => Promise<void>;
  /** Asked when all went well: what the command's exit code was. */
  readonly exitCode: () => Promise<number>;
  /** Ends what is left on the machine. */
  readonly kill: () => Promise<void>;
}

/** Connects to the runtime's streaming server. Throws what the server answered. */
export async function openSession(request: StreamRequest): Promise<ExecSession> {
  const { tty, stdin } = request;
  const socket = await upgrade(new URL(request.url));
  const connection = new SpdyConnection(socketChannel(socket, Buffer.alloc(0)), stream => void stream.reset());
  const running = connection.run();
  const open = (type: string) => connection.open(new Map([['streamtype', type]]));
  const streams = {
    error: await open('error'),
    stdin: stdin ? await open('stdin') : undefined,
    stdout: await open('stdout'),
    stderr: tty ? undefined : await open('stderr'),
    resize: tty ? await open('resize') : undefined,
  };
  const output = { stdout: new PassThrough(), stderr: tty ? undefined : new PassThrough() };
  let isKilled = false;
  const exitCode = finish(streams, output).then(
    outcome => outcome ?? request.exitCode(),
    (error: unknown) => {
      if (isKilled) return killedExitCode;
      throw error;
    },
  );
  const ended = exitCode.finally(async () => {
    output.stdout.end();
    output.stderr?.end();
    socket.destroy();
    await running;
  });
  // Whoever killed the session need not listen any more.
  ended.catch(() => undefined);
  return {
    stdin: streams.stdin && stdinOver(streams.stdin),
    ...output,
    resize: async size => {
      await streams.resize?.write(Buffer.from(JSON.stringify({ Width: size.columns, Height: size.rows })));
      await Promise.race([request.resized(size), exitCode.catch(() => undefined)]);
    },
    exitCode: ended,
    async kill() {
      isKilled = true;
      socket.destroy();
      output.stdout.destroy();
      output.stderr?.destroy();
      await request.kill();
    },
  };
}

/** Rejects with what the server says instead of switching protocols. */
function upgrade(url: URL): Promise<Duplex> {
  const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
  const options = {
    method: 'POST',
    headers: {
      connection: 'Upgrade',
      upgrade: 'SPDY/3.1',
      'x-stream-protocol-version': protocol,
      'content-length': '0',
    },
    timeout: streamDialTimeoutMs,
    // The URL, with its token, came over the runtime's own socket; its certificate, where it has one, is made at each start.
    rejectUnauthorized: false,
  };
  const request = url.protocol === 'https:' ? httpsRequest(url, options) : http.request(url, options);
  request.on('upgrade', (_answer: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (head.length > 0) socket.unshift(head);
    if ('setTimeout' in socket && typeof socket.setTimeout === 'function') socket.setTimeout(0);
    resolve(socket);
  });
  request.on('response', answer => {
    answer.resume();
    reject(new Error(`the runtime's streaming server refused with status ${answer.statusCode}`));
  });
  request.on('timeout', () => request.destroy(new Error("the runtime's streaming server does not answer")));
  request.on('error', reject);
  request.end();
  return promise;
}

interface Streams {
  readonly error: SpdyStream;
  readonly stdout: SpdyStream;
  readonly stderr: SpdyStream | undefined;
}
interface Output {
  readonly stdout: PassThrough;
  readonly stderr: PassThrough | undefined;
}

/** Delivers all output; then gives the exit code, undefined for "all went well". Throws if there was no status. */
async function finish(streams: Streams, output: Output): Promise<number | undefined> {
  const [status] = await Promise.all([
    readStatus(streams.error),
    pump(streams.stdout, output.stdout),
    streams.stderr && output.stderr && pump(streams.stderr, output.stderr),
  ]);
  const outcome = outcomeOf(status);
  if (outcome.message !== undefined) (output.stderr ?? output.stdout).write(`${outcome.message}\n`);
  return outcome.exitCode;
}

const never = new AbortController().signal;

async function pump(source: SpdyStream, target: PassThrough): Promise<void> {
  // A reader that left wants nothing more, but the stream must be read for the others to go on.
  for await (const chunk of source.incoming) if (!target.destroyed) await writeTo(target, chunk, never);
}

async function readStatus(stream: SpdyStream): Promise<string> {
  let text = '';
  for await (const chunk of stream.incoming) {
    if (text.length < streamStatusBytesMax) text += Buffer.from(chunk).toString();
  }
  return text;
}

interface RemoteStatus {
  readonly status?: string;
  readonly message?: string;
  readonly details?: { readonly causes?: readonly { readonly reason?: string; readonly message?: string }[] };
}

/** What the error stream's text (`metav1.Status`) says; without an exit code the command went well. Throws if it is none. */
export function outcomeOf(text: string): { readonly exitCode?: number; readonly message?: string } {
  if (text === '') throw new Error('the runtime hung up before it told how the command ended');
  const status = JSON.parse(text) as RemoteStatus;
  if (status.status === 'Success') return {};
  const cause = status.details?.causes?.find(one => one.reason === 'ExitCode');
  if (cause?.message !== undefined) return { exitCode: Number(cause.message) };
  const message = status.message ?? text;
  const exitCode = refusalCode(message);
  if (exitCode === undefined) throw new Error(message);
  return { exitCode, message };
}

/** A shell's codes for a command that could not be run; undefined for any other trouble. */
function refusalCode(message: string): number | undefined {
  if (/executable file not found|no such file or directory/.test(message)) return 127;
  if (/permission denied|OCI runtime exec failed|unable to start container process/.test(message)) return 126;
  return undefined;
}

/** Input after the command's end is dropped, as a terminal's would be. */
function stdinOver(stream: SpdyStream): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, callback) {
      stream.write(chunk).then(() => callback(), callback);
    },
    final(callback) {
      stream.end().then(() => callback(), callback);
    },
  });
}
