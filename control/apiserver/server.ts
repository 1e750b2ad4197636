/**
 * The API server. Everything it needs is handed in; nothing here reads the environment. `createApiServer` puts the parts
 * together: store → cache → verbs → chain → TLS listener, and the same chain for callers in the process.
 *
 * Start reading at `chain.ts` (what happens to every request), then `dispatch.ts` (which verb runs), then `verbs/`.
 */

import { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { STATUS_CODES } from 'node:http';
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Registry } from 'prom-client';
import type { StoreClient } from '../../store/index.ts';
import type { CustomContext } from '../api/custom/declaration.ts';
import { secrets } from '../api/generated/kinds.ts';
import type { Secret } from '../api/generated/types.ts';
import { declarationOf } from '../api/registry.ts';
import { createAdmission } from './admission/admission.ts';
import { serviceAllocation } from './admission/allocation.ts';
import { certificateApproval } from './admission/certificates.ts';
import { claimResize } from './admission/claim-resize.ts';
import { createPermission } from './admission/create-permission.ts';
import { defaultIngressClass, defaultStorageClass } from './admission/default-classes.ts';
import { limitRanger } from './admission/limit-range.ts';
import { namespaceLifecycle } from './admission/namespace-lifecycle.ts';
import { nodeRestriction } from './admission/node-restriction.ts';
import { taintNewNodes } from './admission/node-taint.ts';
import { defaultTolerations, serviceAccount } from './admission/pod-defaults.ts';
import { podSecurity } from './admission/pod-security/pod-security.ts';
import { validatingPolicies } from './admission/policies/validating.ts';
import { priority } from './admission/priority.ts';
import { resourceQuota } from './admission/quota/resource-quota.ts';
import { parseAddressRange, parsePortRange } from './admission/ranges.ts';
import { roleEscalation } from './admission/role-escalation.ts';
import { runtimeClass } from './admission/runtime-class.ts';
import { mutatingWebhooks } from './admission/webhooks/mutating.ts';
import { validatingWebhooks } from './admission/webhooks/validating.ts';
import { withAggregation } from './aggregation/aggregator.ts';
import { ApiServiceKeeper } from './aggregation/keeper.ts';
import { DEFAULT_AGGREGATION_LIMITS } from './aggregation/limits.ts';
import type { GroupVersion } from './aggregation/local-services.ts';
import { Auditor, type AuditorOptions } from './audit/audit.ts';
import type { AuthenticationOptions, StaticToken } from './auth/authentication.ts';
import { Authorizer } from './auth/authorizer.ts';
import { NodeReferences } from './auth/node-references.ts';
import { OidcAuthenticator, type OidcOptions } from './auth/oidc.ts';
import type { RequestHeaderOptions } from './auth/request-header.ts';
import { DEFAULT_ISSUER, ServiceAccountTokens } from './auth/service-account-tokens.ts';
import { WatchCache } from './cache/watch-cache.ts';
import { type Callout, createCallout } from './callout/client.ts';
import type { ClientCredentials } from './callout/connections.ts';
import { type AuditRecord, makeChain } from './chain.ts';
import type { Core } from './core.ts';
import { Catalogue } from './custom/catalogue.ts';
import { Conversions } from './custom/conversions.ts';
import { Discovery } from './discovery.ts';
import { createDispatcher, type VersionInfo } from './dispatch.ts';
import { EventLeases } from './event-leases.ts';
import { Fairness } from './fairness/fairness.ts';
import type { HealthCheck, HealthOptions } from './health.ts';
import {
  type Authorities,
  exchangeOf,
  giveUp,
  type HttpRequest,
  type HttpResponse,
  withWarnings,
  writeReply,
} from './http/connection.ts';
import { inProcessExchange, toApiResponse } from './http/in-process.ts';
import { errorReply } from './http/replies.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import { Metrics } from './metrics.ts';
import { OpenApiDocuments } from './openapi.ts';
import { REVIEWS } from './reviews.ts';
import type { AgentCredentials } from './subresources/agent.ts';
import { BINDINGS } from './subresources/binding.ts';
import { createSubresources } from './subresources/subresources.ts';
import type { ApiRequest, ApiResponse, Clock, Handler, Identity, Logger, Reply, Route } from './types.ts';
import { cached } from './verbs/get.ts';

