/** From `kubectl create` to a running container, minus the same by `docker run`: what the cluster adds. */
import { readFile } from 'node:fs/promises';
import { connectApi } from '../helpers/api.ts';
import type { TestCluster } from '../helpers/cluster.ts';
import { makeBusyboxImage } from '../helpers/images.ts';
import { mustRun, until } from '../helpers/run.ts';
import { median } from './measure.ts';

const IMAGE = 'raftsman-test/busybox:1';
const RUNS = 7;

export async function benchPod(cluster: TestCluster, kubectl: string, print: (line: string) => void): Promise<void> {
  await makeBusyboxImage(IMAGE);
  const byKubectl: number[] = [];
  const byDocker: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    byKubectl.push(await throughKubectl(cluster, kubectl, `bench-${i}`));
    byDocker.push(await throughDocker(`raftsman-bench-${process.pid}-${i}`));
  }
  const [ours, theirs] = [median(byKubectl), median(byDocker)];
  print(`kubectl create → running           ${ours.toFixed(0)} ms (median of ${RUNS})`);
  print(`docker run → running               ${theirs.toFixed(0)} ms (median of ${RUNS})`);
  print(`the difference                     ${(ours - theirs).toFixed(0)} ms`);
}

async function throughKubectl(cluster: TestCluster, kubectl: string, name: string): Promise<number> {
  const api = await connectApi(cluster.kubeconfig, cluster.port);
  const manifest = JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'c', image: IMAGE, imagePullPolicy: 'IfNotPresent', command: ['sleep', '3600'] }],
    },
  });
  const startedAt = performance.now();
  await mustRun(kubectl, ['create', '-f', '-'], { env: cluster.env, input: manifest });
  await until('a running container', async () => {
    const { body } = await api.call('GET', `/api/v1/namespaces/default/pods/${name}`);
    return (
      (body as { status?: { containerStatuses?: { state?: { running?: unknown } }[] } }).status?.containerStatuses?.[0]
        ?.state?.running !== undefined
    );
  });
  const took = performance.now() - startedAt;
  await api.call('DELETE', `/api/v1/namespaces/default/pods/${name}`);
  await until(
    'the pod to go',
    async () => (await api.call('GET', `/api/v1/namespaces/default/pods/${name}`)).status === 404,
  );
  api.close();
  return took;
}

async function throughDocker(name: string): Promise<number> {
  const startedAt = performance.now();
  await mustRun('docker', ['run', '-d', '--name', name, IMAGE, 'sleep', '3600']);
  const took = performance.now() - startedAt;
  await mustRun('docker', ['rm', '-f', name]);
  return took;
}

/** Resident memory of each process of an idle cluster. */
export async function benchMemory(
  cluster: TestCluster,
  names: readonly string[],
  print: (line: string) => void,
): Promise<void> {
  for (const name of names) {
    const status = await readFile(`/proc/${await cluster.pidOf(name)}/status`, 'utf8');
    const kib = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]);
    print(`${name.padEnd(34)} ${(kib / 1024).toFixed(0)} MiB resident`);
  }
}
