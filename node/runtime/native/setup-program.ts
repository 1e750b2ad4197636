/**
 * The program that turns a fresh mount (and process) namespace into a container and then becomes its command: a list of
 * system calls (`program/`), so nothing of the machine's is needed inside. Pure.
 *
 * Descriptor 3 leads to the supervisor: what goes wrong is said there, and `ready` right before the command takes over.
 * Order matters: what is mounted into the container is taken by its path on the machine, before the root changes; where it
 * goes is walked after, so that links in an image lead to the container's files and not to the machine's.
 *
 * Whoever may make device nodes could open the machine's disks by them. So no mount of a container that is not privileged
 * has devices that work, but for the usual ones, each of which is a mount of its own.
 */
import type { ContainerSpec } from '../runtime.ts';
import { devTmpfsBytes, shmBytes } from './limits.ts';
import type { ContainerProcess } from './process.ts';
import { capabilityCount, capabilityMask, capabilityNumber, keptCapabilities } from './program/capabilities.ts';
import type { Architecture } from './program/numbers.ts';
import { Filter, FutureResult, Label, ProgramBuilder } from './program/program.ts';
import { seccompFilter } from './program/seccomp.ts';
import { profileFilter } from './program/seccomp-profile.ts';

/** What the container's root is made of. */
export type RootLayers =
  /** Directories for overlayfs, the highest first, by names below `base`. */
  | { readonly kind: 'overlay'; readonly base: string; readonly lower: readonly string[] }
  /** All files are in the container's directory already. */
  | { readonly kind: 'copy' };

export interface SetupInput {
  readonly architecture: Architecture;
  readonly spec: ContainerSpec;
  readonly process: ContainerProcess;
  /** The container's directory, without links in its path. */
  readonly directory: string;
  readonly root: RootLayers;
  /** Whether each of the mounts is a directory; after them those of devices and of the termination message. */
  readonly isDirectory: (hostPath: string) => boolean;
  /** Files to write the process into. */
  readonly cgroupFiles: readonly string[];
  readonly cgroupMounts: readonly { readonly name: string; readonly type: string; readonly options: string }[];
  readonly mayLowerOomScore: boolean;
  readonly hostIpc: boolean;
  /** Device nodes of the machine, for privileged containers. */
  readonly devices: readonly DeviceNode[];
  /** Writable places of the image that stay so when its root is not. */
  readonly volumes: readonly string[];
}
export interface DeviceNode {
  /** Below `/dev`. */
  readonly name: string;
  readonly mode: number;
  readonly device: bigint;
}

/** Written to descriptor 3 when nothing can go wrong any more but the command itself. */
export const readyWord = 'ready';
const setupDescriptor = 3;
/** Where an exec finds its program; closed before the command takes over. */
export const execDescriptor = 9;
const oldRoot = '/.raftsman-machine';

const AT_FDCWD = -100;
const AT_REMOVEDIR = 0x200;
const O_WRONLY = 1;
const O_DIRECTORY = 0o200000;
const O_CLOEXEC = 0o2000000;
const O_PATH = 0o10000000;
const F_OK = 0;
const X_OK = 1;
const MS_RDONLY = 1;
const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;
const MS_REMOUNT = 32;
const MS_BIND = 4096;
const MS_MOVE = 8192;
const MS_REC = 16384;
const MS_PRIVATE = 1 << 18;
const MS_SLAVE = 1 << 19;
const MNT_DETACH = 2;
const CLONE_NEWCGROUP = 0x02000000;
const PR_GET_SECCOMP = 21;
const PR_CAPBSET_READ = 23;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_SET_MODE_FILTER = 1;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const TIOCSCTTY = 0x540e;
const S_IFCHR = 0o020000;
const S_IFREG = 0o100000;
const notFoundExitCode = 127;
const notExecutableExitCode = 126;
const bare = MS_NOSUID | MS_NODEV | MS_NOEXEC;

