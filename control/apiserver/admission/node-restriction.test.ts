/** What a node's agent may not do, and what mirror pods may not say. */
import test, { type ExecutionContext } from 'ava';
import { createHarness, type Harness } from '../testing/harness.ts';

const AGENT = { user: 'system:node:n1', groups: ['system:nodes'] };
const PODS = '/api/v1/namespaces/default/pods';
const MERGE = { 'content-type': 'application/merge-patch+json' };

async function harnessOf(t: ExecutionContext): Promise<Harness> {
  const harness = await createHarness();
  t.teardown(() => harness.close());
  return harness;
}
const node = (name: string, labels: Record<string, string> = {}, spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels },
  spec,
});
const refusalOf = ({ status, body }: { status: number; body: { message?: string } }) =>
  status === 403 ? (body.message ?? '').replace(/^.*? is forbidden: /, '') : String(status);

test('a node says what it is, but nothing that would draw work to it', async t => {
  const { call } = await harnessOf(t);
  const create = (name: string, labels: Record<string, string>) =>
    call('POST', '/api/v1/nodes', { body: node(name, labels), identity: AGENT }).then(refusalOf);
  t.is(await create('n2', {}), 'node "n1" is not allowed to modify node "n2"');
  t.is(
    await create('n1', { 'node-role.kubernetes.io/x': '', 'a.node-restriction.kubernetes.io/b': '', own: 'c' }),
    'node "n1" is not allowed to set the following labels: a.node-restriction.kubernetes.io/b, node-role.kubernetes.io/x',
  );
  const allowed = {
    'kubernetes.io/hostname': 'n1',
    'topology.kubernetes.io/zone': 'z',
    'x.kubelet.kubernetes.io/y': '',
    own: 'c',
  };
  t.is(await create('n1', allowed), '201');
  const patch = (body: object) =>
    call('PATCH', '/api/v1/nodes/n1', { body, headers: MERGE, identity: AGENT }).then(refusalOf);
  t.is(await patch({ metadata: { labels: { own: 'd' } } }), '200');
  t.is(await patch({ metadata: { labels: { 'x.k8s.io/y': 'z' } } }), 'is not allowed to modify labels: x.k8s.io/y');
  t.is(await patch({ spec: { taints: null } }), 'node "n1" is not allowed to modify taints');
});

test('a new node is tainted until it is seen to be ready, whoever makes it', async t => {
  const { call } = await harnessOf(t);
  const taintsOf = async (body: object) => (await call('POST', '/api/v1/nodes', { body })).body.spec.taints;
  t.deepEqual(await taintsOf(node('n2')), [{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }]);
  const own = [
    { key: 'a', effect: 'NoExecute' },
    { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' },
  ];
  t.deepEqual(await taintsOf(node('n3', {}, { taints: own })), own);
});

test('a node makes mirror pods of its own, which refer to nothing', async t => {
  const { call } = await harnessOf(t);
  const { metadata } = (await call('POST', '/api/v1/nodes', { body: node('n1') })).body;
  const owner = { apiVersion: 'v1', kind: 'Node', name: 'n1', uid: metadata.uid, controller: true };
  const mirror = (
    spec: object = {},
    ownerReferences: object[] = [owner],
    annotations: object = { 'kubernetes.io/config.mirror': 'h' },
  ) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'm', annotations, ownerReferences },
    spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'i' }], ...spec },
  });
  const send = (body: object) => call('POST', `${PODS}?dryRun=All`, { body, identity: AGENT }).then(refusalOf);
  t.is(await send(mirror()), '201');
  const cases: readonly [object, string][] = [
    [
      mirror({}, [owner], {}),
      'pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create mirror pods',
    ],
    [mirror({ nodeName: 'n2' }), 'node "n1" can only create pods with spec.nodeName set to itself'],
    [mirror({}, []), 'node "n1" can only create pods with an owner reference set to itself'],
    [
      mirror({}, [owner, { ...owner, kind: 'X' }]),
      'node "n1" can only create pods with a single owner reference set to itself',
    ],
    [
      mirror({}, [{ ...owner, controller: false }]),
      'node "n1" can only create pods with a controller owner reference set to itself',
    ],
    [
      mirror({}, [{ ...owner, blockOwnerDeletion: true }]),
      'node "n1" must not set blockOwnerDeletion on an owner reference',
    ],
    [mirror({}, [{ ...owner, uid: 'u' }]), `node n1 UID mismatch: expected u got ${metadata.uid}`],
    [mirror({ serviceAccountName: 'x' }), 'node "n1" can not create pods that reference a service account'],
    [
      mirror({ volumes: [{ name: 'v', secret: { secretName: 's' } }] }),
      'node "n1" can not create pods that reference secrets',
    ],
    [
      mirror({ containers: [{ name: 'c', image: 'i', envFrom: [{ configMapRef: { name: 'm' } }] }] }),
      'node "n1" can not create pods that reference configmaps',
    ],
    [
      mirror({ volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'p' } }] }),
      'node "n1" can not create pods that reference persistentvolumeclaims',
    ],
  ];
  for (const [body, expected] of cases) t.is(await send(body), expected);
  const asAdmin = await call('POST', PODS, { body: mirror({ volumes: [{ name: 'v', configMap: { name: 'm' } }] }) });
  t.is(refusalOf(asAdmin), 'a mirror pod may not reference configmaps');
});

