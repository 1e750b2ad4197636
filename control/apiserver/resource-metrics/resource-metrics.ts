/**
 * metrics.k8s.io: what nodes and pods use, as `kubectl top` and autoscalers ask for it, without a metrics server. It is served
 * as soon as a node has an agent that can be asked; an APIService that names another server for it takes its place. Start
 * here: `collector.ts` asks the agents, `rates.ts` reckons.
 */
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { nodes as nodesKind, pods as podsKind } from '../../api/generated/kinds.ts';
import type { Node } from '../../api/generated/types.ts';
import { declarationOf } from '../../api/registry.ts';
import { matchesFields, matchesLabels, parseFieldSelector, parseLabelSelector } from '../../api/selectors.ts';
import { notFound } from '../../api/status.ts';
import type { InProcessService } from '../aggregation/api-services.ts';
import type { DiscoveredVersion } from '../aggregation/discovery-merge.ts';
import type { CachedObject } from '../cache/cached-object.ts';
import type { Core } from '../core.ts';
import { methodNotAllowed } from '../exchange.ts';
import { jsonReply, pageNotFound } from '../http/replies.ts';
import { listPrefix } from '../keys.ts';
import { type AgentCredentials, locateNode, tlsOptions } from '../subresources/agent.ts';
import type { Exchange, Reply } from '../types.ts';
import { cached } from '../verbs/get.ts';
import { UsageCollector } from './collector.ts';
import { DEFAULT_METRICS_LIMITS, type MetricsLimits } from './limits.ts';
import type { NodeUsage, Usage } from './rates.ts';

export const METRICS_GROUP = 'metrics.k8s.io';
export const METRICS_VERSION = 'v1beta1';
const GROUP_VERSION = `${METRICS_GROUP}/${METRICS_VERSION}`;
const NODE = declarationOf(nodesKind);
const POD = declarationOf(podsKind);
/** How long it is believed that there is an agent, or none, before all nodes are looked through again. */
const SERVED_MS = 1_000;
const NO_FIELDS = { selectableFieldNames: [], selectableFields: () => ({}), form: undefined };

const RESOURCES = [
  { name: 'nodes', kind: 'NodeMetrics', namespaced: false },
  { name: 'pods', kind: 'PodMetrics', namespaced: true },
] as const;

export class ResourceMetrics implements InProcessService {
  readonly group = METRICS_GROUP;
  readonly version = METRICS_VERSION;
  readonly #core: Core;
  readonly #collector: UsageCollector;
  #served = { is: false, untilMs: Number.NEGATIVE_INFINITY };

  constructor(
    core: Core,
    {
      credentials,
      limits = DEFAULT_METRICS_LIMITS,
    }: {
      readonly credentials: AgentCredentials | undefined;
      readonly limits?: MetricsLimits;
    },
  ) {
    this.#core = core;
    this.#collector = new UsageCollector({
      clock: core.clock,
      logger: core.logger,
      limits,
      nodes: () =>
        credentials
          ? this.#nodes()
              .filter(hasAgent)
              .map(object => placeOf(object).name)
          : [],
      fetch: node => fetchSummary(core, { node, credentials, limits }),
    });
  }

  /** True while there is an agent to ask. Nodes that only pretend to run pods have none. */
  get isServed(): boolean {
    const nowMs = this.#core.clock.now();
    if (nowMs >= this.#served.untilMs) {
      this.#served = { is: this.#nodes().some(hasAgent), untilMs: nowMs + SERVED_MS };
    }
    return this.#served.is;
  }

  get discovered(): DiscoveredVersion {
    const resources = RESOURCES.map(({ name, kind, namespaced }) => ({
      resource: name,
      responseKind: { group: METRICS_GROUP, version: METRICS_VERSION, kind },
      scope: namespaced ? 'Namespaced' : 'Cluster',
      singularResource: '',
      verbs: ['get', 'list'],
    }));
    return { version: METRICS_VERSION, freshness: 'Current', resources };
  }

  /** Answers what is asked below `/apis/metrics.k8s.io/v1beta1`. Throws ApiError. */
  async handle(exchange: Exchange): Promise<Reply> {
    const { info } = exchange;
    if (exchange.method !== 'GET') throw methodNotAllowed();
    if (!info.isResource) return jsonReply(200, resourceList());
    if (info.subresource || (info.resource !== 'nodes' && info.resource !== 'pods')) return pageNotFound();
    const usage = await this.#collector.usage();
    const isNodes = info.resource === 'nodes';
    const describe = isNodes
      ? (object: CachedObject) => nodeMetrics(object, usage.get(placeOf(object).name))
      : (object: CachedObject) => podMetrics(object, usages);
    const usages = isNodes ? [] : [...usage.values()];
    if (info.name) {
      const object = cached(this.#core, isNodes ? NODE : POD, info.namespace, info.name);
      const found = object && describe(object);
      if (found) return jsonReply(200, found);
      const name = isNodes ? info.name : `${info.namespace}/${info.name}`;
      throw notFound({ group: METRICS_GROUP, resource: info.resource }, name);
    }
    const items = this.#select(exchange).flatMap(object => describe(object) ?? []);
    const kind = isNodes ? 'NodeMetricsList' : 'PodMetricsList';
    return jsonReply(200, { kind, apiVersion: GROUP_VERSION, metadata: {}, items });
  }

  #nodes(): readonly CachedObject[] {
    return this.#core.cache.resource(listPrefix(NODE, '')).list(listPrefix(NODE, ''));
  }

  /** The nodes or pods that the request's namespace and selectors choose. */
  #select({ info, query }: Exchange): readonly CachedObject[] {
    const declaration = info.resource === 'nodes' ? NODE : POD;
    const labels = parseLabelSelector(query.get('labelSelector') ?? '');
    const fields = parseFieldSelector(query.get('fieldSelector') ?? '', NO_FIELDS);
    const all = this.#core.cache.resource(listPrefix(declaration, '')).list(listPrefix(declaration, info.namespace));
    return all.filter(
      object =>
        matchesLabels(labels, object.labels) &&
        matchesFields(fields, { metadata: placeOf(object, declaration.namespaced) }, NO_FIELDS),
    );
  }
}

