/** The controllers of volumes against an API in memory: binding, provisioning, reclaiming, ephemeral claims. */
import test, { type ExecutionContext } from 'ava';
import {
  events as eventsKind,
  nodes as nodesKind,
  persistentvolumeclaims,
  persistentvolumes,
  pods,
  storageclasses,
} from '../api/generated/kinds.ts';
import type { PersistentVolume, PersistentVolumeClaim, Pod } from '../api/generated/types.ts';
import { LOCAL_FINALIZER, LOCAL_FOLDER } from '../api/local-volumes.ts';
import { ApiError, hasReason } from '../api/status.ts';
import { SELECTED_NODE } from '../api/volume-binding.ts';
import { ApiEventRecorder } from '../client/events.ts';
import { Informers } from '../client/informers.ts';
import { silentLogger } from '../client/logger.ts';
import { RestClient } from '../client/rest.ts';
import { systemClock } from '../client/system-clock.ts';
import { MemoryApi } from '../client/testing/memory-api.ts';
import { until } from '../client/testing/until.ts';
import type { Controller, ControllerContext } from './context.ts';
import { ephemeralVolumeController } from './ephemeral-volumes.ts';
import { localVolumeController } from './local-volumes.ts';
import { persistentVolumeController } from './persistent-volumes.ts';
import { volumeExpansionController } from './volume-expansion.ts';
import { claimProtectionController, volumeProtectionController } from './volume-protection.ts';

const MAKERS: readonly ((context: ControllerContext) => Controller)[] = [
  persistentVolumeController,
  localVolumeController,
  ephemeralVolumeController,
  volumeExpansionController,
  claimProtectionController,
  volumeProtectionController,
];

async function setup(t: ExecutionContext) {
  const clock = systemClock;
  const api = new MemoryApi(clock);
  const client = new RestClient({ transport: api, clock, userAgent: 'test' });
  const stop = new AbortController();
  const common = { client, clock, random: () => 0.5, logger: silentLogger };
  const informers = new Informers(common);
  const context: ControllerContext = {
    ...common,
    informers,
    signal: stop.signal,
    options: {},
    recorder: component => new ApiEventRecorder({ ...common, component }),
  };
  const controllers = MAKERS.map(make => make(context));
  informers.start(stop.signal);
  await informers.waitForSync(stop.signal);
  const running = controllers.map(controller => controller.run());
  t.teardown(async () => {
    stop.abort();
    await Promise.all([...running, informers.stopped()]);
  });
  const claim = (name: string) => client.get(persistentvolumeclaims, { namespace: 'ns', name });
  const volume = (name: string) => client.get(persistentvolumes, { name });
  const isGone = (work: Promise<unknown>) =>
    work.then(
      () => false,
      error => hasReason(error, 'NotFound'),
    );
  const told = async (name: string) =>
    (await client.list(eventsKind)).items
      .filter(({ involvedObject }) => involvedObject?.name === name)
      .map(({ reason, source }) => `${source?.component} ${reason}`);
  return { api, client, claim, volume, told, isGone };
}

const volumeObject = (name: string, spec: PersistentVolume['spec'] = {}): PersistentVolume => ({
  metadata: { name },
  spec: {
    accessModes: ['ReadWriteOnce'],
    capacity: { storage: '1Gi' },
    hostPath: { path: '/x' },
    persistentVolumeReclaimPolicy: 'Retain',
    storageClassName: 'man',
    ...spec,
  },
  status: { phase: 'Pending' },
});
const claimObject = (name: string, storageClassName = 'man', annotations = {}): PersistentVolumeClaim => ({
  metadata: { name, namespace: 'ns', annotations },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, storageClassName },
  status: { phase: 'Pending' },
});

