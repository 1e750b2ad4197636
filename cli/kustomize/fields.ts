/** Fields by their path, through lists; and the fields of the built-in kinds that hold labels and annotations. */
import type { JsonObject } from '../client/api.ts';
import type { FieldSpec } from './kustomization.ts';
import { type Identity, isObject } from './resource.ts';

/** Changes the field at a path with slashes, in each item where lists are on the way; makes it only if `create` says so. */
export function changeField(
  node: unknown,
  { path, create = false }: Pick<FieldSpec, 'path' | 'create'>,
  change: (value: unknown, owner: JsonObject) => unknown,
): void {
  walk(node, path.split('/'), { create, change });
}

interface Walk {
  readonly create: boolean;
  readonly change: (value: unknown, owner: JsonObject) => unknown;
}

function walk(node: unknown, [first = '', ...rest]: readonly string[], walking: Walk): void {
  if (Array.isArray(node)) {
    for (const item of node) walk(item, [first, ...rest], walking);
    return;
  }
  if (!isObject(node)) return;
  const isThere = Object.hasOwn(node, first) && node[first] !== null;
  if (!isThere && !walking.create) return;
  if (rest.length === 0) node[first] = walking.change(isThere ? node[first] : undefined, node);
  else {
    if (!isThere) node[first] = {};
    walk(node[first], rest, walking);
  }
}

/** True if the specification is for this kind. */
export function isFor(spec: Omit<FieldSpec, 'path'>, { group, version, kind }: Identity): boolean {
  return (
    (!spec.group || spec.group === group) &&
    (!spec.version || spec.version === version) &&
    (!spec.kind || spec.kind === kind)
  );
}

/** Adds pairs to the map at each of the fields. */
export function addPairs(
  object: JsonObject,
  identity: Identity,
  pairs: Readonly<Record<string, string>>,
  specs: readonly FieldSpec[],
): void {
  for (const spec of specs) {
    if (isFor(spec, identity)) changeField(object, spec, value => ({ ...(isObject(value) ? value : {}), ...pairs }));
  }
}

const WORKLOADS = [
  { group: 'apps', kind: 'Deployment' },
  { group: 'apps', kind: 'ReplicaSet' },
  { group: 'apps', kind: 'DaemonSet' },
  { group: 'apps', kind: 'StatefulSet' },
] as const;
const CONTROLLER = { version: 'v1', kind: 'ReplicationController' } as const;
const JOB = { group: 'batch', kind: 'Job' } as const;
const CRON_JOB = { group: 'batch', kind: 'CronJob' } as const;

/** `name` is `labels` or `annotations`: all places of metadata, those of templates among them. */
const metadataOfTemplates = (name: string): readonly FieldSpec[] => [
  ...[CONTROLLER, ...WORKLOADS, JOB].map(kind => ({ ...kind, path: `spec/template/metadata/${name}`, create: true })),
  { ...CRON_JOB, path: `spec/jobTemplate/metadata/${name}`, create: true },
  { ...CRON_JOB, path: `spec/jobTemplate/spec/template/metadata/${name}`, create: true },
];

export const OWN_LABELS: readonly FieldSpec[] = [{ path: 'metadata/labels', create: true }];
export const TEMPLATE_LABELS: readonly FieldSpec[] = [
  ...metadataOfTemplates('labels'),
  { group: 'apps', kind: 'StatefulSet', path: 'spec/volumeClaimTemplates/metadata/labels', create: true },
];
export const ANNOTATIONS: readonly FieldSpec[] = [
  { path: 'metadata/annotations', create: true },
  ...metadataOfTemplates('annotations'),
];

const TERMS = ['podAffinity', 'podAntiAffinity'].flatMap(affinity => [
  `spec/template/spec/affinity/${affinity}/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels`,
  `spec/template/spec/affinity/${affinity}/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels`,
]);
/** Where pods are selected by labels. Selectors that choose others' pods are kept as they are only where they are empty. */
export const SELECTORS: readonly FieldSpec[] = [
  { version: 'v1', kind: 'Service', path: 'spec/selector', create: true },
  { ...CONTROLLER, path: 'spec/selector', create: true },
  ...WORKLOADS.map(kind => ({ ...kind, path: 'spec/selector/matchLabels', create: true })),
  ...WORKLOADS.filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet').flatMap(kind =>
    [...TERMS, 'spec/template/spec/topologySpreadConstraints/labelSelector/matchLabels'].map(path => ({
      ...kind,
      path,
    })),
  ),
  { ...JOB, path: 'spec/selector/matchLabels' },
  { ...CRON_JOB, path: 'spec/jobTemplate/spec/selector/matchLabels' },
  { group: 'policy', kind: 'PodDisruptionBudget', path: 'spec/selector/matchLabels' },
  { group: 'networking.k8s.io', kind: 'NetworkPolicy', path: 'spec/podSelector/matchLabels' },
  { group: 'networking.k8s.io', kind: 'NetworkPolicy', path: 'spec/ingress/from/podSelector/matchLabels' },
  { group: 'networking.k8s.io', kind: 'NetworkPolicy', path: 'spec/egress/to/podSelector/matchLabels' },
];
