import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../clock.ts';
import { runtimeContract } from '../contract.ts';
import { eventually, Fixture, type RuntimeHarness, type Workload } from '../testing/fixture.ts';
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

/** Descriptors above these are nobody's: those of the programs in between are the lowest. */
const DESCRIPTORS_TRIED = 12;
const OVERWRITES_TRIED = 5;
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

testHere('CVE-2024-21626: no descriptor of the machine is left to a container, and none is where it works', async t => {
  const { dataDir, runtime } = await node(t, 'descriptors');
  const fixture = new Fixture(harness, 'descriptors', runtime);
  const sandbox = await fixture.sandbox({});
  t.teardown(() => runtime.removeSandbox(sandbox.id));
  const id = await fixture.shell(sandbox.id, 'echo ready; sleep 1000');
  await eventually(async () => (await fixture.output(id)) === 'ready\n' || undefined);
  const list = 'ls -l /proc/self/fd';
  const links = (text: string) => [...text.matchAll(/ -> (.*)$/gm)].map(match => match[1] ?? '');
  const isHarmless = (link: string) => /^(pipe|socket):|^\/dev\/null$|^\/proc\/\d+\/fd$/.test(link);
  const printed = await fixture.shell(sandbox.id, list, { name: 'prints' });
  await fixture.exited(printed);
  for (const text of [await fixture.output(printed), (await fixture.exec(id, list)).stdout]) {
    t.true(links(text).length >= 3, text);
    t.true(links(text).every(isHarmless), text);
  }
  for (let descriptor = 0; descriptor <= DESCRIPTORS_TRIED; descriptor += 1) {
    const workingDir = `/proc/self/fd/${descriptor}`;
    await t.throwsAsync(fixture.shell(sandbox.id, 'pwd', { name: `in-${descriptor}`, workingDir }), {
      message: /working directory/,
    });
  }
  // An exec goes where the container says that its working directory is by now.
  const moving = await fixture.shell(sandbox.id, 'echo ready; sleep 1000', {
    name: 'moving',
    workingDir: '/tmp/place',
  });
  await eventually(async () => (await fixture.output(moving)) === 'ready\n' || undefined);
  const started = await new Layout(dataDir).readStarted(moving);
  // From outside: with such a directory an exec could not do it any more.
  const at = `/proc/${started?.init.pid}/root/tmp/place`;
  for (let descriptor = 0; descriptor <= DESCRIPTORS_TRIED; descriptor += 1) {
    rmSync(at, { recursive: true });
    symlinkSync(`/proc/self/fd/${descriptor}`, at);
    const { code, stdout, stderr } = await fixture.exec(moving, 'pwd; ls');
    t.not(code, 0, `${descriptor}: ${stdout}`);
    t.regex(stderr, /working directory/);
  }
});

testHere('CVE-2019-5736: what a container writes into a program that runs it is never run again', async t => {
  const { dataDir, runtime } = await node(t, 'overwritten');
  const layout = new Layout(dataDir);
  const fixture = new Fixture(harness, 'overwritten', runtime);
  const sandbox = await fixture.sandbox({});
  t.teardown(() => runtime.removeSandbox(sandbox.id));
  // It waits for programs of the machine among its processes and holds on to them until they may be written.
  const script = [
    "printf '#!/proc/self/exe\\n' > /tmp/again; chmod 755 /tmp/again; echo ready",
    'while :; do for file in /proc/[0-9]*/exe; do',
    'case "$(readlink $file)" in *exec-*|*/program*|*/pause*|*nsenter*) ;; *) continue ;; esac',
    '{ sleep 0.1; echo overwritten > /proc/self/fd/7; } 7<$file',
    'done; done 2>/dev/null',
  ].join('\n');
  const id = await fixture.shell(sandbox.id, script);
  await eventually(async () => (await fixture.output(id)) === 'ready\n' || undefined);
  const files = [layout.pauseProgram, ...['nsenter', 'unshare', 'sh'].map(name => `/usr/bin/${name}`)];
  const contents = () => files.map(file => readFileSync(file).toString('base64'));
  const before = contents();
  for (let turn = 0; turn < OVERWRITES_TRIED; turn += 1) {
    // The kernel takes the program that runs for the interpreter of this script.
    const session = await runtime.exec(id, { command: ['/tmp/again'], tty: false, stdin: false });
    session.stdout.resume();
    session.stderr?.resume();
    await session.exitCode;
    t.deepEqual(await fixture.exec(id, 'echo fine'), { code: 0, stdout: 'fine\n', stderr: '' });
  }
  t.true(contents().every((content, index) => content === before[index]));
  const left = readdirSync(layout.containerDir(id)).filter(name => name.startsWith('exec-'));
  t.deepEqual(left, [], 'the program of an exec is no file any more when it runs');
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
