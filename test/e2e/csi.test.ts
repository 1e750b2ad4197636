/**
 * A CSI driver in a whole cluster, by the rights that nodes and controllers have there: its volume is attached, staged with a
 * Secret of another namespace, read by a pod, measured and enlarged; another node waits for it until the first has let go. The test is the driver,
 * one on each node, its external attacher and its resizer.
 */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { TestCsiDriver } from '../../node/testing/csi-driver.ts';
import { nodeCapability } from '../../node/volumes/csi/messages.ts';
import { type Api, connectApi } from '../helpers/api.ts';
import { newCluster, type TestCluster } from '../helpers/cluster.ts';
import { testWith } from '../helpers/requirements.ts';
import { until } from '../helpers/run.ts';

const clusters: TestCluster[] = [];
const drivers: TestCsiDriver[] = [];
test.after.always('remove cluster and drivers', async () => {
  for (const cluster of clusters) await cluster.remove();
  for (const driver of drivers) await driver.stop();
});

const STORAGE = '/apis/storage.k8s.io/v1';
const CORE = '/api/v1/namespaces/default';
const WAIT_MS = 60_000;

interface Attachment {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly nodeName: string };
}
interface PodThing {
  readonly metadata: { readonly uid: string };
  readonly status?: { readonly phase?: string };
}

