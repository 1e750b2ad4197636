/** Control groups of both versions: what is decided, and what the kernel of this machine makes of it. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { eventually } from '../testing/fixture.ts';
import { Cgroups, groupToJoin, hierarchyIn, limitWrites } from './cgroups.ts';
import { newId } from './layout.ts';

const MiB = 1024 * 1024;
const hierarchy = hierarchyIn(await readFile('/proc/mounts', 'utf8').catch(() => ''));
const unified = hierarchy?.roots.get('unified');
const isWritable = hierarchy !== undefined && (await canMake());
const onKernel = isWritable ? test : test.skip;
const onUnified = isWritable && unified !== undefined ? test : test.skip;
if (!isWritable) test.skip('control groups of this kernel: they cannot be written here', t => t.pass());
else if (unified === undefined) test.skip('control groups of version 2: this machine has version 1', t => t.pass());

async function canMake(): Promise<boolean> {
  const id = newId();
  const cgroups = await Cgroups.detect();
  const files = await cgroups.create(id, {});
  await cgroups.remove(id).catch(() => undefined);
  return files.length > 0;
}

test('which version a machine has', t => {
  const mount = (type: string, directory: string, options = 'rw') => `x ${directory} ${type} ${options} 0 0\n`;
  const v2 = mount('cgroup2', '/sys/fs/cgroup', 'rw,nsdelegate');
  t.deepEqual(hierarchyIn(v2), { version: 2, roots: new Map([['unified', '/sys/fs/cgroup']]) });
  const v1 =
    mount('cgroup', '/sys/fs/cgroup/cpu,cpuacct', 'rw,cpu,cpuacct') +
    mount('cgroup', '/sys/fs/cgroup/memory', 'rw,memory');
  const roots = new Map([
    ['cpu', '/sys/fs/cgroup/cpu,cpuacct'],
    ['cpuacct', '/sys/fs/cgroup/cpu,cpuacct'],
    ['memory', '/sys/fs/cgroup/memory'],
  ]);
  t.deepEqual(hierarchyIn(v1), { version: 1, roots });
  t.is(hierarchyIn(`${mount('cgroup2', '/sys/fs/cgroup/unified')}${v1}`)?.version, 1, 'it has no controllers there');
  const net = mount('cgroup', '/sys/fs/cgroup/net_cls', 'rw,net_cls');
  t.is(hierarchyIn(net + v2)?.version, 2, 'a controller that version 2 does not have');
  t.is(hierarchyIn(mount('ext4', '/')), undefined);
});

test('what is written for limits', t => {
  const resources = { cpuShares: 1024, cpuLimitMilli: 250, memoryLimitBytes: 64 * MiB };
  t.deepEqual(limitWrites(2, resources), [
    ['unified', 'cpu.weight', '39'],
    ['unified', 'cpu.max', '25000 100000'],
    ['unified', 'memory.max', '67108864'],
    ['unified', 'memory.swap.max', '0'],
    ['unified', 'memory.oom.group', '1'],
  ]);
  t.deepEqual(limitWrites(1, resources), [
    ['cpu', 'cpu.shares', '1024'],
    ['cpu', 'cpu.cfs_period_us', '100000'],
    ['cpu', 'cpu.cfs_quota_us', '25000'],
    ['memory', 'memory.limit_in_bytes', '67108864'],
    ['memory', 'memory.memsw.limit_in_bytes', '67108864'],
  ]);
  for (const version of [1, 2] as const) t.deepEqual(limitWrites(version, {}), []);
  const weight = (cpuShares: number) => limitWrites(2, { cpuShares })[0]?.[2];
  t.deepEqual([2, 102, 2048, 262_144, 300_000].map(weight), ['1', '4', '79', '10000', '10000']);
  t.is(limitWrites(2, { cpuLimitMilli: 1 })[0]?.[2], '1000 100000', 'the kernel takes no less');
});

test('the group that a further process joins', t => {
  const inner = '0::/raftsman/one/inner\n';
  t.is(groupToJoin('one', { handsOn: '', firstProcess: inner }), '/raftsman/one');
  t.is(groupToJoin('one', { handsOn: 'cpu memory\n', firstProcess: inner }), '/raftsman/one/inner');
  for (const firstProcess of ['', '0::/\n', '0::/raftsman/two/inner\n', '0::/raftsman/one-and-more\n']) {
    t.is(groupToJoin('one', { handsOn: 'cpu\n', firstProcess }), '/raftsman/one');
  }
});

/** A container's groups, gone after the test. */
async function made(t: ExecutionContext, resources: Parameters<Cgroups['create']>[1]) {
  const cgroups = await Cgroups.detect();
  const id = newId();
  const files = await cgroups.create(id, resources);
  t.teardown(() => cgroups.remove(id));
  const read = async (controller: string, file: string) => {
    const root = hierarchy?.roots.get(controller) ?? '';
    return (await readFile(path.join(root, 'raftsman', id, file), 'utf8')).trim();
  };
  return { cgroups, id, files, read };
}

