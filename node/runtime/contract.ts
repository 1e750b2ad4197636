/**
 * What every runtime does, as tests. A runtime's own test file calls {@link runtimeContract} with a harness; what only
 * runtimes with real processes can show is asked of those that say so.
 */
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ExecutionContext, TestFn } from 'ava';
import {
  ContainerNotFoundError,
  type ContainerSpec,
  type ContainerStatus,
  CreateContainerError,
  type ExecRequest,
  type ExecSession,
  ImagePullError,
  type LogOptions,
  type Runtime,
  type SandboxSpec,
  type SandboxStatus,
  StartContainerError,
} from './runtime.ts';

/** What a container of the suite does. */
export type Workload =
  | { readonly does: 'run' }
  | { readonly does: 'exit'; readonly code: number }
  | { readonly does: 'print'; readonly stdout: readonly string[]; readonly stderr: readonly string[] }
  | { readonly does: 'fail to start' };

export interface RuntimeHarness {
  /** Why the suite cannot run here; undefined if it can. */
  readonly unavailable: string | undefined;
  /** A runtime, started; with the same name again: the same node after a restart of the agent. */
  readonly create: (nodeName: string) => Promise<Runtime>;
  /** An image that is there, and how to make it do something. */
  readonly container: (workload: Workload) => Pick<ContainerSpec, 'image' | 'command' | 'args'>;
  /** Tests run one after the other: each costs too much to run with all others at once. */
  readonly serial?: boolean;
  /** Whether `sh` and busybox' programs run in containers of that image. */
  readonly programs: boolean;
}

const waitMs = 20_000;
const outOfMemoryWordMs = 3_000;
const pollMs = 20;

/** Registers the suite's tests. */
export function runtimeContract(test: TestFn, harness: RuntimeHarness): void {
  if (harness.unavailable !== undefined) {
    test.skip(`the runtime's contract: ${harness.unavailable}`, t => t.pass());
    return;
  }
  lifecycleTests(test, harness);
  outputTests(test, harness);
  imageTests(test, harness);
  if (harness.programs) programTests(test, harness);
}

let nodes = 0;

/** A node with one sandbox, cleared away at the end of the test. */
export class Fixture {
  readonly harness: RuntimeHarness;
  readonly nodeName: string;
  runtime: Runtime;

  constructor(harness: RuntimeHarness, nodeName: string, runtime: Runtime) {
    this.harness = harness;
    this.nodeName = nodeName;
    this.runtime = runtime;
  }

  static async make(harness: RuntimeHarness): Promise<Fixture> {
    nodes += 1;
    const nodeName = `contract-${process.pid}-${nodes}`;
    return new Fixture(harness, nodeName, await harness.create(nodeName));
  }

  async restart(): Promise<void> {
    await this.runtime.close();
    this.runtime = await this.harness.create(this.nodeName);
  }

  sandbox(change: Partial<SandboxSpec> = {}): Promise<SandboxStatus> {
    return this.runtime.createSandbox({
      pod: { uid: `${this.nodeName}-uid`, namespace: 'default', name: 'pod' },
      hostname: 'pod',
      hostNetwork: false,
      hostPid: false,
      hostIpc: false,
      sysctls: {},
      labels: { app: 'test' },
      attempt: 0,
      ...change,
    });
  }

  async container(sandboxId: string, workload: Workload, change: Partial<ContainerSpec> = {}): Promise<string> {
    const spec: ContainerSpec = {
      ...this.harness.container(workload),
      name: 'main',
      attempt: 0,
      workingDir: undefined,
      env: [],
      mounts: [],
      stdin: false,
      stdinOnce: false,
      tty: false,
      resources: {},
      security: {},
      terminationMessage: undefined,
      ...change,
    };
    return (await this.runtime.createContainer(sandboxId, spec)).id;
  }

