/** Evictions ask the pod's budget, and take no more from it than it has. */
import test, { type ExecutionContext } from 'ava';
import { createMemoryStore } from '../../../store/index.ts';
import type { PodDisruptionBudget } from '../../api/generated/types.ts';
import { encodeProtobuf } from '../../api/protobuf/testing/encode.ts';
import { createHarness, type Harness } from '../testing/harness.ts';
import { decremented } from './eviction.ts';

const PODS = '/api/v1/namespaces/default/pods';
const BUDGETS = '/apis/policy/v1/namespaces/default/poddisruptionbudgets';
const MERGE = { 'content-type': 'application/merge-patch+json' };
const NOW = '2026-01-01T00:00:00Z';

const eviction = (name: string, deleteOptions?: object) => ({
  apiVersion: 'policy/v1',
  kind: 'Eviction',
  metadata: { name },
  ...(deleteOptions && { deleteOptions }),
});
const evict = ({ call }: Harness, name: string, query = '', deleteOptions?: object) =>
  call('POST', `${PODS}/${name}/eviction${query}`, { body: eviction(name, deleteOptions) });

async function makePod(harness: Harness, name: string, status: object = {}): Promise<void> {
  await harness.create(PODS, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: 'w' } },
    spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] },
  } as object);
  const ready = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }], ...status };
  const answer = await harness.call('PATCH', `${PODS}/${name}/status`, { body: { status: ready }, headers: MERGE });
  if (answer.status !== 200) throw new Error(answer.text);
}

async function makeBudget(harness: Harness, name: string, status: object, spec: object = {}): Promise<void> {
  await harness.create(BUDGETS, {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name },
    spec: { minAvailable: 1, selector: { matchLabels: { app: 'w' } }, ...spec },
  } as object);
  const numbers = {
    observedGeneration: 1,
    disruptionsAllowed: 1,
    currentHealthy: 3,
    desiredHealthy: 2,
    expectedPods: 3,
  };
  await harness.call('PATCH', `${BUDGETS}/${name}/status`, {
    body: { status: { ...numbers, ...status } },
    headers: MERGE,
  });
}

async function harnessOf(t: ExecutionContext): Promise<Harness> {
  const harness = await createHarness();
  t.teardown(() => harness.close());
  return harness;
}
const podOf = async ({ call }: Harness, name: string) => (await call('GET', `${PODS}/${name}`)).body;
const budgetOf = async ({ call }: Harness, name = 'b') => (await call('GET', `${BUDGETS}/${name}`)).body.status;

test('a pod without a budget goes, and says why', async t => {
  const harness = await harnessOf(t);
  await makePod(harness, 'p');
  t.is((await evict(harness, 'p', '?dryRun=All')).status, 201);
  t.is((await podOf(harness, 'p')).metadata.deletionTimestamp, undefined);
  const { status, body } = await evict(harness, 'p');
  t.is(status, 201);
  t.deepEqual(body, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 });
  const pod = await podOf(harness, 'p');
  t.truthy(pod.metadata.deletionTimestamp);
  t.like(pod.status.conditions.at(-1), { type: 'DisruptionTarget', status: 'True', reason: 'EvictionByEvictionAPI' });
  t.is((await evict(harness, 'nobody')).status, 404);
});

for (const apiVersion of ['policy/v1', 'policy/v1beta1']) {
  test(`an Eviction of ${apiVersion} as protobuf, with its options`, async t => {
    const harness = await harnessOf(t);
    await makePod(harness, 'p');
    const sent = (uid: string) =>
      harness.call('POST', `${PODS}/p/eviction`, {
        body: encodeProtobuf({ ...eviction('p', { preconditions: { uid } }), apiVersion }),
        headers: { 'content-type': 'application/vnd.kubernetes.protobuf' },
      });
    t.is((await sent('other')).status, 409);
    t.is((await sent((await podOf(harness, 'p')).metadata.uid)).status, 201);
    t.truthy((await podOf(harness, 'p')).metadata.deletionTimestamp);
  });
}

test('a budget gives what it has, and then says what it lacks', async t => {
  const harness = await harnessOf(t);
  for (const name of ['p1', 'p2']) await makePod(harness, name);
  await makeBudget(harness, 'b', {});
  t.is((await evict(harness, 'p1', '?dryRun=All')).status, 201);
  t.is((await budgetOf(harness)).disruptionsAllowed, 1);
  t.is((await evict(harness, 'p1')).status, 201);
  const after = await budgetOf(harness);
  t.is(after.disruptionsAllowed, 0);
  t.deepEqual(Object.keys(after.disruptedPods), ['p1']);
  t.like(after.conditions[0], { type: 'DisruptionAllowed', status: 'False', reason: 'InsufficientPods' });
  const refused = await evict(harness, 'p2');
  t.is(refused.status, 429);
  t.deepEqual(refused.body.details, {
    causes: [
      { reason: 'DisruptionBudget', message: 'The disruption budget b needs 2 healthy pods and has 3 currently' },
    ],
  });
  t.is(refused.body.message, "Cannot evict pod as it would violate the pod's disruption budget.");
  t.is((await podOf(harness, 'p2')).metadata.deletionTimestamp, undefined);
  // What goes already needs no budget any more.
  t.is((await evict(harness, 'p1')).status, 201);
});

