/**
 * The shell script that turns a fresh mount (and process) namespace into a container and then becomes its command. Pure.
 *
 * It runs with the machine's files still visible. Descriptor 3 leads to the supervisor: what goes wrong is said there,
 * and `ready` right before the command takes over. Order matters: files are mounted after the root was changed, so that
 * links in a path lead to the container's files and not to the machine's.
 */
import type { ContainerSpec } from '../runtime.ts';
import { devTmpfsBytes, shmBytes } from './limits.ts';
import { quote, quoteAll } from './shell.ts';

export interface SetupInput {
  readonly spec: ContainerSpec;
  /** The container's directory; layers and mount points go below it. */
  readonly directory: string;
  /** Files to write the process into. */
  readonly cgroupFiles: readonly string[];
  readonly hostname: string;
  readonly mayLowerOomScore: boolean;
}

/** Written to descriptor 3 when nothing can go wrong any more but the command itself. */
export const readyWord = 'ready';
/** What Docker gives a container that asks for nothing. */
const defaultCapabilities = [
  ...['chown', 'dac_override', 'fsetid', 'fowner', 'mknod', 'net_raw', 'setgid', 'setuid', 'setfcap', 'setpcap'],
  ...['net_bind_service', 'sys_chroot', 'kill', 'audit_write'],
];
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const oldRoot = '/.raftsman-machine';
/** Parts of /proc that would let root change the machine. */
const readOnlyProc = ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'];
const hiddenProc = ['kcore', 'keys', 'latency_stats', 'timer_list', 'sched_debug'];

export function renderSetup(input: SetupInput): string {
  const { spec } = input;
  const privileged = spec.security.privileged === true;
  return [
    'set -eu',
    // From here on, what programs complain about goes to the supervisor.
    'exec 4>&2 2>&3',
    ...input.cgroupFiles.map(file => `echo 0 > ${quote(file)}`),
    ...oomScore(input),
    ...rootLines(input.directory),
    ...deviceLines(),
    ...(privileged ? [] : procLines()),
    ...spec.mounts.flatMap(mountLines),
    ...terminationLines(spec),
    `umount -l ${oldRoot}`,
    `rmdir ${oldRoot}`,
    ...(spec.security.readOnlyRootFilesystem === true ? ['mount -o remount,bind,ro /'] : []),
    ...commandLines(input),
    '',
  ].join('\n');
}

/** The command with its user, rights and environment, as words; for the container itself and for what joins it. */
export function commandWords(
  input: Pick<SetupInput, 'spec' | 'hostname'>,
  command: readonly string[],
  tty: boolean,
): string[] {
  const { spec } = input;
  // A terminal is made inside, by `script`, which passes the exit code on.
  const words = tty ? ['script', '-qefc', `exec ${quoteAll(command)}`, '/dev/null'] : command;
  return [...privilegeWords(spec), 'env', '-i', ...environment(input, tty), ...words];
}

function environment(input: Pick<SetupInput, 'spec' | 'hostname'>, tty: boolean): string[] {
  const { spec, hostname } = input;
  const defaults = [
    ['PATH', defaultPath],
    ['HOSTNAME', hostname],
    ['HOME', (spec.security.user ?? 0) === 0 ? '/root' : '/'],
    ...(tty ? [['TERM', 'xterm']] : []),
  ];
  const given = spec.env.map(({ name, value }) => [name, value]);
  return [...defaults, ...given].map(([name, value]) => `${name}=${value}`);
}

function privilegeWords(spec: ContainerSpec): string[] {
  const { user = 0, supplementalGroups = [], privileged, allowPrivilegeEscalation } = spec.security;
  const group = spec.security.group ?? 0;
  const words = ['setpriv', '--reuid', String(user), '--regid', String(group)];
  words.push(...(supplementalGroups.length > 0 ? ['--groups', supplementalGroups.join(',')] : ['--clear-groups']));
  if (allowPrivilegeEscalation === false) words.push('--no-new-privs');
  if (privileged !== true) words.push('--bounding-set', capabilitySet(spec), '--inh-caps', '-all');
  return words;
}

/** In the words of setpriv: none, then those that are kept. */
function capabilitySet(spec: ContainerSpec): string {
  const plain = (names: readonly string[] = []) => names.map(name => name.toLowerCase().replace(/^cap_/, ''));
  const add = plain(spec.security.addCapabilities);
  const drop = plain(spec.security.dropCapabilities);
  if (add.includes('all')) return ['+all', ...drop.filter(name => name !== 'all').map(name => `-${name}`)].join(',');
  const base = drop.includes('all') ? [] : defaultCapabilities.filter(name => !drop.includes(name));
  return ['-all', ...[...new Set([...base, ...add])].map(name => `+${name}`)].join(',');
}

function oomScore({ spec, mayLowerOomScore }: SetupInput): string[] {
  const wanted = spec.resources.oomScoreAdj;
  if (wanted === undefined) return [];
  return [`echo ${mayLowerOomScore ? wanted : Math.max(0, wanted)} > /proc/self/oom_score_adj`];
}