/** Parts of /proc that would let root change the machine, and what tells too much (as runc and Docker have it). */
const readOnlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];
const maskedPaths = [
  ...['/proc/asound', '/proc/acpi', '/proc/interrupts', '/proc/kcore', '/proc/keys', '/proc/latency_stats'],
  ...['/proc/timer_list', '/proc/timer_stats', '/proc/sched_debug', '/proc/scsi', '/sys/firmware'],
  '/sys/devices/virtual/powercap',
];
const defaultDevices: readonly (readonly [string, number, number])[] = [
  ['null', 1, 3],
  ['zero', 1, 5],
  ['full', 1, 7],
  ['random', 1, 8],
  ['urandom', 1, 9],
  ['tty', 5, 0],
];

/** The container's first program. */
export function renderSetup(input: SetupInput): Buffer {
  const { spec, architecture } = input;
  const program = new ProgramBuilder({ architecture, reportDescriptor: setupDescriptor });
  program.call('fcntl', [setupDescriptor, F_SETFD, FD_CLOEXEC], 'ignore').call('umask', [0], 'ignore');
  if (spec.tty) {
    // The terminal is the command's own, not that of the shell which waits for it.
    program.call('setsid', [], 'ignore').call('ioctl', [0, TIOCSCTTY, 1], 'ignore');
  }
  const stages = stagesOf(spec);
  joinGroups(program, input);
  for (const [index, stage] of stages.entries()) takeMount(program, stagePath(input.directory, index), stage);
  enterRoot(program, input);
  kernelFiles(program, input);
  for (const [index, stage] of stages.entries()) {
    const isDirectory = input.isDirectory(stage.hostPath);
    const flags =
      (stage.readOnly ? MS_RDONLY : 0) |
      (stage.noExec ? MS_RDONLY | MS_NOEXEC : 0) |
      (stage.isDevice ? 0 : devicesOff(spec));
    placeMount(program, `${oldRoot}${stagePath(input.directory, index)}`, { ...stage, isDirectory, flags });
  }
  program.call('umount2', [oldRoot, MNT_DETACH], { fail: 'unmount of the machine’s files' });
  program.call('unlinkat', [AT_FDCWD, oldRoot, AT_REMOVEDIR], 'ignore');
  if (spec.security.readOnlyRootFilesystem === true) {
    for (const volume of input.volumes) {
      makeDirectories(program, volume);
      // A mount of its own is not read-only with the root.
      program.call('mount', [volume, volume, 0, MS_BIND, 0], { fail: `mount of ${volume}` });
    }
    restrict(program, '/', MS_RDONLY | devicesOff(spec));
  }
  makeDirectories(program, input.process.workingDir);
  becomeCommand(program, input, { command: input.process.command, reportReady: true });
  return program.build();
}

/** What joins a container; `nsenter` has brought it inside. */
export function renderExec(
  input: Pick<SetupInput, 'architecture' | 'spec' | 'process'>,
  command: readonly string[],
): Buffer {
  const program = new ProgramBuilder({ architecture: input.architecture, reportDescriptor: 2 });
  program.call('close', [execDescriptor], 'ignore');
  becomeCommand(program, input, { command, reportReady: false });
  return program.build();
}

export interface Stage {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly readOnly: boolean;
  readonly propagation: 'private' | 'hostToContainer' | 'bidirectional';
  readonly noExec?: true | undefined;
  /** Whether it is a device that the container was given. */
  readonly isDevice: boolean;
}

/** All that is mounted from the machine, outer paths before inner ones. */
export function stagesOf(spec: ContainerSpec): readonly Stage[] {
  const depth = ({ containerPath }: Stage) => containerPath.split('/').filter(Boolean).length;
  const own = { readOnly: false, propagation: 'private', isDevice: false } as const;
  return [
    ...spec.mounts.map(mount => ({ ...mount, isDevice: false })),
    // A bound device is the node's own, with its rights.
    ...(spec.devices ?? []).map(device => ({ ...device, ...own, isDevice: true })),
    ...(spec.terminationMessage === undefined ? [] : [{ ...spec.terminationMessage, ...own }]),
  ].toSorted((left, right) => depth(left) - depth(right));
}