test('claims and volumes find each other, whichever comes first; a lost volume is told', async t => {
  const { client, claim, volume, told } = await setup(t);
  await client.create(persistentvolumes, volumeObject('v1'));
  await until('the volume is available', async () => (await volume('v1')).status?.phase === 'Available');
  await client.create(persistentvolumeclaims, claimObject('c1'));
  await until('the claim is bound', async () => (await claim('c1')).status?.phase === 'Bound');
  const bound = await claim('c1');
  t.is(bound.spec?.volumeName, 'v1');
  t.deepEqual(bound.status, { phase: 'Bound', accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' } });
  t.deepEqual(bound.metadata?.annotations, {
    'pv.kubernetes.io/bind-completed': 'yes',
    'pv.kubernetes.io/bound-by-controller': 'yes',
  });
  t.is((await volume('v1')).spec?.claimRef?.uid, bound.metadata?.uid);
  t.is((await volume('v1')).status?.phase, 'Bound');

  await client.create(persistentvolumeclaims, claimObject('c2'));
  await until('it waits', async () => (await told('c2')).includes('persistentvolume-controller ProvisioningFailed'));
  await client.create(persistentvolumes, volumeObject('v2'));
  await until('the second claim is bound', async () => (await claim('c2')).status?.phase === 'Bound');

  await until('the volume is protected', async () => (await volume('v1')).metadata?.finalizers?.length === 1);
  await client.delete(persistentvolumes, { name: 'v1' });
  t.is((await volume('v1')).status?.phase, 'Bound', 'nobody deletes a volume from under its claim');
  const by = { type: 'application/merge-patch+json', body: { metadata: { finalizers: null } } } as const;
  await client.patch(persistentvolumes, { name: 'v1' }, by);
  await until('the first claim is lost', async () => (await claim('c1')).status?.phase === 'Lost');
  t.deepEqual((await claim('c1')).status, { phase: 'Lost' });
  await until('it is told', async () => (await told('c1')).includes('persistentvolume-controller ClaimLost'));
  await client.delete(persistentvolumeclaims, { namespace: 'ns', name: 'c2' });
  await until('the volume is released', async () => (await volume('v2')).status?.phase === 'Released');
});

test('a write in two that fails, and a stale answer of the cache, change nothing of the end', async t => {
  const { api, client, claim, volume } = await setup(t);
  let count = 0;
  api.intercept = ({ method }) =>
    method === 'PUT' && count++ % 2 === 0 ? new ApiError('InternalError', 'try again') : undefined;
  for (let index = 0; index < 5; index++) {
    await client.create(persistentvolumes, volumeObject(`v${index}`));
    await client.create(persistentvolumeclaims, claimObject(`c${index}`));
  }
  const names = [0, 1, 2, 3, 4];
  await until('all are bound', async () =>
    (await Promise.all(names.map(index => claim(`c${index}`)))).every(({ status }) => status?.phase === 'Bound'),
  );
  const taken = await Promise.all(names.map(async index => (await claim(`c${index}`)).spec?.volumeName));
  t.is(new Set(taken).size, 5);
  for (const name of taken) t.is((await volume(name ?? '')).status?.phase, 'Bound');
});

test('a claim of the local class gets a volume on the chosen node, which goes with it', async t => {
  const { client, claim, volume, told, isGone } = await setup(t);
  await client.create(nodesKind, {
    metadata: { name: 'n1', labels: { 'kubernetes.io/hostname': 'host-1' }, annotations: { [LOCAL_FOLDER]: '/data' } },
  });
  await until('the class is there', async () => (await client.list(storageclasses)).items.length === 1);
  const [storageClass] = (await client.list(storageclasses)).items;
  t.like(storageClass, {
    metadata: { name: 'local-path', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
    volumeBindingMode: 'WaitForFirstConsumer',
    reclaimPolicy: 'Delete',
  });
  await client.create(persistentvolumeclaims, claimObject('c', 'local-path'));
  await until('it waits for a pod', async () =>
    (await told('c')).includes('persistentvolume-controller WaitForFirstConsumer'),
  );
  const choose = async (node: string) => {
    const now = await claim('c');
    await client.update(persistentvolumeclaims, {
      ...now,
      metadata: { ...now.metadata, annotations: { ...now.metadata?.annotations, [SELECTED_NODE]: node } },
    });
  };
  await choose('n2');
  await until('a node that keeps no volumes is given back', async () =>
    (await told('c')).includes('raftsman.io/local-path ProvisioningFailed'),
  );
  await until('the choice is taken back', async () => !(await claim('c')).metadata?.annotations?.[SELECTED_NODE]);
  await choose('n1');
  await until('the claim is bound', async () => (await claim('c')).status?.phase === 'Bound');
  const name = (await claim('c')).spec?.volumeName ?? '';
  const made = await volume(name);
  t.is(name, `pvc-${(await claim('c')).metadata?.uid}`);
  t.is(made.spec?.local?.path, `/data/${name}_ns_c`);
  t.deepEqual(made.spec?.nodeAffinity?.required?.nodeSelectorTerms, [
    { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: ['host-1'] }] },
  ]);
  await client.delete(persistentvolumeclaims, { namespace: 'ns', name: 'c' });
  await until('the volume goes', async () => (await volume(name)).metadata?.deletionTimestamp !== undefined);
  t.deepEqual((await volume(name)).metadata?.finalizers, [LOCAL_FINALIZER], 'its directory is still there');
  await client.delete(nodesKind, { name: 'n1' });
  await until('without its node it goes for good', () => isGone(volume(name)));
});

test('a pod that was put on a node by hand gets its volume there', async t => {
  const { client, claim } = await setup(t);
  await client.create(nodesKind, {
    metadata: { name: 'n1', labels: { 'kubernetes.io/hostname': 'host-1' }, annotations: { [LOCAL_FOLDER]: '/data' } },
  });
  await client.create(persistentvolumeclaims, claimObject('c', 'local-path'));
  await client.create(pods, {
    metadata: { name: 'p', namespace: 'ns' },
    spec: { nodeName: 'n1', containers: [], volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }] },
  });
  await until('the claim is bound', async () => (await claim('c')).status?.phase === 'Bound');
  t.pass();
});

