import test from 'ava';
import { type Node, nodes } from './api.ts';
import { type NodeChange, nodeEvents } from './node-events.ts';
import { World } from './testing/world.ts';

type Conditions = Readonly<Record<string, string>>;
const statusOf = (conditions: Conditions, bootID = 'a'): NonNullable<Node['status']> => ({
  conditions: Object.entries(conditions).map(([type, status]) => ({ type, status })),
  nodeInfo: { bootID } as NonNullable<NonNullable<Node['status']>['nodeInfo']>,
});
const FINE = { MemoryPressure: 'False', DiskPressure: 'False', PIDPressure: 'False', Ready: 'True' };

const TABLE: readonly (readonly [string, Partial<NodeChange>, readonly string[]])[] = [
  ['nothing', {}, []],
  [
    'a new node',
    { before: undefined, after: statusOf({ ...FINE, Ready: 'False' }) },
    ['NodeHasSufficientMemory', 'NodeHasNoDiskPressure', 'NodeHasSufficientPID'],
  ],
  ['it is ready', { before: statusOf({ ...FINE, Ready: 'False' }) }, ['NodeReady']],
  ['others had lost sight of it', { before: statusOf({ ...FINE, Ready: 'Unknown' }) }, ['NodeReady']],
  ['it is ready no more', { after: statusOf({ ...FINE, Ready: 'False' }) }, ['NodeNotReady']],
  ['short of memory', { after: statusOf({ ...FINE, MemoryPressure: 'True' }) }, ['NodeHasInsufficientMemory']],
  ['short of disk', { after: statusOf({ ...FINE, DiskPressure: 'True' }) }, ['NodeHasDiskPressure']],
  ['enough disk again', { before: statusOf({ ...FINE, DiskPressure: 'True' }) }, ['NodeHasNoDiskPressure']],
  ['short of processes', { after: statusOf({ ...FINE, PIDPressure: 'True' }) }, ['NodeHasInsufficientPID']],
  ['the machine was started anew', { before: statusOf(FINE, 'b') }, ['Rebooted']],
  ['cordoned', { unschedulable: [false, true] }, ['NodeNotSchedulable']],
  ['and not any more', { unschedulable: [true, false] }, ['NodeSchedulable']],
];
for (const [title, change, reasons] of TABLE)
  test(`events of a node: ${title}`, t => {
    const plain: NodeChange = {
      name: 'n',
      before: statusOf(FINE),
      after: statusOf(FINE),
      unschedulable: [false, false],
    };
    const told = nodeEvents({ ...plain, ...change });
    t.deepEqual(
      told.map(({ reason }) => reason),
      reasons,
    );
    for (const { reason, message } of told)
      t.is(message, reason === 'Rebooted' ? 'Node n has been rebooted, boot id: a' : `Node n status is now: ${reason}`);
  });

test('a node tells of its start and of what changes, once', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  const supply = { capacity: 1000, available: 1000 };
  const agent = await world.startAgent({
    observeSupplies: async () => ({ 'memory.available': supply }),
    timing: { evictionObserveMs: 1_000, nodeObserveMs: 1_000 },
  });
  const readyOf = async () =>
    (await world.client.get(nodes, { name: 'node-1' })).status?.conditions?.find(({ type }) => type === 'Ready');
  const advance = async (isDone: () => Promise<boolean>) => {
    for (let count = 0; count < 200 && !(await isDone()); count++) await world.clock.advance(1_000);
  };
  await advance(async () => (await world.events('node-1')).some(text => text.startsWith('NodeReady')));
  t.is((await readyOf())?.status, 'True');
  supply.available = 0;
  await advance(async () => (await world.events('node-1')).some(text => text.startsWith('NodeHasInsufficientMemory')));
  const told = await world.events('node-1');
  const known = [
    'Starting',
    'NodeHasSufficientMemory',
    'NodeReady',
    'EvictionThresholdMet',
    'NodeHasInsufficientMemory',
  ];
  for (const reason of known)
    t.true(
      told.some(text => text.startsWith(`${reason}: `)),
      reason,
    );
  t.true(told.includes('Starting: Starting kubelet.'));
  t.true(told.includes('EvictionThresholdMet: Attempting to reclaim memory'));
  t.is(told.filter(text => text.startsWith('NodeReady')).length, 1);
  await agent.close();
});
