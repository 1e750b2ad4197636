/**
 * A Deployment of many pods is rolled to a new image and the leading master is killed in the middle, again and again. Each
 * time the update has to end: every pod has the new image, there are as many as were asked for, no set but the newest has
 * any, and what was promised of surge and availability was kept at every moment that was looked at.
 *
 * The short form of it is part of `npm test`.
 */
import { replicasets } from '../../control/api/generated/kinds.ts';
import type { Deployment, Pod, ReplicaSet } from '../../control/api/generated/types.ts';
import { type Api, connectApi } from '../helpers/api.ts';
import { newCluster, type TestCluster } from '../helpers/cluster.ts';
import { flagsOf } from '../helpers/flags.ts';
import { startHollowNodes } from '../helpers/hollow-nodes.ts';
import { connectMaster, leaderName } from '../helpers/masters.ts';
import { until } from '../helpers/run.ts';

export interface RollingUpdateOptions {
  readonly pods: number;
  /** How often an update is begun and the leader killed. */
  readonly times: number;
  readonly nodes: number;
  readonly print: (line: string) => void;
}

const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments';
const NAME = 'many';
/** Of what was asked for; Kubernetes' defaults. */
const SURGE_SHARE = 0.25;
const UNAVAILABLE_SHARE = 0.25;
const RESTART_DELAY_S = 2;
const ROUND_MS_MAX = 600_000;
const START_MS_MAX = 240_000;

/** Gives what went wrong, in words; nothing if all went right. */
export async function rollingUpdates(options: RollingUpdateOptions): Promise<readonly string[]> {
  const { pods: replicas, times, nodes, print } = options;
  const cluster = await newCluster({ nodes: 0, args: ['--restart-delay', String(RESTART_DELAY_S)] });
  try {
    await cluster.start(START_MS_MAX);
    const { kubeconfig, port } = cluster;
    const hollow = await startHollowNodes({ kubeconfig, ports: [port + 1, port + 2, port + 3], count: nodes });
    const api = await connectApi(kubeconfig, port);
    const problems: string[] = [];
    try {
      const sets = hollow.follow(replicasets);
      const own = () => hollow.pods.list().filter(({ metadata }) => metadata?.labels?.app === NAME);
      await until(
        'the Deployment',
        async () => (await api.call('POST', DEPLOYMENTS, deployment(replicas))).status < 300,
      );
      await until(`${replicas} pods`, () => own().filter(isReady).length === replicas, ROUND_MS_MAX);
      for (let round = 1; round <= times; round++) {
        const at = performance.now();
        const found = await rollOnce({ cluster, api, own, sets, replicas, image: `x:${round + 1}` });
        print(
          `update ${round}: ${((performance.now() - at) / 1000).toFixed(1)} s${found.length > 0 ? `; ${found.join('; ')}` : ''}`,
        );
        problems.push(...found.map(problem => `update ${round}: ${problem}`));
      }
    } finally {
      api.close();
      await hollow.stop();
    }
    return problems;
  } finally {
    await cluster.remove();
  }
}

interface Round {
  readonly sets: () => readonly ReplicaSet[];
  readonly cluster: TestCluster;
  readonly api: Api;
  readonly own: () => readonly Pod[];
  readonly replicas: number;
  readonly image: string;
}

async function rollOnce({ cluster, api, own, sets, replicas, image }: Round): Promise<readonly string[]> {
  const problems = new Set<string>();
  const isNew = ({ spec }: Pod) => spec?.containers[0]?.image === image;
  const watch = () => {
    const alive = own().filter(({ metadata }) => !metadata?.deletionTimestamp);
    const most = replicas + Math.ceil(replicas * SURGE_SHARE);
    const least = replicas - Math.floor(replicas * UNAVAILABLE_SHARE);
    // As Kubernetes counts it: pods that a set was told to remove, and that its controller has not got to yet, do not count.
    const told = sets().reduce((sum, { spec }) => sum + (spec?.replicas ?? 0), 0);
    if (told > most) problems.add(`sets were to have ${told} pods, more than ${most}`);
    if (alive.filter(isReady).length < least) problems.add(`fewer than ${least} pods were ready`);
  };
  const body = { spec: { template: { spec: { containers: [{ name: 'c', image }] } } } };
  const type = 'application/strategic-merge-patch+json';
  await until(
    'the update',
    async () => (await api.call('PATCH', `${DEPLOYMENTS}/${NAME}`, body, { type })).status === 200,
  );
  await until('the middle of it', () => {
    watch();
    return own().filter(isNew).length > replicas / 4;
  });
  const leader = await leaderName(api);
  const pid = await cluster.pidOf(leader);
  process.kill(pid, 'SIGKILL');
  await until(
    'the end of it',
    async () => {
      watch();
      const all = own();
      if (all.length !== replicas || !all.every(pod => isNew(pod) && isReady(pod))) return false;
      const { body: found } = await api.call('GET', `${DEPLOYMENTS}/${NAME}`);
      const { status } = found as Deployment;
      return (
        status?.updatedReplicas === replicas && status.availableReplicas === replicas && status.replicas === replicas
      );
    },
    ROUND_MS_MAX,
  );
  const listed = await api.call('GET', '/apis/apps/v1/namespaces/default/replicasets');
  const { items } = listed.body as { items: { spec: { replicas?: number } }[] };
  const filled = items.filter(({ spec }) => spec.replicas !== 0).length;
  if (filled !== 1) problems.add(`${filled} sets have pods`);
  await until('the dead master again', async () => (await cluster.pidOf(leader).catch(() => pid)) !== pid, 60_000);
  await until(
    'it serves',
    async () => {
      const direct = await connectMaster(cluster, leader);
      try {
        return (await direct.call('GET', '/readyz')).status === 200;
      } finally {
        direct.close();
      }
    },
    120_000,
  );
  return [...problems];
}

const isReady = ({ status, metadata }: Pod) =>
  !metadata?.deletionTimestamp &&
  (status?.conditions ?? []).some(({ type, status: is }) => type === 'Ready' && is === 'True');

const deployment = (replicas: number) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: NAME },
  spec: {
    replicas,
    selector: { matchLabels: { app: NAME } },
    template: { metadata: { labels: { app: NAME } }, spec: { containers: [{ name: 'c', image: 'x:1' }] } },
  },
});

const USAGE = `Rolls a Deployment to a new image and kills the leading master in the middle, again and again:

  node test/chaos/rolling-update.ts [--pods 1000] [--times 10] [--nodes 20]

Exit code 1 if an update does not end right.`;

if (import.meta.main) {
  const values = flagsOf(USAGE, {
    pods: { type: 'string', default: '1000' },
    times: { type: 'string', default: '10' },
    nodes: { type: 'string', default: '20' },
  });
  const [pods, times, nodes] = [Number(values.pods), Number(values.times), Number(values.nodes)];
  const problems = await rollingUpdates({ pods, times, nodes, print: line => console.log(line) });
  console.log(problems.length === 0 ? `${times} of ${times} updates ended right` : problems.join('\n'));
  process.exitCode = problems.length === 0 ? 0 : 1;
}
