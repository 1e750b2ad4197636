import test from 'ava';
import { until } from '../control/client/testing/until.ts';
import { nodes } from './api.ts';
import { NODE_OBSERVE_MS } from './limits.ts';
import { goneAmounts, nodeAmounts } from './node-amounts.ts';
import { World } from './testing/world.ts';

test('what others wrote into the capacity stays, and pods may have it', t => {
  const before = { capacity: { 'example.com/foo': '3', cpu: '1' }, allocatable: { cpu: '1', 'example.com/bar': '2' } };
  const { capacity, allocatable } = nodeAmounts({ pods: '5', cpu: '4' }, before);
  t.deepEqual(capacity, { cpu: '4', 'example.com/foo': '3', pods: '5' });
  t.deepEqual(allocatable, capacity);
  t.deepEqual(goneAmounts(allocatable, before), ['example.com/bar']);
});

test('an extended resource that somebody advertises on the node can be had while it is there', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  await world.startAgent();
  const key = { name: 'node-1' };
  const advertise = (amount: string | null) =>
    world.client.patch(
      nodes,
      key,
      {
        type: 'application/strategic-merge-patch+json',
        body: { status: { capacity: { 'scheduling.k8s.io/foo': amount } } },
      },
      { subresource: 'status' },
    );
  const allocatable = async () => (await world.client.get(nodes, key)).status?.allocatable ?? {};
  await advertise('5');
  await until('pods can have it', async () => {
    world.clock.advance(NODE_OBSERVE_MS);
    return (await allocatable())['scheduling.k8s.io/foo'] === '5';
  });
  await advertise(null);
  await until('it is gone', async () => {
    world.clock.advance(NODE_OBSERVE_MS);
    return !('scheduling.k8s.io/foo' in (await allocatable()));
  });
  t.truthy((await allocatable()).cpu);
});
