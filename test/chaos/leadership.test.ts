/**
 * Controllers change masters. What is promised: a leader that is stopped in the middle of its work and wakes up when another
 * leads can write nothing any more, and after a leader's death the next one's controllers go on within two seconds.
 */
import test from 'ava';
import { type Api, connectApi } from '../helpers/api.ts';
import { newCluster, type TestCluster } from '../helpers/cluster.ts';
import { connectMaster, figureOf, leaderName, othersOf } from '../helpers/masters.ts';
import { testWith } from '../helpers/requirements.ts';
import { until } from '../helpers/run.ts';

const REPLICAS = 400;
/** Enough to show that it works, few enough to leave most of it to the next leader. */
const MADE_BEFORE_STOP = 20;
/** From the first write that the new leader acknowledges to what its controllers make of it. */
const TAKE_OVER_MS = 2_000;
const KILLS = 3;
const START_MS_MAX = 240_000;
/** Long enough that the start of the dead one's next process takes no time from its successor: they share the cores here. */
const RESTART_DELAY_S = 5;
const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments';
const MERGE = { type: 'application/merge-patch+json' };

const clusters: TestCluster[] = [];
test.after.always('remove the clusters', async () => {
  for (const cluster of clusters) await cluster.remove();
});

async function start(): Promise<{ readonly cluster: TestCluster; readonly api: Api }> {
  const cluster = await newCluster({ nodes: 0, args: ['--restart-delay', String(RESTART_DELAY_S)] });
  clusters.push(cluster);
  await cluster.start(START_MS_MAX);
  const api = await connectApi(cluster.kubeconfig, cluster.port);
  await until(
    'the default service account',
    async () => (await api.call('GET', '/api/v1/namespaces/default/serviceaccounts/default')).status === 200,
  );
  return { cluster, api };
}

const deployment = (name: string, replicas: number) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'c', image: 'x:1' }] } },
  },
});

interface Named {
  readonly metadata: { readonly name: string; readonly uid: string };
}
async function podsOf(api: Api, name: string): Promise<readonly Named[]> {
  const { body } = await api.call('GET', `/api/v1/namespaces/default/pods?labelSelector=app%3D${name}`);
  return (body as { readonly items?: readonly Named[] }).items ?? [];
}

testWith([])('a leader that was stopped in the middle of its work wakes up and can write nothing', async t => {
  t.timeout(300_000);
  const { cluster } = await start();
  const first = await connectMaster(cluster, 'master-1');
  const old = await leaderName(first);
  first.close();
  const other = othersOf(old)[0] ?? '';
  const api = await connectMaster(cluster, other);
  const oldPid = await cluster.pidOf(old);
  t.is((await api.call('POST', DEPLOYMENTS, deployment('many', REPLICAS))).status, 201);
  const made = await until('the first pods', async () => {
    const { length } = await podsOf(api, 'many');
    return length >= MADE_BEFORE_STOP && length;
  });
  process.kill(oldPid, 'SIGSTOP');
  try {
    t.log(`${old} was stopped when ${made} of ${REPLICAS} pods were there`);
    t.true(made < REPLICAS, 'it was stopped too late to have been in the middle');
    await until('another leader', async () => (await leaderName(api)) !== old, 60_000);
    // The new one's controllers change what the old one is in the middle of.
    const spec = { replicas: REPLICAS / 2 };
    await until(
      'a smaller Deployment',
      async () => (await api.call('PATCH', `${DEPLOYMENTS}/many`, { spec }, MERGE)).status === 200,
    );
    await until('half of the pods', async () => (await podsOf(api, 'many')).length === REPLICAS / 2, 60_000);
  } finally {
    process.kill(oldPid, 'SIGCONT');
  }
  const before = (await podsOf(api, 'many')).map(({ metadata }) => metadata.uid).sort();
  const awake = await connectMaster(cluster, old);
  await until('the old leader serves again', async () => (await awake.call('GET', '/readyz')).status === 200, 60_000);
  await until('its writes are refused', async () => (await figureOf(awake, 'raftsman_fenced_writes_total')) > 0);
  t.log(`${await figureOf(awake, 'raftsman_fenced_writes_total')} writes of ${old} were refused after it woke up`);
  t.is(await cluster.pidOf(old), oldPid, 'it is the same process');
  t.not(await leaderName(awake), old);
  t.deepEqual((await podsOf(awake, 'many')).map(({ metadata }) => metadata.uid).sort(), before, 'nothing has changed');
  awake.close();
  api.close();
});

testWith([])('after a leader’s death the next one’s controllers go on within two seconds', async t => {
  t.timeout(300_000);
  const { cluster } = await start();
  const took: number[] = [];
  for (let round = 0; round < KILLS; round++) {
    const any = await connectApi(cluster.kubeconfig, cluster.port);
    const leader = await leaderName(any);
    any.close();
    const survivor = await connectMaster(cluster, othersOf(leader)[0] ?? '');
    const pid = await cluster.pidOf(leader);
    process.kill(pid, 'SIGKILL');
    const name = `round-${round}`;
    await until('an acknowledged write', async () => {
      const { status } = await survivor.call('POST', DEPLOYMENTS, deployment(name, 3));
      return status === 201 || status === 409;
    });
    const acknowledgedAt = performance.now();
    await until('the pods', async () => (await podsOf(survivor, name)).length === 3);
    took.push(performance.now() - acknowledgedAt);
    await until('the dead one again', async () => (await cluster.pidOf(leader).catch(() => pid)) !== pid, 60_000);
    const isServing = async () => {
      const direct = await connectMaster(cluster, leader);
      try {
        return (await direct.call('GET', '/readyz')).status === 200;
      } finally {
        direct.close();
      }
    };
    await until('it serves', isServing, 120_000);
    survivor.close();
  }
  t.log(
    `from the acknowledged write to the pods of its Deployment: ${took.map(ms => `${Math.round(ms)} ms`).join(', ')}`,
  );
  t.true(Math.min(...took) > 0);
  t.true(Math.max(...took) < TAKE_OVER_MS, `controllers took ${Math.round(Math.max(...took))} ms`);
});
