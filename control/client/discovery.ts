/** Which kinds a server has, read from its discovery documents. For code that is generic over all kinds. */
import type { Kind } from '../api/kind.ts';
import type { ApiResponse, ApiTransport } from './client.ts';
import { readText } from './rest.ts';

/** A kind with what may be done with it. */
export interface DiscoveredKind extends Kind {
  readonly verbs: readonly string[];
}

/** All kinds in all versions, the preferred version of each group first. Subresources are left out. */
export async function discoverKinds(transport: ApiTransport, signal?: AbortSignal): Promise<readonly DiscoveredKind[]> {
  return new KindDiscovery(transport).read(signal);
}

/** For who asks again and again: documents that have not changed since are neither sent nor read once more (ETag). */
export class KindDiscovery {
  readonly #transport: ApiTransport;
  /** Of each of the two paths the last document that had a tag. */
  readonly #tagged = new Map<string, Answer>();
  #last: { readonly core: Answer; readonly groups: Answer; readonly kinds: readonly DiscoveredKind[] } | undefined;
  #stale: readonly string[] = [];

  /**
   * Groups with their versions (`metrics.k8s.io/v1`) whose server did not answer when {@link read} last asked: what is
   * known of their kinds is old, or nothing.
   */
  get stale(): readonly string[] {
    return this.#stale;
  }

  constructor(transport: ApiTransport) {
    this.#transport = transport;
  }

  /** As {@link discoverKinds}; the same array as last time if nothing has changed. */
  async read(signal?: AbortSignal): Promise<readonly DiscoveredKind[]> {
    const [core, groups] = await Promise.all([this.#ask('/api', signal), this.#ask('/apis', signal)]);
    if (this.#last?.core === core && this.#last.groups === groups) return this.#last.kinds;
    const kinds =
      core.kinds && groups.kinds
        ? [...core.kinds, ...groups.kinds]
        : await fromLegacy(this.#transport, groups.document as LegacyGroups, signal);
    this.#last = { core, groups, kinds };
    this.#stale = [...core.stale, ...groups.stale];
    return kinds;
  }

  async #ask(path: string, signal?: AbortSignal): Promise<Answer> {
    const tagged = this.#tagged.get(path);
    const response = await request(this.#transport, { path, etag: tagged?.etag, signal });
    const text = await readText(response.body);
    if (response.status === 304 && tagged) return tagged;
    const document = readJson(path, response.status, text);
    const { etag } = response.headers;
    const kinds = isAggregated(document) ? fromAggregated(document) : undefined;
    const stale = isAggregated(document) ? staleIn(document) : [];
    const answer: Answer = { etag, document: kinds ? undefined : document, kinds, stale };
    if (etag && kinds) this.#tagged.set(path, answer);
    else this.#tagged.delete(path);
    return answer;
  }
}

interface Answer {
  readonly etag: string | undefined;
  /** The document of a server that does not aggregate. */
  readonly document: unknown;
  readonly kinds: readonly DiscoveredKind[] | undefined;
  readonly stale: readonly string[];
}

const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';

interface AggregatedGroups {
  readonly kind: 'APIGroupDiscoveryList';
  readonly items: readonly {
    readonly metadata?: { readonly name?: string };
    readonly versions: readonly {
      readonly version: string;
      readonly freshness?: string;
      readonly resources?: readonly {
        readonly resource: string;
        readonly responseKind?: { readonly group?: string; readonly version?: string; readonly kind: string };
        readonly scope: 'Namespaced' | 'Cluster';
        readonly singularResource?: string;
        readonly shortNames?: readonly string[];
        readonly categories?: readonly string[];
        readonly verbs: readonly string[];
      }[];
    }[];
  }[];
}
interface LegacyGroups {
  readonly groups?: readonly {
    readonly name: string;
    readonly versions: readonly { readonly groupVersion: string }[];
    readonly preferredVersion?: { readonly groupVersion: string };
  }[];
}
interface LegacyResources {
  readonly resources?: readonly {
    readonly name: string;
    readonly kind: string;
    readonly namespaced: boolean;
    readonly singularName?: string;
    readonly shortNames?: readonly string[];
    readonly categories?: readonly string[];
    readonly verbs: readonly string[];
  }[];
}

async function getJson(transport: ApiTransport, path: string, signal?: AbortSignal): Promise<unknown> {
  const response = await request(transport, { path, signal });
  return readJson(path, response.status, await readText(response.body));
}

interface Question {
  readonly path: string;
  readonly etag?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

function request(transport: ApiTransport, { path, etag, signal }: Question): Promise<ApiResponse> {
  return transport.request({
    method: 'GET',
    path,
    headers: { accept: AGGREGATED, ...(etag !== undefined && { 'if-none-match': etag }) },
    ...(signal && { signal }),
  });
}

function readJson(path: string, status: number, text: string): unknown {
  if (status !== 200) throw new Error(`discovery of ${path} was answered with status ${status}`);
  return JSON.parse(text);
}

function isAggregated(document: unknown): document is AggregatedGroups {
  return (document as { kind?: unknown } | undefined)?.kind === 'APIGroupDiscoveryList';
}

const staleIn = ({ items }: AggregatedGroups): string[] =>
  items.flatMap(({ metadata, versions }) =>
    versions.flatMap(({ version, freshness }) =>
      freshness === 'Stale' ? [[metadata?.name ?? '', version].filter(part => part !== '').join('/')] : [],
    ),
  );

function fromAggregated({ items }: AggregatedGroups): DiscoveredKind[] {
  return items.flatMap(({ metadata, versions }) =>
    versions.flatMap(({ version, resources = [] }) =>
      resources.flatMap(resource => {
        if (!resource.responseKind) return [];
        return {
          group: metadata?.name ?? '',
          version,
          kind: resource.responseKind.kind,
          plural: resource.resource,
          singular: resource.singularResource ?? '',
          namespaced: resource.scope === 'Namespaced',
          shortNames: resource.shortNames ?? [],
          categories: resource.categories ?? [],
          definition: '',
          verbs: resource.verbs,
        };
      }),
    ),
  );
}

async function fromLegacy(transport: ApiTransport, { groups = [] }: LegacyGroups, signal?: AbortSignal) {
  const groupVersions = groups.flatMap(({ versions, preferredVersion }) => {
    const all = versions.map(({ groupVersion }) => groupVersion);
    const preferred = preferredVersion?.groupVersion;
    return preferred ? [preferred, ...all.filter(each => each !== preferred)] : all;
  });
  const paths = ['/api/v1', ...groupVersions.map(each => `/apis/${each}`)];
  const documents = await Promise.all(paths.map(path => getJson(transport, path, signal)));
  return documents.flatMap((document, index) => {
    const [group = '', version = ''] = index === 0 ? ['', 'v1'] : (groupVersions[index - 1]?.split('/') ?? []);
    return ((document as LegacyResources).resources ?? [])
      .filter(({ name }) => !name.includes('/'))
      .map(resource => ({
        group,
        version,
        kind: resource.kind,
        plural: resource.name,
        singular: resource.singularName ?? '',
        namespaced: resource.namespaced,
        shortNames: resource.shortNames ?? [],
        categories: resource.categories ?? [],
        definition: '',
        verbs: resource.verbs,
      }));
  });
}
