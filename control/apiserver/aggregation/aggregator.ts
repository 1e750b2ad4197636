/**
 * The aggregation layer: what APIServices give to other servers is passed on to them, and the documents that tell what is
 * served are those of all servers as one (kube-aggregator). It stands before the dispatcher, behind authentication and
 * authorization; while no APIService names another server it does nothing. Start here.
 *
 * `api-services.ts` says who serves what, `keeper.ts` is the leader's part, `remote-documents.ts` knows what others serve.
 */
import { createHash } from 'node:crypto';
import { encodeOpenApiV2, OPENAPI_V2_PROTOBUF_MEDIA_TYPE } from '../../api/openapi/gnostic.ts';
import { ApiError } from '../../api/status.ts';
import type { ClientCredentials } from '../callout/connections.ts';
import type { Core } from '../core.ts';
import { gotWith, identityOf, methodNotAllowed } from '../exchange.ts';
import { parseAccept } from '../http/negotiate.ts';
import { bytesReply, JSON_TYPE, jsonReply, textReply } from '../http/replies.ts';
import { countStream } from '../subresources/connections.ts';
import { passOn } from '../subresources/proxy.ts';
import type { Exchange, Handler, Headers, Reply } from '../types.ts';
import { ApiServices, asService, type InProcessService, type RemoteService } from './api-services.ts';
import {
  aggregatedResources,
  type DiscoveredGroup,
  type DiscoveredVersion,
  type ListedGroup,
  mergeGroups,
  mergeListedGroup,
  mergeListedGroups,
} from './discovery-merge.ts';
import { type AggregationLimits, DEFAULT_AGGREGATION_LIMITS } from './limits.ts';
import { mergeOpenApi, type RemoteOpenApi } from './openapi-merge.ts';
import { RemoteDocuments } from './remote-documents.ts';
import { REMOTE_HEADERS, remoteHeaders } from './remote-user.ts';

export interface AggregatorOptions {
  readonly core: Core;
  /** With which the server shows that it may say who asks; without it others see an anonymous caller. */
  readonly credentials: ClientCredentials | undefined;
  readonly limits?: Partial<AggregationLimits>;
  /** Served here until an APIService names somebody else for it. */
  readonly inProcess?: InProcessService;
}

const AGGREGATED = ['v2', 'v2beta1'].map(v => `${JSON_TYPE};g=apidiscovery.k8s.io;v=${v};as=APIGroupDiscoveryList`);
const V3 = '/openapi/v3';
/** Where a server's OpenAPI v2 has to be remade for each new state of the others, this many are kept. */
const MERGED_MAX = 4;

/** Puts the aggregation layer before the handler of what this server serves itself. */
export function withAggregation(options: AggregatorOptions, local: Handler): Handler {
  const aggregator = new Aggregator(options, local);
  return exchange => aggregator.handle(exchange);
}

class Aggregator {
  readonly #options: AggregatorOptions;
  readonly #local: Handler;
  readonly #services: ApiServices;
  readonly #documents: RemoteDocuments;
  /** Merged documents by a hash of their parts. */
  readonly #merged = new Map<string, Uint8Array>();

