/** What quotas charge and refuse, case by case. */
import test from 'ava';
import type { ResourceQuota } from '../../../api/generated/types.ts';
import type { KubernetesObject } from '../../../api/kind.ts';
import { evaluatorOf } from '../../../api/quota/evaluators.ts';
import { checkQuotas } from './check.ts';

const NOW_MS = Date.parse('2026-01-01T00:00:00Z');

function quota(
  hard: Record<string, string>,
  used: Record<string, string> | undefined,
  spec: object = {},
): ResourceQuota {
  return { metadata: { name: 'q' }, spec: { hard, ...spec }, status: { hard, ...(used && { used }) } };
}
const zeros = (hard: Record<string, string>) => Object.fromEntries(Object.keys(hard).map(name => [name, '0']));

interface Asked {
  readonly kind: string;
  readonly object: object;
  readonly old?: object;
  readonly isStatus?: boolean;
}
function ask(quotas: readonly ResourceQuota[], { kind, object, old, isStatus = false }: Asked): unknown {
  const [plural = '', ...group] = kind.split('.');
  const evaluator = evaluatorOf(group.join('.'), plural);
  if (!evaluator) return 'nobody';
  const verdict = checkQuotas(quotas, {
    evaluator,
    object: object as KubernetesObject,
    old: old as KubernetesObject | undefined,
    nowMs: NOW_MS,
    isStatus,
  });
  return verdict.type === 'refused' ? verdict.why : [...verdict.used.values()];
}
const container = (name: string, resources: object = {}) => ({ name, image: 'i', resources });
const pod = (...containers: object[]) => ({ spec: { containers } });

test('a pod takes itself and what its containers ask for', t => {
  const hard = {
    pods: '2',
    'count/pods': '5',
    cpu: '2',
    'requests.cpu': '2',
    'limits.cpu': '4',
    memory: '1Gi',
    'requests.ephemeral-storage': '1Gi',
    'hugepages-2Mi': '10Mi',
    'requests.hugepages-2Mi': '10Mi',
    'requests.example.com/gpu': '3',
    secrets: '9',
  };
  const object = pod(
    container('a', {
      requests: { cpu: '500m', memory: '100Mi', 'ephemeral-storage': '1Mi', 'example.com/gpu': '2' },
      limits: { cpu: '1', 'example.com/gpu': '2' },
    }),
    container('b', {
      requests: { cpu: '250m', memory: '1Mi', 'hugepages-2Mi': '4Mi' },
      limits: { cpu: '250m', 'hugepages-2Mi': '4Mi' },
    }),
  );
  t.deepEqual(ask([quota(hard, zeros(hard))], { kind: 'pods', object }), [
    {
      'count/pods': '1',
      cpu: '750m',
      'hugepages-2Mi': '4Mi',
      'limits.cpu': '1250m',
      memory: '101Mi',
      pods: '1',
      'requests.cpu': '750m',
      'requests.ephemeral-storage': '1Mi',
      'requests.example.com/gpu': '2',
      'requests.hugepages-2Mi': '4Mi',
      secrets: '0',
    },
  ]);
});

test('initialisation counts where it is the hungriest moment, sidecars and overhead always', t => {
  const hard = { cpu: '10' };
  const used = (spec: object) => ask([quota(hard, zeros(hard))], { kind: 'pods', object: { spec } });
  const need = (cpu: string) => ({ requests: { cpu } });
  const containers = [container('a', need('1'))];
  t.deepEqual(used({ containers, initContainers: [container('i', need('3'))] }), [{ cpu: '3' }]);
  const sidecar = { ...container('s', need('1')), restartPolicy: 'Always' };
  t.deepEqual(used({ containers, initContainers: [sidecar, container('i', need('3'))] }), [{ cpu: '4' }]);
  t.deepEqual(used({ containers, initContainers: [container('i', need('1500m')), sidecar] }), [{ cpu: '2' }]);
  t.deepEqual(used({ containers, overhead: { cpu: '250m' } }), [{ cpu: '1250m' }]);
});