  /** A container that runs a shell script. */
  async shell(sandboxId: string, script: string, change: Partial<ContainerSpec> = {}): Promise<string> {
    const id = await this.container(sandboxId, { does: 'run' }, { command: ['sh', '-c', script], ...change });
    await this.runtime.startContainer(id);
    return id;
  }

  async status(id: string): Promise<ContainerStatus | undefined> {
    const sandboxes = await this.runtime.list();
    return sandboxes.flatMap(sandbox => sandbox.containers).find(container => container.id === id);
  }

  async exited(id: string): Promise<Extract<ContainerStatus, { state: 'exited' }>> {
    return await eventually(async () => {
      const status = await this.status(id);
      return status?.state === 'exited' ? status : undefined;
    });
  }

  async output(id: string, options: Partial<LogOptions> = {}): Promise<string> {
    const signal = new AbortController().signal;
    let text = '';
    for await (const chunk of this.runtime.logs(id, { follow: false, timestamps: false, signal, ...options })) {
      text += Buffer.from(chunk).toString();
    }
    return text;
  }

  async exec(id: string, script: string, stdin?: Buffer): Promise<Finished> {
    const request: ExecRequest = { command: ['sh', '-c', script], tty: false, stdin: stdin !== undefined };
    const session = await this.runtime.exec(id, request);
    if (stdin !== undefined) session.stdin?.end(stdin);
    return await finish(session);
  }

  /** A directory on the machine with `rw/` and `ro/file`. */
  async scratch(t: { teardown(callback: () => Promise<void>): void }): Promise<string> {
    const directory = await mkdtemp(path.join(tmpdir(), 'raftsman-contract-'));
    t.teardown(() => rm(directory, { recursive: true, force: true }));
    for (const name of ['rw', 'ro']) await mkdir(path.join(directory, name));
    await writeFile(path.join(directory, 'ro', 'file'), 'fixed\n');
    return directory;
  }

  read(file: string): Promise<string> {
    return readFile(file, 'utf8');
  }

  async remove(): Promise<void> {
    try {
      for (const sandbox of await this.runtime.list()) await this.runtime.removeSandbox(sandbox.id);
    } finally {
      // What it holds open would keep the test's process from ending.
      await this.runtime.close();
    }
  }
}

interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function finish(session: ExecSession): Promise<Finished> {
  const read = async (stream: AsyncIterable<Buffer> | undefined) => {
    const chunks: Buffer[] = [];
    for await (const chunk of stream ?? []) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  };
  const [stdout, stderr, code] = await Promise.all([read(session.stdout), read(session.stderr), session.exitCode]);
  return { stdout, stderr, code };
}

/** Asks until there is an answer. */
export async function eventually<T>(ask: () => Promise<T | undefined>, withinMs = waitMs): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`nothing within ${withinMs} ms`);
    await new Promise(resolve => setTimeout(resolve, pollMs));
  }
}

type Check = (t: ExecutionContext, fixture: Fixture) => Promise<void>;

export function register(test: TestFn, harness: RuntimeHarness): (title: string, check: Check) => void {
  const add = harness.serial === true ? test.serial : test;
  return (title, check) =>
    add(title, async t => {
      const fixture = await Fixture.make(harness);
      t.teardown(() => fixture.remove());
      await check(t, fixture);
    });
}

