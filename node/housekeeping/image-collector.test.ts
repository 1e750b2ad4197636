/** What is removed of the images on a machine, and what never is. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ManualClock } from '../../control/client/testing/manual-clock.ts';
import { until } from '../../control/client/testing/until.ts';
import type { Supply } from '../eviction/signals.ts';
import { ImagePullError, type ImageStatus, type SandboxStatus } from '../runtime/runtime.ts';
import { quiet } from '../testing/world.ts';
import { ImageCollector } from './image-collector.ts';
import { ImageLedger } from './image-ledger.ts';
import { imagePolicy } from './image-plan.ts';

const IMAGE_BYTES = 100;
const OLD_ENOUGH_MS = 120_000;
const COLLECT_MS = 300_000;

/** Images by their names: a machine on which others have theirs too. */
class Images {
  readonly byName = new Map<string, string>();
  readonly stuck = new Set<string>();
  containers: { image: string; imageId: string }[] = [];

  async imageStatus(reference: string): Promise<ImageStatus | undefined> {
    return (await this.listImages()).find(({ id, tags }) => id === reference || tags.includes(reference));
  }
  async pullImage(reference: string): Promise<ImageStatus> {
    const id = this.byName.get(reference) ?? `id-of-${reference.split(':')[0]}`;
    this.byName.set(reference, id);
    return { id, tags: [reference], sizeBytes: IMAGE_BYTES };
  }
  async listImages(): Promise<ImageStatus[]> {
    return [...new Set(this.byName.values())].map(id => ({
      id,
      tags: [...this.byName].flatMap(([name, of]) => (of === id ? [name] : [])),
      sizeBytes: IMAGE_BYTES,
    }));
  }
  async removeImage(reference: string): Promise<void> {
    if (this.stuck.has(reference)) throw new ImagePullError(`${reference} is stuck`);
    this.byName.delete(reference);
  }
  async imageFolder() {
    return '/images';
  }
  async list(): Promise<SandboxStatus[]> {
    const common = { id: 's', pod: { uid: 'u', namespace: 'n', name: 'p' }, attempt: 0, createdAt: 0, ready: true };
    const containers = this.containers.map(({ image, imageId }, index) => ({
      ...{ id: `c${index}`, name: 'c', attempt: 0, image, imageId, createdAt: 0, state: 'created' as const },
    }));
    return [{ ...common, pid: 1, containers }];
  }
}

