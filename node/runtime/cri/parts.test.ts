/** The pure parts and the small ones: tables. */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parseEntry } from '../native/log-format.ts';
import type { ContainerSpec, SandboxSpec } from '../runtime.ts';
import { containerConfigOf, sandboxConfigOf, sandboxMemoryOf, type Terms } from './config.ts';
import { cgroupDirectory, findExec } from './exec-process.ts';
import { logFileBytesMax } from './limits.ts';
import { removeLogs, rotateIfLarge } from './logs.ts';
import { containerStatus } from './messages.ts';
import { cniDirectoriesIn, configuration, installNetwork } from './network-config.ts';
import { containerStatusOf, pidIn, sandboxStatusOf } from './status.ts';
import { outcomeOf } from './streaming.ts';

const pod = { uid: 'u', namespace: 'ns', name: 'p' };
const terms: Terms = {
  owner: { clusterId: 'c', nodeName: 'n' },
  logDirectory: '/logs',
  mayLowerOomScore: false,
  hasSwapAccounting: true,
  hasSeccomp: true,
};
const sandbox: SandboxSpec = {
  pod,
  hostname: 'h',
  hostNetwork: false,
  hostPid: false,
  hostIpc: false,
  sysctls: { 'net.core.somaxconn': '1024' },
  labels: { app: 'a' },
  attempt: 2,
};
const container: ContainerSpec = {
  name: 'main',
  attempt: 1,
  image: 'busybox:1',
  command: undefined,
  args: ['x'],
  workingDir: undefined,
  env: [{ name: 'A', value: 'b' }],
  mounts: [{ hostPath: '/h', containerPath: '/c', readOnly: true, propagation: 'bidirectional' }],
  stdin: false,
  stdinOnce: true,
  tty: false,
  resources: {},
  security: {},
  terminationMessage: { containerPath: '/dev/termination-log', hostPath: '/m' },
};
const mark = { kind: 'container', pod, sandboxId: 's', name: 'main', attempt: 1, image: 'busybox:1' } as const;

test('a sandbox: names, logs, namespaces, and what its containers need again', t => {
  const config = sandboxConfigOf(terms, sandbox);
  t.like(config, { metadata: { ...pod, attempt: 2 }, hostname: 'h', logDirectory: '/logs/ns_p_u' });
  t.is(config.labels?.app, 'a');
  t.deepEqual(config.linux?.securityContext?.namespaceOptions, { network: 0, pid: 1, ipc: 0 });
  const { pod: _pod, labels: _labels, attempt: _attempt, ...memory } = sandbox;
  t.deepEqual(sandboxMemoryOf(config.annotations ?? {}), memory);
  t.is(sandboxMemoryOf({}), undefined);
  const host = sandboxConfigOf(terms, { ...sandbox, hostNetwork: true, hostPid: true, hostIpc: true });
  t.deepEqual(host.linux?.securityContext?.namespaceOptions, { network: 2, pid: 2, ipc: 2 });
  t.is(host.hostname, undefined);
  const shared = sandboxConfigOf(terms, { ...sandbox, shareProcessNamespace: true });
  t.is(shared.linux?.securityContext?.namespaceOptions?.pid, 0);
});

const configWith = (change: Partial<ContainerSpec>, user = '', own: Partial<Terms> = {}) =>
  containerConfigOf({ ...terms, ...own }, mark, {
    spec: { ...container, ...change },
    sandbox,
    image: { id: 'sha256:1', user },
  });

test('a container: image by id, mounts, log, no input once without input', t => {
  const config = configWith({});
  t.like(config, {
    image: { image: 'sha256:1', userSpecifiedImage: 'busybox:1' },
    logPath: 'main/1.log',
    stdinOnce: false,
  });
  t.deepEqual(config.mounts, [
    { hostPath: '/h', containerPath: '/c', readonly: true, propagation: 2 },
    { hostPath: '/m', containerPath: '/dev/termination-log', readonly: false, propagation: 0 },
  ]);
  t.is(config.command, undefined);
});

