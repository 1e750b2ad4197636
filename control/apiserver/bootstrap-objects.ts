/**
 * The objects without a namespace that a cluster has from its first moment, roles aside: the priority classes of the
 * system, the range of service addresses, flow schemas and priority levels (Kubernetes'
 * pkg/apis/flowcontrol/bootstrap/default.go).
 */
import {
  flowschemas as flowSchemaKind,
  priorityclasses as priorityClassKind,
  prioritylevelconfigurations as priorityLevelKind,
  servicecidrs as serviceCidrKind,
} from '../api/generated/kinds.ts';
import type {
  FlowSchema,
  LimitedPriorityLevelConfiguration,
  PolicyRulesWithSubjects,
  PriorityLevelConfiguration,
  QueuingConfiguration,
  ResourcePolicyRule,
  ServiceCIDR,
  Subject,
} from '../api/generated/types.ts';
import type { Kind, KubernetesObject } from '../api/kind.ts';
import { isEqual } from '../api/schema/equal.ts';
import { SYSTEM_PRIORITY_CLASSES } from '../api/validation/priority-class.ts';
import { type BootstrapCaller, call, ensure, pathOf, read } from './bootstrap-call.ts';

/** The controllers of Kubernetes bring the objects with this mark to their defaults again when those change. */
const AUTO_UPDATE = { 'apf.kubernetes.io/autoupdate-spec': 'true' };
const RANGE_NAME = 'kubernetes';

/** Brings back the cluster's own range of service addresses, should it have gone. Throws ApiError. */
export function keepServiceRange(options: BootstrapCaller, serviceCIDR: string): Promise<void> {
  return ensureWithStatus(options, serviceCidrKind, serviceRange(serviceCIDR), now => ({
    conditions: [
      {
        type: 'Ready',
        status: 'True',
        reason: '',
        message: 'Kubernetes Service CIDR is ready',
        lastTransitionTime: now,
      },
    ],
  }));
}

/** Makes what is missing. Throws ApiError; the caller tries again. */
export async function makeFirstObjects(options: BootstrapCaller, serviceCIDR: string): Promise<void> {
  await Promise.all([
    ...SYSTEM_PRIORITY_CLASSES.map(fields =>
      ensure(options, priorityClassKind, {
        apiVersion: 'scheduling.k8s.io/v1',
        kind: 'PriorityClass',
        ...fields,
      }),
    ),
    keepServiceRange(options, serviceCIDR),
    ...FIRST_LEVELS.map(level => ensure(options, priorityLevelKind, level)),
    ...FIRST_SCHEMAS.map(schema => ensureWithStatus(options, flowSchemaKind, schema, now => schemaStatus(schema, now))),
  ]);
}

const MANDATORY = new Set(['exempt', 'catch-all']);
const isMandatory = ({ metadata }: KubernetesObject) => MANDATORY.has(metadata?.name ?? '');

/**
 * Brings back the flow schemas and priority levels without which no request could be placed, and their specs. Throws ApiError.
 * The shares of the exempt level are its administrator's.
 */
export async function keepMandatoryLevels(options: BootstrapCaller): Promise<void> {
  for (const object of FIRST_LEVELS.filter(isMandatory)) {
    await restore(options, priorityLevelKind, object, object.spec?.type !== 'Exempt');
  }
  for (const object of FIRST_SCHEMAS.filter(isMandatory)) await restore(options, flowSchemaKind, object, true);
}

async function restore(
  options: BootstrapCaller,
  kind: Kind,
  wanted: PriorityLevelConfiguration | FlowSchema,
  hasFixedSpec: boolean,
): Promise<void> {
  const present: PriorityLevelConfiguration | FlowSchema | undefined = await read(options, kind, wanted);
  if (!present) {
    await ensure(options, kind, wanted);
    return;
  }
  if (!hasFixedSpec || isEqual(withoutAbsent(present.spec), withoutAbsent(wanted.spec))) return;
  await call(options, { method: 'PUT', path: pathOf(kind, wanted), body: { ...present, spec: wanted.spec } });
}

const withoutAbsent = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? {}));