test('a local volume grows where its class lets it; others are told to wait', async t => {
  const { client, claim, volume, told } = await setup(t);
  await client.create(nodesKind, {
    metadata: { name: 'n1', labels: { 'kubernetes.io/hostname': 'host-1' }, annotations: { [LOCAL_FOLDER]: '/data' } },
  });
  await until('the class is there', async () => (await client.list(storageclasses)).items.length === 1);
  const [storageClass] = (await client.list(storageclasses)).items;
  if (storageClass) await client.update(storageclasses, { ...storageClass, allowVolumeExpansion: true });
  await client.create(storageclasses, { metadata: { name: 'man' }, provisioner: 'x.io/p', allowVolumeExpansion: true });
  await client.create(persistentvolumes, volumeObject('v'));
  await client.create(persistentvolumeclaims, claimObject('mine', 'local-path', { [SELECTED_NODE]: 'n1' }));
  await client.create(persistentvolumeclaims, claimObject('other', 'man'));
  for (const name of ['mine', 'other']) {
    await until(`${name} is bound`, async () => (await claim(name)).status?.phase === 'Bound');
    const now = await claim(name);
    await client.update(persistentvolumeclaims, {
      ...now,
      spec: { ...now.spec, resources: { requests: { storage: '2Gi' } } },
    });
  }
  await until('the claim has more', async () => (await claim('mine')).status?.capacity?.storage === '2Gi');
  const { status, spec } = await claim('mine');
  t.deepEqual(status?.allocatedResources, { storage: '2Gi' });
  t.is(status?.allocatedResourceStatuses, undefined);
  t.is((await volume(spec?.volumeName ?? '')).spec?.capacity?.storage, '2Gi');
  await until('the other is told', async () => (await told('other')).includes('volume_expand ExternalExpanding'));
  t.is((await claim('other')).status?.capacity?.storage, '1Gi');
});

test('an ephemeral volume gets a claim that its pod owns; a namesake is not taken', async t => {
  const { client, claim } = await setup(t);
  await client.create(persistentvolumeclaims, claimObject('p-theirs'));
  const template = {
    metadata: { labels: { a: 'b' } },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  };
  const pod: Pod = {
    metadata: { name: 'p', namespace: 'ns' },
    spec: {
      containers: [],
      volumes: [
        { name: 'own', ephemeral: { volumeClaimTemplate: template } },
        { name: 'theirs', ephemeral: { volumeClaimTemplate: template } },
      ],
    },
  };
  const created = await client.create(pods, pod);
  await until('the claim is there', () =>
    claim('p-own').then(
      () => true,
      () => false,
    ),
  );
  const made = await claim('p-own');
  t.deepEqual(made.metadata?.labels, { a: 'b' });
  t.deepEqual(made.metadata?.ownerReferences, [
    {
      apiVersion: 'v1',
      kind: 'Pod',
      name: 'p',
      uid: created.metadata?.uid,
      controller: true,
      blockOwnerDeletion: true,
    },
  ] as never);
  t.is((await claim('p-theirs')).metadata?.ownerReferences, undefined);
});
