/**
 * The documents by which clients learn what is served: aggregated (one document for all groups, v2 and v2beta1) and the
 * older form (one a group and version). Everything follows from the registry and the list of virtual resources below.
 */
import { createHash } from 'node:crypto';
import { compareVersions } from '../api/custom/definition.ts';
import type { Kind, KindDeclaration, Subresource } from '../api/kind.ts';
import type { Catalogue } from './custom/catalogue.ts';
import { type Clause, parseAccept } from './http/negotiate.ts';
import { bytesReply, JSON_TYPE, jsonReply, pageNotFound } from './http/replies.ts';
import { apiVersionOf, storedKind } from './keys.ts';
import type { Exchange, Reply } from './types.ts';

/** A resource that is asked, never stored: reviews and the like. */
export interface VirtualResource {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly namespaced: boolean;
}

interface Resource extends VirtualResource {
  /** Discovery tells the whole kind of a resource that came at run time. */
  readonly isCustom?: boolean;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly verbs: readonly string[];
  readonly subresources: readonly Subresource[];
  /** As which its objects are stored, if they are. */
  readonly stored: Kind | undefined;
}
interface GroupVersion {
  readonly version: string;
  readonly resources: readonly Resource[];
}
interface Group {
  readonly name: string;
  readonly versions: readonly GroupVersion[];
}

/** Groups in the order in which Kubernetes lists them, so that a short name means the same; others come behind. */
const GROUP_ORDER = [
  '',
  'apiregistration.k8s.io',
  'apps',
  'events.k8s.io',
  'authentication.k8s.io',
  'authorization.k8s.io',
  'autoscaling',
  'batch',
  'certificates.k8s.io',
  'networking.k8s.io',
  'policy',
  'rbac.authorization.k8s.io',
  'storage.k8s.io',
  'admissionregistration.k8s.io',
  'apiextensions.k8s.io',
  'scheduling.k8s.io',
  'coordination.k8s.io',
  'node.k8s.io',
  'discovery.k8s.io',
  'flowcontrol.apiserver.k8s.io',
];
function rankOf(group: string): number {
  const index = GROUP_ORDER.indexOf(group);
  return index < 0 ? GROUP_ORDER.length : index;
}

/** Old versions are listed, so that old manifests find them, but short names and `all` mean the present ones. */
function resourceOf(kind: KindDeclaration): Resource {
  const { group, version, plural, singular, namespaced, shortNames, categories, verbs, subresources, form } = kind;
  const names = { group, version, kind: kind.kind, plural, singular, namespaced, stored: storedKind(kind) };
  if (form) {
    const allowed = form.isTerminating ? TERMINATING_VERBS : CUSTOM_VERBS;
    return { ...names, shortNames, categories, verbs: allowed, subresources, isCustom: true };
  }
  const isOld = kind.storedAs !== undefined && kind.storedAs.kind.plural === plural && isOldVersion(kind);
  return { ...names, verbs, subresources, shortNames: isOld ? [] : shortNames, categories: isOld ? [] : categories };
}
/** In the order in which Kubernetes tells them of custom resources. */
const CUSTOM_VERBS = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch'];
const TERMINATING_VERBS = ['delete', 'deletecollection', 'get', 'list', 'watch'];
const isOldVersion = ({ group, version }: KindDeclaration) =>
  group === 'extensions' || /^v\d+(alpha|beta)/.test(version);

function groupsOf(kinds: readonly KindDeclaration[], virtual: readonly VirtualResource[]): Group[] {
  const virtualResources = virtual.map(resource => ({
    ...resource,
    shortNames: [],
    categories: [],
    verbs: ['create'],
    subresources: [],
    stored: undefined,
  }));
  const byGroup = new Map<string, Map<string, Resource[]>>();
  for (const resource of [...kinds.map(resourceOf), ...virtualResources]) {
    const versions = byGroup.get(resource.group) ?? new Map<string, Resource[]>();
    byGroup.set(resource.group, versions);
    versions.set(resource.version, [...(versions.get(resource.version) ?? []), resource]);
  }
  const groups = [...byGroup].sort(([a], [b]) => rankOf(a) - rankOf(b) || (a < b ? -1 : 1));
  return groups.map(([name, versions]) => ({
    name,
    versions: [...versions]
      .map(([version, resources]) => ({ version, resources: resources.sort((a, b) => (a.plural < b.plural ? -1 : 1)) }))
      .sort((a, b) => compareVersions(a.version, b.version)),
  }));
}