test('what does not fit is refused with the numbers', t => {
  const hard = { pods: '2', cpu: '1', 'limits.memory': '1Gi' };
  const used = { pods: '2', cpu: '900m', 'limits.memory': '0' };
  const needs = { requests: { cpu: '200m', memory: '1Mi' }, limits: { memory: '1Mi' } };
  t.is(
    ask([quota(hard, used)], { kind: 'pods', object: pod(container('a', needs)) }),
    'exceeded quota: q, requested: cpu=200m,pods=1, used: cpu=900m,pods=2, limited: cpu=1,pods=2',
  );
  t.is(
    ask([quota(hard, used)], {
      kind: 'pods',
      object: pod(container('b'), container('a', { limits: { memory: '1' } })),
    }),
    'failed quota: q: must specify cpu for: a,b; limits.memory for: b',
  );
  t.is(
    ask([quota(hard, { pods: '0' })], { kind: 'pods', object: pod(container('a', needs)) }),
    'status unknown for quota: q, resources: cpu,limits.memory,pods',
  );
  t.deepEqual(ask([quota(hard, used)], { kind: 'secrets', object: {} }), []);
  t.deepEqual(ask([quota(hard, used)], { kind: 'events', object: {} }), 'nobody');
});

test('all quotas must have room, and what has no room of its own uses none', t => {
  const free = quota({ pods: '5' }, { pods: '1' });
  const full = quota({ pods: '1' }, { pods: '1' });
  t.is(
    ask([free, full], { kind: 'pods', object: pod(container('a')) }),
    'exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1',
  );
  t.deepEqual(
    ask([free, quota({ pods: '0', secrets: '1' }, undefined)], { kind: 'secrets', object: {} }),
    'status unknown for quota: q, resources: secrets',
  );
  const more = quota({ cpu: '1' }, { cpu: '2' });
  t.deepEqual(ask([more], { kind: 'pods', object: pod(container('a', { requests: { cpu: '0' } })) }), []);
});

const scoped: readonly [string, object, object, boolean][] = [
  ['Terminating', {}, { activeDeadlineSeconds: 5 }, true],
  ['Terminating', {}, {}, false],
  ['NotTerminating', {}, {}, true],
  ['NotTerminating', {}, { activeDeadlineSeconds: 0 }, false],
  ['BestEffort', {}, {}, true],
  ['BestEffort', {}, { containers: [container('a', { limits: { memory: '1' } })] }, false],
  ['NotBestEffort', {}, { containers: [container('a', { limits: { memory: '1' } })] }, true],
  ['NotBestEffort', {}, {}, false],
  ['PriorityClass', { operator: 'In', values: ['high'] }, { priorityClassName: 'high' }, true],
  ['PriorityClass', { operator: 'In', values: ['high'] }, { priorityClassName: 'low' }, false],
  ['PriorityClass', { operator: 'In', values: ['high'] }, {}, false],
  ['PriorityClass', { operator: 'NotIn', values: ['high'] }, { priorityClassName: 'low' }, true],
  ['PriorityClass', { operator: 'NotIn', values: ['high'] }, {}, true],
  ['PriorityClass', { operator: 'Exists' }, { priorityClassName: 'low' }, true],
  ['PriorityClass', { operator: 'Exists' }, {}, false],
  ['PriorityClass', { operator: 'DoesNotExist' }, {}, true],
  [
    'CrossNamespacePodAffinity',
    { operator: 'Exists' },
    {
      affinity: {
        podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'k', namespaces: ['o'] }] },
      },
    },
    true,
  ],
  [
    'CrossNamespacePodAffinity',
    { operator: 'Exists' },
    {
      affinity: {
        podAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            { weight: 1, podAffinityTerm: { topologyKey: 'k', namespaceSelector: {} } },
          ],
        },
      },
    },
    true,
  ],
  [
    'CrossNamespacePodAffinity',
    { operator: 'Exists' },
    { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'k' }] } } },
    false,
  ],
];
for (const [index, [scopeName, selector, spec, isCounted]] of scoped.entries()) {
  test(`scope ${scopeName}, case ${index}: ${isCounted ? 'counted' : 'not counted'}`, t => {
    const isPlain = Object.keys(selector).length === 0;
    const scope = isPlain
      ? { scopes: [scopeName] }
      : { scopeSelector: { matchExpressions: [{ scopeName, ...selector }] } };
    const object = { spec: { containers: [container('a')], ...spec } };
    t.deepEqual(
      ask([quota({ pods: '5' }, { pods: '0' }, scope)], { kind: 'pods', object }),
      isCounted ? [{ pods: '1' }] : [],
    );
    // No scope is about anything but pods and claims.
    t.deepEqual(ask([quota({ secrets: '5' }, { secrets: '0' }, scope)], { kind: 'secrets', object: {} }), []);
  });
}

