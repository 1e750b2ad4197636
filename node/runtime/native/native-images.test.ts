/** The runtime's contract once more, with containers from an image instead of the machine's own files. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import test from 'ava';
import { busybox } from '../../testing/busybox-image.ts';
import { busyboxEntries, imageOf, savedImage, tarOf } from '../../testing/image-archive.ts';
import { runtimeContract } from '../contract.ts';
import { imageContract } from '../image-contract.ts';
import { imageVolumeContract } from '../image-volume-contract.ts';
import type { RuntimeHarness, Workload } from '../testing/fixture.ts';
import { createNativeRuntime } from './native.ts';

function whyUnavailable(): string | undefined {
  if (!existsSync(busybox)) return 'needs busybox-static';
  try {
    execFileSync('unshare', ['--mount', '--pid', '--net', '--ipc', '--uts', '--fork', 'true'], { stdio: 'pipe' });
    return undefined;
  } catch {
    return 'needs root on Linux, and unshare, nsenter and script (util-linux)';
  }
}

const unavailable = whyUnavailable();
const root = mkdtempSync(path.join(tmpdir(), 'raftsman-native-images-'));
test.after.always(() => rmSync(root, { recursive: true, force: true }));
const image = 'raftsman-test/contract:1';
const archive =
  unavailable === undefined ? await savedImage(image, imageOf([await tarOf(busyboxEntries())])) : undefined;

function specOf(workload: Workload) {
  const shell = (script: string) => ({ image, command: ['sh', '-c', script], args: undefined });
  const print = (lines: readonly string[], to: string) => lines.map(line => `echo ${line} ${to}`);
  switch (workload.does) {
    case 'run':
      return shell('sleep 1000');
    case 'exit':
      return shell(`exit ${workload.code}`);
    case 'print':
      return shell([...print(workload.stdout, ''), ...print(workload.stderr, '>&2')].join(';'));
    case 'fail to start':
      return { image, command: ['no-such-program'], args: undefined };
  }
}

const harness: RuntimeHarness = {
  unavailable,
  programs: true,
  serial: true,
  container: specOf,
  async create(nodeName) {
    const runtime = createNativeRuntime({ dataDir: path.join(root, nodeName) });
    await runtime.start();
    if (archive && (await runtime.imageStatus(image)) === undefined)
      await runtime.importImages?.(Readable.from([archive]));
    return runtime;
  },
};
runtimeContract(test, harness);
if (unavailable === undefined) {
  imageContract(test, harness);
  imageVolumeContract(test, harness);
}
