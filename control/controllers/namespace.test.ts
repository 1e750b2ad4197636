import test from 'ava';
import * as kinds from '../api/generated/kinds.ts';
import type { ApiResponse } from '../client/client.ts';
import { until } from '../client/testing/until.ts';
import { DiscoveredKinds } from './discovered-kinds.ts';
import { NAMESPACE_HELD_RETRY_MS, NAMESPACE_RETRY_MS_MAX, NAMESPACE_RETRY_MS_MIN } from './limits.ts';
import {
  namespaceController,
  planDiscoveryMessage,
  planNamespaceConditions,
  planNextLookMs,
  type Remainder,
} from './namespace.ts';
import { newBench } from './testing/bench.ts';

const pods: Remainder = { kind: { group: '', plural: 'pods' }, count: 2, finalizers: [] };
const held: Remainder = {
  kind: { group: '', plural: 'configmaps' },
  count: 2,
  finalizers: ['example.com/a', 'example.com/b'],
};

test('what goes by itself is looked at soon, then less and less often', t => {
  const looks = Array.from({ length: 8 }, (_, tries) => planNextLookMs([pods, held], tries));
  t.is(looks[0], NAMESPACE_RETRY_MS_MIN);
  t.deepEqual(
    looks,
    looks.toSorted((a, b) => a - b),
  );
  t.is(looks.at(-1), NAMESPACE_RETRY_MS_MAX);
});

test('what only finalizers hold is left alone for as long as Kubernetes leaves it', t => {
  t.is(planNextLookMs([held], 0), NAMESPACE_HELD_RETRY_MS);
  t.is(planNextLookMs([held], 9), NAMESPACE_HELD_RETRY_MS);
  t.is(planNextLookMs([{ ...held, finalizers: ['example.com/a'] }], 0), NAMESPACE_RETRY_MS_MIN);
});

test('the conditions tell what is left and who holds it, in the words of Kubernetes', t => {
  const told = planNamespaceConditions({ old: [], remainders: [pods, held], failures: [], nowMs: 0 });
  const messageOf = (type: string) => told.find(condition => condition.type === type)?.message;
  t.is(
    messageOf('NamespaceContentRemaining'),
    'Some resources are remaining: configmaps. has 2 resource instances, pods. has 2 resource instances',
  );
  t.is(
    messageOf('NamespaceFinalizersRemaining'),
    'Some content in the namespace has finalizers remaining: example.com/a in 1 resource instances, example.com/b in 1 resource instances',
  );
});

test('a condition that stays as it is keeps the time of its last change', t => {
  const old = planNamespaceConditions({ old: [], remainders: [pods], failures: [], nowMs: 0 });
  const now = planNamespaceConditions({ old, remainders: [], failures: [], nowMs: 60_000 });
  const timeOf = (type: string) => now.find(condition => condition.type === type)?.lastTransitionTime;
  t.is(timeOf('NamespaceContentRemaining'), '1970-01-01T00:01:00Z');
  t.is(timeOf('NamespaceFinalizersRemaining'), '1970-01-01T00:00:00Z');
});

test("others' conditions stay, in the order in which all stand", t => {
  const types = (old: readonly string[]) =>
    planNamespaceConditions({
      old: old.map(type => ({ type, status: 'True' })),
      remainders: [],
      failures: [],
      nowMs: 0,
    }).map(({ type, status }) => `${type} ${status}`);
  t.deepEqual(types(['example.com/Mine', 'NamespaceContentRemaining', 'NamespaceDeletionDiscoveryFailure']), [
    'example.com/Mine True',
    'NamespaceContentRemaining False',
    'NamespaceDeletionDiscoveryFailure False',
    'NamespaceDeletionGroupVersionParsingFailure False',
    'NamespaceDeletionContentFailure False',
    'NamespaceFinalizersRemaining False',
  ]);
});

