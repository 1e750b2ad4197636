/**
 * TLS connections to servers that the API server calls, kept open for a while. An HTTP agent of Node's with three changes:
 * it dials by our own routes, it keeps apart who is called under which trust, and its bounds are ours. HTTP/1.1 only:
 * whoever speaks HTTP/2 speaks that too, and a call is one request and one answer.
 */
import { createHash } from 'node:crypto';
import { Agent, type AgentOptions, type ClientRequestArgs } from 'node:http';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect, createSecureContext, type SecureContext } from 'node:tls';
import { dialAddress, type Reach } from '../subresources/reach.ts';
import { nameMismatch } from './errors.ts';
import type { CalloutLimits } from './limits.ts';
import type { ServiceRoutes } from './service-route.ts';
import type { CalloutTarget, Destination } from './target.ts';

/** With what the API server shows who it is. */
export interface ClientCredentials {
  readonly key: string;
  readonly cert: string;
}

/** How a destination is spoken to. */
export interface Trust extends Pick<CalloutTarget, 'caBundle' | 'insecureSkipTLSVerify'> {
  readonly credentials?: ClientCredentials | undefined;
}

/** Options of a request that goes through {@link CalloutAgent}. */
export interface CalloutRequestArgs extends ClientRequestArgs {
  readonly destination: Destination;
  readonly trust: Trust;
  /** Ends the dialling; what is under way on an open connection ends by the request's own signal. */
  readonly dialSignal: AbortSignal;
}

export interface ConnectionOptions {
  readonly core: Reach;
  readonly routes: ServiceRoutes;
  readonly limits: CalloutLimits;
}

type Created = (error: Error | null, socket: Duplex) => void;

export class CalloutAgent extends Agent {
  readonly #options: ConnectionOptions;
  /** Contexts by trust: parsing a bundle for every connection would cost more than the handshake. */
  readonly #contexts = new Map<string, SecureContext>();

  constructor(options: ConnectionOptions) {
    const { limits } = options;
    const settings: AgentOptions = {
      keepAlive: true,
      maxSockets: limits.connectionsPerServerMax,
      maxFreeSockets: limits.idlePerServerMax,
      timeout: limits.idleMs,
      scheduling: 'lifo',
    };
    super(settings);
    this.#options = options;
  }

  /** By which connections are kept apart. A service's path is no part of it, nor are its endpoints: any will do. */
  override getName(options?: ClientRequestArgs): string {
    const { destination, trust } = options as CalloutRequestArgs;
    const { service, address } = destination;
    const place = service ? `${service.namespace}/${service.name}:${service.port}` : `${address.host}:${address.port}`;
    return `${place} ${trustName(trust)}`;
  }

  /** Dials; Node waits for the callback. */
  // biome-ignore lint/suspicious/noExplicitAny: the signature of Node's own method, which its types leave open
  override createConnection(options: any, created?: any): any {
    const { destination, trust, dialSignal } = options as CalloutRequestArgs;
    const done = created as Created;
    this.#dial(destination, trust, dialSignal).then(
      socket => done(null, socket),
      error => done(error, undefined as never),
    );
    return undefined;
  }

  /** A bound over all servers, besides Node's for each. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  override keepSocketAlive(socket: any): boolean {
    const idle = Object.values(this.freeSockets).reduce((sum, sockets) => sum + (sockets?.length ?? 0), 0);
    if (idle >= this.#options.limits.idleMax) return false;
    return super.keepSocketAlive(socket as Duplex) as unknown as boolean;
  }

  async #dial(destination: Destination, trust: Trust, signal: AbortSignal): Promise<Duplex> {
    const { core, routes } = this.#options;
    const { service, address } = destination;
    const bare = service ? await routes.open(service, signal) : await dialAddress(core, address);
    if (signal.aborted) {
      bare.destroy();
      throw signal.reason;
    }
    return this.#secure(bare, destination.serverName, { trust, signal });
  }

  #secure(
    socket: Duplex,
    serverName: string,
    { trust, signal }: { readonly trust: Trust; readonly signal: AbortSignal },
  ): Promise<Duplex> {
    const { core, limits } = this.#options;
    const isAddress = isIP(serverName) !== 0;
    const isBlind = trust.insecureSkipTLSVerify ?? false;
    return new Promise((resolve, reject) => {
      let secured: ReturnType<typeof connect>;
      try {
        secured = connect({
          socket,
          secureContext: this.#contextOf(trust),
          ...(!isAddress && { servername: serverName }),
          ALPNProtocols: ['http/1.1'],
          rejectUnauthorized: !isBlind,
          checkServerIdentity: (_, certificate) => nameMismatch(serverName, certificate, isAddress),
        });
      } catch (error) {
        socket.destroy();
        return reject(error);
      }
      const abort = () => secured.destroy(signal.reason);
      const cancel = core.clock.setTimeout(
        () => secured.destroy(new Error('net/http: TLS handshake timeout')),
        limits.handshakeMsMax,
      );
      const fail = (error: Error) => {
        cancel();
        signal.removeEventListener('abort', abort);
        socket.destroy();
        reject(error);
      };
      signal.addEventListener('abort', abort);
      secured.once('error', fail);
      socket.once('error', fail);
      secured.once('close', () => socket.destroy());
      secured.once('secureConnect', () => {
        cancel();
        signal.removeEventListener('abort', abort);
        secured.off('error', fail);
        socket.off('error', fail);
        // What breaks below shows above as the end of the connection.
        socket.on('error', () => secured.destroy());
        // A server that ends a kept connection has closed it; whoever takes it over for a stream says otherwise.
        secured.allowHalfOpen = false;
        resolve(secured);
      });
    });
  }

  #contextOf(trust: Trust): SecureContext {
    const name = trustName(trust);
    let context = this.#contexts.get(name);
    if (!context) {
      const { caBundle, credentials } = trust;
      context = createSecureContext({
        minVersion: 'TLSv1.2',
        // As in Go, whatever stands in the bundle is believed, be it the server's own certificate.
        allowPartialTrustChain: true,
        ...(caBundle && { ca: Buffer.from(caBundle, 'base64').toString() }),
        ...(credentials && { key: credentials.key, cert: credentials.cert }),
      });
      const [oldest] = this.#contexts.keys();
      if (this.#contexts.size >= this.#options.limits.anchorsMax && oldest) this.#contexts.delete(oldest);
      this.#contexts.set(name, context);
    }
    return context;
  }
}

/** Digests of what was met, so that a bundle is not hashed at every call. */
const digests = new WeakMap<Trust, string>();

function trustName(trust: Trust): string {
  let name = digests.get(trust);
  if (name === undefined) {
    const { caBundle = '', insecureSkipTLSVerify = false, credentials } = trust;
    name = createHash('sha256')
      .update(JSON.stringify([caBundle, insecureSkipTLSVerify, credentials?.cert ?? '']))
      .digest('base64url');
    digests.set(trust, name);
  }
  return name;
}