async function read<T>(api: Api, path: string): Promise<T> {
  const { status, body } = await api.call('GET', path);
  if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`);
  return body as T;
}
async function make(api: Api, path: string, kind: string, body: object): Promise<void> {
  const apiVersion = path.startsWith(STORAGE) ? 'storage.k8s.io/v1' : 'v1';
  const answer = await api.call('POST', path, { apiVersion, kind, ...body });
  if (answer.status !== 201) throw new Error(`${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
}
const attachments = async (api: Api) =>
  (await read<{ items: readonly Attachment[] }>(api, `${STORAGE}/volumeattachments`)).items;
const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

testWith(['root', 'iproute2'])('a volume of a CSI driver: attached, mounted, moved and left', async t => {
  t.timeout(300_000);
  const cluster = await newCluster({ masters: 1, nodes: 2, runtime: 'native' });
  clusters.push(cluster);
  await cluster.start();
  const api = await connectApi(cluster.kubeconfig, cluster.port);
  for (const node of ['node-1', 'node-2']) {
    const kubeletDir = join(cluster.directory, node, 'kubelet');
    const driver = new TestCsiDriver({
      ...{ kubeletDir, nodeId: node, topology: { 'topology.test.example/host': node } },
      capabilities: [nodeCapability.stageUnstageVolume, nodeCapability.expandVolume, nodeCapability.getVolumeStats],
    });
    drivers.push(driver);
    await driver.makeVolume('vol-1', `data of ${node}\n`);
    await driver.start();
  }
  const [first, second] = drivers;
  if (!first || !second) throw new Error('two drivers were started');
  await until(
    'both are registered',
    async () =>
      drivers.every(({ notices }) => notices.at(-1)?.pluginRegistered) ||
      Promise.reject(drivers.map(({ notices }) => notices)),
    WAIT_MS,
  );
  const csiNode = await read<{ spec: { drivers: unknown } }>(api, `${STORAGE}/csinodes/node-1`);
  t.deepEqual(csiNode.spec.drivers, [
    { name: first.name, nodeID: 'node-1', topologyKeys: ['topology.test.example/host'] },
  ]);

  await until('the default service account', async () => {
    return (await api.call('GET', `${CORE}/serviceaccounts/default`)).status === 200;
  });
  await make(api, `${STORAGE}/csidrivers`, 'CSIDriver', {
    metadata: { name: first.name },
    spec: { podInfoOnMount: true },
  });
  await make(api, '/api/v1/namespaces/kube-system/secrets', 'Secret', {
    metadata: { name: 'stage' },
    stringData: { key: 'sesame' },
  });
  const size = { storage: '1Gi' };
  await make(api, '/api/v1/persistentvolumes', 'PersistentVolume', {
    metadata: { name: 'pv' },
    spec: {
      capacity: size,
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'none',
      csi: {
        driver: first.name,
        volumeHandle: 'vol-1',
        nodeStageSecretRef: { namespace: 'kube-system', name: 'stage' },
      },
    },
  });
  await make(api, `${CORE}/persistentvolumeclaims`, 'PersistentVolumeClaim', {
    metadata: { name: 'data' },
    spec: { accessModes: ['ReadWriteOnce'], storageClassName: 'none', resources: { requests: size } },
  });
  const createPod = (name: string, node: string) =>
    make(api, `${CORE}/pods`, 'Pod', {
      metadata: { name },
      spec: {
        nodeSelector: { 'topology.test.example/host': node },
        terminationGracePeriodSeconds: 0,
        volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }],
        containers: [
          {
            name: 'c',
            image: 'host',
            imagePullPolicy: 'IfNotPresent',
            command: ['sh', '-c', 'cat /data/text; exec sleep 600'],
            volumeMounts: [{ name: 'data', mountPath: '/data' }],
          },
        ],
      },
    });
  const phaseOf = async (name: string) => (await read<PodThing>(api, `${CORE}/pods/${name}`)).status?.phase;
  /** What an external attacher does. */
  const attach = async (node: string) => {
    await until(
      `the volume is to be attached to ${node}`,
      async () => (await attachments(api)).some(({ spec }) => spec.nodeName === node),
      WAIT_MS,
    );
    const [found] = (await attachments(api)).filter(({ spec }) => spec.nodeName === node);
    const status = { attached: true, attachmentMetadata: { device: `/dev/of-${node}` } };
    const path = `${STORAGE}/volumeattachments/${found?.metadata.name}/status`;
    await api.call('PATCH', path, { status }, { type: 'application/merge-patch+json' });
  };

  await createPod('one', 'node-1');
  await attach('node-1');
  await until('the pod runs', async () => (await phaseOf('one')) === 'Running', WAIT_MS);
  await until(
    'it reads its data',
    async () => (await cluster.raftsman(['logs', 'one'])).stdout === 'data of node-1\n',
    WAIT_MS,
  );
  t.like(first.stages[0], { secrets: { key: 'sesame' }, publishContext: { device: '/dev/of-node-1' } });
  t.is(first.publishes[0]?.volumeContext['csi.storage.k8s.io/pod.name'], 'one');
  const { metadata } = await read<PodThing>(api, `${CORE}/pods/one`);

  const page = await cluster.raftsman(['get', '--raw', '/api/v1/nodes/node-1/proxy/metrics']);
  t.regex(page.stdout, /^kubelet_volume_stats_used_bytes\{namespace="default",persistentvolumeclaim="data"\} \d+$/m);
  /** What an external resizer does. */
  const merge = { type: 'application/merge-patch+json' };
  const grown = { storage: '2Gi' };
  await api.call('PATCH', '/api/v1/persistentvolumes/pv', { spec: { capacity: grown } }, merge);
  const pending = {
    allocatedResources: grown,
    allocatedResourceStatuses: { storage: 'NodeResizePending' },
    conditions: [{ type: 'FileSystemResizePending', status: 'True' }],
  };
  await api.call('PATCH', `${CORE}/persistentvolumeclaims/data/status`, { status: pending }, merge);
  const claimStatus = async () =>
    (await read<{ status: { capacity: unknown } }>(api, `${CORE}/persistentvolumeclaims/data`)).status;
  await until(
    'the claim has grown',
    async () =>
      JSON.stringify((await claimStatus()).capacity) === JSON.stringify(grown) || Promise.reject(claimStatus()),
    WAIT_MS,
  );
  const { conditions, allocatedResourceStatuses } = (await claimStatus()) as Partial<typeof pending>;
  t.deepEqual([conditions ?? [], allocatedResourceStatuses], [[], undefined]);
  t.is(first.expansions[0]?.capacityRange?.requiredBytes, 2 * 2 ** 30);

  await createPod('two', 'node-2');
  await until(
    'the second is told why it waits',
    async () =>
      (await cluster.raftsman(['describe', 'pod', 'two'])).stdout.includes('Multi-Attach error for volume "pv"'),
    WAIT_MS,
  );
  t.deepEqual(second.calls, []);
  await api.call('DELETE', `${CORE}/pods/one`);
  await attach('node-2');
  await until('the second runs', async () => (await phaseOf('two')) === 'Running', WAIT_MS);
  t.deepEqual(first.calls, [
    'NodeStageVolume vol-1',
    'NodePublishVolume vol-1',
    'NodeGetVolumeStats vol-1',
    'NodeExpandVolume vol-1',
    'NodeUnpublishVolume vol-1',
    'NodeUnstageVolume vol-1',
  ]);
  t.false(await exists(join(cluster.directory, 'node-1/kubelet/pods', metadata.uid)));
  await until(
    'it reads its own',
    async () => (await cluster.raftsman(['logs', 'two'])).stdout === 'data of node-2\n',
    WAIT_MS,
  );

  await api.call('DELETE', `${CORE}/pods/two`);
  await until('nothing is attached any more', async () => (await attachments(api)).length === 0, WAIT_MS);
  t.is(second.calls.at(-1), 'NodeUnstageVolume vol-1');
  api.close();
  await cluster.remove();
});
