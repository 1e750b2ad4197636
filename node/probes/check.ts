/**
 * One look at a container from outside: over HTTP, TCP or gRPC, or by a command inside it. Probes and lifecycle hooks
 * share it. The texts are a kubelet's, since they end in events that people know.
 */
import { connect } from 'node:net';
import type { Container, EphemeralContainer, Probe } from '../api.ts';
import type { Clock } from '../clock.ts';
import { PROBE_OUTPUT_BYTES_MAX } from '../limits.ts';
import { expand } from '../pods/environment.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { checkGrpc } from './grpc.ts';
import { askHttp, dialText, type HttpAction, HttpAskError } from './http.ts';

export interface CheckTarget {
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly containerId: string;
  readonly container: Container | EphemeralContainer;
  /** The pod's address. */
  readonly host: string;
}
export interface CheckResult {
  /** A warning is a success that somebody should look at; after an error nothing is known of the container. */
  readonly outcome: 'success' | 'warning' | 'failure' | 'error';
  readonly output: string;
}
type Handler = Pick<Probe, 'exec' | 'httpGet' | 'tcpSocket' | 'grpc'>;

const GOOD: CheckResult = { outcome: 'success', output: '' };

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
    return { outcome: 'error', output: error instanceof Error ? error.message : String(error) };
  } finally {
    cancel();
  }
}

function dispatch(target: CheckTarget, handler: Handler, signal: AbortSignal, timeoutMs: number): Promise<CheckResult> {
  if (handler.exec) {
    // Variables with values of their own are filled in, and no others (k/k: ExpandContainerCommandOnlyStatic).
    const values = new Map((target.container.env ?? []).map(({ name, value = '' }) => [name, value]));
    const command = (handler.exec.command ?? []).map(part => expand(part, name => values.get(name)));
    return checkExec(target, command, signal, timeoutMs);
  }
  if (handler.httpGet) return checkHttp(target, handler.httpGet, signal);
  if (handler.tcpSocket) {
    const host = handler.tcpSocket.host || target.host;
    return checkTcp(host, portOf(target.container, handler.tcpSocket.port), signal);
  }
  if (handler.grpc) {
    const { port, service = '' } = handler.grpc;
    return checkGrpc({ host: target.host, port, service, signal }).then(trouble => ({
      outcome: trouble ? ('failure' as const) : ('success' as const),
      output: trouble ?? '',
    }));
  }
  return Promise.reject(new Error(`missing probe handler for ${target.container.name}`));
}

/** A port by number, or by the name that the container gives it. Throws if there is no such name. */
export function portOf(container: Container | EphemeralContainer, port: string | number): number {
  if (typeof port === 'number') return port;
  const named = container.ports?.find(({ name }) => name === port)?.containerPort;
  if (named === undefined && !/^[+-]?[0-9]+$/.test(port))
    throw new Error(`strconv.Atoi: parsing "${port}": invalid syntax`);
  const value = named ?? Number(port);
  if (value < 1 || value > 65_535) throw new Error(`invalid port number: ${port}`);
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
        outcome: 'failure',
        output: `command timed out: ${JSON.stringify(command.join(' '))} timed out after ${timeoutMs / 1000}s`,
      };
    }
    return { outcome: exitCode === 0 ? 'success' : 'failure', output: Buffer.concat(chunks).toString('utf8') };
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

async function checkHttp(target: CheckTarget, action: HttpAction, signal: AbortSignal): Promise<CheckResult> {
  const port = portOf(target.container, action.port);
  const ask = { host: action.host || target.host, port, action, userAgent: 'kube-probe/1.33', signal };
  try {
    const { status, body } = await askHttp(ask);
    if (status < 200 || status >= 400)
      return { outcome: 'failure', output: `HTTP probe failed with statuscode: ${status}` };
    if (status < 300) return GOOD;
    return { outcome: 'warning', output: `Probe terminated redirects, Response body: ${body}` };
  } catch (error) {
    if (!(error instanceof HttpAskError)) throw error;
    return { outcome: 'failure', output: error.message };
  }
}

function checkTcp(host: string, port: number, signal: AbortSignal): Promise<CheckResult> {
  return new Promise(resolve => {
    const socket = connect({ host, port });
    const finish = (result: CheckResult) => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      resolve(result);
    };
    const onAbort = () => finish({ outcome: 'failure', output: `dial tcp ${host}:${port}: i/o timeout` });
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('connect', () => finish(GOOD));
    socket.on('error', error => finish({ outcome: 'failure', output: dialText(error, host, port) }));
  });
}
