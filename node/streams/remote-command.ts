/**
 * A command in a container joined to a client: input, output, terminal size and at the end the status. How the client is
 * reached (SPDY streams or WebSocket messages) is behind {@link RemoteStreams}.
 */
import type { ExecSession } from '../runtime/runtime.ts';
import { writeTo } from './channel.ts';

/** What a client asked to be connected with. */
export interface RemoteRequest {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}
export interface RemoteStreams {
  readonly stdin: AsyncIterable<Uint8Array> | undefined;
  stdout(bytes: Uint8Array): Promise<void>;
  stderr(bytes: Uint8Array): Promise<void>;
  readonly sizes: AsyncIterable<TerminalSize> | undefined;
  /** Sends the status behind all output, then ends everything. */
  finish(status: RemoteStatus): Promise<void>;
  /** Fires when the client is gone. */
  readonly signal: AbortSignal;
}

/** How it ended, as `metav1.Status` on the error channel (v4 and later). */
export interface RemoteStatus {
  readonly metadata: Record<string, never>;
  readonly status: 'Success' | 'Failure';
  readonly message?: string;
  readonly reason?: string;
  readonly details?: { readonly causes: readonly { readonly reason: string; readonly message: string }[] };
  readonly code?: number;
}

function exitStatus(exitCode: number): RemoteStatus {
  if (exitCode === 0) return { metadata: {}, status: 'Success' };
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
  };
}

function failureStatus(message: string): RemoteStatus {
  return { metadata: {}, status: 'Failure', message, reason: 'InternalError', code: 500 };
}

/** Runs until the command has ended and all was delivered, or the client is gone. Never rejects. */
export async function runRemoteCommand(open: () => Promise<ExecSession>, streams: RemoteStreams): Promise<void> {
  let session: ExecSession;
  try {
    session = await open();
  } catch (error) {
    return streams.finish(failureStatus(error instanceof Error ? error.message : String(error)));
  }
  const kill = () => void session.kill().catch(() => undefined);
  if (streams.signal.aborted) kill();
  streams.signal.addEventListener('abort', kill, { once: true });
  // Input and sizes end with the client or the command; nobody waits for them.
  void feed(session, streams).catch(() => undefined);
  void resize(session, streams).catch(() => undefined);
  try {
    const output = Promise.all([
      drain(session.stdout, bytes => streams.stdout(bytes)),
      session.stderr && drain(session.stderr, bytes => streams.stderr(bytes)),
    ]);
    const exitCode = await session.exitCode;
    await output;
    await streams.finish(exitStatus(exitCode));
  } catch (error) {
    await streams.finish(failureStatus(error instanceof Error ? error.message : String(error)));
  } finally {
    streams.signal.removeEventListener('abort', kill);
  }
}

async function feed({ stdin }: ExecSession, streams: RemoteStreams): Promise<void> {
  if (!stdin) return;
  // A command that closes its input early is no failure: the rest is dropped.
  stdin.on('error', () => undefined);
  for await (const chunk of streams.stdin ?? []) await writeTo(stdin, chunk, streams.signal);
  stdin.end();
}

async function resize(session: ExecSession, { sizes }: RemoteStreams): Promise<void> {
  for await (const size of sizes ?? []) await session.resize(size);
}

async function drain(source: AsyncIterable<Uint8Array>, write: (bytes: Uint8Array) => Promise<void>): Promise<void> {
  for await (const chunk of source) await write(chunk);
}

/** A message of the resize channel; undefined if it is none. */
export function parseSize(text: string): TerminalSize | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    const columns = 'Width' in value ? value.Width : undefined;
    const rows = 'Height' in value ? value.Height : undefined;
    return typeof columns === 'number' && typeof rows === 'number' ? { columns, rows } : undefined;
  } catch {
    return undefined;
  }
}