test('every kind is counted, under its plain name too where it has one', t => {
  const cases: readonly [string, Record<string, string>][] = [
    ['configmaps', { configmaps: '1', 'count/configmaps': '1' }],
    ['secrets', { secrets: '1', 'count/secrets': '1' }],
    ['replicationcontrollers', { replicationcontrollers: '1', 'count/replicationcontrollers': '1' }],
    ['resourcequotas', { resourcequotas: '1', 'count/resourcequotas': '1' }],
    ['deployments.apps', { 'count/deployments.apps': '1' }],
    ['widgets.example.com', { 'count/widgets.example.com': '1' }],
  ];
  for (const [kind, hard] of cases) {
    t.deepEqual(ask([quota(hard, zeros(hard))], { kind, object: {} }), [hard], kind);
    t.regex(String(ask([quota(hard, hard)], { kind, object: {} })), /^exceeded quota: q, requested: /);
  }
});

test('services take node ports and load balancers; a change of type is charged', t => {
  const hard = { services: '5', 'services.nodeports': '3', 'services.loadbalancers': '1', 'count/services': '9' };
  const service = (type: string, more: object = {}) => ({ spec: { type, ports: [{ port: 1 }, { port: 2 }], ...more } });
  const used = (ports: string, balancers: string) => [
    { 'count/services': '1', services: '1', 'services.loadbalancers': balancers, 'services.nodeports': ports },
  ];
  const create = (object: object) => ask([quota(hard, zeros(hard))], { kind: 'services', object });
  t.deepEqual(create(service('ClusterIP')), used('0', '0'));
  t.deepEqual(create(service('NodePort')), used('2', '0'));
  t.deepEqual(create(service('LoadBalancer')), used('2', '1'));
  const without = { allocateLoadBalancerNodePorts: false, ports: [{ port: 1, nodePort: 30000 }, { port: 2 }] };
  t.deepEqual(create(service('LoadBalancer', without)), used('1', '1'));
  const present = { services: '1', 'services.nodeports': '2', 'services.loadbalancers': '1', 'count/services': '1' };
  const change = (from: string, to: string) =>
    ask([quota(hard, present)], { kind: 'services', object: service(to), old: service(from) });
  t.deepEqual(change('NodePort', 'NodePort'), []);
  t.deepEqual(change('NodePort', 'ClusterIP'), []);
  t.is(
    change('ClusterIP', 'LoadBalancer'),
    'exceeded quota: q, requested: services.loadbalancers=1,services.nodeports=2, used: services.loadbalancers=1,services.nodeports=2, limited: services.loadbalancers=1,services.nodeports=3',
  );
});

