import test, { type ExecutionContext } from 'ava';
import type { Service } from '../../api/generated/types.ts';
import { createHarness, type Harness } from '../testing/harness.ts';

async function harnessOf(t: ExecutionContext): Promise<Harness> {
  const harness = await createHarness();
  t.teardown(() => harness.close());
  return harness;
}

const PODS = '/api/v1/namespaces/default/pods';
const CLASSES = '/apis/scheduling.k8s.io/v1/priorityclasses';
const podOf = (spec: object) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p' },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
});
const classOf = (name: string, fields: object) => ({
  apiVersion: 'scheduling.k8s.io/v1',
  kind: 'PriorityClass',
  metadata: { name },
  ...fields,
});

test('a pod gets the number and the policy of its priority class', async t => {
  const { call, create } = await harnessOf(t);
  await create(CLASSES, classOf('high', { value: 7, preemptionPolicy: 'Never' }));
  const { body } = await call('POST', `${PODS}?dryRun=All`, { body: podOf({ priorityClassName: 'high' }) });
  t.like(body.spec, { priority: 7, preemptionPolicy: 'Never' });
  const other = podOf({ priorityClassName: 'high', preemptionPolicy: 'PreemptLowerPriority' });
  t.regex((await call('POST', PODS, { body: other })).body.message, /^pods "p" is forbidden: the string value/);
  const system = await call('POST', PODS, { body: podOf({ priorityClassName: 'system-node-critical' }) });
  t.is(system.body.spec.priority, 2_000_001_000);
});

test('a pod without a class gets the default one, of which there is one', async t => {
  const { call, create } = await harnessOf(t);
  await create(CLASSES, classOf('usual', { value: 3, globalDefault: true }));
  const { body } = await call('POST', PODS, { body: podOf({}) });
  t.like(body.spec, { priority: 3, priorityClassName: 'usual' });
  const second = await call('POST', CLASSES, { body: classOf('second', { value: 4, globalDefault: true }) });
  t.is(second.status, 403);
  t.is(
    second.body.message,
    'priorityclasses.scheduling.k8s.io "second" is forbidden: PriorityClass usual is already marked as default. Only one default can exist',
  );
  const same = await call('PATCH', `${CLASSES}/usual`, {
    body: { description: 'changed' },
    headers: { 'content-type': 'application/merge-patch+json' },
  });
  t.is(same.status, 200);
});

test('a pod takes overhead, node selector and tolerations of its runtime class', async t => {
  const { call, create } = await harnessOf(t);
  await create('/apis/node.k8s.io/v1/runtimeclasses', {
    apiVersion: 'node.k8s.io/v1',
    kind: 'RuntimeClass',
    metadata: { name: 'boxed' },
    handler: 'box',
    overhead: { podFixed: { cpu: '100m' } },
    scheduling: { nodeSelector: { box: 'yes' }, tolerations: [{ key: 'box', operator: 'Exists' }] },
  });
  const send = (spec: object) => call('POST', `${PODS}?dryRun=All`, { body: podOf(spec) });
  const { spec } = (await send({ runtimeClassName: 'boxed' })).body;
  t.deepEqual(spec.overhead, { cpu: '100m' });
  t.deepEqual(spec.nodeSelector, { box: 'yes' });
  t.deepEqual(spec.tolerations.at(-1), { key: 'box', operator: 'Exists' });
  t.is(
    (await send({ runtimeClassName: 'none' })).body.message,
    'pods "p" is forbidden: pod rejected: RuntimeClass "none" not found',
  );
  t.regex((await send({ overhead: { cpu: '1' } })).body.message, /without corresponding RuntimeClass/);
  t.regex(
    (await send({ runtimeClassName: 'boxed', overhead: { cpu: '1' } })).body.message,
    /doesn't match RuntimeClass/,
  );
  t.regex((await send({ runtimeClassName: 'boxed', nodeSelector: { box: 'no' } })).body.message, /conflict: /);
});

test('a claim that names no storage class gets the default one; an empty name is a name', async t => {
  const { call, create } = await harnessOf(t);
  await create('/apis/storage.k8s.io/v1/storageclasses', {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: 'std', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
    provisioner: 'x.io/p',
  } as object);
  const send = async (spec: object) => {
    const body = {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'c' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
    };
    return (await call('POST', '/api/v1/namespaces/default/persistentvolumeclaims?dryRun=All', { body })).body.spec;
  };
  t.is((await send({})).storageClassName, 'std');
  t.is((await send({ storageClassName: '' })).storageClassName, '');
});

test('an ingress that names no class gets the default one', async t => {
  const { call, create } = await harnessOf(t);
  await create('/apis/networking.k8s.io/v1/ingressclasses', {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IngressClass',
    metadata: { name: 'def', annotations: { 'ingressclass.kubernetes.io/is-default-class': 'true' } },
    spec: { controller: 'x.io/c' },
  } as object);
  const send = async (annotations: object) => {
    const body = {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      metadata: { name: 'i', annotations },
      spec: { defaultBackend: { service: { name: 's', port: { number: 80 } } } },
    };
    const path = '/apis/networking.k8s.io/v1/namespaces/default/ingresses?dryRun=All';
    return (await call('POST', path, { body })).body.spec;
  };
  t.is((await send({})).ingressClassName, 'def');
  t.is((await send({ 'kubernetes.io/ingress.class': 'old' })).ingressClassName, undefined);
});

test('a service address is an object that comes and goes with its service', async t => {
  const { call, create } = await harnessOf(t);
  const addresses = '/apis/networking.k8s.io/v1/ipaddresses';
  const service: Service = await create('/api/v1/namespaces/default/services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's' },
    spec: { ports: [{ port: 80 }] },
  } as Service);
  const { body } = await call('GET', `${addresses}/${service.spec?.clusterIP}`);
  t.deepEqual(body.spec, { parentRef: { resource: 'services', namespace: 'default', name: 's' } });
  t.truthy(body.metadata.uid);
  await call('DELETE', '/api/v1/namespaces/default/services/s');
  t.is((await call('GET', `${addresses}/${service.spec?.clusterIP}`)).status, 404);
});
