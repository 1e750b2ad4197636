/** What a node may read: what its pods name, and nothing else. */
import test from 'ava';
import { createHarness } from '../testing/harness.ts';
import type { Identity } from '../types.ts';
import { podReferences } from './node-references.ts';

test('a pod names objects in many places', t => {
  const { nodeName, names } = podReferences({
    spec: {
      nodeName: 'n1',
      serviceAccountName: 'robot',
      imagePullSecrets: [{ name: 'pull' }],
      initContainers: [
        { name: 'i', image: 'a', envFrom: [{ configMapRef: { name: 'c1' } }, { secretRef: { name: 's1' } }] },
      ],
      containers: [
        {
          name: 'c',
          image: 'a',
          env: [
            { name: 'A', valueFrom: { configMapKeyRef: { name: 'c2', key: 'k' } } },
            { name: 'B', valueFrom: { secretKeyRef: { name: 's2', key: 'k' } } },
          ],
        },
      ],
      volumes: [
        { name: 'v1', configMap: { name: 'c3' } },
        { name: 'v2', secret: { secretName: 's3' } },
        { name: 'v3', projected: { sources: [{ configMap: { name: 'c4' } }, { secret: { name: 's4' } }] } },
      ],
    },
  });
  t.is(nodeName, 'n1');
  t.deepEqual([...names].sort(), [
    'configmaps/c1',
    'configmaps/c2',
    'configmaps/c3',
    'configmaps/c4',
    'secrets/pull',
    'secrets/s1',
    'secrets/s2',
    'secrets/s3',
    'secrets/s4',
    'serviceaccounts/robot',
  ]);
  t.is(podReferences({ spec: { containers: [] } }).nodeName, '');
});

test('a node reads what its pods name, from the binding on, and nothing else', async t => {
  const harness = await createHarness();
  const core = '/api/v1/namespaces/default';
  const as = (node: string): Identity => ({ user: `system:node:${node}`, groups: ['system:nodes'] });
  for (const name of ['mine', 'other']) {
    await harness.create(`${core}/secrets`, { metadata: { name } });
  }
  const read = (node: string, path: string) => harness.call('GET', path, { identity: as(node) });
  const containers = [{ name: 'c', image: 'a:1', envFrom: [{ secretRef: { name: 'mine' } }] }];
  await harness.create(`${core}/pods`, { metadata: { name: 'p' }, spec: { containers } } as object);
  t.is((await read('n1', `${core}/secrets/mine`)).status, 403);
  const binding = { metadata: { name: 'p' }, target: { kind: 'Node', name: 'n1' } };
  t.is((await harness.call('POST', `${core}/pods/p/binding`, { body: binding })).status, 201);
  t.is((await read('n1', `${core}/secrets/mine`)).status, 200);
  t.is((await read('n1', `${core}/secrets?fieldSelector=metadata.name%3Dmine`)).status, 200);
  t.is(
    (await read('n2', `${core}/secrets/mine`)).body.message,
    'secrets "mine" is forbidden: User "system:node:n2" cannot get resource "secrets" in API group "" in the namespace "default": no relationship found between node \'n2\' and this object',
  );
  t.is((await read('n1', `${core}/secrets/other`)).status, 403);
  t.is((await read('n1', `${core}/secrets?fieldSelector=metadata.name%3Dother`)).status, 403);
  t.is((await read('n1', '/api/v1/namespaces/kube-system/secrets/mine')).status, 403);
  await harness.call('DELETE', `${core}/pods/p?gracePeriodSeconds=0`);
  t.is((await read('n1', `${core}/secrets/mine`)).status, 403);
  await harness.close();
});