function lifecycleTests(test: TestFn, harness: RuntimeHarness): void {
  const add = register(test, harness);

  add('a container is created, runs, exits and is removed', async (t, fixture) => {
    const { runtime } = fixture;
    const sandbox = await fixture.sandbox();
    t.true(sandbox.ready);
    t.true((sandbox.pid ?? 0) > 1);
    t.deepEqual(sandbox.pod, { uid: `${fixture.nodeName}-uid`, namespace: 'default', name: 'pod' });
    const id = await fixture.container(sandbox.id, { does: 'exit', code: 3 }, { attempt: 4 });
    t.is((await fixture.status(id))?.state, 'created');
    await runtime.startContainer(id);
    const status = await fixture.exited(id);
    t.like(status, { exitCode: 3, name: 'main', attempt: 4, oomKilled: false });
    t.is(status.image, harness.container({ does: 'exit', code: 3 }).image);
    t.true(status.imageId.length > 0);
    t.true(status.createdAt <= status.startedAt + 1000 && status.startedAt <= status.finishedAt);
    t.true(Math.abs(Date.now() - status.finishedAt) < 60_000);
    await runtime.removeContainer(id);
    await runtime.removeContainer(id);
    t.is(await fixture.status(id), undefined);
    await runtime.removeSandbox(sandbox.id);
    await runtime.removeSandbox(sandbox.id);
    t.deepEqual(await runtime.list(), []);
  });

  add('containers of a sandbox may share their processes', async (t, fixture) => {
    const sandbox = await fixture.sandbox({ shareProcessNamespace: true });
    t.true(sandbox.ready);
    t.true((sandbox.pid ?? 0) > 0);
  });

  add('several containers share a sandbox; removing it ends all', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const ids = [];
    for (const name of ['one', 'two']) ids.push(await fixture.container(sandbox.id, { does: 'run' }, { name }));
    for (const id of ids) await fixture.runtime.startContainer(id);
    const [listed] = await fixture.runtime.list();
    t.deepEqual(listed?.containers.map(one => [one.name, one.state]).sort(), [
      ['one', 'running'],
      ['two', 'running'],
    ]);
    await fixture.runtime.removeSandbox(sandbox.id);
    t.deepEqual(await fixture.runtime.list(), []);
  });

  add('a restarted agent finds all again, undisturbed', async (t, fixture) => {
    const sandbox = await fixture.sandbox({ attempt: 2 });
    const running = await fixture.container(sandbox.id, { does: 'run' }, { name: 'running' });
    const ended = await fixture.container(sandbox.id, { does: 'exit', code: 9 }, { name: 'ended' });
    for (const id of [running, ended]) await fixture.runtime.startContainer(id);
    await fixture.exited(ended);
    const before = await fixture.runtime.list();
    await fixture.restart();
    t.deepEqual(await fixture.runtime.list(), before);
    t.is(before[0]?.attempt, 2);
    t.is((await fixture.status(running))?.state, 'running');
  });

  add('nodes do not see each other', async (t, fixture) => {
    const other = await Fixture.make(harness);
    t.teardown(() => other.remove());
    const sandbox = await fixture.sandbox();
    t.deepEqual(await other.runtime.list(), []);
    await t.throwsAsync(other.container(sandbox.id, { does: 'run' }), { instanceOf: CreateContainerError });
  });

  add('stopping ends a container; once more does nothing', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.container(sandbox.id, { does: 'run' });
    await fixture.runtime.startContainer(id);
    await fixture.runtime.startContainer(id);
    await fixture.runtime.stopContainer(id, 0);
    t.is((await fixture.status(id))?.state, 'exited');
    await fixture.runtime.stopContainer(id, 0);
    await fixture.runtime.stopContainer('0'.repeat(64), 0);
  });

  add('a call repeated after a broken one makes nothing twice', async (t, fixture) => {
    const first = await fixture.sandbox();
    t.is((await fixture.sandbox()).id, first.id);
    await fixture.container(first.id, { does: 'run' });
    const again = await fixture.container(first.id, { does: 'run' });
    await fixture.runtime.startContainer(again);
    t.is(await fixture.container(first.id, { does: 'run' }), again);
    const [sandbox] = await fixture.runtime.list();
    t.is(sandbox?.containers.length, 1);
  });

  add('a start that fails says why and stays failed', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.container(sandbox.id, { does: 'fail to start' });
    await t.throwsAsync(fixture.runtime.startContainer(id), { instanceOf: StartContainerError, message: /./ });
    const status = await fixture.exited(id);
    t.not(status.exitCode, 0);
    t.regex(status.message ?? '', /./);
  });

  add('what is not there is refused by name', async (t, fixture) => {
    const id = 'f'.repeat(64);
    await t.throwsAsync(fixture.container(id, { does: 'run' }), { instanceOf: CreateContainerError });
    await t.throwsAsync(fixture.runtime.startContainer(id), { instanceOf: ContainerNotFoundError });
    await t.throwsAsync(fixture.output(id), { instanceOf: ContainerNotFoundError });
    const request = { command: ['true'], tty: false, stdin: false };
    await t.throwsAsync(fixture.runtime.exec(id, request), { instanceOf: ContainerNotFoundError });
    await t.throwsAsync(fixture.runtime.attach(id, request), { instanceOf: ContainerNotFoundError });
    const sandbox = await fixture.sandbox();
    await t.throwsAsync(fixture.container(sandbox.id, { does: 'run' }, { image: 'raftsman-test/none:1' }), {
      instanceOf: CreateContainerError,
    });
  });

  add('events tell of what happens to a pod', async (t, fixture) => {
    const controller = new AbortController();
    const events = fixture.runtime.events(controller.signal);
    const sandbox = await fixture.sandbox();
    const id = await fixture.container(sandbox.id, { does: 'exit', code: 0 });
    await fixture.runtime.startContainer(id);
    let isTold = false;
    for await (const { podUid } of events) {
      // Without a pod it says that anything may have changed: so a runtime begins that has just got its connection.
      if (podUid !== undefined && podUid !== sandbox.pod.uid) continue;
      isTold = true;
      // The last of them comes with the exit; whoever looks then sees it.
      if ((await fixture.status(id))?.state === 'exited') controller.abort();
    }
    t.true(isTold);
  });

  add('usage names the running containers', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.container(sandbox.id, { does: 'run' });
    await fixture.runtime.startContainer(id);
    const usage = await eventually(async () => (await fixture.runtime.usage()).find(one => one.id === id));
    t.true(Number.isSafeInteger(usage.cpuNanoseconds) && usage.cpuNanoseconds >= 0);
    t.true(Number.isSafeInteger(usage.memoryBytes) && usage.memoryBytes >= 0);
    const storage = await eventually(async () => {
      const [first, ...more] = await fixture.runtime.storage([id, 'f'.repeat(64)]);
      return more.length === 0 ? first : undefined;
    });
    t.is(storage.id, id);
    t.true(Number.isSafeInteger(storage.logBytes) && storage.logBytes >= 0);
    t.true(Number.isSafeInteger(storage.writableBytes) && storage.writableBytes >= 0);
  });
}

