/** The process that holds a pod's namespaces, outliving whoever started it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Clock, delay } from '../clock.ts';
import { systemEnvironment } from '../command.ts';
import type { SandboxSpec } from '../runtime.ts';
import type { ProcessRecord } from './layout.ts';
import { settlePollMs, startTimeoutMs } from './limits.ts';
import { childrenOf, processRecord } from './proc.ts';
import { quote } from './shell.ts';

const readyWord = 'ready';

/**
 * Starts it. It stays only once it has been noted: an agent that is killed before takes it along, as nobody would know of it.
 * Throws with what the programs said, or what `note` threw.
 */
export async function startHolder(options: {
  readonly program: string;
  readonly spec: SandboxSpec;
  readonly clock: Clock;
  /** Writes down that it is there. */
  readonly note: (holder: ProcessRecord) => Promise<void>;
}): Promise<ProcessRecord> {
  const { program, spec, clock, note } = options;
  const sharesPid = spec.shareProcessNamespace === true && !spec.hostPid;
  const namespaces = [
    ...(spec.hostNetwork ? [] : ['--net', '--uts']),
    ...(spec.hostIpc ? [] : ['--ipc']),
    // The holder is then process 1 and collects orphans.
    ...(sharesPid ? ['--pid', '--fork', '--kill-child=KILL'] : []),
  ];
  const script = [
    'set -eu',
    'exec 4>&1 1>&2',
    ...(spec.hostNetwork ? [] : [`echo ${quote(spec.hostname)} > /proc/sys/kernel/hostname`]),
    ...Object.entries(spec.sysctls).map(([name, value]) => `echo ${quote(value)} > ${quote(sysctlFile(name))}`),
    `echo ${readyWord} >&4`,
    // Fails at the end of the input, which is where an agent that is gone leaves it.
    'read -r noted',
    'exec 4>&- </dev/null >/dev/null 2>&1',
    `exec ${quote(program)}`,
  ].join('\n');
  const child = spawn('unshare', [...namespaces, '--', 'sh', '-c', script], {
    detached: true,
    env: systemEnvironment,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => undefined);
  let [said, complaint] = ['', ''];
  const readied = Promise.withResolvers<void>();
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
    // With a child of its own `unshare` keeps its output open for as long as the sandbox lives.
    if (said.trim() === readyWord) readied.resolve();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  child.on('error', error => {
    complaint += error.message;
  });
  await Promise.race([
    once(child.stdout, 'close', { signal: AbortSignal.timeout(startTimeoutMs) }),
    readied.promise,
  ]).catch(() => undefined);
  const pid = said.trim() === readyWord ? child.pid : undefined;
  const holder = pid === undefined ? undefined : await pauseIn(pid, sharesPid, clock);
  try {
    if (holder === undefined) throw new Error(complaint.trim() || 'unshare ended');
    await note(holder);
    child.stdin.end('noted\n');
    return holder;
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    child.stdout.destroy();
    child.stderr.destroy();
    child.unref();
  }
}

async function pauseIn(pid: number, isChild: boolean, clock: Clock): Promise<ProcessRecord | undefined> {
  if (!isChild) return await processRecord(pid);
  const deadline = clock.now() + startTimeoutMs;
  while (clock.now() < deadline) {
    const [child] = await childrenOf(pid);
    if (child !== undefined) return await processRecord(child);
    await delay(clock, settlePollMs);
  }
  return undefined;
}

function sysctlFile(name: string): string {
  if (!/^[a-z0-9_]+([./][a-z0-9_-]+)*$/i.test(name)) throw new Error(`${JSON.stringify(name)} is no sysctl`);
  return `/proc/sys/${name.replaceAll('.', '/')}`;
}
