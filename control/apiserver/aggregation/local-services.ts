/**
 * APIServices of what this server serves itself: one a group and version, made and taken away as kinds come and go, so that
 * `kubectl get apiservices` lists everything (kube-aggregator pkg/controllers/autoregister). Pure.
 */
import type { APIService, CustomResourceDefinition } from '../../api/generated/types.ts';
import { isEqual } from '../../api/schema/equal.ts';
import { builtInPriority, CUSTOM_PRIORITY } from './priorities.ts';

const MANAGED = 'kube-aggregator.kubernetes.io/automanaged';
/** How the program's own groups are marked, and those of custom resources. */
const ON_START = 'onstart';
const ALWAYS = 'true';

/** The group of the APIServices: nobody else could serve it. */
const ITSELF = 'apiregistration.k8s.io';

export interface GroupVersion {
  readonly group: string;
  readonly version: string;
}

export type Step =
  | { readonly type: 'create' | 'update'; readonly object: APIService }
  | { readonly type: 'delete'; readonly object: APIService };

/** What has to be done so that the APIServices list what is served here; those that others made stay as they are. */
export function planLocalServices(
  present: readonly APIService[],
  {
    builtIn,
    custom,
  }: { readonly builtIn: readonly GroupVersion[]; readonly custom: readonly CustomResourceDefinition[] },
): Step[] {
  const wanted = new Map<string, APIService>();
  for (const { group, version } of custom.flatMap(servedVersions)) {
    const object = localService({ group, version }, { priority: CUSTOM_PRIORITY, mark: ALWAYS });
    wanted.set(nameOf(object), object);
  }
  for (const { group, version } of builtIn) {
    if (group === ITSELF) continue;
    const object = localService({ group, version }, { priority: builtInPriority(group, version), mark: ON_START });
    wanted.set(nameOf(object), object);
  }
  const byName = new Map(present.map(object => [nameOf(object), object]));
  const steps: Step[] = [];
  for (const [name, object] of wanted) {
    const existing = byName.get(name);
    if (!existing) steps.push({ type: 'create', object });
    else if (isManaged(existing) && !isEqual(existing.spec, object.spec)) {
      steps.push({ type: 'update', object: { ...existing, spec: object.spec as NonNullable<APIService['spec']> } });
    }
  }
  for (const [name, object] of byName) {
    if (!wanted.has(name) && isManaged(object)) steps.push({ type: 'delete', object });
  }
  return steps;
}

const nameOf = ({ metadata }: APIService) => metadata?.name ?? '';
const isManaged = ({ metadata }: APIService) => [ON_START, ALWAYS].includes(metadata?.labels?.[MANAGED] ?? '');

function servedVersions({ spec }: CustomResourceDefinition): GroupVersion[] {
  return spec.versions.filter(({ served }) => served).map(({ name }) => ({ group: spec.group, version: name }));
}

function localService(
  { group, version }: GroupVersion,
  { priority, mark }: { readonly priority: { group: number; version: number }; readonly mark: string },
): APIService {
  return {
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: { name: `${version}.${group}`, labels: { [MANAGED]: mark } },
    spec: { ...(group && { group }), version, groupPriorityMinimum: priority.group, versionPriority: priority.version },
  };
}
