import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { runtimeContract, type Workload } from '../contract.ts';
import { createNativeRuntime } from './native.ts';

function whyUnavailable(): string | undefined {
  try {
    const flags = ['--mount', '--pid', '--net', '--ipc', '--uts', '--fork', 'setpriv', 'script', '--version'];
    execFileSync('unshare', flags, { stdio: 'pipe' });
    return undefined;
  } catch {
    return 'needs root on Linux, and unshare, nsenter, setpriv and script (util-linux)';
  }
}

const root = mkdtempSync(path.join(tmpdir(), 'raftsman-native-'));
test.after.always(() => rmSync(root, { recursive: true, force: true }));

function specOf(workload: Workload) {
  const image = 'host';
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

runtimeContract(test, {
  unavailable: whyUnavailable(),
  programs: true,
  // Each node has a supervisor of its own to start.
  serial: true,
  container: specOf,
  async create(nodeName) {
    const runtime = createNativeRuntime({ dataDir: path.join(root, nodeName) });
    await runtime.start();
    return runtime;
  },
});
