/** A node dies with all its containers: its pods run on the other node after the tolerated time, and it is used again when it returns. */
import test from 'ava';
import { connectApi } from '../helpers/api.ts';
import { newCluster, type TestCluster } from '../helpers/cluster.ts';
import { makeBusyboxImage } from '../helpers/images.ts';
import { testWith } from '../helpers/requirements.ts';
import { mustRun, until } from '../helpers/run.ts';

const IMAGE = 'raftsman-test/busybox:1';
const TOLERATION_S = 5;
/** Kubernetes' default: a node is NotReady when nothing was heard of it for so long. */
const GRACE_S = 50;
/** The agent comes back after its pods have moved. */
const RESTART_DELAY_S = 90;
const REPLICAS = 2;

interface Pod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName?: string };
  readonly status: {
    readonly phase: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

let cluster: TestCluster | undefined;
test.after.always('stop the cluster', async () => {
  await cluster?.remove();
});

testWith(['docker', 'root', 'iproute2', 'busybox'])(
  'the pods of a dead node run elsewhere, and the node is used again',
  async t => {
    t.timeout(400_000);
    await makeBusyboxImage(IMAGE);
    const running = await newCluster({ runtime: 'docker', args: ['--restart-delay', String(RESTART_DELAY_S)] });
    cluster = running;
    await running.start();
    const api = await connectApi(running.kubeconfig, running.port);
    const tolerate = (key: string) => ({
      key: `node.kubernetes.io/${key}`,
      operator: 'Exists',
      effect: 'NoExecute',
      tolerationSeconds: TOLERATION_S,
    });
    const made = await api.call('POST', '/apis/apps/v1/namespaces/default/deployments', {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web' },
      spec: {
        replicas: REPLICAS,
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: {
            tolerations: [tolerate('not-ready'), tolerate('unreachable')],
            terminationGracePeriodSeconds: 1,
            containers: [{ name: 'web', image: IMAGE, imagePullPolicy: 'IfNotPresent', command: ['sleep', '3600'] }],
          },
        },
      },
    });
    t.is(made.status, 201);
    const pods = async () =>
      ((await api.call('GET', '/api/v1/namespaces/default/pods?labelSelector=app%3Dweb')).body as { items: Pod[] })
        .items;
    const ready = async () =>
      (await pods()).filter(
        pod =>
          !pod.metadata.deletionTimestamp &&
          pod.status.conditions?.some(condition => condition.type === 'Ready' && condition.status === 'True'),
      );
    await until('the pods', async () => (await ready()).length === REPLICAS, 60_000);
    const victim = (await ready())[0]?.spec.nodeName ?? '';
    const other = victim === 'node-1' ? 'node-2' : 'node-1';

    const killedAt = performance.now();
    process.kill(await running.pidOf(victim), 'SIGKILL');
    const containers = (await mustRun('docker', ['ps', '-aq', '--filter', `label=raftsman.node=${victim}`]))
      .split('\n')
      .filter(Boolean);
    t.true(containers.length > 0);
    await mustRun('docker', ['rm', '-f', ...containers]);
    await until(
      `${REPLICAS} pods on ${other}`,
      async () => {
        const now = await ready();
        return now.length === REPLICAS && now.every(pod => pod.spec.nodeName === other);
      },
      120_000,
    );
    const moved = (performance.now() - killedAt) / 1000;
    t.log(
      `the pods ran elsewhere ${moved.toFixed(1)} s after the node died (grace ${GRACE_S} s, toleration ${TOLERATION_S} s)`,
    );
    t.true(moved > GRACE_S - 15, 'they were not moved before the node could be known to be dead');

    await until(
      `${victim} Ready again`,
      async () => {
        const { body } = await api.call('GET', `/api/v1/nodes/${victim}`);
        const node = body as {
          spec: { taints?: unknown[] };
          status: { conditions: { type: string; status: string }[] };
        };
        return (
          !node.spec.taints?.length &&
          node.status.conditions.some(condition => condition.type === 'Ready' && condition.status === 'True')
        );
      },
      120_000,
    );
    await api.call(
      'PATCH',
      '/apis/apps/v1/namespaces/default/deployments/web/scale',
      { spec: { replicas: 6 } },
      { type: 'application/merge-patch+json' },
    );
    await until(
      'pods on the node that returned',
      async () =>
        (await ready()).filter(pod => pod.spec.nodeName === victim).length > 0 && (await ready()).length === 6,
      60_000,
    );
    api.close();
  },
);