export interface ApiServerOptions {
  readonly store: StoreClient;
  /** PEM. `ca` signs the clients' certificates. */
  readonly tls: { readonly key: string; readonly cert: string; readonly ca: string };
  readonly listen: { readonly host: string; readonly port: number };
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly newUid: () => string;
  readonly logger: Logger;
  /** Where Services get their addresses: `10.96.0.0/12`. */
  readonly serviceCIDR: string;
  /** `30000-32767`. */
  readonly nodePortRange: string;
  readonly version: VersionInfo;
  /** Bearer tokens that stand for users, besides bootstrap tokens. */
  readonly staticTokens?: readonly StaticToken[];
  /** Proxies in front that say who asks. */
  readonly requestHeader?: RequestHeaderOptions;
  /** An OpenID Connect provider that vouches for users. */
  readonly oidc?: OidcOptions;
  /** True if requests without credentials are refused. */
  readonly refusesAnonymous?: boolean;
  /** With which the server dials agents; without it there are no logs, exec and port-forward. */
  readonly kubeletClient?: AgentCredentials;
  /** With which the server shows API servers behind it that it may say who asks. */
  readonly proxyClient?: ClientCredentials;
  /** Signs service accounts' tokens: RSA, PKCS#8 PEM. Without it there are none, and pods get none. */
  readonly serviceAccountKey?: string;
  /** Who says so in the tokens; {@link DEFAULT_ISSUER} if not given. */
  readonly serviceAccountIssuer?: string;
  /** Conditions of readiness besides the server's own, such as the store's. */
  readonly readiness?: readonly HealthCheck[];
  /** Conditions without which the process should be started again. They must not need the other masters. */
  readonly liveness?: readonly HealthCheck[];
  /** Where the server's metrics go, and what else `/metrics` shows. */
  readonly registry?: Registry;
  readonly audit?: (record: AuditRecord) => void;
  /** What is written down of requests, and where: a line of JSON an event. */
  readonly auditLog?: Pick<AuditorOptions, 'policy' | 'write'>;
  /** Extra paths of the product. */
  readonly routes?: readonly Route[];
  readonly limits?: Partial<Limits>;
}

export interface ApiServer {
  /** Starts to fill the cache and to take connections. Resolves when the port is open. */
  listen(): Promise<void>;
  /** Host and port; only after {@link listen}. */
  readonly address: { readonly host: string; readonly port: number };
  /**
   * Serves a request from within the process, past the socket and authentication but through everything else. The caller
   * must drain the body or return it.
   */
  handle(request: ApiRequest, identity: Identity): Promise<ApiResponse>;
  /**
   * What a leader does for the servers behind this one: lists who serves what, and tells whether they are there. Until the
   * signal aborts; never rejects.
   */
  keepApiServices(identity: Identity, signal: AbortSignal): Promise<void>;
  /** Ends watches and streams, lets answers under way finish for a moment, and closes the port. */
  close(): Promise<void>;
}

/** Above the 90 s for which Go's clients keep idle connections: else they meet closed ones. */
const KEEP_ALIVE_MS = 120_000;
/** The cache is ready if it reaches what is committed within this time. */
const FRESHEN_CHECK_MS = 2_000;
/** How long answers under way may take when the server closes. */
const CLOSE_GRACE_MS = 1_000;

export function createApiServer(options: ApiServerOptions): ApiServer {
  return new Server(options);
}

class Server implements ApiServer {
  readonly #options: ApiServerOptions;
  readonly #limits: Limits;
  readonly #cache: WatchCache;
  readonly #callout: Callout;
  readonly #keeper: ApiServiceKeeper;
  readonly #handler: Handler;
  readonly #closing = new AbortController();
  readonly #sockets = new Set<Socket | Duplex>();
  readonly #sessions = new Set<ServerHttp2Session>();
  #http: Http2SecureServer | undefined;
  #authorities: Authorities | undefined;
  #isCacheStarted = false;