test('resources: smallest values, swap only where it is counted, no score that the machine forbids', t => {
  const resources = { cpuShares: 1, cpuLimitMilli: 5, memoryLimitBytes: 1024, oomScoreAdj: -998 };
  t.deepEqual(configWith({ resources }).linux?.resources, {
    cpuShares: 2,
    cpuPeriod: 100_000,
    cpuQuota: 1000,
    memoryLimitInBytes: 1024,
    memorySwapLimitInBytes: 1024,
    oomScoreAdj: 0,
  });
  const other = configWith({ resources }, '', { hasSwapAccounting: false, mayLowerOomScore: true });
  t.like(other.linux?.resources, { memorySwapLimitInBytes: undefined, oomScoreAdj: -998 });
});

test('users: a group never goes without one', t => {
  const of = (security: ContainerSpec['security'], user = '') => {
    const { runAsUser, runAsGroup, runAsUsername } = configWith({ security }, user).linux?.securityContext ?? {};
    return [runAsUser?.value, runAsGroup?.value, runAsUsername];
  };
  t.deepEqual(of({}), [undefined, undefined, undefined]);
  t.deepEqual(of({ user: 0 }), [0, undefined, undefined]);
  t.deepEqual(of({ user: 1, group: 2 }), [1, 2, undefined]);
  t.deepEqual(of({ group: 2 }), [0, 2, undefined]);
  t.deepEqual(of({ group: 2 }, '7:8'), [7, 2, undefined]);
  t.deepEqual(of({ group: 2 }, 'www'), [undefined, 2, 'www']);
});

test('privilege: nothing is masked and nothing filtered, and only then', t => {
  const plain = configWith({}).linux?.securityContext;
  t.true(plain?.maskedPaths?.includes('/proc/kcore'));
  t.is(plain?.seccomp?.profileType, 0);
  const free = configWith({ security: { privileged: true } }).linux?.securityContext;
  t.is(free?.maskedPaths, undefined);
  t.is(free?.seccomp?.profileType, 1);
  t.is(configWith({}, '', { hasSeccomp: false }).linux?.securityContext?.seccomp?.profileType, 1);
  t.true(configWith({ security: { allowPrivilegeEscalation: false } }).linux?.securityContext?.noNewPrivs);
});

test('seccomp profiles of the node go by path, unless the kernel has none or the container is privileged', t => {
  const own = { seccompProfile: '{}', seccompProfilePath: '/var/lib/raftsman/seccomp/a.json' };
  const of = (security: ContainerSpec['security'], terms = {}) =>
    configWith({ security }, '', terms).linux?.securityContext?.seccomp;
  t.like(of(own), { profileType: 2, localhostRef: own.seccompProfilePath });
  t.is(of({ ...own, privileged: true })?.profileType, 1);
  t.is(of(own, { hasSeccomp: false })?.profileType, 1);
});

test('AppArmor profiles go by name; without a wish the runtime chooses', t => {
  const of = (appArmor?: string) =>
    configWith({ security: appArmor === undefined ? {} : { appArmor } }).linux?.securityContext?.apparmor;
  t.is(of(), undefined);
  t.like(of('unconfined'), { profileType: 1 });
  t.like(of('mine'), { profileType: 2, localhostRef: 'mine' });
});

test('a runtime class is remembered with the sandbox', t => {
  const { annotations = {} } = sandboxConfigOf(terms, { ...sandbox, runtimeHandler: 'kata' });
  t.is(sandboxMemoryOf(annotations)?.runtimeHandler, 'kata');
});

const statusWith = (change: Record<string, unknown>) =>
  containerStatusOf(mark, { ...containerStatus.decode(new Uint8Array()), id: 'i', createdAt: 5e9, ...change }, 42);

