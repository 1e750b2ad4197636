/** What is told of nodes, of pods on nodes that fail, and of budgets, is what Kubernetes v1.33 was seen to tell. */
import test from 'ava';
import { nodes, poddisruptionbudgets, pods } from '../api/generated/kinds.ts';
import { timestamp } from '../client/clock.ts';
import { until } from '../client/testing/until.ts';
import { DiscoveredKinds } from './discovered-kinds.ts';
import { disruptionController } from './disruption.ts';
import { nodeLifecycleController } from './node-lifecycle.ts';
import { taintEvictionController } from './taint-eviction.ts';
import { newBench } from './testing/bench.ts';
import { isKnownEvent, knownEvents } from './testing/known-events.ts';

const MERGE = 'application/merge-patch+json';

test('events of nodes that fail', async t => {
  const { clock, client, events, start } = newBench(t);
  const condition = (type: string) => ({
    type,
    status: 'True',
    lastHeartbeatTime: timestamp(clock.now()),
    lastTransitionTime: timestamp(clock.now()),
  });
  for (const name of ['quiet', 'gone']) {
    await client.create(nodes, { metadata: { name }, spec: {}, status: { conditions: [condition('Ready')] } });
  }
  const pod = (name: string, tolerationSeconds?: number) =>
    client.create(pods, {
      metadata: { name, namespace: 'n' },
      spec: {
        containers: [],
        nodeName: 'quiet',
        ...(tolerationSeconds !== undefined && {
          tolerations: [{ key: 'x', operator: 'Exists', tolerationSeconds }],
        }),
      },
      status: { conditions: [{ type: 'Ready', status: 'True' }] },
    });
  await pod('now');
  await pod('later', 300);
  await start(context => [nodeLifecycleController(context), taintEvictionController(context)]);
  const taint = (taints: unknown) =>
    client.patch(nodes, { name: 'quiet' }, { type: MERGE, body: { spec: { taints } } });
  await taint([{ key: 'x', effect: 'NoExecute' }]);
  const has = (reason: string) => () => events.some(event => event.reason === reason);
  const told = (message: string) => () => events.some(event => event.message === message);
  await until('one is evicted', told('Marking for deletion Pod n/now'));
  await taint(null);
  await until('the other may stay', told('Cancelling deletion of Pod n/later'));
  await client.delete(nodes, { name: 'gone' });
  await until('a node is gone', has('RemovingNode'));
  await clock.advance(60_000);
  await until('a node is silent', told('Node quiet status is now: NodeNotReady'));
  await until('its pod is told', told('Node is not ready'));
  t.deepEqual([...new Set(events.map(({ component, type, reason }) => `${component} ${type} ${reason}`))].sort(), [
    'node-controller Normal NodeNotReady',
    'node-controller Normal RegisteredNode',
    'node-controller Normal RemovingNode',
    'node-controller Warning NodeNotReady',
    'taint-eviction-controller Normal TaintManagerEviction',
  ]);
  for (const event of events) t.true(knownEvents === undefined || isKnownEvent(event), JSON.stringify(event));
});

test('events of budgets', async t => {
  const { client, events, start } = newBench(t);
  await start(context => [disruptionController(context, new DiscoveredKinds(context.client.transport, context.clock))]);
  const metadata = { name: 'b', namespace: 'n' };
  const selector = { matchLabels: { b: 'are' } };
  await client.create(poddisruptionbudgets, { metadata, spec: { maxUnavailable: 1, selector } });
  await until('nothing matches', () => events.some(({ reason }) => reason === 'NoPods'));
  await client.create(pods, {
    metadata: { name: 'p', namespace: 'n', labels: { b: 'are' } },
    spec: { containers: [] },
  });
  await until('a pod without controller', () => events.some(({ reason }) => reason === 'UnmanagedPods'));
  for (const event of events) t.true(knownEvents === undefined || isKnownEvent(event), JSON.stringify(event));
  await client.create(poddisruptionbudgets, {
    metadata: { ...metadata, name: 'c' },
    spec: { minAvailable: 1, selector },
  });
  await until('the other budget is counted', async () => {
    const { status } = await client.get(poddisruptionbudgets, { namespace: 'n', name: 'c' });
    return status?.expectedPods === 1;
  });
  const more = { metadata: { labels: { more: 'x' } } };
  await client.patch(pods, { namespace: 'n', name: 'p' }, { type: MERGE, body: more });
  const told = () => events.find(({ reason }) => reason === 'MultiplePodDisruptionBudgets');
  await until('a pod of two budgets', () => told() !== undefined);
  t.like(told(), {
    component: 'controllermanager',
    kind: 'Pod',
    type: 'Warning',
    message: 'Pod "n"/"p" matches multiple PodDisruptionBudgets.  Chose "b" arbitrarily.',
  });
});
