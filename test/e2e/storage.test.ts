/**
 * Storage in a whole cluster: what the conformance tests of [sig-storage] ask of the API, and claims of the default class
 * whose data outlive their pods.
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Api, connectApi } from '../helpers/api.ts';
import { newCluster, type TestCluster } from '../helpers/cluster.ts';
import { testWith } from '../helpers/requirements.ts';
import { until } from '../helpers/run.ts';

interface Thing {
  readonly metadata: {
    readonly name: string;
    readonly labels?: Record<string, string>;
    readonly annotations?: Record<string, string>;
    readonly deletionTimestamp?: string;
  };
  readonly spec?: { readonly volumeName?: string; readonly [key: string]: unknown };
  readonly status?: { readonly phase?: string; readonly attached?: boolean; readonly [key: string]: unknown };
}

const clusters: TestCluster[] = [];
test.after.always('remove the clusters', async () => {
  for (const cluster of clusters) await cluster.remove();
});

const MERGE = { type: 'application/merge-patch+json' };
const STORAGE = '/apis/storage.k8s.io/v1';

async function read(api: Api, path: string): Promise<Thing> {
  const { status, body } = await api.call('GET', path);
  if (status !== 200) throw new Error(`${path}: ${status}`);
  return body as Thing;
}
const isGone = async (api: Api, path: string) => (await api.call('GET', path)).status === 404;
const phaseOf = async (api: Api, path: string) => (await read(api, path)).status?.phase;

/** The kinds whose conformance test is a life from creation to deletion of a collection. */
const LIVES: readonly { readonly path: string; readonly name: string; readonly body: object }[] = [
  { path: `${STORAGE}/storageclasses`, name: 'life-class', body: { kind: 'StorageClass', provisioner: 'x.io/p' } },
  { path: `${STORAGE}/csinodes`, name: 'life-node', body: { kind: 'CSINode', spec: { drivers: [] } } },
  { path: `${STORAGE}/csidrivers`, name: 'life-driver.io', body: { kind: 'CSIDriver', spec: {} } },
  {
    path: `${STORAGE}/volumeattachments`,
    name: 'life-attachment',
    body: {
      kind: 'VolumeAttachment',
      spec: { attacher: 'x.io', nodeName: 'n', source: { persistentVolumeName: 'v' } },
    },
  },
  {
    path: `${STORAGE}/namespaces/default/csistoragecapacities`,
    name: 'life-capacity',
    body: { kind: 'CSIStorageCapacity', storageClassName: 'c', capacity: '1Gi', nodeTopology: {} },
  },
];

async function lives(t: ExecutionContext, api: Api): Promise<void> {
  for (const { path, name, body } of LIVES) {
    const make = (label: string, own = name) =>
      api.call('POST', path, {
        apiVersion: 'storage.k8s.io/v1',
        ...body,
        metadata: { name: own, labels: { life: label } },
      });
    t.is((await make('one')).status, 201, path);
    const patched = await api.call('PATCH', `${path}/${name}`, { metadata: { labels: { patched: 'yes' } } }, MERGE);
    t.is((patched.body as Thing).metadata.labels?.patched, 'yes', path);
    const { body: found } = await api.call('GET', `${path}?labelSelector=patched%3Dyes`);
    t.is((found as { items: unknown[] }).items.length, 1, path);
    t.is((await api.call('DELETE', `${path}/${name}`)).status, 200, path);
    await until(`${name} is gone`, () => isGone(api, `${path}/${name}`));
    t.is((await make('two')).status, 201, path);
    const present = await read(api, `${path}/${name}`);
    const updated = { ...present, metadata: { ...present.metadata, labels: { life: 'three' } } };
    t.is((await api.call('PUT', `${path}/${name}`, updated)).status, 200, path);
    t.is((await api.call('DELETE', `${path}?labelSelector=life%3Dthree`)).status, 200, path);
    await until(`${name} is gone with its collection`, () => isGone(api, `${path}/${name}`));
  }
}

