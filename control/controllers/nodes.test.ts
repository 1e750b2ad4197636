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
import { nodeIpamController, parseClusterCidr, parseClusterCidr6, planPodCidr, planPodCidr6 } from './node-ipam.ts';
import { nodeLifecycleController } from './node-lifecycle.ts';
import { type ExecutePolicy, planNodeTaints } from './node-plan.ts';
import { planEndedStatus, planPodGarbage } from './pod-garbage.ts';
import { taintEvictionController, toleratedSeconds } from './taint-eviction.ts';

/** A clock whose hands somebody moves while no timer runs: what a process sees that was stopped for a while. */
class JumpingClock extends ManualClock {
  #jumpMs = 0;
  jump(ms: number): void {
    this.#jumpMs += ms;
  }
  override now(): number {
    return super.now() + this.#jumpMs;
  }
}

async function setup(...create: ((context: ControllerContext) => Controller | undefined)[]) {
  const clock = new JumpingClock();
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
    options: { clusterCidr: '10.42.0.0/16', nodeHealth: { gracePeriodMs: 40_000 } },
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

test('a leader that was stopped for an hour takes nobody for silent', async t => {
  const { clock, addNode, beat, start, finish, taintsOf } = await setup(nodeLifecycleController);
  for (const name of ['a', 'b', 'dead']) {
    await addNode(name);
    await beat(name);
  }
  await start();
  await clock.advance(5_000);
  clock.jump(3_600_000);
  for (let elapsed = 0; elapsed < 30_000; elapsed += 6_000) {
    await clock.advance(6_000);
    await beat('a');
    await beat('b');
  }
  t.deepEqual([await taintsOf('a'), await taintsOf('b'), await taintsOf('dead')], [[], [], []]);
  await clock.advance(12_000);
  await until('the dead one is known', async () => (await taintsOf('dead')).length === 2);
  t.deepEqual([await taintsOf('a'), await taintsOf('b')], [[], []]);
  await finish();
});

test('nodes of one zone lose their pods one after the other, and none while most are silent', async t => {
  const { clock, addNode, beat, start, finish, taintsOf } = await setup(nodeLifecycleController);
  const lost = ['lost-1', 'lost-2'];
  const well = ['a', 'b', 'c'];
  for (const name of [...lost, ...well]) {
    await addNode(name);
    await beat(name);
  }
  await start();
  const live = async (ms: number, names: readonly string[]) => {
    for (let elapsed = 0; elapsed < ms; elapsed += 2_000) {
      await clock.advance(2_000);
      for (const name of names) await beat(name);
    }
  };
  const executed = async (names: readonly string[]) => {
    const taints = await Promise.all(names.map(name => taintsOf(name)));
    return taints.filter(list => list.includes('unreachable:NoExecute')).length;
  };
  await live(42_000, well);
  await until('both are kept from new pods', async () =>
    (await Promise.all(lost.map(name => taintsOf(name)))).every(list => list.includes('unreachable:NoSchedule')),
  );
  t.is(await executed(lost), 1);
  await live(12_000, well);
  await until('the other follows', async () => (await executed(lost)) === 2);
  // Now four of five are silent: from the two that are new nobody is driven.
  await live(60_000, ['a']);
  await until('all are kept from new pods', async () =>
    (await Promise.all(['b', 'c'].map(name => taintsOf(name)))).every(list => list.includes('unreachable:NoSchedule')),
  );
  t.is(await executed(['b', 'c']), 0);
  t.is(await executed(lost), 2);
  await finish();
});

test('a node that beats slowly is given the time that its Lease names', async t => {
  const { clock, client, addNode, beat, start, finish, taintsOf } = await setup(nodeLifecycleController);
  for (const name of ['slow', 'usual']) {
    await addNode(name);
    await beat(name);
  }
  const key = { namespace: 'kube-node-lease', name: 'slow' };
  const body = { spec: { leaseDurationSeconds: 120 } };
  await client.patch(leases, key, { type: 'application/merge-patch+json', body });
  await start();
  for (let elapsed = 0; elapsed < 60_000; elapsed += 6_000) {
    await clock.advance(6_000);
    await beat('usual');
  }
  t.deepEqual(await taintsOf('slow'), []);
  for (let elapsed = 0; elapsed < 72_000; elapsed += 6_000) {
    await clock.advance(6_000);
    await beat('usual');
  }
  await until('its Lease has run out', async () => (await taintsOf('slow')).length === 2);
  await finish();
});

test('labels that older clients look for follow the newer ones', async t => {
  const { client, start, finish } = await setup(nodeLifecycleController);
  await client.create(nodes, { metadata: { name: 'a', labels: { 'kubernetes.io/os': 'linux' } }, spec: {} });
  await start();
  const labels = async () => (await client.get(nodes, { name: 'a' })).metadata?.labels;
  await until('the label', async () => Object.keys((await labels()) ?? {}).length === 2);
  t.deepEqual(await labels(), { 'kubernetes.io/os': 'linux', 'beta.kubernetes.io/os': 'linux' });
  await finish();
});

const taintCases: readonly [string, Node, ExecutePolicy, readonly string[]][] = [
  ['ready', { status: { conditions: [{ type: 'Ready', status: 'True' }] } }, 'add', []],
  [
    'not ready',
    { status: { conditions: [{ type: 'Ready', status: 'False' }] } },
    'add',
    ['not-ready:NoSchedule', 'not-ready:NoExecute'],
  ],
  ['new', {}, 'add', ['not-ready:NoSchedule']],
  [
    'cordoned',
    { spec: { unschedulable: true }, status: { conditions: [{ type: 'Ready', status: 'True' }] } },
    'add',
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
    'add',
    ['x:NoExecute', 'disk-pressure:NoSchedule'],
  ],
  [
    'not ready, and its turn has not come',
    { status: { conditions: [{ type: 'Ready', status: 'False' }] } },
    'keep',
    ['not-ready:NoSchedule'],
  ],
  [
    'silent after it was not ready',
    {
      spec: { taints: [{ key: 'node.kubernetes.io/not-ready', effect: 'NoExecute' }] },
      status: { conditions: [{ type: 'Ready', status: 'Unknown' }] },
    },
    'keep',
    ['unreachable:NoSchedule', 'unreachable:NoExecute'],
  ],
  [
    'silent as all the others are',
    {
      spec: { taints: [{ key: 'node.kubernetes.io/unreachable', effect: 'NoExecute' }] },
      status: { conditions: [{ type: 'Ready', status: 'Unknown' }] },
    },
    'remove',
    ['unreachable:NoSchedule'],
  ],
];
for (const [name, node, policy, expected] of taintCases) {
  test(`taints of a node: ${name}`, t => {
    const taints = planNodeTaints(node, policy, 0);
    t.deepEqual(
      taints.map(({ key, effect }) => `${key.split('/')[1]}:${effect}`),
      [...expected],
    );
    t.is(planNodeTaints({ ...node, spec: { ...node.spec, taints: [...taints] } }, policy, 9).length, taints.length);
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
    9,
    'the first that fits counts',
  );
  t.is(
    toleratedSeconds(
      [taint, { key: 'b', effect: 'NoExecute' }],
      [
        { key: 'b', operator: 'Exists', tolerationSeconds: 7 },
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

test('what was longer tolerated afterwards goes at the time that was set; what has finished goes too', async t => {
  const { clock, client, addNode, start, finish } = await setup(taintEvictionController);
  await addNode('a');
  const spec = (tolerationSeconds: number) => ({
    containers: [],
    nodeName: 'a',
    tolerations: [{ key: 'x', operator: 'Exists', tolerationSeconds }],
  });
  const add = (name: string, phase: string) =>
    client.create(pods, { metadata: { name, namespace: 'n', generation: 1 }, spec: spec(10), status: { phase } });
  await add('longer', 'Running');
  await add('done', 'Succeeded');
  const body = { spec: { taints: [{ key: 'x', effect: 'NoExecute' }] } };
  await client.patch(nodes, { name: 'a' }, { type: 'application/merge-patch+json', body });
  await start();
  await clock.advance(1_000);
  await client.patch(
    pods,
    { namespace: 'n', name: 'longer' },
    { type: 'application/merge-patch+json', body: { metadata: { generation: 2 }, spec: spec(1_000) } },
  );
  await clock.advance(10_000);
  await until('both go', async () => (await client.list(pods)).items.length === 0);
  t.pass();
  await finish();
});

test('time in which the leader was stopped is nobody’s toleration', async t => {
  const { clock, client, addNode, start, finish } = await setup(taintEvictionController);
  await addNode('a');
  const spec = {
    containers: [],
    nodeName: 'a',
    tolerations: [{ key: 'x', operator: 'Exists', tolerationSeconds: 60 }],
  };
  await client.create(pods, { metadata: { name: 'p', namespace: 'n' }, spec });
  const body = { spec: { taints: [{ key: 'x', effect: 'NoExecute' }] } };
  await client.patch(nodes, { name: 'a' }, { type: 'application/merge-patch+json', body });
  await start();
  const count = async () => (await client.list(pods)).items.length;
  await clock.advance(10_000);
  clock.jump(3_600_000);
  await clock.advance(45_000);
  t.is(await count(), 1);
  await clock.advance(10_000);
  await until('it goes', async () => (await count()) === 0);
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

test('no range is given that shares addresses with another, of whatever size', t => {
  t.is(planPodCidr('10.42.0.0/16', new Set(['10.42.0.0/23', '10.42.2.128/25', '10.42.3.0/24'])), '10.42.4.0/24');
  t.is(planPodCidr('10.42.0.0/16', new Set(['10.0.0.0/8'])), undefined);
  t.is(planPodCidr6('fd42::/56', new Set(['fd42::/63', 'fd42:0:0:2::/112'])), 'fd42:0:0:3::/64');
});

test('ranges of IPv6 addresses', t => {
  t.is(planPodCidr6('fd42::/63', new Set(['fd42::/64'])), 'fd42:0:0:1::/64');
  t.is(planPodCidr6('fd42::/64', new Set(['fd42::/64'])), undefined);
  for (const bad of ['fd42::', 'fd42::/65', '10.42.0.0/16']) t.throws(() => parseClusterCidr6(bad));
});

test('on a dual-stack cluster each node gets a range of each family', async t => {
  const { client, addNode, start, finish } = await setup(context =>
    nodeIpamController({ ...context, options: { clusterCidr: '10.42.0.0/16,fd42::/56' } }),
  );
  for (const name of ['a', 'b']) await addNode(name);
  await start();
  const ranges = async () => (await client.list(nodes)).items.map(({ spec }) => spec?.podCIDRs ?? []);
  await until('all have some', async () => (await ranges()).every(({ length }) => length > 0));
  t.deepEqual(await ranges(), [
    ['10.42.0.0/24', 'fd42::/64'],
    ['10.42.1.0/24', 'fd42:0:0:1::/64'],
  ]);
  await finish();
});

test('pod garbage', t => {
  const pod = (
    name: string,
    nodeName: string,
    { phase = 'Running', leaving = false, created = '', reason = '' } = {},
  ): Pod => ({
    metadata: { name, creationTimestamp: created, ...(leaving && { deletionTimestamp: 'x' }) },
    spec: { containers: [], ...(nodeName && { nodeName }) },
    status: { phase, ...(reason && { reason }) },
  });
  const node = (name: string, ready: string, outOfService: boolean): Node => ({
    metadata: { name },
    spec: {
      taints: outOfService
        ? [{ key: 'node.kubernetes.io/out-of-service', value: 'nodeshutdown', effect: 'NoExecute' }]
        : [],
    },
    status: { conditions: [{ type: 'Ready', status: ready }] },
  });
  const list = [
    pod('fine', 'a'),
    pod('lost', 'gone'),
    pod('perhaps', 'late'),
    pod('waiting', ''),
    pod('leaving', '', { leaving: true }),
    pod('old', 'a', { phase: 'Succeeded', created: '2026-01-01' }),
    pod('new', 'a', { phase: 'Failed', created: '2026-01-02' }),
    pod('evicted', 'a', { phase: 'Failed', created: '2026-01-03', reason: 'Evicted' }),
    pod('slow', 'a', { leaving: true }),
    pod('stuck', 'dead', { leaving: true }),
    pod('not-yet', 'dead'),
    pod('silent', 'silent', { leaving: true }),
    pod('alive', 'alive', { leaving: true }),
  ];
  const nodeList = [
    node('a', 'True', false),
    node('dead', 'Unknown', true),
    node('silent', 'Unknown', false),
    node('alive', 'True', true),
  ];
  const plan = planPodGarbage(list, nodeList, { isGone: name => name === 'gone', finishedMax: 1 });
  t.deepEqual(
    plan.remove.map(({ pod: { metadata }, why }) => [metadata?.name, why]),
    [
      ['lost', 'orphaned'],
      ['leaving', 'unplaced'],
      ['stuck', 'out-of-service'],
      ['evicted', 'finished'],
      ['old', 'finished'],
    ],
  );
  const finished = (finishedMax: number) =>
    planPodGarbage(list, nodeList, { isGone: () => false, finishedMax }).remove.filter(({ why }) => why === 'finished');
  t.deepEqual(
    finished(2).map(({ pod: { metadata } }) => metadata?.name),
    ['evicted'],
    'what a node evicted before what is anybody’s result',
  );
  t.deepEqual(finished(0), [], 'no bound at all');
  t.deepEqual([...plan.missingNodes], ['gone', 'late']);
});

test('what is removed by force is told to have failed first, and why', t => {
  const running: Pod = {
    metadata: { name: 'p' },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
  };
  t.like(planEndedStatus(running, 'orphaned', 0), {
    phase: 'Failed',
    conditions: [
      { type: 'Ready', status: 'True' },
      {
        type: 'DisruptionTarget',
        status: 'True',
        reason: 'DeletionByPodGC',
        message: 'PodGC: node no longer exists',
        lastTransitionTime: '1970-01-01T00:00:00Z',
      },
    ],
  });
  t.deepEqual(planEndedStatus(running, 'out-of-service', 0), { phase: 'Failed' });
  t.is(planEndedStatus({ ...running, status: { phase: 'Succeeded' } }, 'finished', 0), undefined);
});
