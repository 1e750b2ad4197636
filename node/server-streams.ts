/** exec, attach, port-forward and tunnels: from an upgrade request to a container, over SPDY or WebSocket as the client asks. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from './clock.ts';
import { findPod, type PodDirectory, type PodHandle, runningContainer } from './container-lookup.ts';
import { HttpError } from './http-error.ts';
import type { ExecSession, Runtime } from './runtime/runtime.ts';
import { flag } from './server-logs.ts';
import { socketChannel } from './streams/channel.ts';
import {
  dial,
  PORT_FORWARD_PROTOCOL,
  PORT_FORWARD_TUNNEL,
  type PortForwardTarget,
  servePortForward,
  serveWebSocketPorts,
} from './streams/port-forward.ts';
import { type RemoteRequest, type RemoteStreams, runRemoteCommand } from './streams/remote-command.ts';
import { SPDY_COMMAND_PROTOCOLS, serveSpdyCommand } from './streams/spdy-command.ts';
import { joinSockets, TUNNEL_PROTOCOL } from './streams/tunnel.ts';
import { acceptWebSocket, offeredProtocols, webSocketChannel } from './streams/websocket.ts';
import { WEBSOCKET_COMMAND_PROTOCOLS, webSocketStreams } from './streams/websocket-command.ts';

/** What the server asks of a runtime. */
export type StreamingRuntime = Pick<Runtime, 'exec' | 'attach' | 'list' | 'logs' | 'usage'>;

export interface StreamsContext {
  readonly clock: Clock;
  readonly runtime: StreamingRuntime;
  readonly pods: PodDirectory;
}
export interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

const STREAM_VERSION = 'x-stream-protocol-version';

/** Serves an upgraded connection until it ends. Throws {@link HttpError} while nothing has been answered yet. */
export function serveStreams(context: StreamsContext, upgrade: Upgrade): Promise<void> {
  const [kind, namespace = '', name = '', ...rest] = upgrade.path;
  const handle = findPod(context.pods, { namespace, name });
  // The container comes last; a uid may stand before it.
  const container = rest.at(-1) ?? '';
  if (kind === 'portForward') return portForward(context, upgrade, handle);
  if (kind === 'tunnel') return tunnel(context, upgrade, handle);
  if (kind !== 'exec' && kind !== 'attach') throw new HttpError(404, '404 page not found');
  const { runtime } = context;
  const id = runningContainer(handle, container);
  const remote = parseRemote(upgrade.query);
  const { stdin, tty } = remote;
  if (kind === 'attach') return command(context, upgrade, remote, () => runtime.attach(id, { stdin, tty }));
  const words = upgrade.query.getAll('command');
  if (words.length === 0) throw new HttpError(400, 'you must specify a command');
  return command(context, upgrade, remote, () => runtime.exec(id, { command: words, stdin, tty }));
}

/** A kubelet's names (`input`) and the API's (`stdin`) both count. Throws {@link HttpError} 400 if nothing is wanted. */
function parseRemote(query: URLSearchParams): RemoteRequest {
  const wants = (...names: string[]) => names.some(name => flag(query, name));
  const tty = wants('tty');
  const request = {
    stdin: wants('input', 'stdin'),
    stdout: wants('output', 'stdout'),
    stderr: wants('error', 'stderr') && !tty,
    tty,
  };
  if (!request.stdin && !request.stdout && !request.stderr)
    throw new HttpError(400, 'you must specify at least 1 of stdin, stdout, stderr');
  return request;
}

async function command(
  { clock }: StreamsContext,
  upgrade: Upgrade,
  remote: RemoteRequest,
  open: () => Promise<ExecSession>,
): Promise<void> {
  const serve = (streams: RemoteStreams) => runRemoteCommand(open, streams);
  const { request, socket, head } = upgrade;
  if (isWebSocket(request)) {
    const offered = offeredProtocols(request, 'sec-websocket-protocol');
    const protocol = WEBSOCKET_COMMAND_PROTOCOLS.find(known => offered.includes(known));
    if (offered.length > 0 && !protocol) throw new HttpError(400, `unsupported subprotocols: ${offered.join(', ')}`);
    const webSocket = await acceptWebSocket(request, socket, { head, protocol });
    return serve(webSocketStreams(webSocket, remote, protocol ?? ''));
  }
  const offered = offeredProtocols(request, STREAM_VERSION);
  // Clients of the first version name none.
  const protocol =
    offered.length === 0 ? 'channel.k8s.io' : SPDY_COMMAND_PROTOCOLS.find(known => offered.includes(known));
  if (!protocol)
    throw new HttpError(403, `unable to upgrade: unable to negotiate protocol: client supports [${offered.join(' ')}]`);
  acceptSpdy(upgrade, protocol);
  await serveSpdyCommand(socketChannel(socket, head), { request: remote, protocol, clock, serve });
}

