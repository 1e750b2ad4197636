/**
 * Ingress on one node: follows Ingresses, their classes and their TLS Secrets, keeps the table and the certificates true, and
 * opens the ports. Services and EndpointSlices are the agent's, read at the moment of a request. Start reading at `table.ts`.
 */
import {
  type Client,
  type EndpointSlice,
  type EventRecorder,
  INGRESS_PORTS,
  Informer,
  type Ingress,
  type IngressClass,
  ingressclasses,
  ingresses,
  type Kind,
  type KubernetesObject,
  mayRoute,
  type Node,
  nodes as nodesKind,
  type Service,
} from '../api.ts';
import type { Clock } from '../clock.ts';
import { Coalescer } from '../coalescer.ts';
import type { Logger } from '../logger.ts';
import { type Backend, resolveBackend } from './backends.ts';
import { type CertificatePair, CertificateStore } from './certificates.ts';
import { TABLE_REST_MS, TLS_SECRETS_MAX } from './limits.ts';
import { type IngressPorts, Listeners } from './listeners.ts';
import type { Target } from './path.ts';
import { IngressProxy, type Routing } from './proxy.ts';
import { SecretWatch } from './secret-watch.ts';
import { type BackendReference, EMPTY_TABLE, matchRoute, planTable, type Route, type RoutingTable } from './table.ts';

export interface IngressOptions {
  readonly nodeName: string;
  readonly client: Client;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly recorder: EventRecorder;
  /** The agent's own, which it runs. */
  readonly services: Informer<Service>;
  readonly slices: Informer<EndpointSlice>;
  readonly nodes: Informer<Node>;
  readonly ports: IngressPorts;
  /** For hosts without a Secret. */
  readonly defaultCertificate: CertificatePair;
}

const BY_SERVICE = 'ingress service';
const SERVICE_NAME = 'kubernetes.io/service-name';

export class NodeIngress implements Routing {
  readonly #options: IngressOptions;
  readonly #certificates: CertificateStore;
  readonly #secrets: SecretWatch;
  readonly #listeners: Listeners;
  readonly #proxy: IngressProxy;
  readonly #ingresses: Informer<Ingress>;
  readonly #classes: Informer<IngressClass>;
  readonly #tableSync: Coalescer;
  readonly #announcement: Coalescer;
  readonly #backends = new Map<string, Backend>();
  #table: RoutingTable = EMPTY_TABLE;
  #hasTable = false;