async function attachmentStatus(t: ExecutionContext, api: Api): Promise<void> {
  const path = `${STORAGE}/volumeattachments`;
  const spec = { attacher: 'x.io', nodeName: 'n', source: { persistentVolumeName: 'v' } };
  await api.call('POST', path, {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'VolumeAttachment',
    metadata: { name: 'a' },
    spec,
  });
  t.is((await read(api, `${path}/a/status`)).status?.attached, false);
  const patched = await api.call('PATCH', `${path}/a/status`, { status: { attached: true } }, MERGE);
  t.is((patched.body as Thing).status?.attached, true);
  const now = await read(api, `${path}/a/status`);
  const updated = await api.call('PUT', `${path}/a/status`, { ...now, status: { attached: false } });
  t.is((updated.body as Thing).status?.attached, false);
  t.is((await api.call('DELETE', `${path}/a`)).status, 200);
}

/** [sig-storage] PersistentVolumes CSI Conformance: both lives, and their status. */
async function volumesAndClaims(t: ExecutionContext, api: Api): Promise<void> {
  const volumes = '/api/v1/persistentvolumes';
  const claims = '/api/v1/namespaces/default/persistentvolumeclaims';
  const size = { storage: '1Gi' };
  const common = { accessModes: ['ReadWriteOnce'], storageClassName: 'life' };
  const makeVolume = (name: string) =>
    api.call('POST', volumes, {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name, labels: { life: name } },
      spec: { ...common, capacity: size, hostPath: { path: '/tmp/x' }, persistentVolumeReclaimPolicy: 'Retain' },
    });
  const makeClaim = (name: string, storageClassName = 'life') =>
    api.call('POST', claims, {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name, labels: { life: name } },
      spec: { ...common, storageClassName, resources: { requests: size } },
    });
  t.is((await makeVolume('life-v')).status, 201);
  await until('it is available', async () => (await phaseOf(api, `${volumes}/life-v`)) === 'Available');
  t.is((await makeClaim('life-c')).status, 201);
  await until('both are bound', async () => {
    const phases = [await phaseOf(api, `${volumes}/life-v`), await phaseOf(api, `${claims}/life-c`)];
    return phases.every(phase => phase === 'Bound');
  });
  const condition = { type: 'Own', status: 'True', reason: 'Why', message: 'because' };
  const status = await api.call('PATCH', `${claims}/life-c/status`, { status: { conditions: [condition] } }, MERGE);
  t.is(status.status, 200);
  t.like((await read(api, `${claims}/life-c/status`)).status, { phase: 'Bound', conditions: [condition] });
  const message = await api.call('PATCH', `${volumes}/life-v/status`, { status: { message: 'm', reason: 'r' } }, MERGE);
  t.like((message.body as Thing).status, { phase: 'Bound', message: 'm', reason: 'r' });
  t.is((await api.call('DELETE', `${claims}/life-c`)).status, 200);
  await until('the claim is gone', () => isGone(api, `${claims}/life-c`));
  await until('the volume is released', async () => (await phaseOf(api, `${volumes}/life-v`)) === 'Released');
  t.is((await api.call('DELETE', `${volumes}/life-v`)).status, 200);
  await until('the volume is gone', () => isGone(api, `${volumes}/life-v`));
  await makeVolume('life-w');
  await makeClaim('life-d', 'nobody');
  t.is((await api.call('DELETE', `${claims}?labelSelector=life%3Dlife-d`)).status, 200);
  t.is((await api.call('DELETE', `${volumes}?labelSelector=life%3Dlife-w`)).status, 200);
  await until('all are gone', async () => (await isGone(api, `${claims}/life-d`)) && isGone(api, `${volumes}/life-w`));
}

test.serial('the lives of volumes, claims and all kinds of storage.k8s.io', async t => {
  t.timeout(180_000);
  const cluster = await newCluster({ masters: 1, nodes: 0 });
  clusters.push(cluster);
  await cluster.start();
  const api = await connectApi(cluster.kubeconfig, cluster.port);
  await lives(t, api);
  await attachmentStatus(t, api);
  await volumesAndClaims(t, api);
  const { body } = await api.call('GET', `${STORAGE}/storageclasses`);
  t.deepEqual((body as { items: unknown[] }).items, [], 'no node, no class');
  api.close();
  await cluster.remove();
});

