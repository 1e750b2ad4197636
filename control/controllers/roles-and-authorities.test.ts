/** What every namespace is told of the authority, and what roles are put together of. */
import test from 'ava';
import * as kinds from '../api/generated/kinds.ts';
import type { ClusterRole } from '../api/generated/types.ts';
import { until } from '../client/testing/until.ts';
import { aggregatedRules } from './cluster-role-aggregation.ts';
import { rootCaController } from './root-ca.ts';
import { newBench } from './testing/bench.ts';

test('a ConfigMap of the authority says this and nothing else, and what it is', async t => {
  const { client, start } = newBench(t, { options: { rootCa: 'CA' } });
  await client.create(kinds.namespaces, { metadata: { name: 'n' } });
  const key = { namespace: 'n', name: 'kube-root-ca.crt' };
  await start(context => [rootCaController(context)].filter(controller => controller !== undefined));
  const map = async () => (await client.list(kinds.configmaps)).items[0];
  await until('it is made', async () => (await map()) !== undefined);
  const before = await map();
  const spoilt = [
    { data: { 'ca.crt': 'another' } },
    { data: { more: 'x' } },
    { metadata: { annotations: { 'kubernetes.io/description': null } } },
  ];
  for (const body of spoilt) {
    await client.patch(kinds.configmaps, key, { type: 'application/merge-patch+json', body });
    await until('it is as it was', async () => {
      const now = await map();
      return (
        JSON.stringify([now?.data, now?.metadata?.annotations]) ===
        JSON.stringify([before?.data, before?.metadata?.annotations])
      );
    });
  }
  await client.delete(kinds.configmaps, key);
  await until('it is there again', async () => (await map())?.data?.['ca.crt'] === 'CA');
  t.pass();
});

const role = (name: string, labels: Record<string, string>, ...resources: string[]): ClusterRole => ({
  metadata: { name, labels },
  rules: resources.map(resource => ({ apiGroups: [''], resources: [resource], verbs: ['get'] })),
});

test('rules come selector by selector, then by name, each once, and never from the role itself', t => {
  const whole: ClusterRole = {
    ...role('whole', { a: '1' }, 'own'),
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { b: '1' } }, { matchLabels: { a: '1' } }] },
  };
  const all = [
    role('z', { b: '1' }, 'pods'),
    role('a', { a: '1' }, 'secrets', 'pods'),
    role('m', { c: '1' }, 'nodes'),
    whole,
  ];
  t.deepEqual(
    aggregatedRules(whole, all).map(({ resources }) => resources?.[0]),
    ['pods', 'secrets'],
  );
});
