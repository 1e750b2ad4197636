import test from 'ava';
import { leases, nodes, pods } from '../api/generated/kinds.ts';
import type { Node, Pod } from '../api/generated/types.ts';
import { microTimestamp, timestamp } from '../client/clock.ts';
import { Informers } from '../client/informers.ts';
import { silentLogger } from '../client/logger.ts';
import { RestClient } from '../client/rest.ts';
import { ManualClock, settle } from '../client/testing/manual-clock.ts';
import { MemoryApi } from '../client/testing/memory-api.ts';
import { until } from '../client/testing/until.ts';
import type { Controller, ControllerContext } from './context.ts';
import { nodeIpamController, parseClusterCidr, planPodCidr } from './node-ipam.ts';
import { nodeLifecycleController } from './node-lifecycle.ts';
import { planNodeTaints } from './node-plan.ts';
import { planPodGarbage } from './pod-garbage.ts';
import { taintEvictionController, toleratedSeconds } from './taint-eviction.ts';

async function setup(...create: ((context: ControllerContext) => Controller | undefined)[]) {
  const clock = new ManualClock();
  const api = new MemoryApi(clock);
  const client = new RestClient({ transport: api, clock, userAgent: 'test' });
  const stop = new AbortController();
  const told: string[] = [];
  const common = { client, clock, random: () => 0.5, logger: silentLogger };
  const informers = new Informers(common);
  const context: ControllerContext = {
    ...common,
    informers,
    signal: stop.signal,
    options: { clusterCidr: '10.42.0.0/16', nodeGracePeriodMs: 40_000 },
    recorder: () => ({
      record: (object, { reason, message }) => told.push(`${object.metadata?.name} ${reason} ${message}`),
    }),
  };
  const addNode = (name: string) =>
    client.create(nodes, {
      metadata: { name },
      spec: {},
      status: {
        conditions: [
          {
            type: 'Ready',
            status: 'True',
            lastHeartbeatTime: timestamp(clock.now()),
            lastTransitionTime: timestamp(clock.now()),
          },
        ],
      },
    });
  const beat = async (name: string) => {
    const spec = { holderIdentity: name, renewTime: microTimestamp(clock.now()) };
    const key = { namespace: 'kube-node-lease', name };
    await client
      .patch(leases, key, { type: 'application/merge-patch+json', body: { spec } })
      .catch(() => client.create(leases, { metadata: key, spec }));
    await settle();
  };
  let running: Promise<void>[] = [];
  const start = async () => {
    const controllers = create.map(each => each(context)).filter(each => each !== undefined);
    informers.start(stop.signal);
    await informers.waitForSync(stop.signal);
    running = controllers.map(controller => controller.run());
    await settle();
  };
  const finish = async () => {
    stop.abort();
    await Promise.all(running);
  };
  const taintsOf = async (name: string) =>
    ((await client.get(nodes, { name })).spec?.taints ?? []).map(({ key, effect }) => `${key.split('/')[1]}:${effect}`);
  return { clock, client, told, addNode, beat, start, finish, taintsOf };
}

test('a silent node becomes Unknown and tainted after the grace period, and comes back', async t => {
  const { clock, client, told, addNode, beat, start, finish, taintsOf } = await setup(nodeLifecycleController);
  for (const name of ['quiet', 'loud']) {
    await addNode(name);
    await beat(name);
  }
  await client.create(pods, {
    metadata: { name: 'p', namespace: 'n' },
    spec: { containers: [], nodeName: 'quiet' },
    status: { conditions: [{ type: 'Ready', status: 'True' }] },
  });
  await start();
  for (let elapsed = 0; elapsed < 36_000; elapsed += 6_000) {
    await clock.advance(6_000);
    await beat('loud');
  }
  t.deepEqual(await taintsOf('quiet'), []);
  await clock.advance(10_000);
  await until('the taints', async () => (await taintsOf('quiet')).length === 2);
  t.deepEqual(await taintsOf('quiet'), ['unreachable:NoSchedule', 'unreachable:NoExecute']);
  t.deepEqual(await taintsOf('loud'), []);
  const node = await client.get(nodes, { name: 'quiet' });
  t.like(node.status?.conditions?.[0], {
    type: 'Ready',
    status: 'Unknown',
    reason: 'NodeStatusUnknown',
    message: 'Kubelet stopped posting node status.',
  });
  await until(
    'the pod is not ready',
    async () => (await client.get(pods, { namespace: 'n', name: 'p' })).status?.conditions?.[0]?.status === 'False',
  );
  t.true(told.includes('quiet NodeNotReady Node quiet status is now: NodeNotReady'));
  t.true(told.includes('p NodeNotReady Node is not ready'));

  const conditions = [{ type: 'Ready', status: 'True', lastHeartbeatTime: timestamp(clock.now()) }];
  await client.patch(
    nodes,
    { name: 'quiet' },
    { type: 'application/merge-patch+json', body: { status: { conditions } } },
    { subresource: 'status' },
  );
  await until('the taints go', async () => (await taintsOf('quiet')).length === 0);
  await finish();
});