test('claims take storage, of their class too; growing is charged by what is added', t => {
  const hard = {
    persistentvolumeclaims: '2',
    'requests.storage': '10Gi',
    'gold.storageclass.storage.k8s.io/requests.storage': '5Gi',
    'gold.storageclass.storage.k8s.io/persistentvolumeclaims': '1',
    'tin.storageclass.storage.k8s.io/requests.storage': '1Gi',
  };
  const claim = (storage: string, storageClassName?: string, status: object = {}) => ({
    spec: { resources: { requests: { storage } }, ...(storageClassName && { storageClassName }) },
    status,
  });
  const create = (object: object) => ask([quota(hard, zeros(hard))], { kind: 'persistentvolumeclaims', object });
  t.like((create(claim('2Gi', 'gold')) as object[])[0], {
    persistentvolumeclaims: '1',
    'requests.storage': '2Gi',
    'gold.storageclass.storage.k8s.io/requests.storage': '2Gi',
    'gold.storageclass.storage.k8s.io/persistentvolumeclaims': '1',
    'tin.storageclass.storage.k8s.io/requests.storage': '0',
  });
  t.is(
    create(claim('6Gi', 'gold')),
    'exceeded quota: q, requested: gold.storageclass.storage.k8s.io/requests.storage=6Gi, used: gold.storageclass.storage.k8s.io/requests.storage=0, limited: gold.storageclass.storage.k8s.io/requests.storage=5Gi',
  );
  const one = quota({ 'requests.storage': '10Gi' }, { 'requests.storage': '4Gi' });
  const change = { kind: 'persistentvolumeclaims', object: claim('6Gi'), old: claim('4Gi') };
  t.deepEqual(ask([one], change), [{ 'requests.storage': '6Gi' }]);
  t.is(
    ask([quota({ 'requests.storage': '5Gi' }, { 'requests.storage': '4Gi' })], change),
    'exceeded quota: q, requested: requests.storage=2Gi, used: requests.storage=4Gi, limited: requests.storage=5Gi',
  );
  const shrunk = claim('4Gi', undefined, { allocatedResources: { storage: '8Gi' } });
  t.is(
    ask([one], { kind: 'persistentvolumeclaims', object: shrunk }),
    'exceeded quota: q, requested: requests.storage=8Gi, used: requests.storage=4Gi, limited: requests.storage=10Gi',
  );
  t.deepEqual(ask([one], { kind: 'persistentvolumeclaims', object: shrunk, isStatus: true }), [
    { 'requests.storage': '12Gi' },
  ]);
});

test('pods that ended, or should have, take nothing but their count', t => {
  const hard = { pods: '5', 'count/pods': '5', cpu: '1' };
  const used = (object: object) => ask([quota(hard, zeros(hard))], { kind: 'pods', object });
  const base = pod(container('a', { requests: { cpu: '1' } }));
  const only = [{ 'count/pods': '1', cpu: '0', pods: '0' }];
  t.deepEqual(used({ ...base, status: { phase: 'Failed' } }), only);
  t.deepEqual(used({ ...base, status: { phase: 'Succeeded' } }), only);
  const deleted = (deletionTimestamp: string) => ({
    ...base,
    metadata: { deletionTimestamp, deletionGracePeriodSeconds: 30 },
  });
  t.deepEqual(used(deleted('2025-12-31T23:59:29Z')), only);
  t.deepEqual(used(deleted('2025-12-31T23:59:31Z')), [{ 'count/pods': '1', cpu: '1', pods: '1' }]);
  t.deepEqual(used(deleted('2026-01-01T00:00:10Z')), [{ 'count/pods': '1', cpu: '1', pods: '1' }]);
});

test('a resize is charged by what it adds; until it is done the larger counts', t => {
  const hard = { cpu: '2' };
  const sized = (cpu: string, actual?: string) => ({
    spec: { containers: [container('a', { requests: { cpu } })] },
    ...(actual && { status: { containerStatuses: [{ name: 'a', resources: { requests: { cpu: actual } } }] } }),
  });
  const resize = (object: object, old: object) => ask([quota(hard, { cpu: '1' })], { kind: 'pods', object, old });
  t.deepEqual(resize(sized('1500m', '1'), sized('1', '1')), [{ cpu: '1500m' }]);
  t.deepEqual(resize(sized('500m', '1'), sized('1', '1')), []);
  t.is(resize(sized('3', '1'), sized('1', '1')), 'exceeded quota: q, requested: cpu=2, used: cpu=1, limited: cpu=2');
});
