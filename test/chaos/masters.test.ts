/**
 * Masters die by kill -9 while clients write and a Deployment serves. What is promised: nothing that was acknowledged is
 * lost, no read is stale, no container is restarted, the Deployment's controller goes on, and the next write is
 * acknowledged within two seconds.
 */
import { request } from 'node:http';
import test from 'ava';
import { type Api, connectApi } from '../helpers/api.ts';
import { newCluster, type TestCluster } from '../helpers/cluster.ts';
import { makeNginxImage } from '../helpers/images.ts';
import { testWith } from '../helpers/requirements.ts';
import { until } from '../helpers/run.ts';
import { Workload } from './workload.ts';

const KILLS = 5;
const REGISTERS = 4;
const REPLICAS = 4;
const FAILOVER_MS_P99 = 2_000;
/** Long enough to see writes refused while two of three masters are away. */
const RESTART_DELAY_S = 3;
const IMAGE = 'raftsman-test/web:1';

interface PodList {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly status: {
      readonly phase: string;
      readonly containerStatuses?: readonly { readonly containerID: string; readonly restartCount: number }[];
    };
  }[];
}

let cluster: TestCluster | undefined;
test.after.always('stop the cluster', async () => {
  await cluster?.remove();
});

async function leaderName(api: Api): Promise<string> {
  return until('a leader', async () => {
    const { status, body } = await api.call('GET', '/raftsman/v1/status');
    const { leader, members } = body as { leader: string | null; members: { id: string; name: string }[] };
    return status === 200 && members.find(member => member.id === leader)?.name;
  });
}

