import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { Readable } from 'node:stream';
import test from 'ava';
import type Dockerode from 'dockerode';
import { pack } from 'tar-stream';
import { runtimeContract, type Workload } from '../contract.ts';
import { RuntimeUnavailableError } from '../runtime.ts';
import { createDockerRuntime } from './docker.ts';
import { connectEngine, defaultDockerHost, parseDockerHost } from './engine.ts';

const dockerHost = process.env.DOCKER_HOST ?? defaultDockerHost;
const busybox = '/bin/busybox';
const image = 'raftsman-test/contract:1';

async function whyUnavailable(): Promise<string | undefined> {
  if (!existsSync(busybox)) return 'needs busybox-static';
  try {
    const { docker } = await connectEngine(dockerHost);
    await importBusybox(docker);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** An image of nothing but busybox and its names. */
async function importBusybox(docker: Dockerode): Promise<void> {
  const archive = pack();
  const names = execFileSync(busybox, ['--list'], { encoding: 'utf8' }).split('\n').filter(Boolean);
  archive.entry(
    { name: 'bin/busybox', mode: 0o755 },
    Buffer.from(execFileSync('cat', [busybox], { maxBuffer: 2 ** 26 })),
  );
  for (const name of names) {
    if (name !== 'busybox') archive.entry({ name: `bin/${name}`, type: 'symlink', linkname: 'busybox' });
  }
  archive.entry({ name: 'tmp', type: 'directory', mode: 0o1777 });
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive as AsyncIterable<Buffer>) chunks.push(chunk);
  const [repo, tag] = image.split(':');
  const stream = await docker.importImage(Readable.from(chunks), { repo, tag });
  for await (const _ of stream);
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

runtimeContract(test, {
  unavailable: await whyUnavailable(),
  programs: true,
  container: specOf,
  async create(nodeName) {
    const runtime = createDockerRuntime({ clusterId: 'contract', nodeName, dockerHost });
    await runtime.start();
    return runtime;
  },
});

test('an engine that is not there: what to do is said', async t => {
  const runtime = createDockerRuntime({ clusterId: 'c', nodeName: 'n', dockerHost: 'unix:///nonexistent/docker.sock' });
  await t.throwsAsync(runtime.start(), {
    instanceOf: RuntimeUnavailableError,
    message: /no Docker Engine answers at unix:\/\/\/nonexistent\/docker.sock: install and start Docker Engine/,
  });
  await t.throwsAsync(runtime.list(), { instanceOf: RuntimeUnavailableError });
  t.throws(() => parseDockerHost('ssh://somewhere'), { instanceOf: RuntimeUnavailableError });
});