export function stagePath(directory: string, index: number): string {
  return `${directory}/mounts/${index}`;
}

function joinGroups(program: ProgramBuilder, { cgroupFiles, spec, mayLowerOomScore }: SetupInput): void {
  for (const file of cgroupFiles) writeFile(program, file, '0');
  program.call('unshare', [CLONE_NEWCGROUP], 'ignore');
  const wanted = spec.resources.oomScoreAdj;
  if (wanted === undefined) return;
  writeFile(program, '/proc/self/oom_score_adj', String(mayLowerOomScore ? wanted : Math.max(0, wanted)));
}

function writeFile(program: ProgramBuilder, file: string, text: string): void {
  const descriptor = new FutureResult();
  program.call('openat', [AT_FDCWD, file, O_WRONLY | O_CLOEXEC], { fail: file }, descriptor);
  program.call('write', [descriptor, text, text.length], { fail: file });
}

function takeMount(program: ProgramBuilder, at: string, stage: Stage): void {
  program.call('mount', [stage.hostPath, at, 0, MS_BIND | MS_REC, 0], { fail: `mount of ${stage.hostPath}` });
  // What the machine mounts later shows inside, or does not.
  const propagation = stage.propagation === 'private' ? MS_PRIVATE : MS_SLAVE;
  program.call('mount', [0, at, 0, propagation | MS_REC, 0], { fail: `mount of ${stage.hostPath}` });
}

/**
 * The layers below, a private layer on top. The layer is on disk; where the kernel refuses that (the disk is itself below,
 * or is an overlay) it is in memory.
 */
function enterRoot(program: ProgramBuilder, { directory, root, spec }: SetupInput): void {
  const at = (name: string) => `${directory}/${name}`;
  const mounted = new Label();
  if (root.kind === 'copy') {
    program.call('mount', [at('root'), at('root'), 0, MS_BIND, 0], { fail: 'mount of the root' });
  } else {
    const overlay = (layer: string) =>
      `lowerdir=${root.lower.join(':')},upperdir=${at(layer)}/upper,workdir=${at(layer)}/work`;
    const inMemory = new Label();
    // Layers are named from where they are: the kernel takes one page of options.
    program.call('chdir', [root.base], { fail: root.base });
    program.call('mount', ['overlay', at('root'), 'overlay', 0, overlay('disk')], inMemory);
    program.jump(mounted).place(inMemory);
    program.call('mount', ['tmpfs', at('memory'), 'tmpfs', 0, 'mode=755'], { fail: 'tmpfs for the root' });
    for (const name of ['upper', 'work']) program.call('mkdirat', [AT_FDCWD, at(`memory/${name}`), 0o755], 'ignore');
    program.call('mount', ['overlay', at('root'), 'overlay', 0, overlay('memory')], {
      fail: 'no overlay of the root file system can be mounted: this kernel needs overlayfs',
    });
  }
  restrict(program.place(mounted), at('root'), devicesOff(spec));
  program.call('chdir', [at('root')], { fail: 'root' });
  for (const name of [`.${oldRoot}`, 'proc', 'sys', 'dev']) program.call('mkdirat', [AT_FDCWD, name, 0o755], 'ignore');
  program.call('pivot_root', ['.', `.${oldRoot}`], { fail: 'pivot_root' });
  program.call('chdir', ['/'], { fail: 'root' });
}

