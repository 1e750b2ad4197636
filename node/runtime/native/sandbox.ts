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

/** Throws with what the programs said. */
export async function startHolder(options: {
  readonly program: string;
  readonly spec: SandboxSpec;
  readonly clock: Clock;
}): Promise<ProcessRecord> {
  const { program, spec, clock } = options;
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
    'exec 4>&- >/dev/null 2>&1',
    `exec ${quote(program)}`,
  ].join('\n');
  const child = spawn('unshare', [...namespaces, '--', 'sh', '-c', script], {
    detached: true,
    env: systemEnvironment,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [said, complaint] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  child.on('error', error => {
    complaint += error.message;
  });
  await once(child.stdout, 'close', { signal: AbortSignal.timeout(startTimeoutMs) });
  const pid = said.trim() === readyWord ? child.pid : undefined;
  const holder = pid === undefined ? undefined : await pauseIn(pid, sharesPid, clock);
  if (holder === undefined) {
    child.kill('SIGKILL');
    throw new Error(complaint.trim() || 'unshare ended');
  }
  child.stderr.destroy();
  child.unref();
  return holder;
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