const AGGREGATED_VERSIONS = ['v2', 'v2beta1'];

interface Document {
  readonly bytes: Buffer;
  readonly etag: string;
}

/** Everything that is told while no kind comes or goes. */
interface Told {
  readonly revision: number;
  readonly groups: readonly Group[];
  /** By path and version. */
  readonly aggregated: ReadonlyMap<string, Document>;
}

export class Discovery {
  readonly #catalogue: Catalogue;
  readonly #virtual: readonly VirtualResource[];
  #told: Told | undefined;

  constructor(catalogue: Catalogue, virtual: readonly VirtualResource[]) {
    this.#catalogue = catalogue;
    this.#virtual = virtual;
  }

  /** Made anew when kinds have come or gone. */
  get #now(): Told {
    const { revision } = this.#catalogue;
    if (this.#told?.revision !== revision) this.#told = this.#tell(revision);
    return this.#told;
  }

  #tell(revision: number): Told {
    const { builtIn, published } = this.#catalogue;
    const groups = groupsOf([...builtIn, ...published.map(({ kind }) => kind)], this.#virtual);
    const aggregatedDocuments = new Map<string, Document>();
    for (const version of AGGREGATED_VERSIONS) {
      const isCore = ({ name }: Group) => name === '';
      const others = groups.filter(group => !isCore(group));
      aggregatedDocuments.set(`/api ${version}`, documentOf(aggregated(groups.filter(isCore), version)));
      aggregatedDocuments.set(`/apis ${version}`, documentOf(aggregated(others, version)));
    }
    return { revision, groups, aggregated: aggregatedDocuments };
  }