test('a node writes the status of its pods, and no labels with it', async t => {
  const { call, create } = await harnessOf(t);
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'i' }] },
  };
  await create(PODS, pod as object);
  const patch = (part: string, body: object) =>
    call('PATCH', `${PODS}/p${part}`, { body, headers: MERGE, identity: AGENT }).then(refusalOf);
  t.is(await patch('/status', { status: { phase: 'Running' } }), '200');
  t.is(
    await patch('/status', { metadata: { labels: { a: 'b' } } }),
    'node "n1" cannot update labels through pod status',
  );
  t.regex(await patch('', { metadata: { labels: { a: 'b' } } }), /can only create and delete mirror pods|cannot/);
  const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'n2' } };
  const path = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
  t.is(
    refusalOf(await call('POST', path, { body: lease, identity: AGENT })),
    'can only access node lease with the same name as the requesting node',
  );
});

test('a service account may limit its pods to its own secrets', async t => {
  const { call, create } = await harnessOf(t);
  await create('/api/v1/namespaces/default/serviceaccounts', {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'strict', annotations: { 'kubernetes.io/enforce-mountable-secrets': 'true' } },
    secrets: [{ name: 'own' }],
    imagePullSecrets: [{ name: 'pull' }],
  } as object);
  const send = (spec: object) =>
    call('POST', `${PODS}?dryRun=All`, {
      body: {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'p' },
        spec: { serviceAccountName: 'strict', containers: [{ name: 'c', image: 'i' }], ...spec },
      },
    }).then(refusalOf);
  t.is(await send({ volumes: [{ name: 'v', secret: { secretName: 'own' } }] }), '201');
  const why = 'is not allowed because service account strict does not reference that';
  t.is(
    await send({ volumes: [{ name: 'v', secret: { secretName: 'other' } }] }),
    `volume with secret.secretName="other" ${why} secret`,
  );
  const env = [{ name: 'E', valueFrom: { secretKeyRef: { name: 'other', key: 'k' } } }];
  t.is(
    await send({ containers: [{ name: 'c', image: 'i', env }] }),
    `container c with envVar E referencing secret.secretName="other" ${why} secret`,
  );
  t.is(
    await send({ imagePullSecrets: [{ name: 'other' }] }),
    `imagePullSecrets[0].name="other" ${why} imagePullSecret`,
  );
});