test('states of a container', t => {
  t.like(statusWith({ state: 0 }), { state: 'created', createdAt: 5000 });
  t.like(statusWith({ state: 1, startedAt: 6e9 }), { state: 'running', startedAt: 6000, pid: 42 });
  t.like(statusWith({ state: 2, startedAt: 6e9, finishedAt: 7e9, exitCode: 3 }), {
    state: 'exited',
    startedAt: 6000,
    finishedAt: 7000,
    exitCode: 3,
    oomKilled: false,
  });
  t.like(statusWith({ state: 2, startedAt: 6e9, finishedAt: 7e9, exitCode: 137, reason: 'OOMKilled' }), {
    oomKilled: true,
    signal: 9,
  });
  // A start that failed has no time of its own.
  t.like(statusWith({ state: 2, finishedAt: 7e9, exitCode: 128, message: 'no such file' }), {
    startedAt: 5000,
    message: 'no such file',
  });
  t.like(statusWith({ state: 3 }), {
    state: 'exited',
    exitCode: 137,
    message: 'the runtime lost track of the container',
  });
});

test('a sandbox is ready only with its process', t => {
  const item = { id: 's', state: 0, createdAt: 1e6 };
  const own = { kind: 'sandbox', pod, attempt: 0, shareProcessNamespace: false } as const;
  const ready = (state: number, pid: number | undefined) =>
    sandboxStatusOf(own, { ...item, state }, { pid, containers: [] }).ready;
  t.deepEqual([ready(0, 7), ready(0, 0), ready(0, undefined), ready(1, 7)], [true, false, false, false]);
});

test('the process in a verbose status', t => {
  t.is(pidIn({ info: '{"pid":7}' }), 7);
  const none: Record<string, string>[] = [{}, { info: 'x' }, { info: '{}' }, { info: 'null' }, { info: '{"pid":"7"}' }];
  for (const info of none) t.is(pidIn(info), 0);
});

test('how a command ended', t => {
  const failure = (message: string, cause?: string) =>
    JSON.stringify({
      status: 'Failure',
      message,
      details: { causes: cause === undefined ? [] : [{ reason: 'ExitCode', message: cause }] },
    });
  t.deepEqual(outcomeOf('{"metadata":{},"status":"Success"}'), {});
  t.deepEqual(outcomeOf(failure('command terminated with 7', '7')), { exitCode: 7 });
  t.is(outcomeOf(failure('exec: "x": executable file not found in $PATH: unknown')).exitCode, 127);
  t.is(outcomeOf(failure('OCI runtime exec failed: "/": permission denied')).exitCode, 126);
  t.throws(() => outcomeOf(failure('the sky fell')), { message: 'the sky fell' });
  t.throws(() => outcomeOf(''), { message: /hung up/ });
});

test('the process of an exec among those of its container', t => {
  const process = (pid: number, parent: number, startTicks: number, words: string) => ({
    pid,
    parent,
    startTicks,
    commandLine: `${words.replaceAll(' ', '\0')}\0`,
  });
  const processes = [
    process(10, 1, 0, 'sleep 5'), // the container's own
    process(11, 10, 50, 'sleep 5'), // its child
    process(12, 1, 40, 'sleep 5'), // an exec from before
    process(13, 1, 61, 'sleep 5'),
    process(14, 1, 60, 'sh'),
  ];
  const find = (command: string, sinceTicks: number, list = processes) =>
    findExec(list, { initPid: 10, command: command.split(' '), sinceTicks });
  t.is(find('sleep 5', 50), 13);
  t.is(find('sleep 5', 30), 12);
  t.is(find('sleep 6', 50), undefined, 'two others: neither can be told');
  t.is(find('script', 61), 13, 'alone it may be a script');
  t.is(find('sleep 5', 62), undefined);
});

test('where the processes of a control group are listed', t => {
  t.is(cgroupDirectory('5:pids:/k8s.io/a\n0::/\n'), '/sys/fs/cgroup/pids/k8s.io/a');
  t.is(cgroupDirectory('3:cpu,cpuacct:/a\n4:memory:/b\n'), '/sys/fs/cgroup/memory/b');
  t.is(cgroupDirectory('0::/kubepods/x\n'), '/sys/fs/cgroup/kubepods/x');
  t.is(cgroupDirectory('0::/\n'), undefined);
  t.is(cgroupDirectory(''), undefined);
});