  get #groups(): readonly Group[] {
    return this.#now.groups;
  }

  isGroup(group: string): boolean {
    return this.#groups.some(({ name }) => name === group);
  }

  isGroupVersion(group: string, version: string): boolean {
    return this.#groups.some(
      ({ name, versions }) => name === group && versions.some(candidate => candidate.version === version),
    );
  }

  /** The paths of all documents, for `/`. */
  paths(): string[] {
    const groups = this.#groups.filter(({ name }) => name !== '');
    return [
      '/api',
      '/api/v1',
      '/apis',
      '/apis/',
      ...groups.flatMap(({ name, versions }) => [
        `/apis/${name}`,
        ...versions.map(({ version }) => `/apis/${name}/${version}`),
      ]),
    ];
  }

  /** Answers a GET of `/api`, `/apis` or below; undefined if the path is no discovery document. */
  answer(exchange: Exchange): Reply | undefined {
    const path = exchange.info.path.replace(/\/$/, '');
    const [root, ...rest] = path.split('/').slice(1);
    if (root === 'api' && rest.length === 0) return this.#root(exchange, '/api', () => this.#legacyVersions(exchange));
    if (root === 'apis' && rest.length === 0) return this.#root(exchange, '/apis', () => this.#legacyGroups());
    if (root === 'api' && rest.length === 1) return this.#resources('', rest[0] ?? '');
    if (root !== 'apis') return undefined;
    const group = this.#groups.find(({ name }) => name !== '' && name === rest[0]);
    if (!group) return pageNotFound();
    if (rest.length === 1) return jsonReply(200, { kind: 'APIGroup', apiVersion: 'v1', ...legacyGroup(group) });
    return rest.length === 2 ? this.#resources(group.name, rest[1] ?? '') : undefined;
  }

  /** The aggregated document if the client asks for a version of it that we have, before the older form. */
  #root(exchange: Exchange, path: string, legacy: () => object): Reply {
    const version = aggregatedVersion(parseAccept(exchange.headers.accept));
    const document = this.#now.aggregated.get(`${path} ${version}`);
    if (!document) return jsonReply(200, legacy(), { vary: 'Accept' });
    const headers = { etag: document.etag, vary: 'Accept', 'cache-control': 'public' };
    if (exchange.headers['if-none-match'] === document.etag) return bytesReply(304, new Uint8Array(), headers);
    return bytesReply(200, document.bytes, {
      'content-type': `${JSON_TYPE};g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
      ...headers,
    });
  }

  #legacyVersions(exchange: Exchange): object {
    return {
      kind: 'APIVersions',
      versions: ['v1'],
      serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: exchange.localAddress }],
    };
  }

  #legacyGroups(): object {
    const groups = this.#groups.filter(({ name }) => name !== '').map(legacyGroup);
    return { kind: 'APIGroupList', apiVersion: 'v1', groups };
  }

  #resources(group: string, version: string): Reply | undefined {
    const found = this.#groups
      .find(({ name }) => name === group)
      ?.versions.find(candidate => candidate.version === version);
    if (!found) return undefined;
    return jsonReply(200, {
      kind: 'APIResourceList',
      ...(group && { apiVersion: 'v1' }),
      groupVersion: apiVersionOf({ group, version }),
      resources: found.resources.flatMap(legacyResources),
    });
  }
}

function documentOf(object: object): Document {
  const bytes = Buffer.from(`${JSON.stringify(object)}\n`);
  return { bytes, etag: `"${createHash('sha512').update(bytes).digest('hex').toUpperCase()}"` };
}

/** The version of the aggregated document that the first fitting clause asks for. */
function aggregatedVersion(clauses: readonly Clause[]): string | undefined {
  for (const { type, parameters } of clauses) {
    if (type !== JSON_TYPE && type !== '*/*') continue;
    if (parameters.get('as') === undefined) return undefined;
    const isAggregated =
      parameters.get('as') === 'APIGroupDiscoveryList' && parameters.get('g') === 'apidiscovery.k8s.io';
    const version = parameters.get('v');
    if (isAggregated && version !== undefined && AGGREGATED_VERSIONS.includes(version)) return version;
  }
  return undefined;
}

function aggregated(groups: readonly Group[], version: string): object {
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: groups.map(group => ({
      metadata: { ...(group.name && { name: group.name }), creationTimestamp: null },
      versions: group.versions.map(({ version: name, resources }) => ({
        version: name,
        freshness: 'Current',
        resources: resources.map(aggregatedResource),
      })),
    })),
  };
}

function aggregatedResource(resource: Resource): object {
  const { kind, shortNames, categories, subresources, isCustom, group, version } = resource;
  // As in Kubernetes, a built-in kind's group and version are told only where they are not the resource's own.
  const ownKind = isCustom ? { group, version, kind } : { group: '', version: '', kind };
  return {
    resource: resource.plural,
    responseKind: ownKind,
    scope: resource.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: resource.singular,
    verbs: resource.verbs,
    ...(shortNames.length > 0 && { shortNames }),
    ...(categories.length > 0 && { categories }),
    ...(subresources.length > 0 && {
      subresources: subresources.map(({ name, verbs, responseKind }) => ({
        subresource: name,
        responseKind:
          responseKind && isForeign(resource, responseKind)
            ? responseKind
            : { ...ownKind, kind: responseKind?.kind ?? kind },
        verbs,
      })),
    }),
  };
}

function legacyGroup({ name, versions }: Group): object {
  const list = versions.map(({ version }) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions: list, preferredVersion: list[0] };
}

/** True if a subresource speaks of a kind in another group or version. */
function isForeign(resource: Resource, kind: { readonly group: string; readonly version: string }): boolean {
  return kind.group !== resource.group || kind.version !== resource.version;
}

/** Changes when objects are stored in another version (apiserver: discovery.StorageVersionHash). */
function storageVersionHash({ group, version, kind }: Kind): string {
  const digest = createHash('sha256').update(`${group}/${version}/${kind}`).digest();
  return digest.subarray(0, STORAGE_HASH_BYTES).toString('base64');
}
const STORAGE_HASH_BYTES = 8;

function legacyResources(resource: Resource): object[] {
  const { plural, singular, namespaced, kind, verbs, shortNames, categories, subresources, stored } = resource;
  return [
    {
      name: plural,
      singularName: singular,
      namespaced,
      kind,
      verbs,
      ...(shortNames.length > 0 && { shortNames }),
      ...(categories.length > 0 && { categories }),
      ...(stored && { storageVersionHash: storageVersionHash(stored) }),
    },
    ...subresources.map(({ name, verbs: subVerbs, responseKind }) => {
      return {
        name: `${plural}/${name}`,
        singularName: '',
        namespaced,
        ...(responseKind &&
          isForeign(resource, responseKind) && { group: responseKind.group, version: responseKind.version }),
        kind: responseKind?.kind ?? kind,
        verbs: subVerbs,
      };
    }),
  ];
}