const hasAgent = (object: CachedObject): boolean =>
  Boolean(object.parse<Node>().status?.daemonEndpoints?.kubeletEndpoint?.Port);

function resourceList(): object {
  const resources = RESOURCES.map(each => ({ ...each, singularName: '', verbs: ['get', 'list'] }));
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: GROUP_VERSION, resources };
}

/** As metrics-server writes them. */
const amounts = ({ cpuNanocores, memoryBytes }: Usage) => ({
  cpu: cpuNanocores === 0 ? '0' : `${cpuNanocores}n`,
  memory: `${Math.floor(memoryBytes / 1024)}Ki`,
});

const seconds = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** The name, and where it has one the namespace, that stand at the end of the object's key. */
function placeOf({ key }: CachedObject, isNamespaced = false): { readonly name: string; readonly namespace?: string } {
  const [namespace = '', name = ''] = key.split('/').slice(-2);
  return isNamespaced ? { namespace, name } : { name };
}

function head(kind: string, object: CachedObject, { atMs, windowMs }: NodeUsage): object {
  const { name, namespace } = placeOf(object, kind === 'PodMetrics');
  const { labels } = object;
  return {
    kind,
    apiVersion: GROUP_VERSION,
    metadata: {
      name,
      ...(namespace && { namespace }),
      creationTimestamp: seconds(atMs),
      ...(Object.keys(labels).length > 0 && { labels }),
    },
    timestamp: seconds(atMs),
    window: `${windowMs / 1000}s`,
  };
}

function nodeMetrics(object: CachedObject, usage: NodeUsage | undefined): object | undefined {
  return usage && { ...head('NodeMetrics', object, usage), usage: amounts(usage) };
}

function podMetrics(object: CachedObject, usages: readonly NodeUsage[]): object | undefined {
  const place = placeOf(object, true);
  const name = `${place.namespace}/${place.name}`;
  const usage = usages.find(({ pods }) => pods.has(name));
  if (!usage) return undefined;
  const containers = (usage.pods.get(name) ?? []).map(each => ({ name: each.name, usage: amounts(each) }));
  return { ...head('PodMetrics', object, usage), containers };
}

function fetchSummary(
  core: Core,
  {
    node,
    credentials,
    limits,
  }: {
    readonly node: string;
    readonly credentials: AgentCredentials | undefined;
    readonly limits: MetricsLimits;
  },
): Promise<unknown> {
  const { host, port } = locateNode(core, node);
  return new Promise((resolve, reject) => {
    if (!credentials) return reject(new Error('this server has no certificate to show to agents'));
    const outgoing = httpsRequest({
      host,
      port,
      path: '/stats/summary',
      method: 'GET',
      agent: false,
      ...tlsOptions(node, credentials),
    });
    const cancel = core.clock.setTimeout(
      () => outgoing.destroy(new Error('it did not answer in time')),
      limits.answerMsMax,
    );
    outgoing.once('response', answer => {
      readJson(answer, limits.answerBytesMax)
        .then(resolve, reject)
        .finally(() => cancel());
    });
    outgoing.once('error', error => {
      cancel();
      reject(error);
    });
    outgoing.end();
  });
}

async function readJson(answer: IncomingMessage, bytesMax: number): Promise<unknown> {
  if (answer.statusCode !== 200) {
    answer.resume();
    throw new Error(`the agent answered with status ${answer.statusCode}`);
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bytesMax) throw new Error(`the agent's answer is larger than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString());
}