test('when no node is heard of, none is evicted from', async t => {
  const { clock, addNode, beat, start, finish, taintsOf } = await setup(nodeLifecycleController);
  for (const name of ['a', 'b']) {
    await addNode(name);
    await beat(name);
  }
  await start();
  await clock.advance(60_000);
  await until('the taints', async () => (await taintsOf('a')).length > 0 && (await taintsOf('b')).length > 0);
  await clock.advance(10_000);
  t.deepEqual([await taintsOf('a'), await taintsOf('b')], [['unreachable:NoSchedule'], ['unreachable:NoSchedule']]);
  await finish();
});

test('a new leader gives every node the whole grace period', async t => {
  const { clock, addNode, beat, start, finish, taintsOf } = await setup(nodeLifecycleController);
  await addNode('a');
  await beat('a');
  await clock.advance(3_600_000);
  await start();
  await clock.advance(30_000);
  t.deepEqual(await taintsOf('a'), []);
  await finish();
});

const taintCases: readonly [string, Node, boolean, readonly string[]][] = [
  ['ready', { status: { conditions: [{ type: 'Ready', status: 'True' }] } }, true, []],
  [
    'not ready',
    { status: { conditions: [{ type: 'Ready', status: 'False' }] } },
    true,
    ['not-ready:NoSchedule', 'not-ready:NoExecute'],
  ],
  ['new', {}, true, ['not-ready:NoSchedule']],
  [
    'cordoned',
    { spec: { unschedulable: true }, status: { conditions: [{ type: 'Ready', status: 'True' }] } },
    true,
    ['unschedulable:NoSchedule'],
  ],
  [
    'under pressure, with a taint of its own',
    {
      spec: {
        taints: [
          { key: 'mine/x', effect: 'NoExecute' },
          { key: 'node.kubernetes.io/not-ready', effect: 'NoExecute' },
        ],
      },
      status: {
        conditions: [
          { type: 'Ready', status: 'True' },
          { type: 'DiskPressure', status: 'True' },
        ],
      },
    },
    true,
    ['x:NoExecute', 'disk-pressure:NoSchedule'],
  ],
];
for (const [name, node, evicts, expected] of taintCases) {
  test(`taints of a node: ${name}`, t => {
    const taints = planNodeTaints(node, evicts, 0);
    t.deepEqual(
      taints.map(({ key, effect }) => `${key.split('/')[1]}:${effect}`),
      [...expected],
    );
    t.is(planNodeTaints({ ...node, spec: { ...node.spec, taints: [...taints] } }, evicts, 9).length, taints.length);
  });
}

test('how long taints are tolerated', t => {
  const taint = { key: 'a', effect: 'NoExecute' };
  t.is(toleratedSeconds([{ key: 'a', effect: 'NoSchedule' }], []), Number.POSITIVE_INFINITY);
  t.is(toleratedSeconds([taint], []), 0);
  t.is(toleratedSeconds([taint], [{ key: 'a', operator: 'Exists' }]), Number.POSITIVE_INFINITY);
  t.is(
    toleratedSeconds(
      [taint],
      [
        { operator: 'Exists', tolerationSeconds: 9 },
        { key: 'a', operator: 'Exists', tolerationSeconds: 5 },
      ],
    ),
    5,
  );
  t.is(
    toleratedSeconds(
      [taint, { key: 'b', effect: 'NoExecute' }],
      [{ key: 'a', operator: 'Exists', tolerationSeconds: 5 }],
    ),
    0,
  );
});

