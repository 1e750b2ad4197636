import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { endLeftBehind } from './left-behind.ts';

const id = 'a'.repeat(64);
const other = 'b'.repeat(64);
const shim = { 90: { cmdline: ['/usr/bin/containerd-shim-runc-v2', '-namespace', 'moby', '-id', id] } };
const groups = {
  v1: (container: string) => `9:name=systemd:/docker/${container}\n8:pids:/docker/${container}\n`,
  v2: (container: string) => `0::/system.slice/docker-${container}.scope\n`,
};

interface Given {
  readonly cmdline?: readonly string[];
  readonly cgroup?: string;
}

/** What is killed where these processes run and the supervisor noted process 100. */
async function killed(
  t: ExecutionContext,
  given: Readonly<Record<number, Given>>,
  { ended = [] as readonly number[], noted = '100' } = {},
): Promise<number[]> {
  const folder = await mkdtemp(join(tmpdir(), 'raftsman-proc-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'bundle'));
  if (noted !== '') await writeFile(join(folder, 'bundle/init.pid'), noted);
  for (const [pid, { cmdline = ['sleep'], cgroup = '0::/\n' }] of Object.entries(given)) {
    await mkdir(join(folder, pid));
    await writeFile(join(folder, pid, 'cmdline'), cmdline.join('\0'));
    await writeFile(join(folder, pid, 'cgroup'), cgroup);
    await symlink('../bundle', join(folder, pid, 'cwd'));
  }
  const found: number[] = [];
  const isAlive = async (pid: number) => given[pid] !== undefined && !ended.includes(pid);
  t.is(await endLeftBehind(id, { folder, isAlive, kill: pid => void found.push(pid) }), found.length);
  return found;
}

for (const [version, groupOf] of Object.entries(groups)) {
  test(`cgroup ${version}: what a first process left behind ends, and nothing else`, async t => {
    const left = { ...shim, 101: { cgroup: groupOf(id) }, 102: { cgroup: groupOf(other) }, 103: {} };
    t.deepEqual(await killed(t, left), [101]);
    const own = { 100: { cgroup: groupOf(id) } };
    t.deepEqual(await killed(t, { ...left, ...own }), [], 'the first process runs');
    t.deepEqual(await killed(t, { ...left, ...own }, { ended: [100] }), [100, 101], 'it waits to be collected');
    t.deepEqual(await killed(t, { ...left, 100: { cgroup: groupOf(other) } }), [101], 'its number is another’s now');
  });
}

test('without a word of the first process nothing is ended', async t => {
  const left = { 101: { cgroup: groups.v2(id) } };
  t.deepEqual(await killed(t, left), [], 'no supervisor here');
  t.deepEqual(await killed(t, { ...shim, ...left }, { noted: '' }), []);
  t.deepEqual(await killed(t, { ...shim, ...left }, { noted: 'x' }), []);
  const elses = { 90: { cmdline: ['/usr/bin/containerd-shim-runc-v2', '-id', other] } };
  t.deepEqual(await killed(t, { ...elses, ...left }), []);
});