function outputTests(test: TestFn, harness: RuntimeHarness): void {
  const add = register(test, harness);
  const printed = { does: 'print', stdout: ['one', 'two', 'three'], stderr: [] } as const;

  add('logs come whole, by their tail, and with times', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.container(sandbox.id, printed);
    t.is(await fixture.output(id), '');
    await fixture.runtime.startContainer(id);
    const { finishedAt } = await fixture.exited(id);
    t.is(await fixture.output(id), 'one\ntwo\nthree\n');
    t.is(await fixture.output(id, { follow: true }), 'one\ntwo\nthree\n', 'following ends with the container');
    t.is(await fixture.output(id, { tailLines: 2 }), 'two\nthree\n');
    t.is(await fixture.output(id, { tailLines: 0 }), '');
    t.is(await fixture.output(id, { sinceMs: finishedAt + 10_000 }), '');
    t.is(await fixture.output(id, { sinceMs: finishedAt - 60_000 }), 'one\ntwo\nthree\n');
    const lines = (await fixture.output(id, { timestamps: true })).trimEnd().split('\n');
    for (const line of lines) t.regex(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (one|two|three)$/);
    t.is(lines.length, 3);
  });

  add('following ends when the reader goes away', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.container(sandbox.id, { does: 'run' });
    await fixture.runtime.startContainer(id);
    const controller = new AbortController();
    const reading = fixture.output(id, { follow: true, signal: controller.signal });
    controller.abort();
    t.is(await reading, '');
  });
}