async function portForward({ clock }: StreamsContext, upgrade: Upgrade, handle: PodHandle): Promise<void> {
  const { request, socket, head, query } = upgrade;
  const target = forwardTarget(handle, clock);
  if (isWebSocket(request)) {
    const offered = offeredProtocols(request, 'sec-websocket-protocol');
    if (offered.includes(PORT_FORWARD_TUNNEL)) {
      const webSocket = await acceptWebSocket(request, socket, { head, protocol: PORT_FORWARD_TUNNEL });
      return servePortForward(webSocketChannel(webSocket), target);
    }
    const ports = [...query.getAll('ports'), ...query.getAll('port')].flatMap(text => text.split(',')).map(Number);
    const isBad = ports.length === 0 || ports.some(port => !Number.isInteger(port) || port < 1 || port > 65_535);
    if (isBad) throw new HttpError(400, 'query parameter "port" is required');
    const protocol = offered.find(known => known === 'v4.channel.k8s.io');
    const webSocket = await acceptWebSocket(request, socket, { head, protocol });
    return serveWebSocketPorts(webSocket, ports, target);
  }
  const offered = offeredProtocols(request, STREAM_VERSION);
  if (offered.length > 0 && !offered.includes(PORT_FORWARD_PROTOCOL))
    throw new HttpError(403, `unable to upgrade: unable to negotiate protocol: client supports [${offered.join(' ')}]`);
  acceptSpdy(upgrade, PORT_FORWARD_PROTOCOL);
  return servePortForward(socketChannel(socket, head), target);
}

/** One connection to a port of the pod, byte for byte: what the API server's proxy speaks HTTP or TLS through. */
async function tunnel({ clock }: StreamsContext, upgrade: Upgrade, handle: PodHandle): Promise<void> {
  const { request, socket, head, path } = upgrade;
  const port = Number(path[3]);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new HttpError(400, `not a port: ${path[3]}`);
  if (request.headers.upgrade?.toLowerCase() !== TUNNEL_PROTOCOL)
    throw new HttpError(400, `a tunnel is asked for with the header Upgrade: ${TUNNEL_PROTOCOL}`);
  const target = forwardTarget(handle, clock);
  const gone = new AbortController();
  socket.once('close', () => gone.abort());
  const pod = await dial(target, port, gone.signal).catch((error: unknown) => {
    throw new HttpError(502, dialFailure(error, { host: target.host, port }));
  });
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${TUNNEL_PROTOCOL}\r\n\r\n`);
  if (head.length > 0) pod.write(head);
  joinSockets(socket, pod);
}

const SYSTEM_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  ECONNRESET: 'connect: connection reset by peer',
  ETIMEDOUT: 'i/o timeout',
};

/** A failed connection in the words in which Kubernetes' users know it. */
function dialFailure(error: unknown, { host, port }: { readonly host: string; readonly port: number }): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return `dial tcp ${host}:${port}: ${SYSTEM_ERRORS[code] ?? 'i/o timeout'}`;
}

/** The pod's network is reached from the host: by its address, or by loopback where it shares the host's. */
function forwardTarget({ pod, address }: PodHandle, clock: Clock): PortForwardTarget {
  const podName = pod.metadata?.name ?? '';
  const host = pod.spec?.hostNetwork ? '127.0.0.1' : address;
  if (!host)
    throw new HttpError(409, `unable to forward port because pod is not running. Current status=${pod.status?.phase}`);
  return { host, podName, clock };
}

function isWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}

/** Answers 101; without the echo of the version, clients fall back to the first one and lose exit codes. */
function acceptSpdy({ request, socket }: Upgrade, protocol: string): void {
  if (request.headers.upgrade?.toLowerCase() !== 'spdy/3.1')
    throw new HttpError(400, 'unable to upgrade: missing upgrade headers in request');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
  );
}