function kernelFiles(program: ProgramBuilder, input: SetupInput): void {
  const { spec } = input;
  const isPrivileged = spec.security.privileged === true;
  const writable = isPrivileged ? 0 : MS_RDONLY;
  program.call('mount', ['proc', '/proc', 'proc', bare, 0], { fail: 'mount of /proc' });
  program.call('mount', ['sysfs', '/sys', 'sysfs', bare | writable, 0], { fail: 'mount of /sys' });
  controlGroups(program, input, writable);
  devices(program, input);
  if (isPrivileged) return;
  if (spec.security.procMount === 'Unmasked') return;
  for (const path of maskedPaths) {
    const [isDirectory, done] = [new Label(), new Label()];
    program.call('faccessat', [AT_FDCWD, path, F_OK], done);
    program.call('mount', ['/dev/null', path, 0, MS_BIND, 0], isDirectory).jump(done).place(isDirectory);
    program.call('mount', ['tmpfs', path, 'tmpfs', MS_RDONLY, 'size=0'], { fail: `mask of ${path}` }).place(done);
  }
  for (const path of readOnlyPaths) {
    const absent = new Label();
    program.call('faccessat', [AT_FDCWD, path, F_OK], absent);
    program.call('mount', [path, path, 0, MS_BIND | MS_REC, 0], { fail: `read-only ${path}` });
    program.call('mount', [0, path, 0, MS_REMOUNT | MS_BIND | MS_RDONLY | bare, 0], { fail: `read-only ${path}` });
    program.place(absent);
  }
}

/** The container's own groups, as the root of what it sees. Where the kernel refuses, it sees none. */
function controlGroups(program: ProgramBuilder, { cgroupMounts }: SetupInput, writable: number): void {
  const top = '/sys/fs/cgroup';
  const [only] = cgroupMounts;
  if (only?.type === 'cgroup2') {
    program.call('mount', ['cgroup2', top, 'cgroup2', bare | writable, 0], 'ignore');
    return;
  }
  if (only === undefined) return;
  program.call('mount', ['tmpfs', top, 'tmpfs', bare, 'mode=755'], 'ignore');
  for (const { name, type, options } of cgroupMounts) {
    program.call('mkdirat', [AT_FDCWD, `${top}/${name}`, 0o755], 'ignore');
    program.call('mount', ['cgroup', `${top}/${name}`, type, bare | writable, options], 'ignore');
  }
  program.call('mount', [0, top, 0, MS_REMOUNT | MS_BIND | bare | writable, 0], 'ignore');
}

function devices(program: ProgramBuilder, input: SetupInput): void {
  const { spec, hostIpc } = input;
  const fail = { fail: 'devices of the container' };
  program.call('mount', ['tmpfs', '/dev', 'tmpfs', MS_NOSUID, `mode=755,size=${devTmpfsBytes}`], fail);
  for (const [name, major, minor] of defaultDevices) {
    program.call('mknodat', [AT_FDCWD, `/dev/${name}`, S_IFCHR | 0o666, (major << 8) | minor], fail);
  }
  if (devicesOff(spec) !== 0) {
    for (const [name] of defaultDevices) program.call('mount', [`/dev/${name}`, `/dev/${name}`, 0, MS_BIND, 0], fail);
    restrict(program, '/dev', MS_NOSUID | MS_NODEV);
  }
  for (const { name, mode, device } of input.devices) {
    makeParents(program, `/dev/${name}`);
    program.call('mknodat', [AT_FDCWD, `/dev/${name}`, mode, device], 'ignore');
  }
  for (const name of ['pts', 'shm', 'mqueue']) program.call('mkdirat', [AT_FDCWD, `/dev/${name}`, 0o755], fail);
  // A container with a terminal got it from its own instance, which is mounted already.
  if (spec.tty) program.call('mount', [`${oldRoot}/dev/pts`, '/dev/pts', 0, MS_BIND, 0], fail);
  else {
    const options = 'newinstance,ptmxmode=0666,mode=0620,gid=5';
    program.call('mount', ['devpts', '/dev/pts', 'devpts', MS_NOSUID | MS_NOEXEC, options], fail);
  }
  if (hostIpc) {
    program.call('mount', [`${oldRoot}/dev/shm`, '/dev/shm', 0, MS_BIND, 0], fail);
    restrict(program, '/dev/shm', devicesOff(spec));
  } else program.call('mount', ['shm', '/dev/shm', 'tmpfs', bare, `mode=1777,size=${shmBytes}`], fail);
  program.call('mount', ['mqueue', '/dev/mqueue', 'mqueue', bare, 0], 'ignore');
  const links = { ptmx: 'pts/ptmx', fd: '/proc/self/fd', stdin: '/proc/self/fd/0', stdout: '/proc/self/fd/1' };
  for (const [name, target] of Object.entries({ ...links, stderr: '/proc/self/fd/2' })) {
    program.call('symlinkat', [target, AT_FDCWD, `/dev/${name}`], fail);
  }
}