test('where runtimes have their networks', t => {
  const of = (config: string) => cniDirectoriesIn({ config });
  const found = { plugins: '/opt/cni/bin', configurations: '/etc/cni/net.d' };
  t.deepEqual(of('{"cni":{"binDir":"/opt/cni/bin","confDir":"/etc/cni/net.d"}}'), found);
  t.deepEqual(of('{"cni":{"binDir":"","binDirs":["/opt/cni/bin"],"confDir":"/etc/cni/net.d"}}'), found);
  t.deepEqual(of('[crio.network]\nnetwork_dir = "/etc/cni/net.d"\nplugin_dirs = [\n  "/opt/cni/bin",\n]\n'), found);
  t.is(of('{}'), undefined);
  t.is(cniDirectoriesIn({}), undefined);
});

async function scratch(t: ExecutionContext): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'raftsman-cri-parts-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

test('the network plugin answers as CNI wants it, and keeps a loopback plugin that is there', async t => {
  const directory = await scratch(t);
  const directories = { plugins: `${directory}/bin`, configurations: `${directory}/net.d` };
  await mkdir(directories.plugins);
  await writeFile(`${directories.plugins}/loopback`, 'theirs');
  await installNetwork(directories);
  await installNetwork(directories);
  t.is(await readFile(`${directories.plugins}/loopback`, 'utf8'), 'theirs');
  t.deepEqual((await readdir(directories.configurations)).sort(), ['00-raftsman.conflist']);
  const { plugins, ...list } = JSON.parse(configuration);
  const run = (command: string) =>
    execFileSync(`${directories.plugins}/${plugins[0].type}`, {
      input: JSON.stringify({ ...list, ...plugins[0] }, undefined, 2),
      env: { CNI_COMMAND: command, CNI_NETNS: '/nonexistent', CNI_IFNAME: 'eth0' },
      encoding: 'utf8',
    });
  t.like(JSON.parse(run('VERSION')), { cniVersion: '0.4.0' });
  t.is(run('DEL'), '');
  const failed = t.throws(() => run('ADD')) as Error & { stdout: string };
  t.like(JSON.parse(failed.stdout), { cniVersion: '0.4.0', code: 100 });
});

test('times in logs, as runtimes write them, all have nine digits and are in UTC', t => {
  const line = (time: string) => parseEntry(Buffer.from(`${time} stdout F x`))?.time;
  t.is(line('2026-11-21T17:11:08.123456789Z'), '2026-11-21T17:11:08.123456789Z');
  t.is(line('2026-11-21T17:11:08.12345678Z'), '2026-11-21T17:11:08.123456780Z');
  t.is(line('2026-11-21T00:11:08.5+01:00'), '2026-11-20T23:11:08.500000000Z');
  t.is(line('2026-11-21T17:11:08Z'), '2026-11-21T17:11:08.000000000Z');
  t.is(line('yesterday'), 'yesterday');
});

test('a log that has grown makes room; one that cannot be reopened stays in its place', async t => {
  const file = path.join(await scratch(t), '0.log');
  const grow = async () => {
    await writeFile(file, 'x');
    await truncate(file, logFileBytesMax);
  };
  let reopened = 0;
  const reopen = async () => {
    reopened += 1;
    await writeFile(file, 'new');
  };
  await writeFile(file, 'small');
  await rotateIfLarge(file, reopen);
  t.is(reopened, 0);
  for (let round = 0; round < 6; round += 1) {
    await grow();
    await rotateIfLarge(file, reopen);
  }
  t.deepEqual((await readdir(path.dirname(file))).sort(), ['0.log', '0.log.1', '0.log.2', '0.log.3', '0.log.4']);
  t.is(await readFile(file, 'utf8'), 'new');
  await grow();
  await t.throwsAsync(
    rotateIfLarge(file, () => Promise.reject(new Error('away'))),
    { message: 'away' },
  );
  t.is((await stat(file)).size, logFileBytesMax);
  await removeLogs(file);
  t.deepEqual(await readdir(path.dirname(file)), []);
  await rotateIfLarge(file, reopen);
});
