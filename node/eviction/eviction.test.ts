import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { ManualClock } from '../../control/client/testing/manual-clock.ts';
import type { Pod } from '../api.ts';
import type { Pressure } from '../pods/admission.ts';
import type { Verdict } from '../pods/record.ts';
import { folderBytes, logBytes } from '../runtime/folder-bytes.ts';
import type { ContainerStorage } from '../runtime/runtime.ts';
import { quiet } from '../testing/world.ts';
import { Evictor } from './evictor.ts';
import { observe } from './measure.ts';
import { evictionMessage, evictionOrder } from './rank.ts';
import { DEFAULT_EVICTION, evictionSettings } from './settings.ts';
import { binaryQuantity, DEFAULT_THRESHOLDS, pressuresAt, type Shortage, shortagesIn } from './signals.ts';

const MiB = 2 ** 20;
const nothingStored = { storage: async (): Promise<ContainerStorage[]> => [] };
const podOf = (name: string, memory?: string, priority = 0, limits?: Record<string, string>): Pod => ({
  metadata: { name, uid: name },
  spec: {
    priority,
    containers: [{ name: 'c', resources: { ...(memory && { requests: { memory } }), ...(limits && { limits }) } }],
  },
});
const memoryShortage: Shortage = {
  threshold: { signal: 'memory.available', atLeast: { amount: 100 * MiB }, text: '100Mi' },
  quantity: 100 * MiB,
  supply: { capacity: 1000 * MiB, available: 50 * MiB },
};

test('thresholds are amounts or shares', t => {
  const supplies = {
    'memory.available': { capacity: 1e9, available: 50 * MiB },
    'nodefs.available': { capacity: 1000, available: 49 },
    'nodefs.inodesFree': { capacity: 1000, available: 51 },
  };
  const found = shortagesIn(DEFAULT_THRESHOLDS, supplies);
  t.deepEqual(
    found.map(({ threshold }) => threshold.signal),
    ['memory.available', 'nodefs.available'],
  );
  t.deepEqual(shortagesIn(DEFAULT_THRESHOLDS, {}), []);
});

test('a pressure holds for a while after it was seen', t => {
  const transitionMs = 300_000;
  const first = pressuresAt(new Map(), [memoryShortage], { now: 0, transitionMs });
  t.deepEqual([...first.keys()], ['MemoryPressure']);
  t.is(pressuresAt(first, [], { now: 299_000, transitionMs }).size, 1);
  t.is(pressuresAt(first, [], { now: 300_000, transitionMs }).size, 0);
});

test('the order: above the request, less important, furthest above; what the cluster needs stays', t => {
  const consumer = (pod: Pod, used: number) => ({
    pod,
    used: used * MiB,
    containers: [{ name: 'c', used: used * MiB }],
  });
  const order = evictionOrder(memoryShortage, [
    consumer(podOf('within', '50Mi', -5), 40),
    consumer(podOf('important', '10Mi', 100), 900),
    consumer(podOf('little-above', '10Mi'), 20),
    consumer(podOf('far-above', '10Mi'), 30),
    consumer(podOf('asked-nothing'), 25),
    consumer(podOf('critical', undefined, 2_000_000_000), 999),
  ]);
  t.deepEqual(
    order.map(({ pod }) => pod.metadata?.name),
    ['asked-nothing', 'far-above', 'little-above', 'important', 'within'],
  );
});

test('what is told of an eviction', t => {
  const pod = podOf('p', '1Mi');
  t.is(
    evictionMessage(memoryShortage, { pod, used: 3 * MiB, containers: [{ name: 'c', used: 3 * MiB }] }),
    'The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. Container c was using 3Mi, request is 1Mi, has larger consumption of memory. ',
  );
  t.is(binaryQuantity(1536), '1536');
  t.is(binaryQuantity(2048), '2Ki');
});

test('folders are measured without following links', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'raftsman-measure-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'a'));
  await writeFile(join(folder, 'a', 'f'), Buffer.alloc(100_000, 1));
  const bytes = await folderBytes(folder);
  t.true(bytes >= 100_000 && bytes < 200_000, String(bytes));
  t.is(await folderBytes(join(folder, 'absent')), 0);
  for (const name of ['log', 'log.1', 'log.2.gz', 'login']) await writeFile(join(folder, name), Buffer.alloc(4096, 1));
  t.is(await logBytes(join(folder, 'log')), 3 * 4096);
  t.is(await logBytes(join(folder, 'absent', 'log')), 0);
  const supplies = await observe(folder);
  t.true((supplies['nodefs.available']?.capacity ?? 0) > 0);
  t.is(supplies['imagefs.available'], undefined);
  const withImages = await observe(folder, '/dev');
  t.true((withImages['imagefs.available']?.capacity ?? 0) > 0);
  t.not(withImages['imagefs.available']?.capacity, withImages['nodefs.available']?.capacity);
  t.true((withImages['imagefs.inodesFree']?.capacity ?? 0) > 0);
  t.true((supplies['memory.available']?.available ?? 0) > 0);
});