/**
 * The machine's files below, a private layer on top. The layer is on disk; where the kernel refuses that (the disk is
 * itself below, or is an overlay) it is in memory.
 */
function rootLines(directory: string): string[] {
  const at = (name: string) => quote(`${directory}/${name}`);
  const overlay = (layer: string) => {
    const options = `lowerdir=/,upperdir=${directory}/${layer}/upper,workdir=${directory}/${layer}/work`;
    return `mount -t overlay overlay -o ${quote(options)} ${at('root')}`;
  };
  return [
    `mkdir -p ${at('root')} ${at('disk/upper')} ${at('disk/work')} ${at('memory')}`,
    `if ! ${overlay('disk')} 2>/dev/null; then`,
    `  mount -t tmpfs -o mode=755 tmpfs ${at('memory')}`,
    `  mkdir ${at('memory/upper')} ${at('memory/work')}`,
    `  ${overlay('memory')} || { echo 'no overlay of the root file system can be mounted: this kernel needs overlayfs' >&3; exit 1; }`,
    'fi',
    `cd ${at('root')}`,
    `mkdir -p .${oldRoot} proc sys dev`,
    `pivot_root . .${oldRoot}`,
    'cd /',
  ];
}

function deviceLines(): string[] {
  const nodes = [
    ['null', 1, 3],
    ['zero', 1, 5],
    ['full', 1, 7],
    ['random', 1, 8],
    ['urandom', 1, 9],
    ['tty', 5, 0],
  ] as const;
  return [
    'mount -t proc -o nosuid,nodev,noexec proc /proc',
    'mount -t sysfs -o ro,nosuid,nodev,noexec sysfs /sys',
    `mount -t tmpfs -o mode=755,nosuid,size=${devTmpfsBytes} tmpfs /dev`,
    ...nodes.map(([name, major, minor]) => `mknod -m 666 /dev/${name} c ${major} ${minor}`),
    'mkdir /dev/pts /dev/shm /dev/mqueue',
    'mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5,nosuid,noexec devpts /dev/pts',
    `mount -t tmpfs -o mode=1777,nosuid,nodev,noexec,size=${shmBytes} shm /dev/shm`,
    'mount -t mqueue -o nosuid,nodev,noexec mqueue /dev/mqueue 2>/dev/null || true',
    'ln -s pts/ptmx /dev/ptmx',
    'ln -s /proc/self/fd /dev/fd',
    'ln -s /proc/self/fd/0 /dev/stdin',
    'ln -s /proc/self/fd/1 /dev/stdout',
    'ln -s /proc/self/fd/2 /dev/stderr',
  ];
}

function procLines(): string[] {
  return [
    ...readOnlyProc.flatMap(name => [
      `if [ -e /proc/${name} ]; then mount --bind /proc/${name} /proc/${name}; mount -o remount,bind,ro /proc/${name}; fi`,
    ]),
    ...hiddenProc.map(name => `if [ -e /proc/${name} ]; then mount --bind /dev/null /proc/${name}; fi`),
  ];
}

function mountLines(mount: ContainerSpec['mounts'][number]): string[] {
  const source = quote(`${oldRoot}${mount.hostPath}`);
  const target = quote(mount.containerPath);
  return [
    `if [ -d ${source} ]; then mkdir -p ${target}; else mkdir -p "$(dirname ${target})"; [ -e ${target} ] || : > ${target}; fi`,
    `mount --rbind ${source} ${target}`,
    mount.propagation === 'private' ? `mount --make-rprivate ${target}` : `mount --make-rslave ${target}`,
    ...(mount.readOnly ? [`mount -o remount,bind,ro ${target}`] : []),
  ];
}

function terminationLines(spec: ContainerSpec): string[] {
  if (spec.terminationMessage === undefined) return [];
  const { hostPath, containerPath } = spec.terminationMessage;
  return mountLines({ hostPath, containerPath, readOnly: false, propagation: 'private' });
}

function commandLines(input: SetupInput): string[] {
  const { spec } = input;
  const command = [...(spec.command ?? []), ...(spec.args ?? [])];
  const program = command[0] ?? '';
  const path = spec.env.findLast(one => one.name === 'PATH')?.value ?? defaultPath;
  const directory = spec.workingDir ?? '/';
  const missing = program.includes('/')
    ? 'no such file or directory, or not executable'
    : 'executable file not found in $PATH';
  return [
    ...(spec.workingDir === undefined ? [] : [`mkdir -p ${quote(directory)} 2>/dev/null || true`]),
    `cd ${quote(directory)}`,
    `if ! (PATH=${quote(path)}; command -v ${quote(program)}) > /dev/null; then`,
    `  printf '%s' ${quote(`exec: "${program}": ${missing}`)} >&3`,
    '  exit 127',
    'fi',
    `printf '%s' ${readyWord} >&3`,
    'exec 2>&4 3>&- 4>&-',
    `exec ${quoteAll(commandWords(input, command, spec.tty))}`,
  ];
}
