/** Static pods on a real runtime: a file in the node's folder, its mirror in the API, and what is left when the file goes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { type Api, connectApi } from '../helpers/api.ts';
import { newCluster, raftsmanCommand } from '../helpers/cluster.ts';
import { testWith } from '../helpers/requirements.ts';
import { until } from '../helpers/run.ts';

const TIMEOUT_MS = 240_000;
const POD = '/api/v1/namespaces/default/pods/guard-node-1';
/** A pod that leaves a file in a folder of the machine. */
const manifest = (folder: string) => `apiVersion: v1
kind: Pod
metadata: {name: guard}
spec:
  terminationGracePeriodSeconds: 2
  volumes: [{name: out, hostPath: {path: ${folder}}}]
  containers:
  - name: main
    image: host
    command: [sh, -c, "echo on guard; touch /tmp/out/seen; trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"]
    volumeMounts: [{name: out, mountPath: /tmp/out}]
`;

interface Mirror {
  readonly metadata: { readonly uid: string; readonly annotations: Readonly<Record<string, string>> };
  readonly status: { readonly phase: string; readonly containerStatuses?: readonly { readonly containerID: string }[] };
}
async function mirrorOf(api: Api): Promise<Mirror | undefined> {
  const { status, body } = await api.call('GET', POD);
  return status === 200 ? (body as Mirror) : undefined;
}

function untilRunning(api: Api, isRight: (mirror: Mirror) => boolean = () => true): Promise<Mirror> {
  return until('the mirror shows that the pod runs', async () => {
    const mirror = await mirrorOf(api);
    return mirror?.status.phase === 'Running' && isRight(mirror) && mirror;
  });
}

async function start(t: ExecutionContext) {
  const cluster = await newCluster({ masters: 1, nodes: 1, runtime: 'native' });
  t.teardown(() => cluster.remove());
  await cluster.start();
  const api = await connectApi(cluster.kubeconfig, cluster.port);
  t.teardown(() => api.close());
  const node = join(cluster.directory, 'node-1');
  const out = join(cluster.directory, 'out');
  await mkdir(out);
  const file = join(node, 'manifests', 'guard.yaml');
  await writeFile(file, manifest(out));
  return { cluster, api, node, file, seen: join(out, 'seen'), first: await untilRunning(api) };
}

testWith(['root', 'busybox'])('a file of the node is a pod, whatever happens to its mirror', async t => {
  t.timeout(TIMEOUT_MS);
  const { api, node, file, first } = await start(t);
  const { body: log } = await api.call('GET', `${POD}/log`, undefined, { isText: true });
  t.is(log, 'on guard\n');
  await api.call('DELETE', POD);
  const second = await untilRunning(api, ({ metadata }) => metadata.uid !== first.metadata.uid);
  t.is(second.status.containerStatuses?.[0]?.containerID, first.status.containerStatuses?.[0]?.containerID);
  const uid = second.metadata.annotations['kubernetes.io/config.mirror'] ?? '';
  const podFolders = () => readdir(join(node, 'pods'));
  t.true((await podFolders()).includes(uid));
  await rm(file);
  await until('the mirror is gone', async () => (await mirrorOf(api)) === undefined);
  t.false((await podFolders()).includes(uid));
});

testWith(['root', 'busybox'])('an agent that finds no master runs its static pods', async t => {
  t.timeout(TIMEOUT_MS);
  const { cluster, node, seen } = await start(t);
  await cluster.stop();
  await rm(seen);
  const [program, main] = raftsmanCommand;
  const flags = ['--name', 'node-1', '--data-dir', node, '--runtime', 'native', '--listen', '127.0.0.1:0'];
  const alone = ['--server', 'https://127.0.0.1:1', '--ingress-http-port', 'off', '--ingress-https-port', 'off'];
  const agent = spawn(program, [main, 'agent', ...flags, ...alone], { stdio: 'ignore', env: cluster.env });
  const ended = once(agent, 'exit');
  try {
    await until('the pod leaves its file', () => existsSync(seen));
  } finally {
    agent.kill('SIGUSR2');
    await ended;
  }
  t.deepEqual(await readdir(join(node, 'pods')), []);
});
