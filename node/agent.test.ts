import test from 'ava';
import { until } from '../control/client/testing/until.ts';
import { type Lease, leases, nodes, pods } from './api.ts';
import { World } from './testing/world.ts';

test('registers its node, beats, and runs a pod to its end', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  await world.startAgent({ labels: { zone: 'a' } });
  const node = await world.client.get(nodes, { name: 'node-1' });
  t.is(node.metadata?.labels?.zone, 'a');
  t.is(node.metadata?.labels?.['kubernetes.io/hostname'], 'node-1');
  await until('the lease is there', async () => (await world.client.list<Lease>(leases)).items.length === 1);
  await until('the node is Ready', async () => {
    const { status } = await world.client.get(nodes, { name: 'node-1' });
    return status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
  });
  await world.createPod('web');
  const pod = await world.untilPod('web', 'is Running', ({ status }) => status?.phase === 'Running');
  t.is(pod.status?.podIP, '10.42.0.2');
  t.is(pod.status?.hostIP, '192.0.2.1');
  t.true(pod.status?.containerStatuses?.[0]?.ready);
  t.is(pod.status?.containerStatuses?.[0]?.containerID?.startsWith('fake://'), true);
  t.deepEqual(
    pod.status?.conditions?.map(({ type, status }) => `${type}=${status}`),
    ['PodReadyToStartContainers=True', 'Initialized=True', 'Ready=True', 'ContainersReady=True', 'PodScheduled=True'],
  );
  await world.client.delete(pods, { namespace: 'default', name: 'web' });
  await until('the object was deleted', () =>
    world.api.requests.some(
      ({ method, body }) => method === 'DELETE' && String(body).includes('"gracePeriodSeconds":0'),
    ),
  );
  t.deepEqual(world.runtime.all(), []);
  t.is(world.network.addresses.size, 0);
  t.deepEqual(await world.events('web'), [
    'Pulled: Container image "app:1" already present on machine',
    'Created: Created container: app',
    'Started: Started container app',
    'Killing: Stopping container app',
  ]);
});
