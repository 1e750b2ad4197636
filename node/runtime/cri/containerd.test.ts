/** What the contract does not ask, on a real containerd: its restarts, its log files, security, and what is left. */
import { mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import test, { type ExecutionContext } from 'ava';
import { busyboxEntries, imageOf, savedImage, tarOf } from '../../testing/image-archive.ts';
import { RegistryServer } from '../../testing/registry-server.ts';
import { type Clock, delay, systemClock } from '../clock.ts';
import type { ContainerSpec, ExecSession, Runtime, SandboxSpec } from '../runtime.ts';
import { ImagePullError, RuntimeUnavailableError } from '../runtime.ts';
import { plainContainer, plainSandbox } from '../testing/specs.ts';
import { whyNotChosen } from './choose.ts';
import { createCriRuntime } from './cri.ts';
import { logRotationMs } from './limits.ts';
import { sandboxImage, TestContainerd, whyNoContainerd } from './test-containerd.ts';

const image = 'raftsman-test/own:1';
const unavailable = whyNoContainerd();
const dataDir = await mkdtemp(path.join(tmpdir(), 'raftsman-cri-own-'));
let engine: TestContainerd | undefined;
let nodes = 0;

test.before(async () => {
  if (unavailable !== undefined) return;
  engine = await TestContainerd.start();
  await engine.importBusybox(`docker.io/${image}`);
});
test.after.always(async () => {
  await engine?.remove();
  await rm(dataDir, { recursive: true, force: true });
});

/** Rotates logs soon; all else takes its time. */
const hastyClock: Clock = {
  now: () => systemClock.now(),
  setTimeout: (callback, delayMs) => systemClock.setTimeout(callback, delayMs === logRotationMs ? 100 : delayMs),
};

class Node {
  readonly runtime: Runtime;
  readonly directory: string;
  readonly #uid: string;

  constructor(runtime: Runtime, directory: string, uid: string) {
    this.runtime = runtime;
    this.directory = directory;
    this.#uid = uid;
  }

  static async start(t: ExecutionContext, containerd: TestContainerd): Promise<Node> {
    nodes += 1;
    const nodeName = `own-${process.pid}-${nodes}`;
    const directory = path.join(dataDir, nodeName);
    const { endpoint } = containerd;
    const runtime = createCriRuntime({ clusterId: 'own', nodeName, endpoint, dataDir: directory, clock: hastyClock });
    await runtime.start();
    t.teardown(async () => {
      for (const { id } of await runtime.list()) await runtime.removeSandbox(id);
      await runtime.close();
    });
    return new Node(runtime, directory, `${nodeName}-uid`);
  }

  async sandbox(change: Partial<SandboxSpec> = {}): Promise<string> {
    const made = await this.runtime.createSandbox({ ...plainSandbox(this.#uid), ...change });
    return made.id;
  }

  async shell(sandboxId: string, script: string, change: Partial<ContainerSpec> = {}): Promise<string> {
    const own = { image, command: ['sh', '-c', script], args: undefined };
    const { id } = await this.runtime.createContainer(sandboxId, { ...plainContainer(), ...own, ...change });
    await this.runtime.startContainer(id);
    return id;
  }

  async exec(id: string, script: string): Promise<string> {
    return await outputOf(await this.runtime.exec(id, { command: ['sh', '-c', script], tty: false, stdin: false }));
  }

  async log(id: string): Promise<string> {
    const { signal } = new AbortController();
    let text = '';
    for await (const chunk of this.runtime.logs(id, { follow: false, timestamps: false, signal })) {
      text += Buffer.from(chunk).toString();
    }
    return text;
  }
}

async function outputOf(session: ExecSession): Promise<string> {
  let text = '';
  const read = async (stream: AsyncIterable<Buffer> | undefined) => {
    for await (const chunk of stream ?? []) text += chunk.toString();
  };
  await Promise.all([read(session.stdout), read(session.stderr), session.exitCode]);
  return text.trim();
}

async function eventually<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`not within 30 s: ${what}`);
    await delay(systemClock, 50);
  }
}

/** One after the other: some of them stop the engine. */
function add(title: string, check: (t: ExecutionContext, containerd: TestContainerd) => Promise<void>): void {
  if (unavailable !== undefined) test.skip(`${title}: ${unavailable}`, t => t.pass());
  else
    test.serial(title, async t => {
      if (engine === undefined) return t.fail('containerd was not started');
      await check(t, engine);
    });
}

add('containerd is killed and comes back: containers run on, and all is found again', async (t, containerd) => {
  const node = await Node.start(t, containerd);
  const { runtime } = node;
  const sandbox = await node.sandbox();
  const id = await node.shell(sandbox, 'echo before; sleep 1000');
  const [before] = await runtime.list();
  const controller = new AbortController();
  const events = runtime.events(controller.signal);
  await containerd.interrupt('SIGKILL');
  await t.throwsAsync(runtime.list(), { instanceOf: RuntimeUnavailableError, message: /does not answer/ });
  await t.throwsAsync(runtime.stopContainer(id, 0), { instanceOf: RuntimeUnavailableError });
  await containerd.resume();
  const after = await eventually('an answer', () => runtime.list().catch(() => undefined));
  t.deepEqual(after, [before]);
  for await (const event of events) if (event.podUid === undefined) break;
  controller.abort();
  t.is(await node.exec(id, 'echo alive'), 'alive');
  t.is(await node.log(id), 'before\n');
  await runtime.stopContainer(id, 0);
  t.is((await runtime.list())[0]?.containers[0]?.state, 'exited');
});

add('a log grows, is moved aside, and is read whole', async (t, containerd) => {
  const node = await Node.start(t, containerd);
  const go = path.join(node.directory, 'go');
  const id = await node.shell(
    await node.sandbox(),
    'yes 0123456789012345678901234567890123456789 | head -n 200000; while [ ! -e /shared/go ]; do sleep 0.1; done; echo last',
    {
      mounts: [{ hostPath: node.directory, containerPath: '/shared', readOnly: false, propagation: 'private' }],
    },
  );
  const pods = path.join(node.directory, 'pods');
  const [pod = ''] = await readdir(pods);
  const file = path.join(pods, pod, 'main', '0.log');
  await eventually('a rotation', async () => ((await stat(`${file}.1`).catch(() => undefined)) ? true : undefined));
  // containerd 1.6 loses what is still on its way when a container ends right after it wrote a lot (containerd#7289).
  const wrote = await eventually('all that it wrote', async () => {
    const count = (await node.log(id)).split('\n').length;
    return count > 200_000 ? count : undefined;
  });
  t.is(wrote, 200_001);
  await writeFile(go, '');
  await eventually('the end', async () =>
    (await node.runtime.list())[0]?.containers[0]?.state === 'exited' ? true : undefined,
  );
  const lines = (await node.log(id)).split('\n');
  t.is(lines.length, 200_002);
  t.is(lines.at(-2), 'last');
  t.regex(await readFile(file, 'utf8'), / stdout F last\n$/);
  await node.runtime.removeContainer(id);
  t.deepEqual(await readdir(path.dirname(file)), []);
});

add('security: capabilities, privilege, groups, no new privileges, /proc', async (t, containerd) => {
  const node = await Node.start(t, containerd);
  const sandbox = await node.sandbox();
  let made = 0;
  const look = async (security: ContainerSpec['security'], script: string) => {
    made += 1;
    const id = await node.shell(sandbox, 'sleep 1000', { name: `c${made}`, security });
    return await node.exec(id, script);
  };
  const effective = "sed -n 's/^CapEff:\\t//p' /proc/1/status";
  t.is(await look({ dropCapabilities: ['ALL'] }, effective), '0000000000000000');
  // CAP_NET_ADMIN is bit 12.
  t.is(await look({ dropCapabilities: ['ALL'], addCapabilities: ['NET_ADMIN'] }, effective), '0000000000001000');
  const bounding = /^CapBnd:\s*(\w+)$/m.exec(await readFile('/proc/self/status', 'utf8'))?.[1];
  t.is(await look({ privileged: true }, effective), bounding ?? '');
  t.is(await look({ supplementalGroups: [7, 8], user: 5, group: 6 }, 'id -u; id -g; id -G'), '5\n6\n6 7 8');
  t.is(await look({ allowPrivilegeEscalation: false }, "sed -n 's/^NoNewPrivs:\\t//p' /proc/1/status"), '1');
  t.regex(
    await look({}, 'echo 1 > /proc/sys/kernel/domainname; wc -c < /proc/kcore; echo 1 > /proc/sysrq-trigger'),
    /Read-only/,
  );
});

add('namespaces: shared, the host’s, and kernel settings of the pod’s own', async (t, containerd) => {
  const node = await Node.start(t, containerd);
  const attempt = async (number: number, change: Partial<SandboxSpec>, script: string) => {
    const sandbox = await node.sandbox({ attempt: number, ...change });
    const id = await node.shell(sandbox, 'sleep 1000');
    const output = await node.exec(id, script);
    await node.runtime.removeSandbox(sandbox);
    return output;
  };
  const sysctls = { 'net.ipv4.ip_unprivileged_port_start': '80' };
  t.is(await attempt(0, { sysctls }, 'cat /proc/sys/net/ipv4/ip_unprivileged_port_start'), '80');
  t.is(await attempt(1, { shareProcessNamespace: true }, 'grep -l pause /proc/1/cmdline'), '/proc/1/cmdline');
  const own = async (what: string) => await readlink(`/proc/self/ns/${what}`);
  const see = 'for one in net pid ipc; do readlink /proc/self/ns/$one; done';
  t.is(
    await attempt(2, { hostNetwork: true, hostPid: true, hostIpc: true }, see),
    [await own('net'), await own('pid'), await own('ipc')].join('\n'),
  );
  t.is(await attempt(3, {}, 'cat /sys/class/net/lo/operstate; ls /sys/class/net'), 'unknown\nlo');
});

add('a terminal of the container’s own: attached, resized, logged', async (t, containerd) => {
  const node = await Node.start(t, containerd);
  const script = 'read line; stty size; echo "got $line"; exit 3';
  const id = await node.shell(await node.sandbox(), script, { tty: true, stdin: true });
  const session = await node.runtime.attach(id, { tty: true, stdin: true });
  await session.resize({ columns: 77, rows: 22 });
  session.stdin?.write('x\n');
  t.regex(await outputOf(session), /22 77\s+got x/);
  t.is(await session.exitCode, 3);
  t.regex(await node.log(id), /22 77\s+got x/);
});

add('limits reach the kernel', async (t, containerd) => {
  const node = await Node.start(t, containerd);
  const resources = { cpuShares: 512, cpuLimitMilli: 250, memoryLimitBytes: 64 * 1024 * 1024, oomScoreAdj: 500 };
  const id = await node.shell(await node.sandbox(), 'cat /proc/self/oom_score_adj; sleep 1000', { resources });
  const [sandbox] = await node.runtime.list();
  const container = sandbox?.containers.find(one => one.id === id);
  if (container?.state !== 'running') return t.fail('it does not run');
  const groups = await readFile(`/proc/${container.pid}/cgroup`, 'utf8');
  const at = (controller: string, file: string) => {
    const group = groups
      .split('\n')
      .map(line => line.split(':'))
      .find(([, names]) => names?.split(',').includes(controller));
    return group === undefined
      ? `/sys/fs/cgroup${/^0::(.*)$/m.exec(groups)?.[1]}/${file}`
      : `/sys/fs/cgroup/${controller}${group[2]}/${file}`;
  };
  const isV1 = /:memory:/.test(groups);
  const read = async (file: string) => (await readFile(file, 'utf8')).trim();
  t.is(await read(at('memory', isV1 ? 'memory.limit_in_bytes' : 'memory.max')), String(64 * 1024 * 1024));
  t.is(await read(at('cpu', isV1 ? 'cpu.cfs_quota_us' : 'cpu.max')), isV1 ? '25000' : '25000 100000');
  await eventually('its word', async () => ((await node.log(id)) === '500\n' ? true : undefined));
  t.pass();
});

add('nothing is left when the sandbox is gone', async (t, containerd) => {
  const node = await Node.start(t, containerd);
  const sandbox = await node.sandbox();
  await node.shell(sandbox, 'sleep 1000');
  const own = async () => ({
    mounts: (await readFile('/proc/mounts', 'utf8')).split('\n').filter(line => line.includes(containerd.directory))
      .length,
    logs: (await readdir(path.join(node.directory, 'pods'))).length,
  });
  const during = await own();
  t.true(during.mounts > 0);
  t.is(during.logs, 1);
  await node.runtime.removeSandbox(sandbox);
  t.deepEqual(await own(), { mounts: 0, logs: 0 });
});

add('an image of the same name takes the place of the one before', async (t, containerd) => {
  const node = await Node.start(t, containerd);
  const name = 'docker.io/library/twice:1';
  await containerd.importBusybox(name);
  const first = await node.runtime.imageStatus('twice:1');
  await containerd.importBusybox(name, { A: 'b' });
  const second = await eventually('the other image', async () => {
    const found = await node.runtime.imageStatus('twice:1');
    return found?.id === first?.id ? undefined : found;
  });
  t.deepEqual(second.tags, [name]);
});

add('agents of one containerd bring the same image at the same moment', async (t, containerd) => {
  const name = 'raftsman-test/both:1';
  const archive = await savedImage(name, imageOf([await tarOf(busyboxEntries())]));
  const agents = await Promise.all(Array.from({ length: 4 }, () => Node.start(t, containerd)));
  await Promise.all(agents.map(({ runtime }) => runtime.importImages?.(Readable.from([archive]))));
  for (const { runtime } of agents) t.not(await runtime.imageStatus(name), undefined);
  const [first] = agents;
  await first?.runtime.removeImage?.(name);
  t.is(
    await eventually('its end', async () => ((await first?.runtime.imageStatus(name)) ? undefined : 'gone')),
    'gone',
  );
});

add('archives are taken in, as Docker saves them and as OCI tools do; what is unused can go', async (t, containerd) => {
  const node = await Node.start(t, containerd);
  const { runtime } = node;
  const layer = await tarOf(busyboxEntries());
  const take = async (archive: Buffer) => await runtime.importImages?.(Readable.from([archive]));
  const saved = imageOf([layer]);
  const [first] = (await take(await savedImage('raftsman-test/saved:1', saved))) ?? [];
  t.deepEqual(first?.tags, ['docker.io/raftsman-test/saved:1']);
  t.is((await runtime.imageStatus('raftsman-test/saved:1'))?.id, first?.id);
  await runtime.removeImage?.('raftsman-test/saved:1');
  await runtime.removeImage?.('raftsman-test/saved:1');
  t.is(
    await eventually('its end', async () =>
      (await runtime.imageStatus('raftsman-test/saved:1')) ? undefined : 'gone',
    ),
    'gone',
  );
  await t.throwsAsync(async () => await take(Buffer.from('no archive')), { instanceOf: ImagePullError });
  t.deepEqual(await readdir(path.join(node.directory, 'downloads')), []);
});

add('an image that a container has stays; limits change while it runs', async (t, containerd) => {
  const node = await Node.start(t, containerd);
  const { runtime } = node;
  const id = await node.shell(await node.sandbox(), 'sleep 1000');
  await t.throwsAsync(async () => await runtime.removeImage?.(image), {
    instanceOf: ImagePullError,
    message: /is used by/,
  });
  const memory = 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2> /dev/null';
  await runtime.updateContainer?.(id, { memoryLimitBytes: 32 * 1024 * 1024 });
  t.is(await node.exec(id, memory), String(32 * 1024 * 1024));
});

add('pulls: with the keys that fit, one after the other, and not without', async (t, containerd) => {
  const { runtime } = await Node.start(t, containerd);
  const right = { username: 'u', password: 'right' };
  const server = new RegistryServer({ auth: { kind: 'basic', ...right } });
  await server.listen();
  t.teardown(() => server.close());
  server.add('private/app', '1', imageOf([await tarOf(busyboxEntries())], { Cmd: ['sh'] }));
  const reference = `${server.host}/private/app:1`;
  const { signal } = new AbortController();
  await t.throwsAsync(runtime.pullImage(reference, { signal }), { instanceOf: ImagePullError });
  const registry = server.host;
  const wrong = { registry: `${registry}/private`, username: 'u', password: 'wrong' };
  await t.throwsAsync(runtime.pullImage(reference, { signal, credentials: [wrong] }), { instanceOf: ImagePullError });
  const pulled = await runtime.pullImage(reference, { signal, credentials: [{ registry, ...right }, wrong] });
  t.true(pulled.tags.includes(reference));
  await runtime.removeImage?.(reference);
  const aborted = AbortSignal.abort();
  await t.throwsAsync(runtime.pullImage(reference, { signal: aborted }), { message: 'the pull was given up' });
});

add('the image of sandboxes is brought again when somebody has removed it', async (t, containerd) => {
  const node = await Node.start(t, containerd);
  await node.runtime.removeImage?.(sandboxImage);
  await eventually('its end', async () => ((await node.runtime.imageStatus(sandboxImage)) ? undefined : true));
  const id = await node.shell(await node.sandbox(), 'sleep 1000');
  t.is(await node.exec(id, 'echo here'), 'here');
});

add('auto takes it only where its network is nobody else’s', async (t, containerd) => {
  await Node.start(t, containerd);
  t.is(await whyNotChosen(containerd.endpoint), undefined, 'our own configuration is no obstacle');
  const other = path.join(containerd.directory, 'net.d', '10-other.conflist');
  await writeFile(other, '{"cniVersion":"0.4.0","name":"other","plugins":[{"type":"bridge"}]}');
  t.teardown(() => rm(other));
  t.regex((await whyNotChosen(containerd.endpoint)) ?? '', /somebody else's: .*10-other.conflist/);
  t.regex((await whyNotChosen('unix:///nonexistent.sock')) ?? '', /no container runtime listens/);
});
