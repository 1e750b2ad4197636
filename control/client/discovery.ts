/** Which kinds a server has, read from its discovery documents. For code that is generic over all kinds. */
import type { Kind } from '../api/kind.ts';
import type { ApiTransport } from './client.ts';
import { readText } from './rest.ts';

/** A kind with what may be done with it. */
export interface DiscoveredKind extends Kind {
  readonly verbs: readonly string[];
}

/** All kinds in all versions, the preferred version of each group first. Subresources are left out. */
export async function discoverKinds(transport: ApiTransport, signal?: AbortSignal): Promise<DiscoveredKind[]> {
  const [core, groups] = await Promise.all(['/api', '/apis'].map(path => getJson(transport, path, signal)));
  if (isAggregated(core) && isAggregated(groups)) return [...fromAggregated(core), ...fromAggregated(groups)];
  return fromLegacy(transport, groups as LegacyGroups, signal);
}

const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';

interface AggregatedGroups {
  readonly kind: 'APIGroupDiscoveryList';
  readonly items: readonly {
    readonly metadata?: { readonly name?: string };
    readonly versions: readonly {
      readonly version: string;
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
  const response = await transport.request({
    method: 'GET',
    path,
    headers: { accept: AGGREGATED },
    ...(signal && { signal }),
  });
  const text = await readText(response.body);
  if (response.status !== 200) throw new Error(`discovery of ${path} was answered with status ${response.status}`);
  return JSON.parse(text);
}

function isAggregated(document: unknown): document is AggregatedGroups {
  return (document as { kind?: unknown } | undefined)?.kind === 'APIGroupDiscoveryList';
}

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
