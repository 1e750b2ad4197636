/** What a PUT and a write of status may do, kind by kind: the strategies of Kubernetes v1.33 (k/k:pkg/registry). */
import test, { type ExecutionContext } from 'ava';
import type { KubernetesObject } from '../../api/kind.ts';
import { ALL_KINDS } from '../../api/registry.ts';
import { createRequest } from '../../pki/authority.ts';
import { createHarness, type Harness } from '../testing/harness.ts';

const MERGE = { 'content-type': 'application/merge-patch+json' };
const STORAGE = '/apis/storage.k8s.io/v1';

async function harnessOf(t: ExecutionContext): Promise<Harness> {
  const harness = await createHarness();
  t.teardown(() => harness.close());
  return harness;
}

/** Of today's versions; the old ones of the same kinds are as they. */
const today = ALL_KINDS.filter(({ version }) => version === 'v1' || version === 'v2');
const namesOf = (has: (kind: (typeof ALL_KINDS)[number]) => boolean) =>
  [...new Set(today.filter(has).map(({ plural }) => plural))].sort();

test('kinds that a PUT makes', t => {
  t.deepEqual(
    namesOf(kind => kind.allowCreateOnUpdate),
    [
      'clusterrolebindings',
      'clusterroles',
      'endpoints',
      'events',
      'leases',
      'limitranges',
      'rolebindings',
      'roles',
      'runtimeclasses',
      'services',
    ],
  );
});

test('kinds whose PUT must say which version it replaces', t => {
  t.deepEqual(
    namesOf(kind => !kind.allowUnconditionalUpdate),
    [
      'apiservices',
      'csidrivers',
      'csinodes',
      'csistoragecapacities',
      'customresourcedefinitions',
      'leases',
      'mutatingwebhookconfigurations',
      'poddisruptionbudgets',
      'runtimeclasses',
      'validatingadmissionpolicies',
      'validatingadmissionpolicybindings',
      'validatingwebhookconfigurations',
      'volumeattachments',
    ],
  );
});

test('a PUT that does not say which version it replaces is refused where that must be said', async t => {
  const { create, call } = await harnessOf(t);
  const named = (kind: string, apiVersion: string, rest: object) => ({
    apiVersion,
    kind,
    metadata: { name: 'x' },
    ...rest,
  });
  for (const [path, object] of [
    [`${STORAGE}/csinodes`, named('CSINode', 'storage.k8s.io/v1', { spec: { drivers: [] } })],
    [`${STORAGE}/csidrivers`, named('CSIDriver', 'storage.k8s.io/v1', { spec: {} })],
    [
      `${STORAGE}/volumeattachments`,
      named('VolumeAttachment', 'storage.k8s.io/v1', {
        spec: { attacher: 'a', nodeName: 'n', source: { persistentVolumeName: 'v' } },
      }),
    ],
    ['/apis/node.k8s.io/v1/runtimeclasses', named('RuntimeClass', 'node.k8s.io/v1', { handler: 'h' })],
  ] as const) {
    const { metadata = {} } = await create<KubernetesObject>(path, object);
    const refused = await call('PUT', `${path}/x`, { body: object });
    t.is(refused.status, 422, path);
    t.regex(refused.body.message, /metadata\.resourceVersion: Invalid value: 0x0: must be specified for an update$/);
    const { resourceVersion = '' } = metadata;
    const body = { ...object, metadata: { name: 'x', resourceVersion, labels: { a: 'b' } } };
    t.is((await call('PUT', `${path}/x`, { body })).status, 200, path);
  }
});

test('a PUT makes a RuntimeClass and a LimitRange', async t => {
  const { call } = await harnessOf(t);
  const runtimeClass = { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name: 'x' }, handler: 'h' };
  t.is((await call('PUT', '/apis/node.k8s.io/v1/runtimeclasses/x', { body: runtimeClass })).status, 201);
  const limitRange = {
    apiVersion: 'v1',
    kind: 'LimitRange',
    metadata: { name: 'x' },
    spec: { limits: [{ type: 'Pod', max: { cpu: '1' } }] },
  };
  t.is((await call('PUT', '/api/v1/namespaces/default/limitranges/x', { body: limitRange })).status, 201);
});

