import { existsSync } from 'node:fs';
import test from 'ava';
import { busybox, importBusybox } from '../../testing/busybox-image.ts';
import { runtimeContract } from '../contract.ts';
import { imageContract } from '../image-contract.ts';
import { imageVolumeContract } from '../image-volume-contract.ts';
import { RuntimeUnavailableError } from '../runtime.ts';
import type { RuntimeHarness, Workload } from '../testing/fixture.ts';
import { createDockerRuntime } from './docker.ts';
import { connectEngine, defaultDockerHost, parseDockerHost } from './engine.ts';
import { kindLabel, ownerLabels } from './labels.ts';

const dockerHost = process.env.DOCKER_HOST ?? defaultDockerHost;
const image = 'raftsman-test/contract:1';

async function whyUnavailable(): Promise<string | undefined> {
  if (!existsSync(busybox)) return 'needs busybox-static';
  try {
    const { docker } = await connectEngine(dockerHost);
    await importBusybox(docker, image);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

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

const harness: RuntimeHarness = {
  unavailable: await whyUnavailable(),
  programs: true,
  container: specOf,
  async create(nodeName) {
    const runtime = createDockerRuntime({ clusterId: 'contract', nodeName, dockerHost });
    await runtime.start();
    return runtime;
  },
};
runtimeContract(test, harness);
if (harness.unavailable === undefined) {
  imageContract(test, harness);
  imageVolumeContract(test, harness);
}

test('an engine that is not there: what to do is said', async t => {
  const runtime = createDockerRuntime({ clusterId: 'c', nodeName: 'n', dockerHost: 'unix:///nonexistent/docker.sock' });
  await t.throwsAsync(runtime.start(), {
    instanceOf: RuntimeUnavailableError,
    message: /no Docker Engine answers at unix:\/\/\/nonexistent\/docker.sock: install and start Docker Engine/,
  });
  await t.throwsAsync(runtime.list(), { instanceOf: RuntimeUnavailableError });
  t.throws(() => parseDockerHost('ssh://somewhere'), { instanceOf: RuntimeUnavailableError });
});

const whenThere = harness.unavailable === undefined ? test : test.skip;

whenThere('containers that an agent died over while it unpacked an image go when the next one starts', async t => {
  const { docker } = await connectEngine(dockerHost);
  const owner = { clusterId: 'contract', nodeName: `unpacking-${process.pid}` };
  const labels = { ...ownerLabels(owner), [kindLabel]: 'image-files' };
  const left = await docker.createContainer({ Image: image, Cmd: ['true'], Labels: labels });
  const others = { ...ownerLabels({ ...owner, nodeName: `${owner.nodeName}-other` }), [kindLabel]: 'image-files' };
  const foreign = await docker.createContainer({ Image: image, Cmd: ['true'], Labels: others });
  t.teardown(() => foreign.remove({ force: true }));
  const runtime = await harness.create(owner.nodeName);
  t.teardown(() => runtime.close());
  await t.throwsAsync(left.inspect(), { message: /No such container/i });
  t.is((await foreign.inspect()).Id, foreign.id, 'another node’s stays');
  t.deepEqual(await runtime.list(), []);
});
