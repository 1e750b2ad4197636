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

test('a node reads the Secrets with which the volumes of its pods are mounted, and its own attachments and CSINode', async t => {
  const harness = await createHarness();
  t.teardown(() => harness.close());
  const core = '/api/v1/namespaces/default';
  const storage = '/apis/storage.k8s.io/v1';
  const as = (node: string): Identity => ({ user: `system:node:${node}`, groups: ['system:nodes'] });
  const call = async (node: string, method: string, path: string, body?: object) =>
    (await harness.call(method, path, { identity: as(node), ...(body && { body }) })).status;
  const system = '/api/v1/namespaces/kube-system';
  for (const name of ['stage', 'publish', 'expand', 'controller', 'other']) {
    await harness.create(`${system}/secrets`, { metadata: { name } });
  }
  const claim = await harness.create(`${core}/persistentvolumeclaims`, {
    metadata: { name: 'c' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, volumeName: 'pv' },
  } as object);
  const secret = (name: string) => ({ namespace: 'kube-system', name });
  await harness.create('/api/v1/persistentvolumes', {
    metadata: { name: 'pv' },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      claimRef: { namespace: 'default', name: 'c', uid: (claim as { metadata?: { uid?: string } }).metadata?.uid },
      csi: {
        ...{ driver: 'd.example', volumeHandle: 'h', nodeStageSecretRef: secret('stage') },
        ...{ nodePublishSecretRef: secret('publish'), controllerPublishSecretRef: secret('controller') },
        nodeExpandSecretRef: secret('expand'),
      },
    },
  } as object);
  t.is(await call('n1', 'GET', `${system}/secrets/stage`), 403);
  await harness.create(`${core}/pods`, {
    metadata: { name: 'p' },
    spec: {
      containers: [{ name: 'c', image: 'a:1' }],
      volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }],
    },
  } as object);
  const binding = { metadata: { name: 'p' }, target: { kind: 'Node', name: 'n1' } };
  t.is((await harness.call('POST', `${core}/pods/p/binding`, { body: binding })).status, 201);
  for (const [name, expected] of [
    ['stage', 200],
    ['publish', 200],
    ['expand', 200],
    ['controller', 403],
    ['other', 403],
  ] as const) {
    t.is(await call('n1', 'GET', `${system}/secrets/${name}`), expected, name);
    t.is(await call('n2', 'GET', `${system}/secrets/${name}`), 403, name);
  }

  await harness.create(`${storage}/volumeattachments`, {
    metadata: { name: 'a' },
    spec: { attacher: 'd.example', nodeName: 'n1', source: { persistentVolumeName: 'pv' } },
  } as object);
  t.is(await call('n1', 'GET', `${storage}/volumeattachments/a`), 200);
  t.is(await call('n2', 'GET', `${storage}/volumeattachments/a`), 403);
  t.is(await call('n1', 'GET', `${storage}/volumeattachments/none`), 403);
  t.is(await call('n1', 'GET', `${storage}/volumeattachments`), 403);
  t.is(await call('n1', 'DELETE', `${storage}/volumeattachments/a`), 403);

  const csiNode = (name: string) => ({ metadata: { name }, spec: { drivers: [] } });
  t.is(await call('n1', 'POST', `${storage}/csinodes`, csiNode('n1')), 201);
  t.is(await call('n1', 'POST', `${storage}/csinodes`, csiNode('n2')), 403);
  t.is(await call('n1', 'GET', `${storage}/csinodes/n1`), 200);
  t.is(await call('n2', 'GET', `${storage}/csinodes/n1`), 403);
  t.is(await call('n2', 'DELETE', `${storage}/csinodes/n1`), 403);
  t.is(await call('n1', 'GET', `${storage}/csinodes`), 403);
  t.is(await call('n1', 'DELETE', `${storage}/csinodes/n1`), 200);
});