function placeMount(
  program: ProgramBuilder,
  from: string,
  { containerPath: target, isDirectory, flags }: Stage & { readonly isDirectory: boolean; readonly flags: number },
): void {
  if (isDirectory) makeDirectories(program, target);
  else makeFile(program, target);
  program.call('mount', [from, target, 0, MS_MOVE, 0], { fail: `mount at ${target}` });
  restrict(program, target, flags);
}

/** The flag of mounts on which devices do not work; none for a privileged container, which has them all. */
function devicesOff({ security }: ContainerSpec): number {
  return security.privileged === true ? 0 : MS_NODEV;
}

/** Adds flags to a mount. Before Linux 5.12 they take the place of those that it has. */
function restrict(program: ProgramBuilder, path: string, flags: number): void {
  if (flags === 0) return;
  // struct mount_attr, whose flags have the numbers of mount(2)'s.
  const attributes = Buffer.alloc(32);
  attributes.writeUInt32LE(flags, 0);
  const [old, done] = [new Label(), new Label()];
  program.call('mount_setattr', [AT_FDCWD, path, 0, attributes, attributes.length], old).jump(done).place(old);
  program.call('mount', [0, path, 0, MS_REMOUNT | MS_BIND | flags, 0], { fail: `rights of the mount at ${path}` });
  program.place(done);
}

/** Something to mount a file on: what is there, or an empty file; a link that leads nowhere makes way. */
function makeFile(program: ProgramBuilder, path: string): void {
  makeParents(program, path);
  const [missing, dangling, done] = [new Label(), new Label(), new Label()];
  program
    .call('openat', [AT_FDCWD, path, O_PATH | O_CLOEXEC], missing)
    .jump(done)
    .place(missing);
  program
    .call('mknodat', [AT_FDCWD, path, S_IFREG | 0o644, 0], dangling)
    .jump(done)
    .place(dangling);
  program.call('unlinkat', [AT_FDCWD, path, 0], 'ignore');
  program.call('mknodat', [AT_FDCWD, path, S_IFREG | 0o644, 0], 'ignore').place(done);
}

function makeParents(program: ProgramBuilder, path: string): void {
  makeDirectories(program, path.slice(0, path.lastIndexOf('/')));
}

function makeDirectories(program: ProgramBuilder, path: string): void {
  const parts = path.split('/').filter(Boolean);
  for (let count = 1; count <= parts.length; count += 1) {
    program.call('mkdirat', [AT_FDCWD, `/${parts.slice(0, count).join('/')}`, 0o755], 'ignore');
  }
}

