/** Tokens in Secrets that nobody uses are marked, and later removed; all others stay. */
import test from 'ava';
import * as kinds from '../api/generated/kinds.ts';
import type { Secret, ServiceAccount } from '../api/generated/types.ts';
import { until } from '../client/testing/until.ts';
import { legacyTokenController, planLegacyToken, trackedSinceMs } from './legacy-tokens.ts';
import { newBench } from './testing/bench.ts';

const DAY_MS = 24 * 3_600_000;
const NOW_MS = Date.parse('2026-06-15T12:00:00Z');
const UNUSED_SINCE = { isNamedByPods: false, unusedSinceMs: NOW_MS - 365 * DAY_MS };

const account: ServiceAccount = { metadata: { name: 'robot', namespace: 'n', uid: 'u' }, secrets: [{ name: 's' }] };
const secretOf = (metadata: Secret['metadata'] = {}, type = 'kubernetes.io/service-account-token'): Secret => ({
  metadata: {
    name: 's',
    namespace: 'n',
    creationTimestamp: '2020-01-01T00:00:00Z',
    annotations: { 'kubernetes.io/service-account.name': 'robot', 'kubernetes.io/service-account.uid': 'u' },
    ...metadata,
  },
  type,
});
const labelled = (lastUsed: string | undefined, invalidSince?: string) =>
  secretOf({
    labels: {
      ...(lastUsed !== undefined && { 'kubernetes.io/legacy-token-last-used': lastUsed }),
      ...(invalidSince !== undefined && { 'kubernetes.io/legacy-token-invalid-since': invalidSince }),
    },
  });

test('what a token needs next', t => {
  const step = (secret: Secret, of: ServiceAccount | undefined = account, facts = UNUSED_SINCE) =>
    planLegacyToken(secret, of, facts);
  t.is(step(secretOf()), 'mark');
  t.is(step(labelled('2025-06-14')), 'mark');
  t.is(step(labelled('2025-06-15')), 'none', 'used on the last day that counts');
  t.is(step(labelled('yesterday')), 'none', 'nobody knows when');
  t.is(step(labelled('2024-02-30')), 'none', 'there is no such day');
  t.is(step(labelled(undefined, 'soon')), 'mark', 'the mark cannot be read');
  t.is(step(labelled(undefined, '2025-06-15')), 'none', 'marked, and not for long enough');
  t.is(step(labelled(undefined, '2025-06-14')), 'remove');
  t.is(step(labelled('2026-06-01', '2025-06-14')), 'none', 'somebody still tries to use it');
  t.is(step(secretOf({ creationTimestamp: '2025-06-15T12:00:00Z' })), 'none');
  t.is(step(secretOf({ deletionTimestamp: '2026-06-15T11:00:00Z' })), 'none');
  t.is(step(secretOf({}, 'Opaque')), 'none');
  t.is(step(secretOf(), { ...account, secrets: [] }), 'none', 'somebody made it by hand');
  t.is(planLegacyToken(secretOf(), undefined, UNUSED_SINCE), 'none');
  t.is(step(secretOf(), { ...account, metadata: { ...account.metadata, uid: 'other' } }), 'none');
  t.is(step(secretOf(), account, { ...UNUSED_SINCE, isNamedByPods: true }), 'none');
});

test('the day on which tracking began is not tracked whole', t => {
  t.is(trackedSinceMs('2026-01-31'), Date.parse('2026-02-01T00:00:00Z'));
  t.is(trackedSinceMs('2026-02-31'), undefined);
  t.is(trackedSinceMs(undefined), undefined);
});

test('after a year it is marked, after another it goes; what a pod names and what was made by hand stay', async t => {
  const { client, clock, start } = newBench(t, { nowMs: Date.parse('2024-01-01T12:00:00Z') });
  const names = ['auto', 'mounted', 'manual'];
  await client.create(kinds.serviceaccounts, {
    metadata: { name: 'robot', namespace: 'n' },
    secrets: [{ name: 'auto' }, { name: 'mounted' }],
  });
  const annotations = { 'kubernetes.io/service-account.name': 'robot' };
  for (const name of names) {
    await client.create(kinds.secrets, { ...secretOf(), metadata: { name, namespace: 'n', annotations } });
  }
  await client.create(kinds.pods, {
    metadata: { name: 'p', namespace: 'n' },
    spec: { containers: [{ name: 'c' }], volumes: [{ name: 'v', secret: { secretName: 'mounted' } }] },
  });
  await start(context => [legacyTokenController(context)]);
  await until('nothing is tracked yet', async () => clock.pending > 0);
  await client.create(kinds.configmaps, {
    metadata: { name: 'kube-apiserver-legacy-service-account-token-tracking', namespace: 'kube-system' },
    data: { since: '2024-01-01' },
  });
  const labels = async (name: string) => (await client.get(kinds.secrets, { namespace: 'n', name })).metadata?.labels;
  // Each look asks to be woken a day later; until it has, time stands.
  const days = async (count: number) => {
    for (let day = 0; day < count; day++) {
      await until('it sleeps', async () => clock.pending > 0);
      await clock.advance(DAY_MS);
    }
  };
  await days(365);
  t.is(await labels('auto'), undefined, 'tracking began a day after');
  await days(2);
  await until('the mark', async () => (await labels('auto')) !== undefined);
  t.regex((await labels('auto'))?.['kubernetes.io/legacy-token-invalid-since'] ?? '', /^2025-01-0[1-3]$/);
  await days(360);
  t.truthy(await labels('auto'));
  await days(10);
  await until('it goes', async () => (await client.list(kinds.secrets)).items.length === 2);
  t.is(await labels('mounted'), undefined);
  t.is(await labels('manual'), undefined);
});