/** Makes an object with its status, which cannot be sent along. `statusAt` is given the time of the creation. */
async function ensureWithStatus(
  options: BootstrapCaller,
  kind: Kind,
  object: KubernetesObject,
  statusAt: (time: string) => object,
): Promise<void> {
  let made = await read(options, kind, object);
  if (!made) {
    await ensure(options, kind, object);
    made = await read(options, kind, object);
  }
  const { status } = (made ?? {}) as { status?: { conditions?: readonly unknown[] } };
  if (!made || (status?.conditions ?? []).length > 0) return;
  const body = { ...made, status: statusAt(made.metadata?.creationTimestamp ?? '') };
  await call(options, { method: 'PUT', path: `${pathOf(kind, object)}/status`, body });
}

function serviceRange(cidr: string): ServiceCIDR {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'ServiceCIDR',
    metadata: { name: RANGE_NAME, finalizers: ['networking.k8s.io/service-cidr-finalizer'] },
    spec: { cidrs: cidr.split(',').map(range => range.trim()) },
  };
}

function level(name: string, spec: NonNullable<PriorityLevelConfiguration['spec']>): PriorityLevelConfiguration {
  return {
    apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
    kind: 'PriorityLevelConfiguration',
    metadata: { name, annotations: AUTO_UPDATE },
    spec,
  };
}

function queueing(
  name: string,
  shares: Pick<LimitedPriorityLevelConfiguration, 'nominalConcurrencyShares' | 'lendablePercent'>,
  queuing: Pick<QueuingConfiguration, 'queues' | 'handSize'>,
): PriorityLevelConfiguration {
  const limitResponse = { type: 'Queue', queuing: { ...queuing, queueLengthLimit: 50 } };
  return level(name, { type: 'Limited', limited: { ...shares, limitResponse } });
}

/** The priority levels of every cluster. */
export const FIRST_LEVELS: readonly PriorityLevelConfiguration[] = [
  level('exempt', { type: 'Exempt', exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 } }),
  level('catch-all', {
    type: 'Limited',
    limited: { nominalConcurrencyShares: 5, lendablePercent: 0, limitResponse: { type: 'Reject' } },
  }),
  queueing('system', { nominalConcurrencyShares: 30, lendablePercent: 33 }, { queues: 64, handSize: 6 }),
  queueing('node-high', { nominalConcurrencyShares: 40, lendablePercent: 25 }, { queues: 64, handSize: 6 }),
  queueing('leader-election', { nominalConcurrencyShares: 10, lendablePercent: 0 }, { queues: 16, handSize: 4 }),
  queueing('workload-high', { nominalConcurrencyShares: 40, lendablePercent: 50 }, { queues: 128, handSize: 6 }),
  queueing('workload-low', { nominalConcurrencyShares: 100, lendablePercent: 90 }, { queues: 128, handSize: 6 }),
  queueing('global-default', { nominalConcurrencyShares: 20, lendablePercent: 50 }, { queues: 128, handSize: 6 }),
];

const user = (name: string): Subject => ({ kind: 'User', user: { name } });
const group = (name: string): Subject => ({ kind: 'Group', group: { name } });
const account = (name: string): Subject => ({
  kind: 'ServiceAccount',
  serviceAccount: { name, namespace: 'kube-system' },
});
const EVERYBODY = [group('system:unauthenticated'), group('system:authenticated')];
const CONTROLLER_MANAGER = user('system:kube-controller-manager');
const SCHEDULER = user('system:kube-scheduler');
const ELECTION_VERBS = ['get', 'create', 'update'];
const LEASES = 'coordination.k8s.io';

const resources = (apiGroup: string, names: string[], verbs: string[]): ResourcePolicyRule => ({
  apiGroups: [apiGroup],
  namespaces: ['*'],
  resources: names,
  verbs,
});

/** Every request of these subjects. */
const everything = (...subjects: Subject[]): PolicyRulesWithSubjects => ({
  subjects,
  resourceRules: [{ ...resources('*', ['*'], ['*']), clusterScope: true }],
  nonResourceRules: [{ nonResourceURLs: ['*'], verbs: ['*'] }],
});

