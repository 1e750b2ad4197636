/**
 * `--fast-failover`: a node dies together with the master that leads, and within 30 s its pods run on the other node. Real
 * processes and containers; the dead node's own pods are left as they are, for nobody can reach them to know.
 */
import test from 'ava';
import { connectApi } from '../helpers/api.ts';
import { newCluster, type TestCluster } from '../helpers/cluster.ts';
import { leaderName } from '../helpers/masters.ts';
import { testWith } from '../helpers/requirements.ts';
import { until } from '../helpers/run.ts';

const MOVED_S_MAX = 30;
const REPLICAS = 4;
const START_MS_MAX = 240_000;
/** Nobody comes back before the end. */
const RESTART_DELAY_S = 120;

interface Pod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly spec: {
    readonly nodeName?: string;
    readonly tolerations?: readonly { readonly tolerationSeconds?: number }[];
  };
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

let cluster: TestCluster | undefined;
test.after.always('stop the cluster', async () => {
  await cluster?.stop();
  // What an agent that was killed had running is not ended by the end of the others.
  await cluster?.raftsman(['down', '--data-dir', cluster.directory, '--purge']);
  await cluster?.remove();
});

testWith(['root', 'iproute2', 'busybox'])('the pods of a dead node run elsewhere within 30 s', async t => {
  t.timeout(400_000);
  const args = ['--fast-failover', '--restart-delay', String(RESTART_DELAY_S)];
  const running = await newCluster({ runtime: 'native', args });
  cluster = running;
  await running.start(START_MS_MAX);
  const api = await connectApi(running.kubeconfig, running.port);
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
          terminationGracePeriodSeconds: 1,
          containers: [
            { name: 'c', image: 'host', imagePullPolicy: 'IfNotPresent', command: ['/bin/busybox', 'sleep', '3600'] },
          ],
        },
      },
    },
  });
  t.is(made.status, 201);
  const pods = async () =>
    ((await api.call('GET', '/api/v1/namespaces/default/pods?labelSelector=app%3Dweb')).body as { items: Pod[] }).items;
  const isReady = ({ metadata, status }: Pod) =>
    !metadata.deletionTimestamp &&
    status.conditions?.some(condition => condition.type === 'Ready' && condition.status === 'True') === true;
  await until('the pods', async () => (await pods()).filter(isReady).length === REPLICAS, 90_000);
  const first = await pods();
  t.deepEqual(
    first[0]?.spec.tolerations?.map(({ tolerationSeconds }) => tolerationSeconds),
    [5, 5],
  );
  const victim = first[0]?.spec.nodeName ?? '';
  const leader = await leaderName(api);
  const killedAt = performance.now();
  for (const name of [victim, leader]) process.kill(await running.pidOf(name), 'SIGKILL');
  await until(
    `${REPLICAS} pods on the other node`,
    async () => {
      const all = await pods();
      const ready = all.filter(pod => isReady(pod) && pod.spec.nodeName !== victim);
      if (ready.length >= REPLICAS) return true;
      throw new Error(JSON.stringify(all.map(({ metadata, spec, status }) => [metadata, spec.nodeName, status])));
    },
    MOVED_S_MAX * 3_000,
  );
  const movedS = (performance.now() - killedAt) / 1000;
  t.log(`${victim} and ${leader} died together; the pods ran elsewhere ${movedS.toFixed(1)} s later`);
  t.true(movedS < MOVED_S_MAX);
  api.close();
});
