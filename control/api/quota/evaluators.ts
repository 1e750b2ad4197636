/**
 * What one object of each kind takes of a quota (k/k pkg/quota/v1/evaluator). Pods, services and claims are measured, all
 * other kinds are counted. Pure; the API server charges by these functions, and the controller counts anew by the same.
 */
import type { PersistentVolumeClaim, ScopedResourceSelectorRequirement, Service } from '../generated/types.ts';
import type { KubernetesObject } from '../kind.ts';
import { compareQuantities, roundUpToWhole } from '../schema/quantity.ts';
import { PODS } from './pods.ts';
import { countOf, ONE, type ResourceAmounts, readAmounts, ZERO } from './resource-lists.ts';
import { claimMeetsScope } from './scopes.ts';

export interface Evaluator<T extends KubernetesObject = KubernetesObject> {
  /** True if a quota's resource of this name is one that such objects use. */
  counts(resource: string): boolean;
  /** What the object uses. `nowMs` since the epoch: pods that should be gone do not count. */
  usage(object: T, nowMs: number): ResourceAmounts;
  meetsScope(scope: ScopedResourceSelectorRequirement, object: T): boolean;
  /** Why an object cannot be charged at all: it does not say what the quota counts. */
  refusal?(resources: ReadonlySet<string>, object: T): string | undefined;
  /** Which writes of existing objects are charged. */
  readonly chargesUpdatesOf: readonly string[];
  /** True if a change of an existing object may have freed something. */
  frees?(object: T, old: T): boolean;
}

/** The quota resource that counts all objects of a kind: `count/deployments.apps`. */
export const countName = (group: string, plural: string): string => `count/${group ? `${plural}.${group}` : plural}`;

/** Core kinds that are counted under their plain names too. */
const PLAIN_COUNTS = new Set(['configmaps', 'resourcequotas', 'replicationcontrollers', 'secrets']);
const CLASS_SUFFIX = '.storageclass.storage.k8s.io/';
const OLD_STORAGE_CLASS = 'volume.beta.kubernetes.io/storage-class';

/** The evaluator of a kind. Events are never charged. */
export function evaluatorOf(group: string, plural: string): Evaluator | undefined {
  if (plural === 'events' && (group === '' || group === 'events.k8s.io')) return undefined;
  const measured = group === '' ? MEASURED[plural] : undefined;
  return measured ?? countEvaluator(group, plural);
}

/** The core kinds that one of a quota's resources is about, besides those counted as `count/…`. */
export function kindsMeasuredBy(resource: string): string[] {
  const measured = Object.keys(MEASURED).filter(plural => MEASURED[plural]?.counts(resource));
  return PLAIN_COUNTS.has(resource) ? [...measured, resource] : measured;
}

function countEvaluator(group: string, plural: string): Evaluator {
  const names = [countName(group, plural), ...(group === '' && PLAIN_COUNTS.has(plural) ? [plural] : [])];
  const usage = new Map(names.map(name => [name, ONE]));
  return {
    counts: resource => names.includes(resource),
    usage: () => usage,
    meetsScope: () => false,
    chargesUpdatesOf: [],
  };
}

const SERVICE_RESOURCES = new Set(['count/services', 'services', 'services.nodeports', 'services.loadbalancers']);

const SERVICES: Evaluator<Service> = {
  counts: resource => SERVICE_RESOURCES.has(resource),
  usage({ spec }) {
    const { type, ports = [], allocateLoadBalancerNodePorts } = spec ?? {};
    // Ports may not be given out yet: what counts is what the service will have.
    const takesAll = type === 'NodePort' || (type === 'LoadBalancer' && allocateLoadBalancerNodePorts !== false);
    const explicit = type === 'LoadBalancer' ? ports.filter(({ nodePort }) => nodePort).length : 0;
    return new Map([
      ['count/services', ONE],
      ['services', ONE],
      ['services.nodeports', countOf(takesAll ? ports.length : explicit)],
      ['services.loadbalancers', type === 'LoadBalancer' ? ONE : ZERO],
    ]);
  },
  meetsScope: () => false,
  chargesUpdatesOf: [''],
  frees: (object, old) =>
    object.spec?.type !== old.spec?.type || object.spec?.ports?.length !== old.spec?.ports?.length,
};

const CLAIM_RESOURCES = ['persistentvolumeclaims', 'requests.storage'];

const CLAIMS: Evaluator<PersistentVolumeClaim> = {
  counts: resource =>
    resource === 'count/persistentvolumeclaims' ||
    CLAIM_RESOURCES.includes(resource) ||
    CLAIM_RESOURCES.some(name => resource.endsWith(CLASS_SUFFIX + name)),
  usage(claim) {
    const storage = storageOf(claim);
    const storageClass = claim.metadata?.annotations?.[OLD_STORAGE_CLASS] ?? claim.spec?.storageClassName ?? '';
    const usage = new Map([
      ['count/persistentvolumeclaims', ONE],
      ['persistentvolumeclaims', ONE],
      ...(storage ? [['requests.storage', storage] as const] : []),
    ]);
    if (storageClass === '') return usage;
    usage.set(`${storageClass}${CLASS_SUFFIX}persistentvolumeclaims`, ONE);
    if (storage) usage.set(`${storageClass}${CLASS_SUFFIX}requests.storage`, storage);
    return usage;
  },
  meetsScope: claimMeetsScope,
  chargesUpdatesOf: ['', 'status'],
  frees: (object, old) => JSON.stringify(storageStateOf(object)) !== JSON.stringify(storageStateOf(old)),
};

const storageStateOf = ({ spec, status }: PersistentVolumeClaim) => [
  spec?.resources,
  status?.allocatedResources,
  spec?.volumeAttributesClassName,
  status?.currentVolumeAttributesClassName,
  status?.modifyVolumeStatus,
];

/** What was asked for, or the larger amount that is being given back; in whole bytes. */
function storageOf({ spec, status }: PersistentVolumeClaim) {
  const asked = readAmounts(spec?.resources?.requests).get('storage');
  const allocated = readAmounts(status?.allocatedResources).get('storage');
  const larger = asked && allocated && compareQuantities(allocated, asked) > 0 ? allocated : asked;
  return larger && roundUpToWhole(larger);
}

// Each is asked about objects of its own kind only.
const MEASURED: Readonly<Record<string, Evaluator>> = {
  pods: PODS as unknown as Evaluator,
  services: SERVICES as unknown as Evaluator,
  persistentvolumeclaims: CLAIMS as unknown as Evaluator,
};