test('a kind that goes, or that cannot be deleted at once, does not hold its namespace', async t => {
  const asked: string[] = [];
  const { client, start } = newBench(t, {
    transport: api => ({
      close: () => api.close(),
      request: async (request): Promise<ApiResponse> => {
        const path = request.path.split('?')[0] ?? '';
        const refuse = (code: number, reason: string): ApiResponse => ({
          status: code,
          headers: {},
          body: (async function* () {
            yield Buffer.from(JSON.stringify({ kind: 'Status', status: 'Failure', reason, code }));
          })(),
        });
        if (path === '/api/v1/namespaces/n/secrets' && !request.path.includes('watch')) return refuse(404, 'NotFound');
        if (path.startsWith('/api/v1/namespaces/n/configmaps') && request.method === 'DELETE') {
          asked.push(path);
          if (path.endsWith('configmaps')) return refuse(405, 'MethodNotAllowed');
        }
        return api.request(request);
      },
    }),
  });
  await client.create(kinds.namespaces, { metadata: { name: 'n' }, spec: { finalizers: ['kubernetes'] } });
  await client.create(kinds.configmaps, { metadata: { name: 'c', namespace: 'n' } });
  await start(context => [namespaceController(context, new DiscoveredKinds(context.client.transport, context.clock))]);
  await client.delete(kinds.namespaces, { name: 'n' });
  await until('it goes', async () => (await client.list(kinds.namespaces)).items.length === 0);
  t.deepEqual(asked, ['/api/v1/namespaces/n/configmaps', '/api/v1/namespaces/n/configmaps/c']);
});

const STALE =
  'Discovery failed for some groups, 2 failing: unable to retrieve the complete list of server APIs: a.example.com/v1: stale GroupVersion discovery: a.example.com/v1, b.example.com/v1beta1: stale GroupVersion discovery: b.example.com/v1beta1';

test('groups that cannot be discovered are named in the words of Kubernetes', t => {
  t.is(planDiscoveryMessage([]), undefined);
  t.is(planDiscoveryMessage(['b.example.com/v1beta1', 'a.example.com/v1']), STALE);
});

interface Version {
  readonly name: string;
  readonly version: string;
  readonly freshness: string;
}

/** `/api` and `/apis` as a server that aggregates answers them: ConfigMaps, and groups whose one kind nobody can list. */
function discoveryOf(path: string, remote: readonly Version[]): object {
  const resource = (name: string, kind: string) => ({
    resource: name,
    responseKind: { kind },
    scope: 'Namespaced',
    verbs: ['list', 'watch', 'delete', 'deletecollection'],
  });
  const core = {
    metadata: { name: '' },
    versions: [{ version: 'v1', resources: [resource('configmaps', 'ConfigMap')] }],
  };
  const items = remote.map(({ name, version, freshness }) => ({
    metadata: { name },
    versions: [{ version, freshness, resources: freshness === 'Stale' ? [resource('lost', 'Lost')] : [] }],
  }));
  return { kind: 'APIGroupDiscoveryList', items: path === '/api' ? [core] : items };
}

test('a namespace is emptied of what can be discovered, and stays until all can be', async t => {
  let remote: readonly Version[] = [
    { name: 'b.example.com', version: 'v1beta1', freshness: 'Stale' },
    { name: 'a.example.com', version: 'v1', freshness: 'Stale' },
  ];
  let isAway = false;
  const { client, clock, start } = newBench(t, {
    transport: api => ({
      request: async (request): Promise<ApiResponse> => {
        if (request.path !== '/api' && request.path !== '/apis') return api.request(request);
        const body = JSON.stringify(discoveryOf(request.path, remote));
        return {
          status: isAway ? 503 : 200,
          headers: {},
          body: (async function* () {
            yield Buffer.from(body);
          })(),
        };
      },
      close: async () => {},
    }),
  });
  await client.create(kinds.namespaces, { metadata: { name: 'n' }, spec: { finalizers: ['kubernetes'] } });
  await client.create(kinds.configmaps, { metadata: { name: 'c', namespace: 'n' } });
  await start(context => [namespaceController(context, new DiscoveredKinds(context.client.transport, context.clock))]);
  await client.delete(kinds.namespaces, { name: 'n' });
  const told = async () =>
    ((await client.get(kinds.namespaces, { name: 'n' })).status?.conditions ?? []).find(
      ({ type }) => type === 'NamespaceDeletionDiscoveryFailure',
    );
  await until('it is told', async () => (await told())?.status === 'True');
  t.like(await told(), { reason: 'DiscoveryFailed', message: STALE });
  t.deepEqual((await client.list(kinds.configmaps)).items, [], 'the rest is gone');
  const wait = async () => {
    await until('it waits', () => clock.pending > 0);
    await clock.advance(NAMESPACE_HELD_RETRY_MS);
  };
  isAway = true;
  await wait();
  await until('that nothing is known is told', async () => / status 503$/.test((await told())?.message ?? ''));
  isAway = false;
  remote = remote.slice(1).map(one => ({ ...one, freshness: 'Current' }));
  await wait();
  await until('it goes', async () => (await client.list(kinds.namespaces)).items.length === 0);
});