function imageTests(test: TestFn, harness: RuntimeHarness): void {
  const add = register(test, harness);

  add('the folder of images is one of this machine', async (t, { runtime }) => {
    const folder = await runtime.imageFolder();
    if (folder === undefined) t.is(runtime.name, 'fake');
    else t.true((await stat(folder)).isDirectory());
  });

  add('images: there, not there, and one that cannot be pulled', async (t, fixture) => {
    const { runtime } = fixture;
    const { image } = harness.container({ does: 'run' });
    const status = await runtime.imageStatus(image);
    t.true(status !== undefined && status.id.length > 0 && status.sizeBytes >= 0);
    t.true((await runtime.listImages()).some(one => one.id === status?.id));
    t.is(await runtime.imageStatus('raftsman-test/none:1'), undefined);
    const { signal } = new AbortController();
    // Nothing listens there, so this fails on every machine, at once.
    await t.throwsAsync(runtime.pullImage('localhost:1/none:1', { signal }), {
      instanceOf: ImagePullError,
      message: /localhost:1/,
    });
    await t.throwsAsync(runtime.pullImage('No Such Name', { signal }), { instanceOf: ImagePullError });
  });
}

function programTests(test: TestFn, harness: RuntimeHarness): void {
  const add = register(test, harness);

  add('stdout and stderr are told apart, and the exit code comes through', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.shell(sandbox.id, 'sleep 1000');
    t.deepEqual(await fixture.exec(id, 'echo out; echo err >&2; exit 7'), {
      code: 7,
      stdout: 'out\n',
      stderr: 'err\n',
    });
  });

  add('a container ends with its first process, whatever that leaves behind', async (t, fixture) => {
    for (const [attempt, shared] of [{}, { shareProcessNamespace: true }, { hostPid: true }].entries()) {
      const sandbox = await fixture.sandbox({ attempt, ...shared });
      for (const tty of [false, true]) {
        const id = await fixture.shell(sandbox.id, 'sleep 1000 & exit 3', { name: tty ? 'terminal' : 'plain', tty });
        t.like(await fixture.exited(id), { exitCode: 3 }, JSON.stringify({ ...shared, tty }));
      }
      await fixture.runtime.removeSandbox(sandbox.id);
    }
  });

  add('the command of a container with a terminal is its first process, and has the terminal', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const script =
      'echo "$$ $(cut -d" " -f6 /proc/$$/stat)"; : > /dev/tty && echo has; trap "exit 7" INT; echo ready; while :; do sleep 0.1; done';
    const id = await fixture.shell(sandbox.id, script, { tty: true, stdin: true });
    await eventually(async () => ((await fixture.output(id)).includes('ready') ? true : undefined));
    // Not every runtime keeps a terminal's carriage returns.
    t.is((await fixture.output(id)).replaceAll('\r', ''), '1 1\nhas\nready\n');
    const session = await fixture.runtime.attach(id, { tty: true, stdin: true });
    session.stdin?.write('\u0003');
    t.is(await session.exitCode, 7, 'what is typed reaches it as a signal');
  });

  add('exec: input to its end, much of it both ways', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.shell(sandbox.id, 'sleep 1000');
    const input = Buffer.alloc(3_000_000, 'abc\n');
    t.is((await fixture.exec(id, 'wc -c', input)).stdout.trim(), '3000000');
    t.is((await fixture.exec(id, 'cat', input)).stdout, input.toString());
    t.is((await fixture.exec(id, 'head -c 5000000 /dev/zero | tr "\\0" x')).stdout.length, 5_000_000);
    t.is((await fixture.exec(id, 'cat; echo end')).stdout, 'end\n', 'no input is an empty one');
  });

  add('exec with a terminal: one stream, sizes, exit code', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.shell(sandbox.id, 'sleep 1000');
    const command = ['sh', '-c', 'test -t 0 && test -t 1 && echo terminal; read line; stty size; exit 5'];
    const session = await fixture.runtime.exec(id, { command, tty: true, stdin: true });
    t.is(session.stderr, undefined);
    let seen = '';
    session.stdout.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
    });
    await eventually(async () => (seen.includes('terminal') ? true : undefined));
    await session.resize({ columns: 99, rows: 33 });
    session.stdin?.write('\n');
    t.is(await session.exitCode, 5);
    t.regex(seen, /33 99/);
  });

  add('a killed exec leaves no process', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.shell(sandbox.id, 'sleep 1000');
    const session = await fixture.runtime.exec(id, { command: ['sleep', '4321'], tty: false, stdin: false });
    // The brackets keep the search from finding itself.
    const search = "grep -l '432[1]' /proc/[0-9]*/cmdline";
    const isRunning = async () => (await fixture.exec(id, search)).stdout !== '';
    await eventually(async () => ((await isRunning()) ? true : undefined));
    await session.kill();
    await eventually(async () => ((await isRunning()) ? undefined : true));
    t.pass();
  });

  add('a command that is not there ends with a code and says so', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.shell(sandbox.id, 'sleep 1000');
    const session = await fixture.runtime.exec(id, { command: ['no-such-program'], tty: false, stdin: false });
    const { code, stdout, stderr } = await finish(session);
    t.true(code === 126 || code === 127);
    t.regex(stdout + stderr, /no-such-program/);
  });

  add('environment, arguments, directory, host name, user', async (t, fixture) => {
    const sandbox = await fixture.sandbox({ hostname: 'my-pod' });
    const id = await fixture.container(
      sandbox.id,
      { does: 'run' },
      {
        command: ['sh', '-c', 'echo "$0 $1 $A"; pwd; hostname; id -u; id -g'],
        args: ['x', 'y z'],
        env: [{ name: 'A', value: 'b "c" $d' }],
        workingDir: '/tmp',
        security: { user: 1234, group: 2345 },
      },
    );
    await fixture.runtime.startContainer(id);
    await fixture.exited(id);
    t.is(await fixture.output(id), 'x y z b "c" $d\n/tmp\nmy-pod\n1234\n2345\n');
  });

  add('attach reaches the container itself', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.container(
      sandbox.id,
      { does: 'run' },
      {
        command: ['sh', '-c', 'read line; echo "got $line"; exit 4'],
        stdin: true,
        stdinOnce: true,
      },
    );
    await fixture.runtime.startContainer(id);
    const session = await fixture.runtime.attach(id, { tty: false, stdin: true });
    session.stdin?.end('hello\n');
    t.deepEqual(await finish(session), { code: 4, stdout: 'got hello\n', stderr: '' });
    t.is(await fixture.output(id), 'got hello\n');
    t.is((await fixture.exited(id)).exitCode, 4);
  });

  add('a graceful stop lets the process end by itself; a deaf one is killed', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const polite = await fixture.shell(
      sandbox.id,
      'trap "echo bye; exit 6" TERM; echo ready; while :; do sleep 0.1; done',
      {
        name: 'polite',
      },
    );
    const deaf = await fixture.shell(sandbox.id, 'trap "" TERM; echo ready; while :; do sleep 0.1; done', {
      name: 'deaf',
    });
    for (const id of [polite, deaf]) {
      await eventually(async () => ((await fixture.output(id)) === 'ready\n' ? true : undefined));
    }
    await fixture.runtime.stopContainer(polite, 20);
    t.is((await fixture.exited(polite)).exitCode, 6);
    t.is(await fixture.output(polite), 'ready\nbye\n');
    await fixture.runtime.stopContainer(deaf, 1);
    t.like(await fixture.exited(deaf), { exitCode: 137, signal: 9 });
  });

  add('containers of a pod share network and System V IPC, and nothing else', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const one = await fixture.shell(sandbox.id, 'echo private > /tmp/file; sleep 1000', { name: 'one' });
    const two = await fixture.shell(sandbox.id, 'sleep 1000', { name: 'two' });
    const see = async (id: string, what: string) => (await fixture.exec(id, `readlink /proc/self/ns/${what}`)).stdout;
    for (const what of ['net', 'ipc']) t.is(await see(one, what), await see(two, what), what);
    for (const what of ['mnt', 'pid']) t.not(await see(one, what), await see(two, what), what);
    t.not((await fixture.exec(two, 'cat /tmp/file')).code, 0);
    t.is((await fixture.exec(two, 'cat /proc/[0-9]*/cmdline | grep -c privat[e]')).stdout.trim(), '0');
  });

  add('a read-only root can not be written, a mount in it can', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const directory = await fixture.scratch(t);
    const id = await fixture.shell(sandbox.id, 'sleep 1000', {
      security: { readOnlyRootFilesystem: true },
      mounts: [
        { hostPath: `${directory}/rw`, containerPath: '/data', readOnly: false, propagation: 'private' },
        { hostPath: `${directory}/ro`, containerPath: '/fixed', readOnly: true, propagation: 'private' },
      ],
    });
    t.not((await fixture.exec(id, 'echo x > /file')).code, 0);
    t.is((await fixture.exec(id, 'echo x > /data/file')).code, 0);
    t.is((await fixture.exec(id, 'cat /fixed/file')).stdout, 'fixed\n');
    t.not((await fixture.exec(id, 'echo x > /fixed/file')).code, 0);
    t.is(await fixture.read(`${directory}/rw/file`), 'x\n');
  });

  add('the last message is where the agent can read it', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const directory = await fixture.scratch(t);
    const terminationMessage = { containerPath: '/dev/termination-log', hostPath: `${directory}/message` };
    const id = await fixture.shell(sandbox.id, 'echo farewell > /dev/termination-log', {
      terminationMessage,
      security: { user: 1234 },
    });
    t.is((await fixture.exited(id)).exitCode, 0);
    t.is(await fixture.read(terminationMessage.hostPath), 'farewell\n');
  });

  add('too much memory is told as such', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    // An engine that is late to listen to the kernel loses its word with the container's group: it gets a few tries.
    await eventually(async () => {
      const id = await fixture.shell(sandbox.id, 'a=x; while :; do a=$a$a; done', {
        resources: { memoryLimitBytes: 16 * 1024 * 1024 },
      });
      t.is((await fixture.exited(id)).exitCode, 137);
      // The word may come after the exit.
      const isTold = async () => ((await fixture.exited(id)).oomKilled ? true : undefined);
      return eventually(isTold, outOfMemoryWordMs).catch(() => undefined);
    });
  });

  add('root is refused where it must not be', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    for (const security of [{ runAsNonRoot: true }, { runAsNonRoot: true, user: 0 }]) {
      await t.throwsAsync(fixture.container(sandbox.id, { does: 'run' }, { security }), {
        instanceOf: CreateContainerError,
        message: /non-?root/i,
      });
    }
    await t.notThrowsAsync(
      fixture.container(sandbox.id, { does: 'run' }, { security: { runAsNonRoot: true, user: 1 } }),
    );
  });

  add('following shows lines as they come, until the end', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.shell(sandbox.id, 'for i in 1 2 3; do echo $i; sleep 0.3; done; printf tail');
    t.is(await fixture.output(id, { follow: true }), '1\n2\n3\ntail');
  });

  add('a long line comes through whole', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.shell(sandbox.id, 'head -c 100000 /dev/zero | tr "\\0" x; echo; echo end');
    await fixture.exited(id);
    t.is(await fixture.output(id), `${'x'.repeat(100_000)}\nend\n`);
    const lines = (await fixture.output(id, { timestamps: true })).split('\n');
    t.deepEqual(
      lines.map(line => line.length),
      [100_031, 34, 0],
    );
  });
}