  constructor(options: ApiServerOptions) {
    this.#options = options;
    const { store, clock, logger, random, newUid } = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    const limits = this.#limits;
    const metrics = new Metrics(options.registry);
    this.#cache = new WatchCache({ store, clock, logger, limits });
    const cache = this.#cache;
    this.#callout = createCallout({ core: { cache, clock, limits }, agents: options.kubeletClient });
    const callout = this.#callout;
    const tokens = tokensOf(options);
    const authorizer = new Authorizer({ cache, nodeReferences: new NodeReferences(cache, clock) });
    const conversions = new Conversions({ callout, newUid });
    const context: CustomContext = {
      convert: (object, toVersion, definition) => conversions.convert(object, toVersion, definition),
    };
    const kinds = new Catalogue({ cache, context });
    const webhooks = { cache, callout, kinds, conversions, logger, newUid, authorizer };
    const admission = createAdmission([
      namespaceLifecycle(cache),
      nodeRestriction(cache),
      taintNewNodes,
      limitRanger(cache),
      serviceAccount({ cache, random, mountsTokens: tokens !== undefined }),
      defaultTolerations,
      priority(cache),
      runtimeClass(cache),
      defaultStorageClass(cache),
      defaultIngressClass(cache),
      claimResize(cache),
      podSecurity({ cache, clock }),
      createPermission(authorizer),
      roleEscalation(authorizer),
      certificateApproval(authorizer),
      mutatingWebhooks(webhooks),
      validatingPolicies({ cache, authorizer, kinds }),
      validatingWebhooks(webhooks),
      serviceAllocation({
        cache,
        addresses: parseAddressRange(options.serviceCIDR),
        ports: parsePortRange(options.nodePortRange),
        random,
        newUid,
        clock,
      }),
      resourceQuota({ cache, clock }),
    ]);
    const eventLeases = new EventLeases(store, clock);
    const core: Core = {
      store,
      cache,
      kinds,
      conversions,
      limits,
      clock,
      logger,
      metrics,
      newUid,
      random,
      admission,
      eventLeases,
      callout,
    };
    const authentication: AuthenticationOptions = {
      clock,
      staticTokens: options.staticTokens ?? [],
      ...(options.requestHeader && { requestHeader: options.requestHeader }),
      refusesAnonymous: options.refusesAnonymous ?? false,
      readBootstrapSecret: name => readSecret(cache, name),
      ...(options.oidc && { oidc: new OidcAuthenticator(options.oidc, { clock, logger }) }),
      serviceAccounts: tokens && { tokens, cache, clock },
    };
    const routes = options.routes ?? [];
    const fairness = new Fairness({
      cache,
      clock,
      seats: limits.readsInFlightMax + limits.writesInFlightMax,
      requestMsMax: limits.requestMsMax,
      registry: metrics.registry,
    });
    const dispatcher = createDispatcher({
      core,
      discovery: new Discovery(kinds, [...REVIEWS, BINDINGS]),
      health: healthChecks({ cache, authorizer, options, closing: this.#closing.signal }),
      version: options.version,
      openApi: new OpenApiDocuments(kinds, options.version.gitVersion, REVIEWS),
      subresources: createSubresources(core, { credentials: options.kubeletClient, tokens }),
      routes,
      authentication,
      authorizer,
      tokens,
      fairness,
    });
    this.#keeper = new ApiServiceKeeper({
      cache,
      callout,
      credentials: options.proxyClient,
      clock,
      logger,
      limits: DEFAULT_AGGREGATION_LIMITS,
      builtIn: groupVersionsOf([...kinds.builtIn, ...REVIEWS, BINDINGS]),
    });
    this.#handler = makeChain(
      {
        limits,
        clock,
        logger,
        metrics,
        authentication,
        authorizer,
        fairness,
        cache,
        routes,
        newUid,
        ...(options.audit && { audit: options.audit }),
        ...(options.auditLog && { auditor: new Auditor({ ...options.auditLog, clock }) }),
      },
      withAggregation({ core, credentials: options.proxyClient }, dispatcher),
    );
  }

  get address(): { readonly host: string; readonly port: number } {
    const address = this.#http?.address() as AddressInfo | null | undefined;
    if (!address) throw new Error('the API server is not listening');
    return { host: address.address, port: address.port };
  }

  async listen(): Promise<void> {
    this.#startCache();
    const { tls, listen, requestHeader } = this.#options;
    if (requestHeader) {
      const [clients, proxies] = [new X509Certificate(tls.ca), new X509Certificate(requestHeader.clientCa)];
      this.#authorities = { clients, proxies };
    }
    const { headersMsMax } = this.#limits;
    const server = createSecureServer({
      key: tls.key,
      cert: tls.cert,
      ca: requestHeader ? [tls.ca, requestHeader.clientCa] : tls.ca,
      requestCert: true,
      rejectUnauthorized: false,
      allowHTTP1: true,
      // A stream's client may have said everything and still listen: `kubectl exec` at the end of its input.
      allowHalfOpen: true,
      minVersion: 'TLSv1.2',
      handshakeTimeout: headersMsMax,
      ...http1Options(this.#limits),
      maxHeaderListPairs: 200,
      settings: { maxConcurrentStreams: 250, maxHeaderListSize: this.#limits.headerBytesMax },
    });
    this.#http = server;
    server.maxConnections = this.#limits.connectionsMax;
    Object.assign(server, http1Settings(headersMsMax));
    server.on('request', (request, response) => void this.#serve(request, response));
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      void this.#serveUpgrade(request, socket, head);
    });
    server.on('secureConnection', socket => {
      socket.setNoDelay(true);
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      // A broken connection is no failure of the server; what was under way on it ends by its signal.
      socket.on('error', () => socket.destroy());
      // HTTP/1.1 ends its half-closed connections by itself.
      if (socket.alpnProtocol === 'h2') socket.once('end', () => socket.destroy());
    });
    server.on('session', session => {
      this.#sessions.add(session);
      session.once('close', () => this.#sessions.delete(session));
      session.on('error', () => session.destroy());
    });
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(listen.port, listen.host, () => {
        server.off('error', reject);
        resolve();
      });
    });
  }

  async handle(request: ApiRequest, identity: Identity): Promise<ApiResponse> {
    this.#startCache();
    const signals = [this.#closing.signal, ...(request.signal ? [request.signal] : [])];
    const exchange = inProcessExchange(request, {
      identity,
      signal: AbortSignal.any(signals),
      bodyBytesMax: this.#limits.bodyBytesMax,
    });
    return toApiResponse(await this.#handler(exchange), exchange.warnings);
  }

  async keepApiServices(identity: Identity, signal: AbortSignal): Promise<void> {
    this.#startCache();
    await this.#keeper.run({ server: this, identity }, AbortSignal.any([signal, this.#closing.signal]));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#callout.close();
    await this.#cache.close();
    const server = this.#http;
    if (!server) return;
    const closed = new Promise<void>(resolve => server.close(() => resolve()));
    for (const session of this.#sessions) session.close();
    const cancel = this.#options.clock.setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, CLOSE_GRACE_MS);
    await closed;
    cancel();
  }

  #startCache(): void {
    if (this.#isCacheStarted) return;
    this.#isCacheStarted = true;
    this.#cache.start();
  }

  async #serve(request: HttpRequest, response: HttpResponse): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const exchange = exchangeOf(request, {
      signal: AbortSignal.any([gone.signal, this.#closing.signal]),
      bodyBytesMax: this.#limits.bodyBytesMax,
      ...(this.#authorities && { authorities: this.#authorities }),
    });
    try {
      await writeReply(response, await this.#handler(exchange), exchange);
    } catch (error) {
      this.#options.logger.warn({ error: String(error), path: exchange.info.path }, 'an answer could not be written');
      giveUp(response);
    }
  }

  async #serveUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const gone = new AbortController();
    socket.once('close', () => gone.abort());
    socket.on('error', () => socket.destroy());
    const exchange = exchangeOf(request, {
      signal: AbortSignal.any([gone.signal, this.#closing.signal]),
      bodyBytesMax: this.#limits.bodyBytesMax,
      upgrade: { socket, head },
      ...(this.#authorities && { authorities: this.#authorities }),
    });
    let reply: Reply;
    try {
      reply = await this.#handler(exchange);
    } catch (error) {
      reply = errorReply(error);
    }
    if (!('taken' in reply)) await writeRawReply(socket, reply, exchange.warnings);
  }
}

/** Each group and version once. */
function groupVersionsOf(resources: readonly GroupVersion[]): GroupVersion[] {
  const byName = new Map(resources.map(({ group, version }) => [`${group}/${version}`, { group, version }]));
  return [...byName.values()];
}

/**
 * The HTTP/1.1 half of the server has the settings of a plain HTTPS server, which http2's types do not show. The time for
 * headers does not count while a connection waits for its next request.
 */
function http1Settings(headersTimeout: number): object {
  return { keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout, requestTimeout: 0 };
}
function http1Options({ headersMsMax, headerBytesMax }: Limits): object {
  return { connectionsCheckingInterval: Math.ceil(headersMsMax / 4), maxHeaderSize: headerBytesMax };
}

/** An answer on a connection that was to be upgraded: written by hand, and the connection closed behind it. */
async function writeRawReply(
  socket: Duplex,
  reply: Exclude<Reply, { readonly taken: true }>,
  warnings: readonly string[],
): Promise<void> {
  const chunks: Uint8Array[] = [];
  if (reply.body instanceof Uint8Array) chunks.push(reply.body);
  else for await (const chunk of reply.body) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const lines = [`HTTP/1.1 ${reply.status} ${STATUS_CODES[reply.status] ?? ''}`];
  for (const [name, value] of Object.entries(withWarnings(reply.headers, warnings))) {
    for (const one of typeof value === 'string' ? [value] : value) lines.push(`${name}: ${one}`);
  }
  lines.push(`content-length: ${body.byteLength}`, 'connection: close');
  socket.end(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), body]));
}

function tokensOf({ serviceAccountKey: key, serviceAccountIssuer, clock, newUid }: ApiServerOptions) {
  const issuer = serviceAccountIssuer ?? DEFAULT_ISSUER;
  return key === undefined ? undefined : new ServiceAccountTokens({ key, issuer, clock, newUid });
}

function healthChecks({
  cache,
  authorizer,
  options,
  closing,
}: {
  readonly cache: WatchCache;
  readonly authorizer: Authorizer;
  readonly options: ApiServerOptions;
  readonly closing: AbortSignal;
}): HealthOptions {
  const { clock, liveness = [], readiness = [] } = options;
  const ping: HealthCheck = { name: 'ping', check: () => undefined };
  const informed: HealthCheck = {
    name: 'informer-sync',
    check() {
      if (!cache.isFilled) throw new Error('the state has not been read from the store yet');
    },
  };
  const store: HealthCheck = { name: 'store', check: () => within(clock, FRESHEN_CHECK_MS, cache.freshen()) };
  // A leader makes them at its start. Before, a client with every right would be refused for a moment.
  const roles: HealthCheck = {
    name: 'poststarthook/rbac/bootstrap-roles',
    check() {
      if (!authorizer.roles.isPopulated) throw new Error('the cluster has no roles yet');
    },
  };
  const shutdown: HealthCheck = {
    name: 'shutdown',
    check() {
      if (closing.aborted) throw new Error('the server is closing');
    },
  };
  return { live: [ping, ...liveness], ready: [ping, informed, ...readiness, store, roles, shutdown] };
}

/** @throws Error if `work` takes longer; else what it throws. */
async function within(clock: Clock, timeoutMs: number, work: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<never>();
  const cancel = clock.setTimeout(() => late.reject(new Error(`not up to date within ${timeoutMs} ms`)), timeoutMs);
  try {
    await Promise.race([work, late.promise]);
  } finally {
    cancel();
  }
}

const SECRET = declarationOf(secrets);

/** A token may have been made a moment ago through another master: what the cache does not have is asked for. */
async function readSecret(cache: WatchCache, name: string): Promise<Secret | undefined> {
  const read = () => cached({ cache }, SECRET, 'kube-system', name)?.parse<Secret>();
  const found = read();
  if (found) return found;
  await cache.freshen();
  return read();
}
