/** Listens for gRPC clients, in mutual TLS or in plain text, and hands their calls to the routes. */
import { createServer as createPlainServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';
import { OpenSockets } from '../../raft/index.ts';
import type { TurnClock } from '../clock.ts';
import { HANDSHAKE_TIMEOUT_MS } from '../limits.ts';
import { type Logger, silentLogger } from '../logger.ts';
import { type Rpc, RpcTallies, type RpcTally } from '../metrics/rpcs.ts';
import type { TlsMaterial } from '../remote/server.ts';
import { answerStream, Front, isRead } from './front.ts';
import { refuse } from './grpc/call.ts';
import type { Route } from './grpc/routes.ts';
import { GrpcError, STATUS, STATUS_NAMES } from './grpc/status.ts';
import { Http2Connection } from './http2/connection.ts';
import { CLOSE_GRACE_MS } from './http2/limits.ts';
import type { Http2Stream, StreamListener } from './http2/stream.ts';
import { CALLS_MAX } from './limits.ts';
import type { Pages } from './pages.ts';

export interface GrpcServerOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** Clients must show a certificate of `ca`. Without it the server speaks plain text: for loopback only. */
  readonly tls?: TlsMaterial;
  /** Clients' certificates must bear this organization too. */
  readonly organization?: string;
  readonly routes: readonly Route[];
  /** What is answered to who does not speak gRPC. */
  readonly pages: Pages;
  readonly toStatus: (error: unknown) => GrpcError;
  readonly clock: TurnClock;
  readonly logger?: Logger;
  readonly tallies?: RpcTallies;
}

export class GrpcServer {
  readonly #options: GrpcServerOptions;
  readonly #routes: ReadonlyMap<string, Route>;
  readonly #tallies: RpcTallies;
  readonly #tallyOf: ReadonlyMap<Route, RpcTally>;
  readonly #server: Server;
  readonly #openSockets: OpenSockets;
  readonly #front: Front;
  readonly #connections = new Set<Http2Connection>();

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    this.#routes = new Map(options.routes.map(route => [route.path, route]));
    this.#tallies = options.tallies ?? new RpcTallies();
    this.#tallyOf = new Map(options.routes.map(route => [route, this.#tallies.of(rpcOf(route))]));
    const { tls, clock, pages } = options;
    this.#front = new Front({ clock, pages, onHttp2: socket => this.#serve(socket) });
    const accept = (socket: Socket) => this.#connect(socket);
    this.#server =
      tls === undefined
        ? createPlainServer(accept)
        : createTlsServer(
            {
              ...tls,
              handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
              requestCert: true,
              rejectUnauthorized: true,
              minVersion: 'TLSv1.2',
              ALPNProtocols: ['h2', 'http/1.1'],
            },
            accept,
          );
    this.#openSockets = new OpenSockets(this.#server);
    this.#server.on('tlsClientError', (error: Error) => {
      this.#logger.warn({ error }, 'an etcd client was not let in');
    });
  }

  /** Listens. Resolves with the port, which is chosen by the system if 0 was asked for. */
  async start(): Promise<number> {
    const { host, port } = this.#options.listen;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    this.#server.on('error', error => this.#logger.warn({ error }, 'the etcd server has trouble'));
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : port;
  }

  /** Lets what is under way end for a moment, then closes. */
  async close(): Promise<void> {
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()));
    this.#front.close();
    for (const connection of [...this.#connections]) connection.goAway();
    const cancel = this.#options.clock.setTimeout(() => {
      for (const connection of [...this.#connections]) connection.destroy();
      this.#openSockets.destroy();
    }, CLOSE_GRACE_MS);
    await closed;
    cancel();
  }

  get #logger(): Logger {
    return this.#options.logger ?? silentLogger;
  }

  #connect(socket: Socket): void {
    const subject = socket instanceof TLSSocket ? subjectOf(socket) : undefined;
    const { organization } = this.#options;
    if (organization !== undefined && subject?.organizations.includes(organization) !== true) {
      this.#logger.warn(
        { commonName: subject?.commonName },
        `an etcd client is not of ${organization} and was not let in`,
      );
      socket.destroy();
      return;
    }
    this.#front.accept(socket);
  }

  #serve(socket: Socket): void {
    const commonName = socket instanceof TLSSocket ? subjectOf(socket).commonName : undefined;
    let calls = 0;
    const { clock, pages, toStatus } = this.#options;
    const connection = new Http2Connection({
      socket,
      clock,
      accept: (stream, headers) => {
        if (isRead(headers.get(':method') ?? '')) return answerStream(pages, stream, headers);
        const problem = calls >= CALLS_MAX ? TOO_MANY : requestProblem(headers);
        if (problem !== undefined) return refuse(stream, problem);
        const route = this.#routes.get(headers.get(':path') ?? '');
        if (route === undefined) return this.#unknown(stream, headers);
        calls++;
        const tally = this.#tallyOf.get(route);
        if (tally !== undefined) tally.started++;
        const onDone = (status: number) => {
          calls--;
          tally?.ended(STATUS_NAMES[status] ?? 'Unknown');
        };
        return route.begin({ stream, headers, commonName, clock, toStatus, onDone, bytes: this.#tallies });
      },
      onClose: () => this.#connections.delete(connection),
      onProblem: error => this.#logger.warn({ error }, 'an etcd client broke the rules of HTTP/2'),
    });
    this.#connections.add(connection);
  }

  #unknown(stream: Http2Stream, headers: ReadonlyMap<string, string>): StreamListener {
    return refuse(stream, new GrpcError(STATUS.unimplemented, `unknown method ${headers.get(':path') ?? ''}`));
  }
}

const TOO_MANY = new GrpcError(STATUS.resourceExhausted, 'etcdserver: too many requests');

function requestProblem(headers: ReadonlyMap<string, string>): GrpcError | undefined {
  if (headers.get(':method') !== 'POST') return new GrpcError(STATUS.internal, 'gRPC calls are POST requests');
  if (!(headers.get('content-type') ?? '').startsWith('application/grpc')) {
    return new GrpcError(STATUS.internal, 'only application/grpc is served here');
  }
  return undefined;
}

/** As go-grpc-prometheus names what a method is. */
function rpcOf({ path, requestStream, responseStream }: Route): Rpc {
  const [, service = '', name = ''] = path.split('/');
  const type = requestStream ? 'bidi_stream' : responseStream ? 'server_stream' : 'unary';
  return { service, method: name, type };
}

function subjectOf(socket: TLSSocket): { readonly commonName: string | undefined; readonly organizations: unknown[] } {
  const subject = socket.getPeerCertificate()?.subject;
  const name: unknown = subject?.CN;
  // One organization is a text, several are a list.
  return { commonName: typeof name === 'string' ? name : undefined, organizations: [subject?.O].flat() };
}
