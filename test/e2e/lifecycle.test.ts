/** `raftsman up` and what it leaves behind: nothing but its data. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { TestContainerd } from '../../node/runtime/cri/test-containerd.ts';
import { connectApi } from '../helpers/api.ts';
import { type ClusterOptions, newCluster, type TestCluster } from '../helpers/cluster.ts';
import { makeBusyboxImage } from '../helpers/images.ts';
import { remains } from '../helpers/remains.ts';
import { type Requirement, testWith } from '../helpers/requirements.ts';
import { until } from '../helpers/run.ts';

/** What the issue asks for; the aim is 5 s. */
const READY_MS_MAX = 30_000;
const IMAGE = 'raftsman-test/busybox:1';

const clusters: TestCluster[] = [];
test.after.always('remove the clusters', async () => {
  for (const cluster of clusters) await cluster.remove();
});

/** What a runtime runs, and how it is brought there; gives flags that `up` needs for it. */
interface Engine {
  readonly image: string;
  readonly prepare?: (t: ExecutionContext) => Promise<readonly string[]>;
}

const docker: Engine = {
  image: IMAGE,
  async prepare() {
    await makeBusyboxImage(IMAGE);
    return [];
  },
};
const containerd: Engine = {
  image: IMAGE,
  async prepare(t) {
    const engine = await TestContainerd.start();
    t.teardown(() => engine.remove());
    await engine.importBusybox(`docker.io/${IMAGE}`);
    return ['--runtime-endpoint', engine.endpoint];
  },
};

function lifecycle(
  runtime: 'docker' | 'cri' | 'native',
  requirements: readonly Requirement[],
  { image, prepare }: Engine,
): void {
  testWith(requirements)(
    `a cluster with the ${runtime} runtime comes up, runs a pod, goes without a trace and comes back`,
    async t => {
      const options: ClusterOptions = { runtime, args: (await prepare?.(t)) ?? [] };
      const cluster = await newCluster(options);
      clusters.push(cluster);
      const before = await remains(cluster);

      const took = await cluster.start();
      t.log(`three masters and two nodes Ready after ${(took / 1000).toFixed(1)} s`);
      t.true(took < READY_MS_MAX);
      const api = await connectApi(cluster.kubeconfig, cluster.port);
      await until(
        'the default service account',
        async () => (await api.call('GET', '/api/v1/namespaces/default/serviceaccounts/default')).status === 200,
      );
      const made = await api.call('POST', '/api/v1/namespaces/default/pods', {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'one' },
        spec: {
          terminationGracePeriodSeconds: 1,
          containers: [
            { name: 'c', image, imagePullPolicy: 'IfNotPresent', command: ['sh', '-c', 'echo hello; sleep 3600'] },
          ],
        },
      });
      t.is(made.status, 201);
      await until(
        'a running pod',
        async () => {
          const { body } = await api.call('GET', '/api/v1/namespaces/default/pods/one');
          const pod = body as { status: { phase: string } };
          if (pod.status.phase !== 'Running') throw new Error(JSON.stringify(pod.status));
          return true;
        },
        60_000,
      );
      t.is((await cluster.raftsman(['logs', 'one'])).stdout, 'hello\n');
      api.close();

      await cluster.stop();
      t.regex(cluster.output, /Stopped\. The data is in /);
      t.deepEqual(await remains(cluster), before);

      const again = await cluster.start();
      t.log(`a second start took ${(again / 1000).toFixed(1)} s`);
      const later = await connectApi(cluster.kubeconfig, cluster.port);
      const found = await later.call('GET', '/api/v1/namespaces/default/pods/one');
      t.is(found.status, 200);
      later.close();
      await cluster.remove();
      t.deepEqual(await remains(cluster), before);
    },
  );
}
lifecycle('docker', ['docker', 'root', 'iproute2', 'busybox'], docker);
lifecycle('cri', ['containerd', 'root', 'iproute2', 'busybox'], containerd);
lifecycle('native', ['root', 'iproute2'], { image: 'host' });