async function setUp(t: ExecutionContext, policy = imagePolicy()) {
  const folder = await mkdtemp(join(tmpdir(), 'raftsman-images-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const clock = new ManualClock();
  const runtime = new Images();
  const file = join(folder, 'pulled.json');
  const newLedger = () => new ImageLedger({ runtime, file, clock, logger: quiet });
  const ledger = newLedger();
  const disk: { supply: Supply | undefined } = { supply: { capacity: 1_000, available: 900 } };
  const told: string[] = [];
  const wanted: string[] = [];
  const collector = new ImageCollector({
    ...{ nodeName: 'n', runtime, ledger, clock, logger: quiet, policy, collectMs: COLLECT_MS },
    recorder: { record: (object, { reason, message }) => told.push(`${object.metadata?.name} ${reason}: ${message}`) },
    observe: async () => disk.supply,
    wanted: () => wanted,
  });
  const pull = async (...names: readonly string[]) => {
    const { signal } = new AbortController();
    for (const name of names) await ledger.pull(name, { signal });
    await clock.advance(OLD_ENOUGH_MS);
  };
  const names = () => [...runtime.byName.keys()];
  return { clock, runtime, file, newLedger, ledger, disk, told, wanted, collector, pull, names };
}

test('a full disk takes images until it is down to the lower threshold, the least recently used first', async t => {
  const { runtime, collector, pull, disk, names, told } = await setUp(t);
  await pull('a:1', 'b:1', 'c:1', 'd:1');
  runtime.containers = [{ image: 'a:1', imageId: 'id-of-a' }];
  await collector.collect();
  t.is(names().length, 4);
  runtime.containers = [];
  disk.supply = { capacity: 1_000, available: 50 };
  await collector.collect();
  t.deepEqual(names(), ['a:1', 'd:1']);
  t.deepEqual(told, []);
});

test('what is in use, is wanted by a pod, or was not pulled by this node stays', async t => {
  const { runtime, collector, pull, disk, names, told, wanted } = await setUp(t);
  runtime.byName.set('built:1', 'id-of-built');
  runtime.byName.set('pulled-by-others:1', 'id-of-others');
  await pull('running:1', 'digest:1', 'restarting:1', 'pulled-by-others:1', 'idle:1');
  runtime.containers = [
    { image: 'running:1', imageId: 'other' },
    { image: 'x', imageId: 'id-of-digest' },
  ];
  wanted.push('restarting:1');
  disk.supply = { capacity: 1_000, available: 0 };
  const message =
    'Failed to garbage collect required amount of images. Attempted to free 200 bytes, but only found 100 bytes eligible to free.';
  await t.throwsAsync(collector.collect(), { message, code: 'NODE_IMAGE_COLLECTION' });
  t.deepEqual(told, [`n FreeDiskSpaceFailed: ${message}`]);
  t.deepEqual(names(), ['built:1', 'pulled-by-others:1', 'running:1', 'digest:1', 'restarting:1']);
});

test('an image that somebody gave another name keeps it', async t => {
  const { runtime, collector, pull, names } = await setUp(t);
  await pull('a:1', 'a:latest');
  runtime.byName.set('mine:1', 'id-of-a');
  t.false(await collector.removeUnused());
  t.deepEqual(names(), ['mine:1']);
});

test('the next agent knows what this one pulled', async t => {
  const { clock, runtime, newLedger, ledger, pull, file } = await setUp(t);
  await pull('a:1');
  const next = newLedger();
  await next.load();
  t.deepEqual(next.list(), ledger.list());
  t.like(next.list()[0], { id: 'id-of-a', references: ['a:1'], pulledAt: clock.now() - OLD_ENOUGH_MS });
  await writeFile(file, '{');
  const last = newLedger();
  await last.load();
  t.deepEqual(last.list(), []);
  t.is(runtime.byName.size, 1);
});

test('images that nobody used for long go where that is asked for', async t => {
  const { clock, collector, pull, names, wanted } = await setUp(t, imagePolicy({ unusedMsMax: 3_600_000 }));
  await pull('a:1', 'b:1');
  await clock.advance(3_600_000);
  wanted.push('b:1');
  await collector.collect();
  t.deepEqual(names(), ['b:1']);
});

test('an image that cannot be removed does not keep the others; the second failure in a row is told', async t => {
  const { clock, runtime, collector, pull, disk, names, told } = await setUp(t);
  await pull('a:1', 'b:1');
  runtime.stuck.add('a:1');
  disk.supply = { capacity: 1_000, available: 0 };
  const stop = new AbortController();
  const running = collector.run(stop.signal);
  const collected = async () => {
    await clock.advance(COLLECT_MS);
    await until('it waits for the next time', () => clock.pending === 1);
  };
  await collected();
  t.deepEqual(names(), ['a:1']);
  t.deepEqual(told, []);
  await collected();
  t.deepEqual(told, [
    'n ImageGCFailed: wanted to free 200 bytes, but freed 0 bytes space with errors in image deletion: [a:1 is stuck]',
  ]);
  runtime.stuck.clear();
  disk.supply = { capacity: 1_000, available: 150 };
  await collected();
  t.deepEqual(names(), []);
  stop.abort();
  await running;
});

test('short of disk, all goes that may go', async t => {
  const { collector, pull, names } = await setUp(t);
  await pull('a:1', 'b:1');
  t.true(await collector.removeUnused());
  t.deepEqual(names(), []);
  t.false(await collector.removeUnused());
});