  constructor(options: AggregatorOptions, local: Handler) {
    this.#options = options;
    this.#local = local;
    const { core, credentials, limits } = options;
    const { callout, clock, logger } = core;
    this.#services = new ApiServices(core.cache);
    this.#documents = new RemoteDocuments({
      callout,
      credentials,
      clock,
      logger,
      limits: { ...DEFAULT_AGGREGATION_LIMITS, ...limits },
    });
  }

  async handle(exchange: Exchange): Promise<Reply> {
    if (this.#services.remote.size === 0 && !this.#concernsInProcess(exchange)) return this.#local(exchange);
    const remote = this.#remote();
    const [root, group = '', version = '', ...rest] = exchange.info.path.replace(/\/$/, '').split('/').slice(1);
    if (root === 'apis' && version !== '') {
      const service = remote.get(`${decoded(group)}/${decoded(version)}`);
      return service ? this.#passOn(exchange, service) : this.#local(exchange);
    }
    if (root === 'apis' && group === '') return this.#groups(exchange);
    if (root === 'apis') return this.#group(exchange, group);
    if (root === 'openapi' && group === 'v2' && version === '') return this.#openApiV2(exchange);
    if (root === 'openapi' && group === 'v3') return this.#openApiV3(exchange, [version, ...rest].join('/'));
    return this.#local(exchange);
  }

  /** What others serve, and what is served here in their stead. */
  #remote(): ReadonlyMap<string, RemoteService> {
    const { remote } = this.#services;
    const { inProcess } = this.#options;
    if (!inProcess) return remote;
    const name = `${inProcess.group}/${inProcess.version}`;
    return remote.has(name) || !inProcess.isServed ? remote : new Map([...remote, [name, asService(inProcess)]]);
  }

  #concernsInProcess({ info: { path } }: Exchange): boolean {
    const { inProcess } = this.#options;
    return inProcess !== undefined && (/^\/apis\/?$/.test(path) || path.startsWith(`/apis/${inProcess.group}`));
  }

  async #passOn(exchange: Exchange, service: RemoteService): Promise<Reply> {
    if (service.inProcess) return service.inProcess.handle(exchange);
    if (!service.isAvailable) return textReply(503, 'service unavailable\n');
    const { core, credentials } = this.#options;
    const { method, signal, upgrade, url } = exchange;
    const release = countStream(core);
    try {
      return await passOn(exchange, {
        begin: ({ host: _, connection, ...headers }) =>
          core.callout.begin(service.target, {
            method,
            path: url,
            headers: { ...headers, ...(upgrade && { connection }) },
            ...(!upgrade && { signal }),
            ...(credentials && { credentials }),
          }),
        drop: () => undefined,
        path: url,
        prefix: '',
        release,
        more: remoteHeaders(identityOf(exchange)),
        hidden: REMOTE_HEADERS,
      });
    } catch (error) {
      release();
      throw error;
    }
  }

  /** `/apis`: in the form that the client wants, as the own document says. */
  async #groups(exchange: Exchange): Promise<Reply> {
    const own = await this.#own(exchange);
    if (!own) return this.#local(exchange);
    const remotes = [...this.#remote().values()];
    if (Array.isArray(own.value.groups)) {
      const groups = mergeListedGroups(own.value.groups as ListedGroup[], remotes); // our own document
      return jsonReply(200, { ...own.value, groups }, { vary: 'Accept' });
    }
    const found = await Promise.all(
      remotes.map(async service => ({ ...service, discovered: await this.#discover(service) })),
    );
    const items = mergeGroups(own.value.items as DiscoveredGroup[], found); // our own document
    const bytes = Buffer.from(`${JSON.stringify({ ...own.value, items })}\n`);
    return documentReply(exchange, bytes, { ...own.headers, etag: etagOf(bytes) });
  }

  /** What a server says of one group and version that is its. */
  async #discover(service: RemoteService): Promise<DiscoveredVersion> {
    if (service.inProcess) return service.inProcess.discovered;
    const { group, version } = service;
    const accept = `${AGGREGATED.join(',')},${JSON_TYPE}`;
    const whole = await this.#documents.get(service, '/apis', accept);
    if (whole.value && whole.contentType.includes('as=APIGroupDiscoveryList')) {
      const items = (whole.value.items ?? []) as readonly DiscoveredGroup[]; // checked below, member by member
      const found = items
        .find(item => item?.metadata?.name === group)
        ?.versions?.find(candidate => candidate?.version === version);
      if (found) return { ...found, freshness: whole.isStale ? 'Stale' : (found.freshness ?? 'Current') };
    }
    const list = await this.#documents.get(service, `/apis/${group}/${version}`, JSON_TYPE);
    const resources = list.value ? aggregatedResources(service, list.value) : [];
    return { version, freshness: list.isStale ? 'Stale' : 'Current', ...(resources.length > 0 && { resources }) };
  }

  /** `/apis/GROUP`. */
  async #group(exchange: Exchange, name: string): Promise<Reply> {
    const remotes = [...this.#remote().values()].filter(({ group }) => group === name);
    if (remotes.length === 0) return this.#local(exchange);
    if (exchange.method !== 'GET') throw methodNotAllowed();
    const own = await this.#own(exchange);
    const group = (own?.value ?? { name, versions: [] }) as unknown as ListedGroup; // our own document
    return jsonReply(200, { kind: 'APIGroup', apiVersion: 'v1', ...mergeListedGroup(group, remotes) });
  }

  async #openApiV2(exchange: Exchange): Promise<Reply> {
    const isProtobuf = parseAccept(exchange.headers.accept).some(({ type }) => type.includes('proto-openapi'));
    const own = await this.#own(exchange, JSON_TYPE);
    if (!own) return this.#local(exchange);
    const parts = await this.#remoteOpenApis();
    const state = createHash('sha512').update(String(own.headers.etag ?? ''));
    for (const { prefixes, document } of parts) state.update(JSON.stringify([prefixes, document]));
    const hash = state.digest('hex').toUpperCase();
    const name = `${hash} ${isProtobuf}`;
    let bytes = this.#merged.get(name);
    if (!bytes) {
      const merged = mergeOpenApi(own.value, parts);
      bytes = isProtobuf
        ? encodeOpenApiV2(merged as unknown as Parameters<typeof encodeOpenApiV2>[0]) // others' parts are passed on as they are
        : Buffer.from(JSON.stringify(merged));
      const [oldest] = this.#merged.keys();
      if (this.#merged.size >= MERGED_MAX && oldest !== undefined) this.#merged.delete(oldest);
      this.#merged.set(name, bytes);
    }
    const contentType = isProtobuf ? OPENAPI_V2_PROTOBUF_MEDIA_TYPE : JSON_TYPE;
    return documentReply(exchange, bytes, { ...own.headers, 'content-type': contentType, etag: `"${hash}"` });
  }

  /** Of each server its document, with what of it counts. Servers that have none say nothing. */
  async #remoteOpenApis(): Promise<RemoteOpenApi[]> {
    const byPlace = Map.groupBy(this.#services.remote.values(), ({ place }) => place);
    const found = await Promise.all(
      [...byPlace.values()].map(async services => {
        const [first] = services;
        const document = first && (await this.#documents.get(first, '/openapi/v2', JSON_TYPE)).value;
        const prefixes = services.map(({ group, version }) => `/apis/${group}/${version}`);
        return document ? [{ prefixes, document }] : [];
      }),
    );
    return found.flat();
  }

  async #openApiV3(exchange: Exchange, groupVersion: string): Promise<Reply> {
    const remotes = [...this.#services.remote.values()];
    const service = remotes.find(({ group, version }) => `apis/${group}/${version}` === groupVersion);
    if (service) return this.#passOn(exchange, service);
    if (groupVersion !== '') return this.#local(exchange);
    const own = await this.#own(exchange);
    if (!own) return this.#local(exchange);
    const paths: Record<string, unknown> = { ...(own.value.paths as object) };
    for (const { group, version } of remotes) delete paths[`apis/${group}/${version}`];
    for (const remote of remotes) {
      const index = await this.#documents.get(remote, V3, JSON_TYPE);
      const name = `apis/${remote.group}/${remote.version}`;
      const entry = (index.value?.paths as Readonly<Record<string, unknown>> | undefined)?.[name];
      if (entry !== undefined) paths[name] = entry;
    }
    const sorted = Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1)));
    return jsonReply(200, { ...own.value, paths: sorted });
  }

  /** A document of this server; undefined if it answers with anything else. */
  async #own(exchange: Exchange, accept?: string): Promise<OwnDocument | undefined> {
    if (exchange.method !== 'GET' && exchange.method !== 'HEAD') return undefined;
    const { 'if-none-match': _, ...headers } = exchange.headers;
    const asked = gotWith(exchange, { ...headers, ...(accept && { accept }) });
    let reply: Reply;
    try {
      reply = await this.#local(asked);
    } catch (error) {
      if (error instanceof ApiError && error.code === 404) return undefined;
      throw error;
    }
    if ('taken' in reply || reply.status !== 200 || !(reply.body instanceof Uint8Array)) return undefined;
    return { value: JSON.parse(Buffer.from(reply.body).toString()), headers: reply.headers };
  }
}

interface OwnDocument {
  readonly value: Readonly<Record<string, unknown>>;
  readonly headers: Headers;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const etagOf = (bytes: Uint8Array) => `"${createHash('sha512').update(bytes).digest('hex').toUpperCase()}"`;

function documentReply(exchange: Exchange, bytes: Uint8Array, headers: Headers): Reply {
  const isKnown = exchange.headers['if-none-match'] === headers.etag;
  return bytesReply(isKnown ? 304 : 200, isKnown ? new Uint8Array() : bytes, headers);
}