interface SchemaFacts {
  readonly level: string;
  readonly precedence: number;
  /** By what the requests of one flow are told apart. */
  readonly by?: 'ByUser' | 'ByNamespace';
  readonly rules: PolicyRulesWithSubjects;
}

function schema(name: string, { level: levelName, precedence, by, rules }: SchemaFacts): FlowSchema {
  return {
    apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
    kind: 'FlowSchema',
    metadata: { name, annotations: AUTO_UPDATE },
    spec: {
      ...(by && { distinguisherMethod: { type: by } }),
      matchingPrecedence: precedence,
      priorityLevelConfiguration: { name: levelName },
      rules: [rules],
    },
  };
}

/** The flow schemas of every cluster. */
export const FIRST_SCHEMAS: readonly FlowSchema[] = [
  schema('exempt', { level: 'exempt', precedence: 1, rules: everything(group('system:masters')) }),
  schema('probes', {
    level: 'exempt',
    precedence: 2,
    rules: {
      subjects: EVERYBODY,
      nonResourceRules: [{ nonResourceURLs: ['/healthz', '/readyz', '/livez'], verbs: ['get'] }],
    },
  }),
  schema('system-leader-election', {
    level: 'leader-election',
    precedence: 100,
    by: 'ByUser',
    rules: {
      subjects: [CONTROLLER_MANAGER, SCHEDULER, account('*')],
      resourceRules: [resources(LEASES, ['leases'], ELECTION_VERBS)],
    },
  }),
  schema('endpoint-controller', {
    level: 'workload-high',
    precedence: 150,
    by: 'ByUser',
    rules: {
      subjects: [CONTROLLER_MANAGER, account('endpoint-controller'), account('endpointslicemirroring-controller')],
      resourceRules: [resources('', ['endpoints'], ELECTION_VERBS)],
    },
  }),
  schema('workload-leader-election', {
    level: 'leader-election',
    precedence: 200,
    by: 'ByUser',
    rules: {
      subjects: [account('*')],
      resourceRules: [
        resources('', ['endpoints', 'configmaps'], ELECTION_VERBS),
        resources(LEASES, ['leases'], ELECTION_VERBS),
      ],
    },
  }),
  schema('system-node-high', {
    level: 'node-high',
    precedence: 400,
    by: 'ByUser',
    rules: {
      subjects: [group('system:nodes')],
      resourceRules: [
        { ...resources('', ['nodes', 'nodes/status'], ['*']), clusterScope: true },
        resources(LEASES, ['leases'], ['*']),
      ],
    },
  }),
  schema('system-nodes', { level: 'system', precedence: 500, by: 'ByUser', rules: everything(group('system:nodes')) }),
  schema('kube-controller-manager', {
    level: 'workload-high',
    precedence: 800,
    by: 'ByNamespace',
    rules: everything(CONTROLLER_MANAGER),
  }),
  schema('kube-scheduler', {
    level: 'workload-high',
    precedence: 800,
    by: 'ByNamespace',
    rules: everything(SCHEDULER),
  }),
  schema('kube-system-service-accounts', {
    level: 'workload-high',
    precedence: 900,
    by: 'ByNamespace',
    rules: everything(account('*')),
  }),
  schema('service-accounts', {
    level: 'workload-low',
    precedence: 9_000,
    by: 'ByUser',
    rules: everything(group('system:serviceaccounts')),
  }),
  schema('global-default', {
    level: 'global-default',
    precedence: 9_900,
    by: 'ByUser',
    rules: everything(...EVERYBODY),
  }),
  schema('catch-all', { level: 'catch-all', precedence: 10_000, by: 'ByUser', rules: everything(...EVERYBODY) }),
];

function schemaStatus({ spec }: FlowSchema, time: string): NonNullable<FlowSchema['status']> {
  const name = JSON.stringify(spec?.priorityLevelConfiguration.name);
  return {
    conditions: [
      {
        type: 'Dangling',
        status: 'False',
        lastTransitionTime: time,
        reason: 'Found',
        message: `This FlowSchema references the PriorityLevelConfiguration object named ${name} and it exists`,
      },
    ],
  };
}
