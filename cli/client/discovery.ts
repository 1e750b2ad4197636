/** What the server serves, and which resource a name on the command line means. */
import { ApiError } from '../../control/api/status.ts';
import type { Api } from './api.ts';
import { failure } from './errors.ts';

/** One resource in one version. */
export interface Resource {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** Plural, as in URLs. */
  readonly name: string;
  readonly singular: string;
  readonly isNamespaced: boolean;
  readonly verbs: readonly string[];
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  /** Parts with a path of their own, such as `status` and `scale`. Undefined if the server did not tell. */
  readonly subresources?: readonly string[];
}

/** `apps/v1`, `v1`. */
export function groupVersionOf({ group, version }: { readonly group: string; readonly version: string }): string {
  return group === '' ? version : `${group}/${version}`;
}

/** `deployment.apps`, `pod`: how kubectl names an object before `/name`, by its kind, whatever its resource is called. */
export function kindWithGroup({ kind, group }: Pick<Resource, 'kind' | 'group'>): string {
  const name = kind.toLowerCase();
  return group === '' ? name : `${name}.${group}`;
}

/** `deployments.apps`, `pods`. */
export function nameWithGroup({ name, group }: Resource): string {
  return group === '' ? name : `${name}.${group}`;
}

/** The path of a resource's collection, or of one object. */
export function pathOf(resource: Resource, namespace: string | undefined, name?: string, subresource?: string): string {
  const root = resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  const scope = resource.isNamespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  const object = name === undefined ? '' : `/${encodeURIComponent(name)}`;
  return `${root}${scope}/${resource.name}${object}${subresource ? `/${subresource}` : ''}`;
}

interface DiscoveryGroup {
  readonly metadata?: { readonly name?: string };
  readonly versions?: readonly {
    readonly version: string;
    readonly freshness?: string;
    readonly resources?: readonly {
      readonly resource: string;
      readonly responseKind?: { readonly kind: string };
      readonly scope?: string;
      readonly singularResource?: string;
      readonly verbs?: readonly string[];
      readonly shortNames?: readonly string[];
      readonly categories?: readonly string[];
      readonly subresources?: readonly { readonly subresource: string }[];
    }[];
  }[];
}

const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';

/** Everything served, asked for once. In order of preference: core group first, each group's preferred version first. */
export class Discovery {
  readonly #api: Api;
  #resources: Promise<readonly Resource[]> | undefined;

  constructor(api: Api) {
    this.#api = api;
  }

  resources(): Promise<readonly Resource[]> {
    this.#resources ??= this.#load();
    return this.#resources;
  }

  async #load(): Promise<readonly Resource[]> {
    const [core, groups] = await Promise.all([this.#loadRoot('/api'), this.#loadRoot('/apis')]);
    return [...core, ...groups];
  }

  async #loadRoot(root: string): Promise<Resource[]> {
    const document = await this.#api.json<{
      kind?: string;
      items?: DiscoveryGroup[];
      versions?: string[];
      groups?: { name: string; versions: { version: string }[]; preferredVersion?: { version: string } }[];
    }>('GET', root, { accept: AGGREGATED });
    if (document.kind === 'APIGroupDiscoveryList') return (document.items ?? []).flatMap(resourcesOfGroup);
    const versions =
      document.groups?.flatMap(group => {
        const preferred = group.preferredVersion?.version;
        const sorted = [...group.versions].sort(
          (a, b) => Number(b.version === preferred) - Number(a.version === preferred),
        );
        return sorted.map(({ version }) => ({ group: group.name, version }));
      }) ?? (document.versions ?? []).map(version => ({ group: '', version }));
    return (await Promise.all(versions.map(version => this.#loadLegacy(version)))).flat();
  }

  /** Servers without aggregated discovery tell one group version at a time. */
  async #loadLegacy({ group, version }: { group: string; version: string }): Promise<Resource[]> {
    const path = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
    const document = await this.#api.json<{ resources?: LegacyResource[] }>('GET', path).catch(error => {
      // A group whose server is away is left out.
      if (error instanceof ApiError) return { resources: [] };
      throw error;
    });
    return (document.resources ?? [])
      .filter(resource => !resource.name.includes('/'))
      .map(resource => ({
        group,
        version,
        kind: resource.kind,
        name: resource.name,
        singular: resource.singularName || resource.kind.toLowerCase(),
        isNamespaced: resource.namespaced,
        verbs: resource.verbs ?? [],
        shortNames: resource.shortNames ?? [],
        categories: resource.categories ?? [],
      }));
  }

  /**
   * The resource that a word means: `po`, `pods`, `Pod`, `deployments.apps`, `deployments.v1.apps`.
   * @throws CommandError if there is none.
   */
  async find(word: string): Promise<Resource> {
    const resources = await this.resources();
    const [first = '', ...rest] = word.toLowerCase().split('.');
    const isNamed = (resource: Resource) =>
      resource.name === first || resource.singular === first || resource.kind.toLowerCase() === first;
    const isIn = (resource: Resource) =>
      rest.length === 0 ||
      resource.group === rest.join('.') ||
      (resource.version === rest[0] && resource.group === rest.slice(1).join('.')) ||
      resource.group.startsWith(`${rest.join('.')}.`);
    const found =
      resources.find(resource => isNamed(resource) && isIn(resource)) ??
      resources.find(resource => resource.shortNames.includes(first) && isIn(resource));
    if (!found) throw failure(`the server doesn't have a resource type "${first}"`);
    return found;
  }

  /** Whether a resource has such a part. Servers that do not tell are believed to. */
  hasSubresource(resource: Resource, name: string): boolean {
    return resource.subresources === undefined || resource.subresources.includes(name);
  }

  /** The resources of a category such as `all`; undefined if there is no such category. */
  async category(word: string): Promise<readonly Resource[] | undefined> {
    const found = (await this.resources()).filter(resource => resource.categories.includes(word));
    const preferred = found.filter(
      (resource, index) =>
        found.findIndex(other => other.group === resource.group && other.name === resource.name) === index,
    );
    return preferred.length === 0 ? undefined : preferred;
  }

  /** The resource of objects of this kind. @throws CommandError as kubectl does. */
  async ofKind(apiVersion: string, kind: string, described: string): Promise<Resource> {
    const found = (await this.resources()).find(
      resource => groupVersionOf(resource) === apiVersion && resource.kind === kind,
    );
    if (found) return found;
    throw failure(
      `resource mapping not found for ${described}: no matches for kind "${kind}" in version "${apiVersion}"\nensure CRDs are installed first`,
    );
  }
}

interface LegacyResource {
  readonly name: string;
  readonly singularName?: string;
  readonly namespaced: boolean;
  readonly kind: string;
  readonly verbs?: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
}

function resourcesOfGroup(group: DiscoveryGroup): Resource[] {
  return (group.versions ?? []).flatMap(({ version, resources }) =>
    (resources ?? []).flatMap(entry =>
      entry.responseKind
        ? [
            {
              group: group.metadata?.name ?? '',
              version,
              kind: entry.responseKind.kind,
              name: entry.resource,
              singular: entry.singularResource || entry.responseKind.kind.toLowerCase(),
              isNamespaced: entry.scope === 'Namespaced',
              verbs: entry.verbs ?? [],
              shortNames: entry.shortNames ?? [],
              categories: entry.categories ?? [],
              subresources: (entry.subresources ?? []).map(({ subresource }) => subresource),
            },
          ]
        : [],
    ),
  );
}