testWith(['docker', 'root', 'iproute2', 'nginx', 'busybox'])(
  'masters are killed, and nobody loses anything',
  async t => {
    t.timeout(600_000);
    await makeNginxImage(IMAGE, { page: 'served\n' });
    const running = await newCluster({ runtime: 'docker', args: ['--restart-delay', String(RESTART_DELAY_S)] });
    cluster = running;
    await running.start();
    const api = await connectApi(running.kubeconfig, running.port);
    const pods = async () =>
      (await api.call('GET', '/api/v1/namespaces/default/pods?labelSelector=app%3Dweb')).body as PodList;
    const allReady = async (count: number) => {
      const { body } = await api.call('GET', '/apis/apps/v1/namespaces/default/deployments/web');
      return (body as { status?: { readyReplicas?: number } }).status?.readyReplicas === count;
    };
    await api.call('POST', '/apis/apps/v1/namespaces/default/deployments', {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web' },
      spec: {
        replicas: REPLICAS,
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: {
            containers: [
              {
                name: 'web',
                image: IMAGE,
                ports: [{ containerPort: 80 }],
                readinessProbe: { httpGet: { path: '/', port: 80 }, periodSeconds: 1 },
              },
            ],
          },
        },
      },
    });
    const service = await api.call('POST', '/api/v1/namespaces/default/services', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web' },
      spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
    });
    t.is(service.status, 201);
    await until('the Deployment', () => allReady(REPLICAS), 60_000);
    const before = (await pods()).items.map(pod => pod.status.containerStatuses?.[0]?.containerID).sort();
    const address = (service.body as { spec: { clusterIP: string } }).spec.clusterIP;
    const visitor = new Visitor(`http://${address}/`);
    await until('the Service', () => visitor.visit(), 30_000);

    const workload = new Workload({
      connect: () => connectApi(running.kubeconfig, running.port),
      registers: REGISTERS,
      namespace: 'default',
    });
    await workload.start();
    visitor.start();
    const failovers: number[] = [];
    const kill = async (names: readonly string[]) => {
      const pids = await Promise.all(names.map(name => running.pidOf(name)));
      const at = performance.now();
      for (const pid of pids) process.kill(pid, 'SIGKILL');
      return { at, pids };
    };
    const isBack = (name: string, oldPid: number) =>
      until(
        `${name} again`,
        async () => {
          if ((await running.pidOf(name).catch(() => oldPid)) === oldPid) return false;
          const direct = await connectApi(running.kubeconfig, running.port + Number(name.split('-')[1]));
          try {
            return (await direct.call('GET', '/readyz')).status === 200;
          } finally {
            direct.close();
          }
        },
        60_000,
      );
    const killOne = async (name: string) => {
      const { at, pids } = await kill([name]);
      const next = await until('the next acknowledged write', () => workload.firstAcknowledgementAfter(at), 30_000);
      failovers.push(next - at);
      await isBack(name, pids[0] ?? 0);
    };
    for (let i = 0; i < KILLS; i++) await killOne(await leaderName(api));
    const leaderKills = failovers.splice(0);
    for (let i = 0; i < KILLS; i++) {
      const leader = await leaderName(api);
      await killOne(['master-1', 'master-2', 'master-3'].find(name => name !== leader) ?? '');
    }
    const worst = Math.max(...leaderKills);
    t.log(
      `longest time without an acknowledged write after kill -9 of the leader: ${leaderKills.map(ms => `${Math.round(ms)} ms`).join(', ')}`,
    );
    t.log(`the same for a follower: ${failovers.map(ms => `${Math.round(ms)} ms`).join(', ')}`);
    t.true(worst < FAILOVER_MS_P99, `a fail-over took ${Math.round(worst)} ms`);

    // Two at once: no quorum, so nothing may be acknowledged until one returns.
    const leader = await leaderName(api);
    const other = leader === 'master-1' ? 'master-2' : 'master-1';
    const { at, pids } = await kill([leader, other]);
    const failedBefore = workload.refused + workload.unknown;
    const resumed = await until('service again', () => workload.firstAcknowledgementAfter(at + 500), 60_000);
    t.true(
      resumed - at > (RESTART_DELAY_S * 1000) / 2,
      `a write was acknowledged ${Math.round(resumed - at)} ms after two of three masters died`,
    );
    t.true(workload.refused + workload.unknown > failedBefore, 'writes were refused meanwhile');
    await Promise.all([isBack(leader, pids[0] ?? 0), isBack(other, pids[1] ?? 0)]);

    const violations = await workload.finish();
    t.deepEqual(violations, []);
    t.log(
      `${workload.acknowledgedTotal} writes acknowledged, ${workload.refused} refused, ${workload.unknown} without an answer, ${workload.reads} reads`,
    );
    const failed = await visitor.stop();
    t.log(`${visitor.served} requests served by the Deployment, ${failed} failed`);
    t.is(failed, 0);
    const after = await pods();
    t.deepEqual(
      after.items.map(pod => pod.status.containerStatuses?.[0]?.containerID).sort(),
      before,
      'the same containers run',
    );
    t.deepEqual(
      after.items.map(pod => pod.status.containerStatuses?.[0]?.restartCount),
      Array(REPLICAS).fill(0),
    );

    // The controller lives under the newest leader.
    const scaled = await api.call(
      'PATCH',
      '/apis/apps/v1/namespaces/default/deployments/web/scale',
      { spec: { replicas: REPLICAS + 1 } },
      { type: 'application/merge-patch+json' },
    );
    t.is(scaled.status, 200);
    await until('one replica more', () => allReady(REPLICAS + 1), 30_000);
    api.close();
  },
);

/** Asks a Service for a page, again and again. */
class Visitor {
  readonly #url: string;
  readonly #stop = new AbortController();
  #done: Promise<void> | undefined;
  served = 0;
  #failed = 0;
  constructor(url: string) {
    this.#url = url;
  }

  visit(): Promise<boolean> {
    return new Promise(resolve => {
      const call = request(this.#url, { agent: false, timeout: 2_000 }, response => {
        response.resume();
        response.on('end', () => resolve(response.statusCode === 200));
        response.on('error', () => resolve(false));
      });
      call.on('timeout', () => call.destroy());
      call.on('error', () => resolve(false));
      call.end();
    });
  }

  start(): void {
    this.#done = (async () => {
      while (!this.#stop.signal.aborted) {
        if (await this.visit()) this.served++;
        else this.#failed++;
        await new Promise(resolve => setTimeout(resolve, 20));
      }
    })();
  }

  /** Ends the visits; how many failed. */
  async stop(): Promise<number> {
    this.#stop.abort();
    await this.#done;
    return this.#failed;
  }
}