test('a claim grows where its class lets it', async t => {
  const { call, create } = await harnessOf(t);
  const CLAIMS = '/api/v1/namespaces/default/persistentvolumeclaims';
  for (const [name, allowVolumeExpansion] of [
    ['stiff', false],
    ['soft', true],
  ] as const) {
    await create('/apis/storage.k8s.io/v1/storageclasses', {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name },
      provisioner: 'x',
      allowVolumeExpansion,
    } as object);
    await create(CLAIMS, {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name },
      spec: {
        storageClassName: name,
        volumeName: 'v',
        accessModes: ['ReadWriteOnce'],
        resources: { requests: { storage: '1Gi' } },
      },
    } as object);
  }
  const grow = (name: string) =>
    call('PATCH', `${CLAIMS}/${name}`, {
      body: { spec: { resources: { requests: { storage: '2Gi' } } } },
      headers: MERGE,
    }).then(refusalOf);
  for (const name of ['stiff', 'soft']) {
    await call('PATCH', `${CLAIMS}/${name}/status`, {
      body: { status: { phase: 'Bound', capacity: { storage: '1Gi' } } },
      headers: MERGE,
    });
  }
  t.is(await grow('soft'), '200');
  t.is(
    await grow('stiff'),
    'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
  );
});

test('a node lets its own local volumes go, and does nothing else to volumes', async t => {
  const { call } = await harnessOf(t);
  const make = async (name: string, keeper: string, provisioner = 'raftsman.io/local-path') =>
    (
      await call('POST', '/api/v1/persistentvolumes', {
        body: {
          apiVersion: 'v1',
          kind: 'PersistentVolume',
          metadata: {
            name,
            annotations: { 'pv.kubernetes.io/provisioned-by': provisioner, 'raftsman.io/node': keeper },
            finalizers: ['raftsman.io/local-volume', 'x.io/other'],
          },
          spec: {
            capacity: { storage: '1Gi' },
            accessModes: ['ReadWriteOnce'],
            local: { path: '/data/x' },
            nodeAffinity: {
              required: {
                nodeSelectorTerms: [
                  { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [keeper] }] },
                ],
              },
            },
          },
        },
      })
    ).body;
  const update = (volume: { readonly metadata: { readonly name: string }; readonly [key: string]: unknown }) =>
    call('PUT', `/api/v1/persistentvolumes/${volume.metadata.name}`, { body: volume, identity: AGENT }).then(refusalOf);
  const letGo = (volume: { metadata: { name: string; finalizers: string[] } }) => ({
    ...volume,
    metadata: {
      ...volume.metadata,
      finalizers: volume.metadata.finalizers.filter(name => name !== 'raftsman.io/local-volume'),
    },
  });
  const foreign = 'node "n1" can only update local volumes that it keeps';
  t.is(await update(letGo(await make('theirs', 'n2'))), foreign);
  t.is(await update(letGo(await make('hand-made', 'n1', 'x.io/p'))), foreign);
  const own = await make('own', 'n1');
  const more = 'node "n1" can only remove the finalizer raftsman.io/local-volume of a volume';
  t.is(await update({ ...own, spec: { ...own.spec, persistentVolumeReclaimPolicy: 'Delete' } }), more);
  t.is(await update({ ...own, metadata: { ...own.metadata, finalizers: [] } }), more);
  t.is(await update({ ...letGo(own), spec: { ...own.spec, capacity: { storage: '9Gi' } } }), more);
  t.is(await update(letGo(own)), '200');
});

test('a volume’s phase tells since when', async t => {
  const { call } = await harnessOf(t);
  const path = '/api/v1/persistentvolumes';
  const body = {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: 'v' },
    spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/x' } },
  };
  const created = (await call('POST', path, { body })).body;
  const at = '2020-01-01T00:00:00Z';
  const write = async (status: object) =>
    (await call('PATCH', `${path}/v/status`, { body: { status }, headers: MERGE })).body.status;
  t.deepEqual(await write({ phase: 'Available', lastPhaseTransitionTime: at }), {
    phase: 'Available',
    lastPhaseTransitionTime: at,
  });
  const released = await write({ phase: 'Released' });
  t.not(released.lastPhaseTransitionTime, at, 'the server fills it in');
  t.true(released.lastPhaseTransitionTime >= created.metadata.creationTimestamp);
  t.is((await write({ message: 'x' })).lastPhaseTransitionTime, released.lastPhaseTransitionTime);
});