test('pods that have ended or not begun, and unready ones that make no difference, need no budget', async t => {
  const harness = await harnessOf(t);
  await makeBudget(harness, 'b', { disruptionsAllowed: 0 });
  await makePod(harness, 'failed', { phase: 'Failed' });
  await makePod(harness, 'pending', { phase: 'Pending', conditions: [] });
  await makePod(harness, 'unready', { conditions: [{ type: 'Ready', status: 'False' }] });
  for (const name of ['failed', 'pending', 'unready']) t.is((await evict(harness, name)).status, 201, name);
  t.is((await budgetOf(harness)).disruptedPods, undefined);
});

test('unready pods of a budget that is short go only if it says so', async t => {
  const harness = await harnessOf(t);
  const short = { disruptionsAllowed: 0, currentHealthy: 1 };
  await makeBudget(harness, 'b', short);
  await makePod(harness, 'unready', { conditions: [{ type: 'Ready', status: 'False' }] });
  t.is((await evict(harness, 'unready')).status, 429);
  await harness.call('DELETE', `${BUDGETS}/b`);
  await makeBudget(harness, 'b', short, { unhealthyPodEvictionPolicy: 'AlwaysAllow' });
  t.is((await evict(harness, 'unready')).status, 201);
});

test('several budgets, one that was not counted, and preconditions', async t => {
  const harness = await harnessOf(t);
  await makePod(harness, 'p');
  await makeBudget(harness, 'b', { observedGeneration: 0 });
  const uncounted = await evict(harness, 'p');
  t.is(uncounted.status, 429);
  t.is(uncounted.headers['retry-after'], '10');
  t.is(uncounted.body.details.causes[0].message, 'The disruption budget b is still being processed by the server.');
  await makeBudget(harness, 'c', {});
  const several = await evict(harness, 'p');
  t.is(several.status, 500);
  t.is(several.body.reason, undefined);
  t.is(
    several.body.message,
    'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
  );
  await harness.call('DELETE', `${BUDGETS}/b`);
  const wrong = await evict(harness, 'p', '', { preconditions: { uid: 'other' } });
  t.is(wrong.status, 409);
  t.is((await podOf(harness, 'p')).metadata.deletionTimestamp, undefined);
});

test('of many evictions through three masters exactly as many get through as the budget has', async t => {
  const memory = createMemoryStore();
  const all = [await createHarness({ memory }), await createHarness({ memory }), await createHarness({ memory })];
  t.teardown(async () => {
    for (const { server } of all) await server.close();
    await memory.close();
  });
  const [harness] = all as [Harness];
  const names = Array.from({ length: 18 }, (_, index) => `p${index}`);
  for (const name of names) await makePod(harness, name);
  await makeBudget(harness, 'b', { disruptionsAllowed: 5, currentHealthy: 18, desiredHealthy: 13, expectedPods: 18 });
  const answers = await Promise.all(names.map((name, index) => evict(all[index % 3] as Harness, name)));
  t.is(answers.filter(({ status }) => status === 201).length, 5);
  t.is(answers.filter(({ status }) => status === 429).length, 13);
  const { body } = await harness.call('GET', PODS);
  const going = body.items.filter(
    ({ metadata }: { metadata: { deletionTimestamp?: string } }) => metadata.deletionTimestamp,
  );
  t.is(going.length, 5);
  t.is(Object.keys((await budgetOf(harness)).disruptedPods).length, 5);
});

test('a node evicts its own pods only', async t => {
  const harness = await harnessOf(t);
  await makePod(harness, 'p');
  await makeBudget(harness, 'b', {});
  const identity = (node: string) => ({ user: `system:node:${node}`, groups: ['system:nodes'] });
  const as = (node: string) =>
    harness.call('POST', `${PODS}/p/eviction`, { body: eviction('p'), identity: identity(node) });
  const refused = await as('other');
  t.is(refused.status, 403);
  t.regex(refused.body.message, /node other can only evict pods with spec.nodeName set to itself/);
  t.is((await budgetOf(harness)).disruptionsAllowed, 1);
  t.is((await as('n')).status, 201);
});

test('why a budget gives nothing', t => {
  const budget = (status: object, generation = 1): PodDisruptionBudget => ({
    metadata: { name: 'b', generation },
    status: {
      observedGeneration: 1,
      disruptionsAllowed: 0,
      currentHealthy: 0,
      desiredHealthy: 0,
      expectedPods: 0,
      ...status,
    },
  });
  const failure = (wrong: PodDisruptionBudget) =>
    t.throws(() => decremented(wrong, 'p', NOW)) as Error & { details: { causes?: { message: string }[] } };
  t.is(
    failure(budget({ disruptionsAllowed: -1 })).message,
    'poddisruptionbudget.policy "b" is forbidden: pdb disruptions allowed is negative',
  );
  const crowded = Object.fromEntries(Array.from({ length: 2_001 }, (_, index) => [`p${index}`, NOW]));
  t.regex(failure(budget({ disruptionsAllowed: 1, disruptedPods: crowded })).message, /DisruptedPods map too big/);
  const conditions = [{ type: 'DisruptionAllowed', status: 'False', reason: 'SyncFailed', message: 'why' }];
  t.is(
    failure(budget({ conditions })).details.causes?.[0]?.message,
    'The disruption budget b does not allow evicting pods currently because it failed sync: why',
  );
  t.regex(failure(budget({ disruptionsAllowed: 1 }, 2)).details.causes?.[0]?.message ?? '', /still being processed/);
});