  constructor(options: IngressOptions) {
    this.#options = options;
    const { client, clock, random, logger, ports, services, slices, nodes, nodeName } = options;
    const informer = <T extends KubernetesObject>(kind: Kind<T>) =>
      new Informer<T>({ client, kind, clock, random, logger });
    this.#ingresses = informer(ingresses);
    this.#classes = informer(ingressclasses);
    this.#certificates = new CertificateStore(options.defaultCertificate);
    this.#secrets = new SecretWatch({
      client,
      clock,
      random,
      logger,
      changed: (key, secret) => this.#take(key, secret),
    });
    this.#proxy = new IngressProxy({ routing: this, clock, logger });
    this.#listeners = new Listeners({
      ports,
      clock,
      certificates: this.#certificates,
      serve: (request, response) => void this.#proxy.serve(request, response),
      serveUpgrade: (request, socket, head) => void this.#proxy.serveUpgrade(request, socket, head),
      failed: (protocol, port, error) => this.#tellTaken(protocol, port, error),
      changed: () => this.#announcement.request(),
    });
    const sync = (name: string, job: () => Promise<void>) =>
      new Coalescer({ name, job, clock, logger, restMs: TABLE_REST_MS });
    this.#tableSync = sync('ingress table', async () => this.#rebuild());
    this.#announcement = sync('ingress ports', () => this.#announce());
    const rebuild = () => this.#tableSync.request();
    for (const { addHandler } of [bound(this.#ingresses), bound(this.#classes)]) {
      addHandler({ added: rebuild, updated: rebuild, deleted: rebuild });
    }
    slices.addIndex(BY_SERVICE, slice => [serviceOf(slice)]);
    const forget = (name: string) => {
      for (const key of this.#backends.keys()) if (key.startsWith(`${name}:`)) this.#backends.delete(key);
    };
    const service = ({ metadata }: Service) => forget(`${metadata?.namespace}/${metadata?.name}`);
    services.addHandler({ added: service, updated: service, deleted: service });
    const slice = (changed: EndpointSlice) => forget(serviceOf(changed));
    slices.addHandler({
      added: slice,
      // It may have been another Service's.
      updated: (changed, old) => [changed, old].forEach(slice),
      deleted: slice,
    });
    const node = (changed: Node) => {
      if (changed.metadata?.name !== nodeName) return;
      rebuild();
      this.#announcement.request();
    };
    nodes.addHandler({ added: node, updated: node });
  }

  /** Where it listens. */
  port(protocol: 'http' | 'https'): number | undefined {
    return this.#listeners.port(protocol);
  }

  get isReady(): boolean {
    return this.#hasTable && this.#options.services.hasSynced && this.#options.slices.hasSynced;
  }

  get httpsPort(): number | undefined {
    return this.#listeners.port('https');
  }

  route(target: Target): Route | undefined {
    return matchRoute(this.#table, target);
  }

  backend(reference: BackendReference): Backend {
    const known = this.#backends.get(reference.key);
    if (known) return known;
    const { services, slices } = this.#options;
    const { service } = reference;
    const resolved = resolveBackend(reference, services.get(service), slices.byIndex(BY_SERVICE, service));
    this.#backends.set(reference.key, resolved);
    return resolved;
  }

  /** Opens the ports and follows the API until the signal aborts. A port that is taken fails nothing. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#listeners.open();
    await Promise.all([this.#ingresses.run(signal), this.#classes.run(signal)]);
  }

  /** Stops taking requests; those under way have a while to end. */
  async close(): Promise<void> {
    await this.#tableSync.close();
    await this.#announcement.close();
    await this.#secrets.close();
    this.#proxy.windDown();
    await this.#listeners.close();
    this.#proxy.close();
  }

  #rebuild(): void {
    if (!this.#ingresses.hasSynced || !this.#classes.hasSynced) return;
    const { nodes, nodeName, logger } = this.#options;
    const own = nodes.get(nodeName);
    const isAllowed = own === undefined || mayRoute(own);
    this.#table = isAllowed ? planTable(this.#ingresses.list(), this.#classes.list()) : EMPTY_TABLE;
    this.#hasTable = true;
    // What no route names any more goes; the rest is resolved again when it is asked for.
    this.#backends.clear();
    const keys = new Set<string>();
    for (const { service, port } of backendsOf(this.#table)) keys.add(`${service}:${port}`);
    this.#proxy.keepBackends(keys);
    this.#certificates.setReferences(this.#table.certificates);
    const secrets = [...new Set(this.#table.certificates.map(({ secret }) => secret))];
    if (secrets.length > TLS_SECRETS_MAX)
      logger.warn(
        { secrets: secrets.length, max: TLS_SECRETS_MAX },
        'too many TLS Secrets: some hosts have the default certificate',
      );
    this.#secrets.follow(new Set(secrets.slice(0, TLS_SECRETS_MAX)));
    this.#listeners.refresh();
    logger.debug({ ingresses: this.#table.size }, 'ingress table');
  }

  #take(key: string, secret: Parameters<CertificateStore['setSecret']>[1] | undefined): void {
    const { logger, recorder } = this.#options;
    if (!secret) this.#certificates.removeSecret(key);
    const problem = secret
      ? this.#certificates.setSecret(key, secret)
      : `the Secret ${key} does not exist, or is not of type kubernetes.io/tls`;
    this.#listeners.refresh();
    if (problem === undefined) return;
    logger.warn({ secret: key }, `ingress: ${problem}`);
    for (const ingress of new Set(this.#table.certificates.flatMap(one => (one.secret === key ? [one.ingress] : [])))) {
      recorder.record(ingress, { type: 'Warning', reason: 'CertificateUnavailable', message: problem });
    }
  }

  #tellTaken(protocol: string, port: number, error: NodeJS.ErrnoException): void {
    const { logger, recorder, nodeName } = this.#options;
    const why = error.code === 'EADDRINUSE' ? 'another program listens there' : error.message;
    const flag = `--ingress-${protocol}-port`;
    const message = `Ingress takes no ${protocol} requests on this node: port ${port} could not be had (${why}); it is tried again, ${flag} names another port, and ${flag} off stops this`;
    logger.warn({ port, protocol, error: error.code }, message);
    recorder.record(nodeReference(nodeName), { type: 'Warning', reason: 'IngressPortUnavailable', message });
  }

  /** The node's object says where it listens, so that status addresses are those of nodes that do. */
  async #announce(): Promise<void> {
    const { client, nodes, nodeName } = this.#options;
    const node = nodes.get(nodeName);
    if (!node) return;
    const open = (['http', 'https'] as const).map(protocol => this.#listeners.port(protocol) ?? 0);
    const ports = mayRoute(node) ? open.join(',') : '0,0';
    if (node.metadata?.annotations?.[INGRESS_PORTS] === ports) return;
    const body = { metadata: { annotations: { [INGRESS_PORTS]: ports } } };
    await client.patch(nodesKind, { name: nodeName }, { type: 'application/merge-patch+json', body });
  }
}

/** As the node's own events name it: by its name in place of a UID. */
const nodeReference = (name: string): Node => ({ apiVersion: 'v1', kind: 'Node', metadata: { name, uid: name } });

const serviceOf = ({ metadata }: EndpointSlice) => `${metadata?.namespace}/${metadata?.labels?.[SERVICE_NAME] ?? ''}`;

function backendsOf({ hosts, fallback }: RoutingTable): readonly BackendReference[] {
  const routes = [...hosts.values()].flatMap(({ exact, prefixes, fallback: own }) => [
    ...exact.values(),
    ...prefixes.values(),
    own,
  ]);
  return [...routes, fallback].flatMap(route => (route?.backend ? [route.backend] : []));
}

function bound<T extends KubernetesObject>(informer: Informer<T>) {
  return { addHandler: (handler: Parameters<Informer<T>['addHandler']>[0]) => informer.addHandler(handler) };
}
