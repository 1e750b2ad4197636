import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { Supervisor } from './supervisor.ts';

/** proc(5): of what stands behind the name in parentheses the third is the process group. */
async function groupOf(pid: number | 'self'): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2];
}

const testOnLinux = process.platform === 'linux' ? test : test.skip;
testOnLinux('Ctrl-C in a terminal, which all of a process group gets, does not reach what is supervised', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'raftsman-supervisor-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const supervisor = new Supervisor({
    command: ['/bin/sh', '-c'],
    env: process.env,
    restartDelayMs: 0,
    say: () => undefined,
    delay: async () => undefined,
  });
  const pidFile = join(folder, 'pid');
  await supervisor.start({ name: 'one', args: ['exec sleep 1000'], pidFile, logFile: join(folder, 'log') });
  const pid = Number(await readFile(pidFile, 'utf8'));
  t.teardown(() => supervisor.stop(['one'], 'SIGKILL'));
  t.not(await groupOf(pid), await groupOf('self'));
});