test('one pod goes at a time, unused images go first, and the node says so', async t => {
  const evicted: [string, Verdict][] = [];
  const told: Pressure[][] = [];
  const announced: string[] = [];
  let supply: object = { 'memory.available': { capacity: 1000 * MiB, available: 10 * MiB } };
  let reclaimed = 0;
  const ended = new Set<string>();
  const evictor = new Evictor({
    announce: ({ reason, message }) => announced.push(`${reason}: ${message}`),
    clock: new ManualClock(),
    logger: quiet,
    settings: DEFAULT_EVICTION,
    observe: async () => supply,
    runtime: { ...nothingStored, usage: async () => [{ id: 'big', cpuNanoseconds: 0, memoryBytes: 500 * MiB }] },
    pods: () =>
      ['small', 'big'].map(uid => ({
        uid,
        allocated: ended.has(uid) ? undefined : podOf(uid),
        containerIds: new Map([['c', uid]]),
        evict: verdict => {
          ended.add(uid);
          evicted.push([uid, verdict]);
          return true;
        },
      })),
    podDir: uid => join(tmpdir(), 'absent', uid),
    reclaimDisk: async () => reclaimed++ === 0,
    onChange: () => told.push([...evictor.pressures]),
  });
  await evictor.look();
  t.deepEqual(
    evicted.map(([uid]) => uid),
    ['big'],
  );
  t.like(evicted[0]?.[1], { reason: 'Evicted', graceSeconds: 1, disruption: true });
  t.is(announced[0], 'EvictionThresholdMet: Attempting to reclaim memory');
  t.regex(evicted[0]?.[1].message ?? '', /^The node was low on resource: memory\./);
  t.deepEqual(told, [['MemoryPressure']]);
  supply = { 'nodefs.available': { capacity: 100, available: 1 } };
  await evictor.look();
  t.is(evicted.length, 1);
  await evictor.look();
  t.deepEqual(
    evicted.map(([uid]) => uid),
    ['big', 'small'],
  );
  t.deepEqual(evictor.pressures, ['MemoryPressure', 'DiskPressure']);
});

test('short of processes, the pod with the most of them goes, and no amounts are told', async t => {
  const evicted: [string, Verdict][] = [];
  const usage = [
    { id: 'few', cpuNanoseconds: 0, memoryBytes: 900 * MiB, processes: 3 },
    { id: 'many', cpuNanoseconds: 0, memoryBytes: MiB, processes: 300 },
  ];
  const evictor = new Evictor({
    announce: () => undefined,
    clock: new ManualClock(),
    logger: quiet,
    settings: DEFAULT_EVICTION,
    observe: async () => ({ 'pid.available': { capacity: 1_000, available: 1 } }),
    runtime: { ...nothingStored, usage: async () => usage },
    pods: () =>
      usage.map(({ id: uid }) => ({
        uid,
        allocated: podOf(uid),
        containerIds: new Map([['c', uid]]),
        evict: verdict => evicted.push([uid, verdict]) > 0,
      })),
    podDir: () => '/absent',
    reclaimDisk: async () => false,
    onChange: () => undefined,
  });
  await evictor.look();
  t.deepEqual(
    evicted.map(([uid, { message }]) => [uid, message]),
    [['many', 'The node was low on resource: pids. Threshold quantity: 10, available: 1. ']],
  );
});

test('a soft threshold: the node is short at once, pods go when it has lasted, with time to end', async t => {
  const clock = new ManualClock();
  const verdicts: Verdict[] = [];
  const podWith = (terminationGracePeriodSeconds: number): Pod => ({
    metadata: { uid: 'p' },
    spec: { containers: [{ name: 'c' }], terminationGracePeriodSeconds },
  });
  let pod = podWith(90);
  let available = 150;
  const settings = {
    hard: 'memory.available<100',
    soft: 'memory.available<200',
    softGraceMs: { 'memory.available': 60_000 },
    softGraceSecondsMax: 30,
  };
  const evictor = new Evictor({
    announce: () => undefined,
    clock,
    logger: quiet,
    settings: evictionSettings(settings),
    observe: async () => ({ 'memory.available': { capacity: 1_000, available } }),
    runtime: { ...nothingStored, usage: async () => [] },
    pods: () => [{ uid: 'p', allocated: pod, containerIds: new Map(), evict: verdict => verdicts.push(verdict) > 0 }],
    podDir: () => '/absent',
    reclaimDisk: async () => false,
    onChange: () => {},
  });
  const lookAfter = async (ms: number) => {
    await clock.advance(ms);
    await evictor.look();
    return verdicts.splice(0).map(({ graceSeconds }) => graceSeconds);
  };
  t.deepEqual(await lookAfter(0), []);
  t.deepEqual(evictor.pressures, ['MemoryPressure']);
  t.deepEqual(await lookAfter(59_000), []);
  available = 250;
  t.deepEqual(await lookAfter(1_000), []);
  available = 150;
  t.deepEqual(await lookAfter(1_000), [], 'the time begins anew');
  t.deepEqual(await lookAfter(60_000), [30]);
  pod = podWith(10);
  t.deepEqual(await lookAfter(1_000), [10]);
  available = 50;
  t.deepEqual(await lookAfter(1_000), [1], 'a hard one leaves no time');
});