/** A program in the groups, from its first instruction on. */
function inside(t: ExecutionContext, files: readonly string[], script: string): ChildProcess {
  const join = files.map(file => `echo 0 > '${file}' && `).join('');
  const child = spawn('sh', ['-c', `${join}${script}`], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  return child;
}

onKernel('the kernel has the limits that were asked for, also after a change', async t => {
  const { cgroups, id, read } = await made(t, { cpuShares: 512, cpuLimitMilli: 250, memoryLimitBytes: 64 * MiB });
  const limits = async () =>
    unified === undefined
      ? [
          await read('cpu', 'cpu.shares'),
          await read('cpu', 'cpu.cfs_quota_us'),
          await read('memory', 'memory.limit_in_bytes'),
        ]
      : [await read('unified', 'cpu.weight'), await read('unified', 'cpu.max'), await read('unified', 'memory.max')];
  const [weight, quota] = unified === undefined ? ['512', '25000'] : ['20', '25000 100000'];
  t.deepEqual(await limits(), [weight, quota, String(64 * MiB)]);
  const [more, wider] = unified === undefined ? ['1024', '50000'] : ['39', '50000 100000'];
  await cgroups.update(id, { cpuShares: 1024, cpuLimitMilli: 500, memoryLimitBytes: 128 * MiB });
  t.deepEqual(await limits(), [more, wider, String(128 * MiB)]);
  await cgroups.update(id, { memoryLimitBytes: 32 * MiB });
  t.deepEqual(await limits(), [more, wider, String(32 * MiB)]);
});

onKernel('usage is that of the group’s processes, and the end for want of memory is told', async t => {
  const { cgroups, id, files } = await made(t, { memoryLimitBytes: 24 * MiB });
  const busy = inside(t, files, 'a=$(head -c 4000000 /dev/zero | tr "\\0" x); echo ready; while :; do :; done');
  if (busy.stdout) await once(busy.stdout, 'data');
  const first = await cgroups.usage(id);
  t.true((first?.memoryBytes ?? 0) > 2 * MiB && (first?.memoryBytes ?? 0) <= 24 * MiB, `${first?.memoryBytes}`);
  await eventually(async () => {
    const { cpuNanoseconds = 0 } = (await cgroups.usage(id)) ?? {};
    return cpuNanoseconds - (first?.cpuNanoseconds ?? 0) > 20_000_000 ? true : undefined;
  });
  t.false(await cgroups.oomKilled(id));
  busy.kill('SIGKILL');
  await once(busy, 'exit');
  const greedy = inside(t, files, 'a=x; while :; do a=$a$a; done');
  const [, signal] = await once(greedy, 'exit');
  t.is(signal, 'SIGKILL');
  t.true(await cgroups.oomKilled(id));
});

onKernel('groups that a container makes are its own: their processes are found, and they go with it', async t => {
  const { cgroups, id, files } = await made(t, {});
  const child = inside(t, files, 'echo ready; exec sleep 1000');
  if (child.stdout) await once(child.stdout, 'data');
  for (const file of files) {
    const inner = path.join(path.dirname(file), 'inner', 'most');
    await mkdir(inner, { recursive: true });
    await writeFile(path.join(inner, 'cgroup.procs'), String(child.pid));
  }
  t.deepEqual(await cgroups.processes(id), [child.pid]);
  await t.throwsAsync(cgroups.remove(id), { code: 'EBUSY' });
  child.kill('SIGKILL');
  await once(child, 'exit');
  await eventually(() =>
    cgroups.remove(id).then(
      () => true,
      () => undefined,
    ),
  );
  for (const file of files) await t.throwsAsync(access(path.dirname(file)), { code: 'ENOENT' });
});

onUnified('a further process joins a container that hands controllers on to groups of its own', async t => {
  const { cgroups, id, files } = await made(t, {});
  const first = inside(t, files, 'echo ready; exec sleep 1000');
  if (first.stdout) await once(first.stdout, 'data');
  const { pid = 0 } = first;
  t.deepEqual(await cgroups.filesToJoin(id, pid), files);
  const own = path.dirname(files[0] ?? '');
  const inner = path.join(own, 'init');
  await mkdir(inner);
  await writeFile(path.join(inner, 'cgroup.procs'), String(pid));
  await writeFile(path.join(own, 'cgroup.subtree_control'), '+memory');
  const further = inside(t, await cgroups.filesToJoin(id, pid), 'echo ready; exec sleep 1000');
  if (further.stdout) await once(further.stdout, 'data');
  t.deepEqual((await cgroups.processes(id)).sort(), [pid, further.pid ?? 0].sort());
  for (const child of [first, further]) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

onUnified('an agent in a container, whose topmost group is not the machine’s, makes room for limits', async t => {
  const around = path.join(unified ?? '', `raftsman-test-${newId()}`);
  await mkdir(around);
  await writeFile(path.join(unified ?? '', 'cgroup.subtree_control'), '+memory');
  t.teardown(async () => {
    for (const inner of ['raftsman-others', 'raftsman/one', 'raftsman']) {
      await rmdir(path.join(around, inner)).catch(() => undefined);
    }
    await rmdir(around);
  });
  const module = path.join(import.meta.dirname, 'cgroups.ts');
  const agent = `
    const { Cgroups } = await import(${JSON.stringify(module)});
    const cgroups = await Cgroups.detect();
    await cgroups.create('one', { memoryLimitBytes: ${64 * MiB} });
    const { readFileSync } = await import('node:fs');
    console.log(readFileSync('/sys/fs/cgroup/raftsman/one/memory.max', 'utf8').trim(), readFileSync('/proc/self/cgroup', 'utf8').trim());
    await cgroups.remove('one');`;
  const script =
    'echo 0 > "$0" && exec unshare --cgroup --mount sh -c \'umount -l /sys/fs/cgroup && mount -t cgroup2 own /sys/fs/cgroup && "$0" --input-type=module -e "$1"; exit $?\' "$1" "$2"';
  const said = execFileSync('sh', ['-c', script, path.join(around, 'cgroup.procs'), process.execPath, agent], {
    encoding: 'utf8',
  });
  t.is(said.trim(), `${64 * MiB} 0::/raftsman-others`);
});
