/** `raftsman up` and what it leaves behind: nothing but its data. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { connectApi } from '../helpers/api.ts';
import { type ClusterOptions, newCluster, type TestCluster } from '../helpers/cluster.ts';
import { makeBusyboxImage } from '../helpers/images.ts';
import { type Requirement, testWith } from '../helpers/requirements.ts';
import { run, until } from '../helpers/run.ts';

/** What the issue asks for; the aim is 5 s. */
const READY_MS_MAX = 30_000;
const IMAGE = 'raftsman-test/busybox:1';

/** Everything on this machine that a cluster could leave behind, as sorted lines. */
async function remains(cluster: TestCluster): Promise<Readonly<Record<string, readonly string[]>>> {
  const lines = async (command: string, args: readonly string[]) => {
    const { code, stdout } = await run(command, args);
    return code === 0 ? stdout.split('\n').filter(Boolean).sort() : [];
  };
  const mounts = (await readFile('/proc/mounts', 'utf8')).split('\n').filter(line => line.includes(cluster.directory));
  return {
    processes: await processesOf(cluster),
    containers: await lines('docker', ['ps', '-a', '-q', '--no-trunc']),
    links: (await lines('ip', ['-o', 'link'])).map(line => line.split(':')[1]?.trim() ?? '').sort(),
    namespaces: await lines('ip', ['netns', 'list']),
    addresses: (await lines('ip', ['-4', '-o', 'addr', 'show', 'dev', 'lo'])).map(line => line.replace(/\s+/g, ' ')),
    routes: await lines('ip', ['route']),
    nftables: (await lines('nft', ['list', 'tables'])).filter(line => !/ (nat|filter|mangle|raw)$/.test(line)),
    forwardRules: (await lines('iptables', ['-S', 'FORWARD'])).concat(await lines('iptables', ['-S', 'DOCKER-USER'])),
    mounts,
  };
}

/** Command lines that name the cluster's folder. */
async function processesOf(cluster: TestCluster): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (text.includes(cluster.directory)) found.push(text.replaceAll('\0', ' '));
  }
  return found;
}

const clusters: TestCluster[] = [];
test.after.always('remove the clusters', async () => {
  for (const cluster of clusters) await cluster.remove();
});

function lifecycle(runtime: 'docker' | 'native', requirements: readonly Requirement[], image: string): void {
  testWith(requirements)(
    `a cluster with the ${runtime} runtime comes up, runs a pod, goes without a trace and comes back`,
    async t => {
      if (runtime === 'docker') await makeBusyboxImage(IMAGE);
      const options: ClusterOptions = { runtime };
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
lifecycle('docker', ['docker', 'root', 'iproute2', 'busybox'], IMAGE);
lifecycle('native', ['root', 'iproute2'], 'host');

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
  const commandLines = (await processesOf(cluster)).join('\n');
  t.false(commandLines.includes('--token'), 'no secret stands on a command line');
  const down = await cluster.raftsman(['down', '--purge', ...place], { timeoutMs: 120_000 });
  t.is(down.code, 0, down.stderr);
  t.deepEqual(await processesOf(cluster), []);
  await t.throwsAsync(readdir(cluster.directory));
});