/** What probes and Prometheus get, and who gets it. */
async function healthAndMetrics(t: ExecutionContext, cluster: TestCluster): Promise<void> {
  const administrator = await connectApi(cluster.kubeconfig, cluster.port + 1);
  const nobody = await connectApi(cluster.kubeconfig, cluster.port + 1, { isAnonymous: true });
  for (const path of ['/livez', '/readyz', '/healthz']) {
    for (const api of [administrator, nobody]) {
      t.deepEqual(await api.call('GET', path), { status: 200, body: 'ok' }, path);
      const verbose = await api.call('GET', `${path}?verbose`);
      t.is(verbose.status, 200);
      t.regex(String(verbose.body), new RegExp(`^(\\[\\+\\]\\S+ ok\\n)+${path.slice(1)} check passed\\n$`));
    }
  }
  t.is((await administrator.call('GET', '/livez/no-such-check')).status, 404);
  t.is((await nobody.call('GET', '/metrics')).status, 403);
  const namespaces = await administrator.call('GET', '/api/v1/namespaces');
  t.is(namespaces.status, 200);
  const metrics = await administrator.call('GET', '/metrics');
  t.is(metrics.status, 200);
  const text = String(metrics.body);
  t.regex(text, /^raftsman_store_has_leader 1$/m);
  t.regex(text, /^etcd_server_has_leader 1$/m);
  t.regex(text, /^raftsman_store_quota_bytes \d+$/m);
  t.regex(text, /^process_cpu_seconds_total \d/m);
  t.regex(text, /^apiserver_request_total\{[^}]*resource="namespaces"[^}]*\} [1-9]/m);
  for (const line of text.split('\n')) t.regex(line, /^(|#.*|[a-zA-Z_:][\w:]*(\{.*\})? \S+)$/);
  for (const api of [administrator, nobody]) api.close();
}

/** With nobody to start them again: the last of three masters is alive, so no supervisor ends it, and not ready. */
async function healthWithoutQuorum(t: ExecutionContext, cluster: TestCluster): Promise<void> {
  for (const name of ['master-1', 'master-2']) process.kill(await cluster.pidOf(name), 'SIGKILL');
  const nobody = await connectApi(cluster.kubeconfig, cluster.port + 3, { isAnonymous: true });
  const { body } = await until('a master that knows that it is alone', async () => {
    const answer = await nobody.call('GET', '/readyz?verbose');
    return answer.status === 500 && answer;
  });
  t.regex(String(body), /^\[-\]\S+ failed: .+$/m);
  t.regex(String(body), /readyz check failed\n$/);
  t.deepEqual(await nobody.call('GET', '/livez'), { status: 200, body: 'ok' });
  const master = await connectApi(cluster.kubeconfig, cluster.port + 3);
  const metrics = await until('the figure of no leader', async () => {
    const answer = await master.call('GET', '/metrics');
    return /^raftsman_store_has_leader 0$/m.test(String(answer.body)) && answer;
  });
  t.is(metrics.status, 200, 'what is wrong can be read while it is wrong');
  for (const api of [nobody, master]) api.close();
}

testWith(['root', 'iproute2'])('a detached cluster is shown by status and stopped by down', async t => {
  const cluster = await newCluster();
  clusters.push(cluster);
  const place = ['--data-dir', cluster.directory];
  const up = await cluster.raftsman(['up', '--detach', '--runtime', 'fake', '--port', String(cluster.port), ...place], {
    timeoutMs: 120_000,
  });
  t.is(up.code, 0, up.stdout + up.stderr);
  const status = await cluster.raftsman(['status', ...place]);
  t.is(status.code, 0, status.stderr);
  t.regex(status.stdout, /master-1 +running/i);
  t.regex(status.stdout, /node-2 +running/i);
  await healthAndMetrics(t, cluster);
  const second = await cluster.raftsman(['up', '--runtime', 'fake', ...place]);
  t.is(second.code, 1);
  t.regex(second.stderr, /^error: a cluster runs already from .*\n$/);
  // Without its supervisor the cluster goes on, and both commands know what to do.
  process.kill(Number.parseInt(await readFile(join(cluster.directory, 'pid'), 'utf8'), 10), 'SIGKILL');
  const orphaned = await until('the supervisor’s end', async () => {
    const result = await cluster.raftsman(['up', '--runtime', 'fake', ...place]);
    return /runs already/.test(result.stderr) ? undefined : result;
  });
  t.is(orphaned.code, 1);
  t.regex(orphaned.stderr, /^error: master-1, .* still run, .*raftsman down/);
  await healthWithoutQuorum(t, cluster);
  const commandLines = (await cluster.processes()).join('\n');
  t.false(commandLines.includes('--token'), 'no secret stands on a command line');
  const down = await cluster.raftsman(['down', '--purge', ...place], { timeoutMs: 120_000 });
  t.is(down.code, 0, down.stderr);
  t.deepEqual(await cluster.processes(), []);
  await t.throwsAsync(readdir(cluster.directory));
});