testWith(['root', 'iproute2'])(
  'data in claims of the default class outlive pods and the cluster’s restart',
  async t => {
    t.timeout(300_000);
    const cluster = await newCluster({ masters: 1, nodes: 2, runtime: 'native' });
    clusters.push(cluster);
    await cluster.start();
    let api = await connectApi(cluster.kubeconfig, cluster.port);
    const claims = '/api/v1/namespaces/default/persistentvolumeclaims';
    const pods = '/api/v1/namespaces/default/pods';
    await until('the class', async () => !(await isGone(api, `${STORAGE}/storageclasses/local-path`)), 30_000);
    await until(
      'the default service account',
      async () => !(await isGone(api, '/api/v1/namespaces/default/serviceaccounts/default')),
    );
    const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
    const made = await api.call('POST', claims, {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data' },
      spec,
    });
    t.is((made.body as { spec: { storageClassName?: string } }).spec.storageClassName, 'local-path');
    const runPod = async (name: string, script: string) => {
      const { status } = await api.call('POST', pods, {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name },
        spec: {
          restartPolicy: 'Never',
          terminationGracePeriodSeconds: 0,
          volumes: [
            { name: 'data', persistentVolumeClaim: { claimName: 'data' } },
            { name: 'own', ephemeral: { volumeClaimTemplate: { spec } } },
          ],
          containers: [
            {
              name: 'c',
              image: 'host',
              imagePullPolicy: 'IfNotPresent',
              command: ['sh', '-c', script],
              volumeMounts: [
                { name: 'data', mountPath: '/data' },
                { name: 'own', mountPath: '/own' },
              ],
            },
          ],
        },
      });
      t.is(status, 201);
      await until(
        `${name} is over`,
        async () => {
          const { status: now } = await read(api, `${pods}/${name}`);
          if (now?.phase !== 'Succeeded') throw new Error(JSON.stringify(now));
          return true;
        },
        60_000,
      );
      return (await cluster.raftsman(['logs', name])).stdout;
    };
    const storage = async () =>
      (
        await Promise.all(
          ['node-1', 'node-2'].map(async node => {
            const folder = join(cluster.directory, node, 'storage');
            return existsSync(folder) ? (await readdir(folder)).map(name => join(folder, name)) : [];
          }),
        )
      ).flat();

    t.is(
      await runPod('writer', 'echo kept >/data/file; echo gone >/own/file; ls /data /own'),
      '/data:\nfile\n\n/own:\nfile\n',
    );
    t.is((await storage()).length, 2);
    await api.call('DELETE', `${pods}/writer`);
    await until('its own claim goes with the pod', () => isGone(api, `${claims}/writer-own`), 30_000);
    await until('and its directory', async () => (await storage()).length === 1, 30_000);
    t.is(await runPod('reader', 'cat /data/file; ls /own'), 'kept\n');
    await api.call('DELETE', `${pods}/reader`);
    await until('the reader is gone', () => isGone(api, `${pods}/reader`), 30_000);

    api.close();
    await cluster.stop();
    await cluster.start();
    api = await connectApi(cluster.kubeconfig, cluster.port);
    t.is(await runPod('later', 'cat /data/file'), 'kept\n');
    await api.call('DELETE', `${pods}/later`);
    await until('the last pod is gone', () => isGone(api, `${pods}/later`), 30_000);
    const { spec: { volumeName = '' } = {} } = await read(api, `${claims}/data`);
    await api.call('DELETE', `${claims}/data`);
    await until('the volume goes with its claim', () => isGone(api, `/api/v1/persistentvolumes/${volumeName}`), 30_000);
    await until('nothing is left of the data', async () => (await storage()).length === 0, 30_000);
    api.close();
    await cluster.remove();
  },
);
