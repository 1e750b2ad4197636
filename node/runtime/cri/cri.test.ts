import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { runtimeContract } from '../contract.ts';
import type { Workload } from '../testing/fixture.ts';
import { createCriRuntime } from './cri.ts';
import { TestContainerd, whyNoContainerd } from './test-containerd.ts';

const image = 'raftsman-test/contract:1';
const unavailable = whyNoContainerd();
const containerd = unavailable === undefined ? await TestContainerd.start() : undefined;
await containerd?.importBusybox(`docker.io/${image}`);
const dataDir = await mkdtemp(path.join(tmpdir(), 'raftsman-cri-'));

test.after.always(async () => {
  await containerd?.remove();
  await rm(dataDir, { recursive: true, force: true });
});

function specOf(workload: Workload) {
  const shell = (script: string) => ({ image, command: ['sh', '-c', script], args: undefined });
  switch (workload.does) {
    case 'run':
      return shell('sleep 1000');
    case 'exit':
      return shell(`exit ${workload.code}`);
    case 'print':
      return shell(
        [...workload.stdout.map(line => `echo ${line}`), ...workload.stderr.map(line => `echo ${line} >&2`)].join(';'),
      );
    case 'fail to start':
      return { image, command: ['no-such-program'], args: undefined };
  }
}

runtimeContract(test, {
  unavailable,
  programs: true,
  serial: true,
  container: specOf,
  async create(nodeName) {
    const endpoint = containerd?.endpoint ?? '';
    const runtime = createCriRuntime({
      clusterId: 'contract',
      nodeName,
      endpoint,
      dataDir: path.join(dataDir, nodeName),
    });
    await runtime.start();
    return runtime;
  },
});
