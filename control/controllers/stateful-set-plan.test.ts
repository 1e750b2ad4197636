import test from 'ava';
import { timestamp } from '../client/clock.ts';
import { POD_INDEX_LABEL, POD_NAME_LABEL, POD_REVISION_LABEL } from './stateful-set-identity.ts';
import { A, actions, B, NOW, parallel, plan, pod, statefulSet, type World } from './testing/stateful-world.ts';

const table: readonly (readonly [string, World, readonly string[]])[] = [
  ['the first pod comes first', {}, ['create s-0 s-a']],
  ['the next waits for the one before', { pods: [pod(0, 'pending')] }, []],
  ['the next waits for readiness', { pods: [pod(0, 'notReady')] }, []],
  ['the next comes', { pods: [pod(0)] }, ['create s-1 s-a']],
  ['a hole is filled before anything else', { pods: [pod(0), pod(2)] }, ['create s-1 s-a']],
  ['nothing to do', { pods: [pod(0), pod(1), pod(2)] }, []],
  ['minReadySeconds holds the next back', { set: statefulSet({ minReadySeconds: 10 }), pods: [pod(0, 'fresh')] }, []],
  ['a failed pod is deleted', { pods: [pod(0, 'failed'), pod(1), pod(2)] }, ['delete s-0']],
  ['a succeeded pod is deleted', { pods: [pod(0), pod(1, 'succeeded'), pod(2)] }, ['delete s-1']],
  ['a leaving pod is waited for', { pods: [pod(0, 'leaving'), pod(1)] }, []],
  [
    'scaling down takes the highest',
    { set: statefulSet({ replicas: 1 }), pods: [pod(0), pod(1), pod(2)] },
    ['delete s-2'],
  ],
  [
    'scaling down waits for the one that goes',
    { set: statefulSet({ replicas: 1 }), pods: [pod(0), pod(1), pod(2, 'leaving')] },
    [],
  ],
  [
    'scaling down waits for broken replicas',
    { set: statefulSet({ replicas: 1 }), pods: [pod(0, 'notReady'), pod(1)] },
    [],
  ],
  [
    'a broken pod beyond may go',
    { set: statefulSet({ replicas: 1 }), pods: [pod(0), pod(1, 'notReady')] },
    ['delete s-1'],
  ],
  [
    'of two broken ones beyond the lower is seen to first',
    { set: statefulSet({ replicas: 1 }), pods: [pod(0), pod(1, 'notReady'), pod(2, 'notReady')] },
    [],
  ],
  [
    'a healthy one beyond goes though a lower one is broken',
    { set: statefulSet({ replicas: 1 }), pods: [pod(0), pod(1, 'notReady'), pod(2)] },
    ['delete s-2'],
  ],
  ['ordinals start where they are said to', { set: statefulSet({ ordinals: { start: 5 } }) }, ['create s-5 s-a']],
  [
    'moving the start up replaces from below',
    { set: statefulSet({ replicas: 2, ordinals: { start: 1 } }), pods: [pod(0), pod(1)] },
    ['create s-2 s-a'],
  ],
  [
    'and removes what is below then',
    { set: statefulSet({ replicas: 2, ordinals: { start: 1 } }), pods: [pod(0), pod(1), pod(2)] },
    ['delete s-0'],
  ],
  ['a rollout begins at the end', { pods: [pod(0), pod(1), pod(2)], update: B }, ['delete s-2']],
  ['and goes on with the next', { pods: [pod(0), pod(1), pod(2, 'ready', B)], update: B }, ['delete s-1']],
  ['a rollout waits for the new pod', { pods: [pod(0), pod(1), pod(2, 'notReady', B)], update: B }, []],
  [
    'a pod taken away comes back new',
    { pods: [pod(0), pod(1)], update: B, set: statefulSet({}, { currentReplicas: 2 }) },
    ['create s-2 s-b'],
  ],
  ['a broken rollout is stuck', { pods: [pod(0), pod(1), pod(2, 'pending', B)], current: A, update: A }, []],
  [
    'the partition holds the lower ones back',
    {
      set: statefulSet({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } } }),
      pods: [pod(0), pod(1), pod(2, 'ready', B)],
      update: B,
    },
    [],
  ],
  [
    'below the partition the old revision comes back',
    {
      set: statefulSet({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } } }),
      pods: [pod(1), pod(2, 'ready', B)],
      update: B,
    },
    ['create s-0 s-a'],
  ],
  [
    'the partition counts from the start ordinal',
    {
      set: statefulSet({
        ordinals: { start: 4 },
        updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 1 } },
      }),
      update: B,
    },
    ['create s-4 s-a'],
  ],
  [
    'without a partition the old ones count',
    { set: statefulSet({ updateStrategy: { type: 'RollingUpdate' } }, { currentReplicas: 1 }), update: B },
    ['create s-0 s-a'],
  ],
  [
    'OnDelete leaves pods alone',
    { set: statefulSet({ updateStrategy: { type: 'OnDelete' } }), pods: [pod(0), pod(1), pod(2)], update: B },
    [],
  ],
  [
    'OnDelete makes new ones of the new revision',
    { set: statefulSet({ updateStrategy: { type: 'OnDelete' } }), pods: [pod(0), pod(2)], update: B },
    ['create s-1 s-b'],
  ],
  [
    'a parallel set creates all at once',
    { set: statefulSet(parallel) },
    ['create s-0 s-a', 'create s-1 s-a', 'create s-2 s-a'],
  ],
  [
    'a parallel set scales down though pods are broken',
    { set: statefulSet({ ...parallel, replicas: 1 }), pods: [pod(0, 'notReady'), pod(1), pod(2, 'leaving'), pod(3)] },
    ['delete s-3', 'delete s-1'],
  ],
  [
    'a parallel set rolls one by one',
    { set: statefulSet(parallel), pods: [pod(0), pod(1), pod(2)], update: B },
    ['delete s-2'],
  ],
  [
    'a parallel rollout waits too',
    { set: statefulSet(parallel), pods: [pod(0), pod(1), pod(2, 'pending', B)], update: B },
    [],
  ],
  [
    'a parallel set replaces what ended',
    { set: statefulSet(parallel), pods: [pod(0, 'failed'), pod(1, 'succeeded'), pod(2)] },
    ['delete s-0', 'delete s-1'],
  ],
  [
    'a set that leaves does nothing',
    { set: { ...statefulSet(), metadata: { name: 's', deletionTimestamp: timestamp(NOW) } }, pods: [pod(0)] },
    [],
  ],
];
for (const [title, world, expected] of table) test(title, t => t.deepEqual(actions(world), [...expected]));

