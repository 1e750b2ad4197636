import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../clock.ts';
import { eventually, Fixture, type RuntimeHarness, runtimeContract, type Workload } from '../contract.ts';
import { Layout } from './layout.ts';
import { createNativeRuntime } from './native.ts';
import { SupervisorClient } from './supervisor-client.ts';

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

const harness: RuntimeHarness = {
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
};
runtimeContract(test, harness);

const testHere = whyUnavailable() === undefined ? test.serial : test.serial.skip;

/** A node of its own, and what tells of its supervisor. */
async function node(t: ExecutionContext, name: string) {
  const dataDir = path.join(root, name);
  const runtime = createNativeRuntime({ dataDir });
  t.teardown(() => runtime.close());
  await runtime.start();
  const socketPath = new Layout(dataDir).supervisorSocket;
  return { dataDir, runtime, supervisor: new SupervisorClient({ dataDir, socketPath, clock: systemClock }) };
}

testHere('with the last container gone the supervisor ends with the agent', async t => {
  const { runtime, supervisor } = await node(t, 'last');
  const fixture = new Fixture(harness, 'last', runtime);
  const sandbox = await fixture.sandbox({ shareProcessNamespace: true });
  await fixture.shell(sandbox.id, 'sleep 1000');
  await runtime.removeSandbox(sandbox.id);
  await runtime.close();
  t.is(await supervisor.current(), undefined);
});

testHere('a supervisor that died is followed by another', async t => {
  const { dataDir, supervisor } = await node(t, 'died');
  const first = await supervisor.current();
  for (const pid of processesWith(dataDir)) process.kill(pid, 'SIGKILL');
  const second = await eventually(async () => {
    const running = await supervisor.current();
    return running === first ? undefined : running;
  });
  t.not(second, first);
});

testHere('a start that cannot be noted leaves no process', async t => {
  const { dataDir, runtime } = await node(t, 'unnoted');
  const fixture = new Fixture(harness, 'unnoted', runtime);
  const sandbox = await fixture.sandbox();
  const id = await fixture.container(sandbox.id, { does: 'run' }, { command: ['sleep', '54321'] });
  mkdirSync(path.join(new Layout(dataDir).containerDir(id), 'started.json.new'));
  await t.throwsAsync(runtime.startContainer(id), { code: 'RUNTIME_START_CONTAINER', message: /cannot be noted/ });
  t.deepEqual(processesWith('54321'), []);
  await runtime.removeSandbox(sandbox.id);
});

testHere('a sandbox that cannot be noted leaves no process', async t => {
  const { dataDir, runtime } = await node(t, 'unnoted-sandbox');
  const fixture = new Fixture(harness, 'unnoted-sandbox', runtime);
  // It stands for a disk without room.
  const name = {
    toJSON() {
      throw new Error('no room');
    },
  } as unknown as string;
  await t.throwsAsync(fixture.sandbox({ pod: { uid: 'u', namespace: 'default', name } }), { message: /no room/ });
  const holder = new Layout(dataDir).pauseProgram;
  t.true(await eventually(async () => processesWith(holder).length === 0 || undefined));
});

function processesWith(argument: string): number[] {
  const pids = readdirSync('/proc').filter(name => /^\d+$/.test(name));
  return pids.map(Number).filter(pid => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(argument);
    } catch {
      return false;
    }
  });
}
