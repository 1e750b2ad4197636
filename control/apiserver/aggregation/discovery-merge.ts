/** Discovery documents of this server and of those behind it as one. Pure. */
import type { RemoteService } from './api-services.ts';
import { builtInPriority, groupPriority } from './priorities.ts';

/** A version in the aggregated form. */
export interface DiscoveredVersion {
  readonly version: string;
  readonly freshness: 'Current' | 'Stale';
  readonly resources?: readonly object[];
}
export interface DiscoveredGroup {
  readonly metadata: { readonly name?: string; readonly [key: string]: unknown };
  readonly versions: readonly DiscoveredVersion[];
}
/** A group in the older form. */
export interface ListedGroup {
  readonly name: string;
  readonly versions: readonly { readonly groupVersion: string; readonly version: string }[];
  readonly preferredVersion?: object;
}

type Rank = Pick<RemoteService, 'group' | 'version' | 'groupPriority' | 'versionPriority'>;

/** The order of groups: the highest priority that anybody claims for one counts; then their names. */
function groupOrder(remotes: readonly Rank[]): (a: string, b: string) => number {
  const claimed = (name: string) =>
    Math.max(groupPriority(name), ...remotes.filter(({ group }) => group === name).map(one => one.groupPriority));
  return (a, b) => claimed(b) - claimed(a) || (a < b ? -1 : a > b ? 1 : 0);
}

function versionOrder(group: string, remotes: readonly Rank[]): (a: string, b: string) => number {
  const priority = (version: string) =>
    remotes.find(one => one.group === group && one.version === version)?.versionPriority ??
    builtInPriority(group, version).version;
  return (a, b) => priority(b) - priority(a);
}

/** Puts the remote versions among this server's own; a remote one takes the place of an own one. */
export function mergeGroups(
  own: readonly DiscoveredGroup[],
  remote: readonly (Rank & { readonly discovered: DiscoveredVersion })[],
): DiscoveredGroup[] {
  const groups = new Map(own.map(group => [group.metadata.name ?? '', group]));
  for (const name of new Set(remote.map(({ group }) => group))) {
    const theirs = remote.filter(({ group }) => group === name);
    const replaced = new Set(theirs.map(({ version }) => version));
    const ours = groups.get(name);
    const kept = (ours?.versions ?? []).filter(({ version }) => !replaced.has(version));
    const order = versionOrder(name, remote);
    const versions = [...kept, ...theirs.map(({ discovered }) => discovered)].sort((a, b) =>
      order(a.version, b.version),
    );
    groups.set(name, { metadata: ours?.metadata ?? { name, creationTimestamp: null }, versions });
  }
  const order = groupOrder(remote);
  return [...groups].sort(([a], [b]) => order(a, b)).map(([, group]) => group);
}

/** The same in the older form. */
export function mergeListedGroups(own: readonly ListedGroup[], remote: readonly Rank[]): ListedGroup[] {
  const groups = new Map(own.map(group => [group.name, group]));
  for (const name of new Set(remote.map(({ group }) => group))) {
    groups.set(name, mergeListedGroup(groups.get(name) ?? { name, versions: [] }, remote));
  }
  const order = groupOrder(remote);
  return [...groups].sort(([a], [b]) => order(a, b)).map(([, group]) => group);
}

/** One group with its remote versions. */
export function mergeListedGroup({ name, versions: own }: ListedGroup, remote: readonly Rank[]): ListedGroup {
  const order = versionOrder(name, remote);
  const theirs = remote.filter(({ group }) => group === name).map(({ version }) => version);
  const names = [...new Set([...own.map(({ version }) => version), ...theirs])].sort(order);
  const versions = names.map(version => ({ groupVersion: `${name}/${version}`, version }));
  const [preferredVersion] = versions;
  return { name, versions, ...(preferredVersion && { preferredVersion }) };
}

interface LegacyResource {
  readonly name: string;
  readonly singularName?: string;
  readonly namespaced?: boolean;
  readonly kind?: string;
  readonly group?: string;
  readonly version?: string;
  readonly verbs?: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
}

/** The resources of an APIResourceList in the aggregated form: for servers that know only the older one. */
export function aggregatedResources(
  { group, version }: Pick<RemoteService, 'group' | 'version'>,
  list: Readonly<Record<string, unknown>>,
): object[] {
  const resources = (Array.isArray(list.resources) ? list.resources : []) as readonly LegacyResource[]; // each member may be absent
  const kindOf = (one: LegacyResource) => ({
    group: one.group || group,
    version: one.version || version,
    kind: one.kind ?? '',
  });
  const isResource = ({ name }: LegacyResource) => typeof name === 'string' && !name.includes('/');
  return resources.filter(isResource).map(resource => {
    const prefix = `${resource.name}/`;
    const subresources = resources
      .filter(({ name }) => typeof name === 'string' && name.startsWith(prefix))
      .map(one => ({ subresource: one.name.slice(prefix.length), responseKind: kindOf(one), verbs: one.verbs ?? [] }));
    const { shortNames = [], categories = [] } = resource;
    return {
      resource: resource.name,
      responseKind: kindOf(resource),
      scope: resource.namespaced ? 'Namespaced' : 'Cluster',
      singularResource: resource.singularName ?? '',
      verbs: resource.verbs ?? [],
      ...(shortNames.length > 0 && { shortNames }),
      ...(categories.length > 0 && { categories }),
      ...(subresources.length > 0 && { subresources }),
    };
  });
}