test('a new pod has its identity', t => {
  const [create] = plan({}).steps.flat();
  t.like(create?.pod, {
    metadata: { name: 's-0', generateName: 's-', namespace: 'n' },
    spec: { hostname: 's-0', subdomain: 'svc' },
  });
  t.deepEqual(create?.pod.metadata?.labels, {
    app: 's',
    [POD_NAME_LABEL]: 's-0',
    [POD_INDEX_LABEL]: '0',
    [POD_REVISION_LABEL]: 's-a',
  });
  t.like(create?.pod.metadata?.ownerReferences?.[0], { kind: 'StatefulSet', uid: 'set', controller: true });
});

test('a pod that lost its name label gets it back', t => {
  const bare = pod(0);
  const lost = { ...bare, metadata: { ...bare.metadata, labels: { app: 's', [POD_REVISION_LABEL]: 's-a' } } };
  const [update] = plan({ set: statefulSet({ replicas: 1 }), pods: [lost] }).steps.flat();
  t.deepEqual(update?.do === 'update' && update.next.metadata?.labels, bare.metadata?.labels);
});

const statuses: readonly (readonly [string, World, object])[] = [
  [
    'nothing yet',
    {},
    {
      replicas: 0,
      availableReplicas: 0,
      currentRevision: 's-a',
      updateRevision: 's-a',
      observedGeneration: 1,
      collisionCount: 0,
    },
  ],
  [
    'some',
    { pods: [pod(0), pod(1, 'pending')] },
    {
      replicas: 2,
      readyReplicas: 1,
      availableReplicas: 1,
      currentReplicas: 2,
      updatedReplicas: 2,
      currentRevision: 's-a',
      updateRevision: 's-a',
      observedGeneration: 1,
      collisionCount: 0,
    },
  ],
  [
    'a rollout under way, whose next pod goes',
    { pods: [pod(0), pod(1), pod(2, 'ready', B)], update: B },
    {
      replicas: 3,
      readyReplicas: 3,
      availableReplicas: 3,
      currentReplicas: 1,
      updatedReplicas: 1,
      currentRevision: 's-a',
      updateRevision: 's-b',
      observedGeneration: 1,
      collisionCount: 0,
    },
  ],
  [
    'a rollout that ended',
    { pods: [pod(0, 'ready', B), pod(1, 'ready', B), pod(2, 'ready', B)], update: B },
    {
      replicas: 3,
      readyReplicas: 3,
      availableReplicas: 3,
      currentReplicas: 3,
      updatedReplicas: 3,
      currentRevision: 's-b',
      updateRevision: 's-b',
      observedGeneration: 1,
      collisionCount: 0,
    },
  ],
  [
    'OnDelete never ends',
    {
      set: statefulSet({ updateStrategy: { type: 'OnDelete' } }),
      pods: [pod(0, 'ready', B), pod(1, 'ready', B), pod(2, 'ready', B)],
      update: B,
    },
    {
      replicas: 3,
      readyReplicas: 3,
      availableReplicas: 3,
      updatedReplicas: 3,
      currentRevision: 's-a',
      updateRevision: 's-b',
      observedGeneration: 1,
      collisionCount: 0,
    },
  ],
  [
    'leaving pods are replicas still',
    { pods: [pod(0, 'leaving')] },
    {
      replicas: 1,
      readyReplicas: 1,
      availableReplicas: 1,
      currentRevision: 's-a',
      updateRevision: 's-a',
      observedGeneration: 1,
      collisionCount: 0,
    },
  ],
  [
    'a condition that somebody set stays',
    { set: statefulSet({}, { conditions: [{ type: 'X', status: 'True' }] }) },
    {
      replicas: 0,
      availableReplicas: 0,
      currentRevision: 's-a',
      updateRevision: 's-a',
      observedGeneration: 1,
      collisionCount: 0,
      conditions: [{ type: 'X', status: 'True' }],
    },
  ],
];
for (const [title, world, expected] of statuses)
  test(`status: ${title}`, t => t.deepEqual(plan(world).status, expected as never));

test('it looks again when a ready pod becomes available', t => {
  t.is(plan({ set: statefulSet({ minReadySeconds: 10 }), pods: [pod(0, 'fresh')] }).afterMs, 10_000);
  t.is(plan({ pods: [pod(0, 'fresh')] }).afterMs, undefined);
});