test('pods are evicted after the time they tolerate, unless the taint goes first', async t => {
  const { clock, client, told, addNode, start, finish } = await setup(taintEvictionController);
  await addNode('a');
  const add = (name: string, tolerationSeconds?: number) =>
    client.create(pods, {
      metadata: { name, namespace: 'n' },
      spec: {
        containers: [],
        nodeName: 'a',
        tolerations: tolerationSeconds === undefined ? [] : [{ key: 'x', operator: 'Exists', tolerationSeconds }],
      },
    });
  await add('now');
  await add('later', 10);
  await add('patient', 60);
  await start();
  const taint = (taints: unknown) =>
    client.patch(nodes, { name: 'a' }, { type: 'application/merge-patch+json', body: { spec: { taints } } });
  await taint([{ key: 'x', effect: 'NoExecute' }]);
  const names = async () => (await client.list(pods)).items.map(({ metadata }) => metadata?.name);
  await until('one goes', async () => (await names()).length === 2);
  await clock.advance(11_000);
  await until('another goes', async () => (await names()).length === 1);
  await taint(null);
  await until('it is called off', () =>
    told.includes('patient TaintManagerEviction Cancelling deletion of Pod n/patient'),
  );
  await clock.advance(120_000);
  t.deepEqual(await names(), ['patient']);
  t.true(told.includes('now TaintManagerEviction Marking for deletion Pod n/now'));
  await finish();
});

test('each node gets its own range, and a range that is free again is used', async t => {
  const { client, addNode, start, finish } = await setup(nodeIpamController);
  for (const name of ['a', 'b']) await addNode(name);
  await start();
  await addNode('c');
  const ranges = async () => (await client.list(nodes)).items.map(({ spec }) => spec?.podCIDR ?? '');
  await until('all have one', async () => (await ranges()).every(Boolean));
  t.deepEqual(await ranges(), ['10.42.0.0/24', '10.42.1.0/24', '10.42.2.0/24']);
  await client.delete(nodes, { name: 'b' });
  await settle();
  await addNode('d');
  await until('the new one has one', async () => (await ranges()).every(Boolean));
  t.is((await ranges()).at(-1), '10.42.1.0/24');
  await finish();
});

test('ranges of addresses', t => {
  t.is(planPodCidr('10.42.0.0/23', new Set(['10.42.0.0/24'])), '10.42.1.0/24');
  t.is(planPodCidr('10.42.0.0/24', new Set(['10.42.0.0/24'])), undefined);
  for (const bad of ['10.42.0.0', '10.42.0.0/25', '300.0.0.0/16', 'fd00::/64']) t.throws(() => parseClusterCidr(bad));
});

test('pod garbage', t => {
  const pod = (name: string, nodeName: string, { phase = 'Running', leaving = false, created = '' } = {}): Pod => ({
    metadata: { name, creationTimestamp: created, ...(leaving && { deletionTimestamp: 'x' }) },
    spec: { containers: [], ...(nodeName && { nodeName }) },
    status: { phase },
  });
  const list = [
    pod('fine', 'a'),
    pod('lost', 'gone'),
    pod('perhaps', 'late'),
    pod('waiting', ''),
    pod('leaving', '', { leaving: true }),
    pod('old', 'a', { phase: 'Succeeded', created: '2026-01-01' }),
    pod('new', 'a', { phase: 'Failed', created: '2026-01-02' }),
  ];
  const plan = planPodGarbage(list, new Set(['a']), { isGone: node => node === 'gone', finishedMax: 1 });
  t.deepEqual(
    plan.remove.map(({ metadata }) => metadata?.name),
    ['lost', 'leaving', 'old'],
  );
  t.deepEqual([...plan.missingNodes], ['gone', 'late']);
});
