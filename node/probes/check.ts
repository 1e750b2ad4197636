/**
 * One look at a container from outside: over HTTP, TCP or gRPC, or by a command inside it. Probes and lifecycle hooks
 * share it. The texts are a kubelet's, since they end in events that people know.
 */
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { type Container, type EphemeralContainer, http, type LifecycleHandler, type Probe } from '../api.ts';
import type { Clock } from '../clock.ts';
import { PROBE_OUTPUT_BYTES_MAX } from '../limits.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { checkGrpc } from './grpc.ts';

export interface CheckTarget {
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly containerId: string;
  readonly container: Container | EphemeralContainer;
  /** The pod's address. */
  readonly host: string;
}
export interface CheckResult {
  readonly ok: boolean;
  readonly output: string;
}
type Handler = Pick<Probe, 'exec' | 'httpGet' | 'tcpSocket' | 'grpc'> & Pick<LifecycleHandler, 'sleep'>;

/** Runs the check. Never rejects: what goes wrong is the result. */
export async function check(
  target: CheckTarget,
  handler: Handler,
  { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal },
): Promise<CheckResult> {
  const timeout = new AbortController();
  const cancel = target.clock.setTimeout(() => timeout.abort(), timeoutMs);
  const both = signal ? AbortSignal.any([signal, timeout.signal]) : timeout.signal;
  try {
    return await dispatch(target, handler, both, timeoutMs);
  } catch (error) {
    return { ok: false, output: error instanceof Error ? error.message : String(error) };
  } finally {
    cancel();
  }
}

function dispatch(target: CheckTarget, handler: Handler, signal: AbortSignal, timeoutMs: number): Promise<CheckResult> {
  if (handler.exec) return checkExec(target, handler.exec.command ?? [], signal, timeoutMs);
  if (handler.httpGet) return checkHttp(target, handler.httpGet, signal);
  if (handler.tcpSocket) {
    const host = handler.tcpSocket.host || target.host;
    return checkTcp(host, portOf(target.container, handler.tcpSocket.port), signal);
  }
  if (handler.grpc) {
    const { port, service = '' } = handler.grpc;
    return checkGrpc({ host: target.host, port, service, signal }).then(trouble => ({
      ok: !trouble,
      output: trouble ?? '',
    }));
  }
  return Promise.resolve({ ok: true, output: '' });
}

/** A port by number, or by the name that the container gives it. Throws if there is no such name. */
function portOf(container: Container | EphemeralContainer, port: string | number): number {
  if (typeof port === 'number') return port;
  const named = container.ports?.find(({ name }) => name === port)?.containerPort;
  const value = named ?? Number(port);
  if (!Number.isInteger(value) || value < 1 || value > 65_535) throw new Error(`couldn't find port: ${port}`);
  return value;
}

async function checkExec(
  { runtime, containerId }: CheckTarget,
  command: readonly string[],
  signal: AbortSignal,
  timeoutMs: number,
): Promise<CheckResult> {
  const session = await runtime.exec(containerId, { command, tty: false, stdin: false });
  const chunks: Buffer[] = [];
  let size = 0;
  const keep = (chunk: Buffer) => {
    if (size < PROBE_OUTPUT_BYTES_MAX) chunks.push(chunk.subarray(0, PROBE_OUTPUT_BYTES_MAX - size));
    size += chunk.length;
  };
  session.stdout.on('data', keep);
  session.stderr?.on('data', keep);
  const aborted = Promise.withResolvers<'aborted'>();
  const onAbort = () => aborted.resolve('aborted');
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const exitCode = await Promise.race([session.exitCode, aborted.promise]);
    if (exitCode === 'aborted') {
      session.exitCode.catch(() => undefined);
      await session.kill();
      return {
        ok: false,
        output: `command timed out: ${JSON.stringify(command.join(' '))} timed out after ${timeoutMs / 1000}s`,
      };
    }
    return { ok: exitCode === 0, output: Buffer.concat(chunks).toString('utf8') };
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function checkHttp(
  target: CheckTarget,
  action: NonNullable<Probe['httpGet']>,
  signal: AbortSignal,
): Promise<CheckResult> {
  const host = action.host || target.host;
  const port = portOf(target.container, action.port);
  const secure = action.scheme === 'HTTPS';
  const path = action.path?.startsWith('/') ? action.path : `/${action.path ?? ''}`;
  const url = `${secure ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}${path}`;
  const headers: Record<string, string> = { 'user-agent': 'kube-probe/1.33', accept: '*/*', connection: 'close' };
  for (const { name, value } of action.httpHeaders ?? []) headers[name.toLowerCase()] = value;
  return new Promise(resolve => {
    const fail = (why: string) => resolve({ ok: false, output: `Get "${url}": ${why}` });
    const options = { headers, signal, agent: false as const };
    // A probe asks whether somebody answers, not who: certificates are not checked, as with a kubelet.
    const request = secure ? httpsRequest(url, { ...options, rejectUnauthorized: false }) : http.request(url, options);
    request.on('response', response => {
      const status = response.statusCode ?? 0;
      response.resume();
      response.on('error', error => fail(error.message));
      response.on('close', () => {
        const ok = status >= 200 && status < 400;
        resolve({ ok, output: ok ? '' : `HTTP probe failed with statuscode: ${status}` });
      });
    });
    request.on('error', error =>
      fail(
        signal.aborted
          ? 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
          : dialText(error, host, port),
      ),
    );
    request.end();
  });
}

function checkTcp(host: string, port: number, signal: AbortSignal): Promise<CheckResult> {
  return new Promise(resolve => {
    const socket = connect({ host, port });
    const finish = (result: CheckResult) => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      resolve(result);
    };
    const onAbort = () => finish({ ok: false, output: `dial tcp ${host}:${port}: i/o timeout` });
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('connect', () => finish({ ok: true, output: '' }));
    socket.on('error', error => finish({ ok: false, output: dialText(error, host, port) }));
  });
}

function dialText(error: Error & { code?: string }, host: string, port: number): string {
  const at = `dial tcp ${host}:${port}: `;
  if (error.code === 'ECONNREFUSED') return `${at}connect: connection refused`;
  if (error.code === 'EHOSTUNREACH') return `${at}connect: no route to host`;
  if (error.code === 'ENETUNREACH') return `${at}connect: network is unreachable`;
  return error.message;
}