/** Gives rights up and becomes the command. Where it stands is settled first, while all may be read. */
function becomeCommand(
  program: ProgramBuilder,
  { architecture, spec, process: task }: Pick<SetupInput, 'architecture' | 'spec' | 'process'>,
  { command, reportReady }: { readonly command: readonly string[]; readonly reportReady: boolean },
): void {
  const { security } = spec;
  const kept = keptCapabilities(security);
  const fail = { fail: 'rights of the container' };
  program.call('umask', [0o22], 'ignore');
  program.call('chdir', [task.workingDir], { fail: `working directory ${task.workingDir}` });
  if (security.privileged !== true) {
    const keptNumbers = new Set([...kept].map(capabilityNumber));
    for (let number = 0; number < capabilityCount; number += 1) {
      if (keptNumbers.has(number)) continue;
      const unknown = new Label();
      // One that this kernel does not know is not there to be dropped.
      program.call('prctl', [PR_CAPBSET_READ, number, 0, 0, 0], unknown);
      program.call('prctl', [PR_CAPBSET_DROP, number, 0, 0, 0], fail).place(unknown);
    }
  }
  if (security.allowPrivilegeEscalation === false) {
    program.call('prctl', [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0], fail);
  }
  if (security.privileged !== true && security.seccomp !== 'Unconfined') {
    const { seccompProfile } = security;
    const filter = new Filter(
      seccompProfile === undefined
        ? seccompFilter(architecture, kept)
        : profileFilter(seccompProfile, { architecture, kept }),
    );
    const absent = new Label();
    // Only a kernel without any seccomp does not know this call; its containers run without a filter.
    program.call('prctl', [PR_GET_SECCOMP, 0, 0, 0, 0], absent);
    program.call('seccomp', [SECCOMP_SET_MODE_FILTER, 0, filter], {
      fail: 'the seccomp filter of the container cannot be set',
    });
    program.place(absent);
  }
  const groups = Buffer.alloc(task.groups.length * 4);
  for (const [index, group] of task.groups.entries()) groups.writeUInt32LE(group, index * 4);
  program.call('setgroups', [task.groups.length, groups], fail);
  program.call('setresgid', [task.group, task.group, task.group], fail);
  program.call('setresuid', [task.user, task.user, task.user], fail);
  // Whoever is not root has lost them with that change.
  if (task.user === 0 && security.privileged !== true) {
    program.call('capset', [capabilityHeader(), capabilityData(capabilityMask(kept))], fail);
  }
  runCommand(program, task, { command, reportReady });
}

function runCommand(
  program: ProgramBuilder,
  task: ContainerProcess,
  { command, reportReady }: { readonly command: readonly string[]; readonly reportReady: boolean },
): void {
  const name = command[0] ?? '';
  const path = task.env.find(variable => variable.startsWith('PATH='))?.slice('PATH='.length) ?? '';
  const isPath = name.includes('/');
  const candidates = isPath ? [name] : path.split(':').map(directory => `${directory || '.'}/${name}`);
  for (const candidate of name === '' ? [] : candidates) {
    const [next, isFile] = [new Label(), new Label()];
    program.call('faccessat', [AT_FDCWD, candidate, X_OK], next);
    program
      .call('openat', [AT_FDCWD, candidate, O_DIRECTORY | O_PATH | O_CLOEXEC], isFile)
      .jump(next)
      .place(isFile);
    if (reportReady) program.call('write', [setupDescriptor, readyWord, readyWord.length], 'ignore');
    const failed = new Label();
    program.call('execve', [candidate, command, task.env], failed).place(failed);
    const text = `exec ${candidate}: exec format error\n`;
    program.call('write', [2, text, Buffer.byteLength(text)], 'ignore');
    program.call('exit_group', [notExecutableExitCode], 'ignore').place(next);
  }
  const why = isPath ? 'no such file or directory, or not executable' : 'executable file not found in $PATH';
  program.fail(`exec: ${JSON.stringify(name)}: ${why}`, notFoundExitCode);
}

/** `struct __user_cap_header_struct`, version 3, for this task. */
function capabilityHeader(): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(0x20080522);
  return header;
}

/** Twice effective, permitted and inheritable, of 32 bits each; nothing is inheritable. */
function capabilityData(mask: bigint): Buffer {
  const data = Buffer.alloc(24);
  for (const [index, half] of [mask & 0xffffffffn, mask >> 32n].entries()) {
    data.writeUInt32LE(Number(half), index * 12);
    data.writeUInt32LE(Number(half), index * 12 + 4);
  }
  return data;
}