test('a node tells in the status of its pods’ claims that a volume was enlarged, and of no others', async t => {
  const harness = await createHarness();
  t.teardown(() => harness.close());
  const core = '/api/v1/namespaces/default';
  const patch = async (node: string, path: string, body: object) => {
    const identity: Identity = { user: `system:node:${node}`, groups: ['system:nodes'] };
    const headers = { 'content-type': 'application/merge-patch+json' };
    return await harness.call('PATCH', `${core}/persistentvolumeclaims/${path}`, { identity, body, headers });
  };
  for (const name of ['mine', 'other']) {
    await harness.create(`${core}/persistentvolumeclaims`, {
      metadata: { name },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    } as object);
  }
  await harness.create(`${core}/pods`, {
    metadata: { name: 'p' },
    spec: {
      nodeName: 'n1',
      containers: [{ name: 'c', image: 'a:1' }],
      volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'mine' } }],
    },
  } as object);
  const enlarged = { status: { capacity: { storage: '2Gi' } } };
  t.is((await patch('n1', 'mine/status', enlarged)).status, 200);
  t.is((await patch('n2', 'mine/status', enlarged)).status, 403);
  t.is((await patch('n1', 'other/status', enlarged)).status, 403);
  t.is((await patch('n1', 'mine', { metadata: { labels: { a: 'b' } } })).status, 403);
  t.is((await patch('n1', 'mine/status', { status: { phase: 'Lost' } })).status, 403);
});

test('nodes that route read the TLS Secrets of Ingresses, and no other Secret that an Ingress names', async t => {
  const harness = await createHarness();
  t.teardown(() => harness.close());
  const core = '/api/v1/namespaces/default';
  const networking = '/apis/networking.k8s.io/v1';
  const as = (node: string): Identity => ({ user: `system:node:${node}`, groups: ['system:nodes'] });
  const get = async (node: string, name: string) =>
    (await harness.call('GET', `${core}/secrets/${name}`, { identity: as(node) })).status;
  const list = async (node: string, name: string, more = ',type=kubernetes.io/tls') =>
    (
      await harness.call('GET', `${core}/secrets?fieldSelector=${encodeURIComponent(`metadata.name=${name}${more}`)}`, {
        identity: as(node),
      })
    ).status;
  const data = { 'tls.crt': Buffer.from('c').toString('base64'), 'tls.key': Buffer.from('k').toString('base64') };
  const secret = (name: string, type: string) =>
    harness.create(`${core}/secrets`, { metadata: { name }, type, data } as object);
  const ingress = (name: string, ingressClassName: string, secretName: string) =>
    harness.create(`${networking}/namespaces/default/ingresses`, {
      metadata: { name },
      spec: {
        ingressClassName,
        tls: [{ secretName }],
        defaultBackend: { service: { name: 's', port: { number: 80 } } },
      },
    } as object);
  await harness.create('/api/v1/nodes', { metadata: { name: 'n1' } } as object);
  const off = { 'node-restriction.kubernetes.io/ingress': 'off' };
  await harness.create('/api/v1/nodes', { metadata: { name: 'n2', labels: off } } as object);
  await harness.create(`${networking}/ingressclasses`, {
    metadata: { name: 'raftsman' },
    spec: { controller: 'raftsman.io/ingress' },
  } as object);
  await secret('certificate', 'kubernetes.io/tls');
  await secret('password', 'Opaque');
  await secret('foreign', 'kubernetes.io/tls');
  t.is(await get('n1', 'certificate'), 403, 'no Ingress names it');
  await ingress('a', 'raftsman', 'certificate');
  await ingress('b', 'raftsman', 'password');
  await ingress('c', 'nginx', 'foreign');
  await ingress('d', 'raftsman', 'later');
  t.is(await get('n1', 'certificate'), 200);
  t.is(await list('n1', 'certificate'), 200);
  t.is(await list('n1', 'later'), 200, 'it can be waited for');
  t.is(await list('n1', 'certificate', ''), 403, 'without its type it could become another');
  t.is(await list('n1', 'certificate', ',type!=kubernetes.io/tls'), 403);
  t.is(await get('n1', 'password'), 403, 'a Secret of another type');
  t.is(await get('n1', 'foreign'), 403, 'of a class that others route');
  t.is(await get('n2', 'certificate'), 403, 'a node that may not route');
  t.is(await list('n2', 'certificate'), 403);
  t.is(await get('n3', 'certificate'), 403, 'a node that is not there');
});