const condition = { type: 'X', status: 'True', reason: 'X', message: 'x', lastTransitionTime: '2026-01-01T00:00:00Z' };
const WITH_STATUS: readonly (readonly [path: string, object: object, status: object])[] = [
  [
    `${STORAGE}/volumeattachments`,
    {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'VolumeAttachment',
      spec: { attacher: 'a', nodeName: 'n', source: { persistentVolumeName: 'v' } },
    },
    { attached: true },
  ],
  [
    '/apis/networking.k8s.io/v1/servicecidrs',
    { apiVersion: 'networking.k8s.io/v1', kind: 'ServiceCIDR', spec: { cidrs: ['10.98.0.0/24'] } },
    { conditions: [condition] },
  ],
  [
    '/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations',
    {
      apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
      kind: 'PriorityLevelConfiguration',
      spec: { type: 'Limited', limited: { nominalConcurrencyShares: 2, limitResponse: { type: 'Reject' } } },
    },
    { conditions: [condition] },
  ],
  [
    '/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas',
    {
      apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
      kind: 'FlowSchema',
      spec: { priorityLevelConfiguration: { name: 'p' }, matchingPrecedence: 5 },
    },
    { conditions: [condition] },
  ],
  [
    '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies',
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicy',
      spec: {
        matchConstraints: {
          resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
        },
        validations: [{ expression: 'true' }],
      },
    },
    { conditions: [condition] },
  ],
];
for (const [path, object, status] of WITH_STATUS) {
  test(`a write of status leaves the metadata of ${path.split('/').at(-1)}`, async t => {
    const { call } = await harnessOf(t);
    const made = await call('POST', path, { body: { ...object, metadata: { name: 'x', labels: { a: 'b' } } } });
    t.is(made.status, 201, made.text);
    const finalizers = ['example.com/f'];
    const ownerReferences = [{ apiVersion: 'v1', kind: 'Node', name: 'n', uid: 'u' }];
    const body = { metadata: { labels: { c: 'd' }, annotations: { e: 'f' }, finalizers, ownerReferences }, status };
    const told = await call('PATCH', `${path}/x/status`, { body, headers: MERGE });
    t.is(told.status, 200, told.text);
    t.like(told.body.status, status);
    const { labels, annotations, managedFields, uid, resourceVersion, generation, ...rest } = told.body.metadata;
    t.deepEqual(labels, { a: 'b' });
    t.is(annotations, undefined);
    t.deepEqual([uid, generation], [made.body.metadata.uid, made.body.metadata.generation]);
    t.deepEqual(Object.keys(rest).sort(), ['creationTimestamp', 'name']);
    t.not(resourceVersion, made.body.metadata.resourceVersion);
    t.deepEqual(
      managedFields.map(({ subresource = '' }: { subresource?: string }) => subresource),
      ['', 'status'],
    );
    // A PUT for a version that is no longer there is a conflict as anywhere.
    t.is((await call('PUT', `${path}/x/status`, { body: { ...made.body, status: {} } })).status, 409);
    t.is((await call('PUT', `${path}/x/status`, { body: { ...told.body, status: {} } })).status, 200);
  });
}

test('a write of a pod’s status leaves its owners', async t => {
  const { create, call } = await harnessOf(t);
  const path = '/api/v1/namespaces/default/pods';
  const ownerReferences = [{ apiVersion: 'v1', kind: 'ReplicationController', name: 'rc', uid: 'u', controller: true }];
  await create(path, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', ownerReferences },
    spec: { containers: [{ name: 'c', image: 'i' }] },
  } as KubernetesObject);
  const foreign = [{ apiVersion: 'v1', kind: 'Node', name: 'n', uid: 'v' }];
  for (const owners of [foreign, null]) {
    const body = { metadata: { ownerReferences: owners, labels: { a: 'b' } }, status: { message: 'm' } };
    const told = await call('PATCH', `${path}/p/status`, { body, headers: MERGE });
    t.is(told.status, 200, told.text);
    t.deepEqual(told.body.metadata.ownerReferences, ownerReferences);
    t.deepEqual([told.body.metadata.labels, told.body.status.message], [{ a: 'b' }, 'm']);
  }
});

test('who approves a certificate does not write it', async t => {
  const { call } = await harnessOf(t);
  const { request } = await createRequest('x');
  const path = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
  const spec = {
    request: Buffer.from(request).toString('base64'),
    signerName: 'example.com/x',
    usages: ['client auth'],
  };
  const body = {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { name: 'x' },
    spec,
  };
  t.is((await call('POST', path, { body })).status, 201);
  const conditions = [{ type: 'Approved', status: 'True', reason: 'X', message: 'x' }];
  const certificate = Buffer.from('-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n').toString('base64');
  const approved = await call('PATCH', `${path}/x/approval`, {
    body: { status: { conditions, certificate } },
    headers: MERGE,
  });
  t.is(approved.status, 200, approved.text);
  t.is(approved.body.status.conditions[0].type, 'Approved');
  t.is(approved.body.status.certificate, undefined);
});