test('CVE-2020-8557: what a container writes into its /etc/hosts counts', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'raftsman-own-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'etc'));
  const evicted: Verdict[] = [];
  const evictor = new Evictor({
    announce: () => undefined,
    clock: new ManualClock(),
    logger: quiet,
    settings: evictionSettings({ hard: '' }),
    observe: async () => ({}),
    runtime: { ...nothingStored, usage: async () => [] },
    pods: () => [
      {
        uid: 'p',
        allocated: podOf('p', undefined, 0, { 'ephemeral-storage': '1Mi' }),
        containerIds: new Map(),
        evict: verdict => evicted.push(verdict) > 0,
      },
    ],
    podDir: () => folder,
    reclaimDisk: async () => false,
    onChange: () => undefined,
  });
  await evictor.lookAtStorage();
  t.is(evicted.length, 0);
  await writeFile(join(folder, 'etc/hosts'), Buffer.alloc(2 * MiB, 1));
  await evictor.lookAtStorage();
  t.regex(evicted[0]?.message ?? '', /^Pod ephemeral local storage usage exceeds the total limit/);
});

test('what a container logs and writes counts; measuring takes a small share of the time', async t => {
  const clock = new ManualClock();
  const evicted: [string, Verdict][] = [];
  const asked: string[][] = [];
  let written = 0;
  let observed = {};
  const evictor = new Evictor({
    announce: () => undefined,
    clock,
    logger: quiet,
    settings: evictionSettings({ hard: 'memory.available<100' }),
    observe: async () => observed,
    runtime: {
      usage: async () => [],
      storage: async ids => {
        asked.push([...ids]);
        await clock.advance(1_000);
        return ids.map(id => ({ id, logBytes: MiB / 2, writableBytes: written }));
      },
    },
    pods: () =>
      ['limited', 'free'].map(uid => ({
        uid,
        allocated: podOf(uid, undefined, 0, uid === 'limited' ? { 'ephemeral-storage': '1Mi' } : undefined),
        containerIds: new Map([['c', `id-of-${uid}`]]),
        evict: verdict => evicted.push([uid, verdict]) > 0,
      })),
    podDir: uid => join(tmpdir(), 'absent', uid),
    reclaimDisk: async () => false,
    onChange: () => undefined,
  });
  await evictor.lookAtStorage();
  t.deepEqual([evicted.length, asked], [0, [['id-of-limited']]], 'one without a limit is not measured');
  written = MiB;
  await evictor.lookAtStorage();
  await clock.advance(18_000);
  await evictor.lookAtStorage();
  t.is(asked.length, 1, 'a second of measuring is paid for with nineteen of rest');
  await clock.advance(1_000);
  await evictor.lookAtStorage();
  t.deepEqual(
    evicted.map(([uid, { reason, message, graceSeconds }]) => [uid, reason, message, graceSeconds]),
    [['limited', 'Evicted', 'Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ', 1]],
  );
  t.deepEqual(evictor.evictions, { 'ephemeralpodfs.limit': 1 });
  observed = { 'memory.available': { capacity: 1_000, available: 1 } };
  await evictor.look();
  t.is(evicted.length, 1, 'what went may have been all that the node needed');
  await evictor.look();
  t.is(evicted.length, 2);
});

test('short of disk, who keeps the most beyond its request goes first', async t => {
  const evicted: [string, Verdict][] = [];
  const evictor = new Evictor({
    announce: () => undefined,
    clock: new ManualClock(),
    logger: quiet,
    settings: DEFAULT_EVICTION,
    observe: async () => ({ 'nodefs.available': { capacity: 100 * MiB, available: MiB } }),
    runtime: {
      usage: async () => [],
      storage: async ids => ids.map(id => ({ id, logBytes: MiB, writableBytes: id === 'big' ? 8 * MiB : 0 })),
    },
    pods: () =>
      ['small', 'big'].map(uid => ({
        uid,
        allocated: podOf(uid),
        containerIds: new Map([['c', uid]]),
        evict: verdict => evicted.push([uid, verdict]) > 0,
      })),
    podDir: uid => join(tmpdir(), 'absent', uid),
    reclaimDisk: async () => false,
    onChange: () => undefined,
  });
  await evictor.look();
  t.deepEqual(
    evicted.map(([uid, { message }]) => [uid, message]),
    [
      [
        'big',
        'The node was low on resource: ephemeral-storage. Threshold quantity: 5Mi, available: 1Mi. Container c was using 9437184, request is 0, has larger consumption of ephemeral-storage. ',
      ],
    ],
  );
});
