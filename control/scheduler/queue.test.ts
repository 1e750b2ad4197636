/** Who is tried when. */
import test from 'ava';
import type { Pod } from '../api/generated/types.ts';
import { ManualClock } from '../client/testing/manual-clock.ts';
import { UNSCHEDULABLE_MS_MAX } from './limits.ts';
import { SchedulingQueue } from './queue.ts';

const pod = (name: string, priority = 0): Pod => ({
  metadata: { name, uid: name, namespace: 'n' },
  spec: { containers: [], priority },
});
const FIT = new Set(['NodeResourcesFit']);
const always = () => true;

/** What is taken, in order; take waits when there is nothing, so the order is seen from outside. */
function listen(queue: SchedulingQueue) {
  const taken: string[] = [];
  const next = async (): Promise<void> => {
    for (let each = await queue.take(); each; each = await queue.take()) taken.push(each.pod.metadata?.name ?? '');
  };
  return { taken, running: next() };
}
async function setup(names: readonly string[] = []) {
  const clock = new ManualClock();
  const queue = new SchedulingQueue({ clock });
  for (const name of names) queue.put(pod(name));
  const takeAll = async () => {
    const taken: string[] = [];
    while (queue.count('active') > 0) taken.push((await queue.take())?.pod.metadata?.name ?? '');
    return taken;
  };
  return { clock, queue, takeAll };
}

test('the highest priority first, then who came first', async t => {
  const { queue, takeAll } = await setup();
  for (const [name, priority] of [
    ['a', 0],
    ['b', 5],
    ['c', 0],
    ['d', 5],
    ['e', -1],
  ] as const)
    queue.put(pod(name, priority));
  t.deepEqual(await takeAll(), ['b', 'd', 'a', 'c', 'e']);
});

test('who was refused earlier comes before who came later', async t => {
  const { clock, queue, takeAll } = await setup(['old', 'older']);
  t.deepEqual(await takeAll(), ['old', 'older']);
  queue.putUnschedulable('older', FIT);
  await clock.advance(1000);
  queue.putUnschedulable('old', FIT);
  await clock.advance(1000);
  queue.put(pod('new'));
  queue.put(pod('important', 1));
  queue.wake('NodeResourcesFit', always);
  t.deepEqual(await takeAll(), ['important', 'older', 'old', 'new']);
});

test('pods that left while they waited to be tried take no room', async t => {
  const { queue, takeAll } = await setup();
  for (let round = 0; round < 5_000; round++) {
    queue.put(pod(`p${round}`));
    queue.remove(`p${round}`);
  }
  t.true(queue.activeEntries < 3_000);
  queue.put(pod('last'));
  t.deepEqual(await takeAll(), ['last']);
});

test('a failure is waited out, longer each time up to a bound', async t => {
  const { clock, queue, takeAll } = await setup(['a']);
  for (const delayMs of [1000, 2000, 4000, 8000, 10_000, 10_000]) {
    t.deepEqual(await takeAll(), ['a']);
    queue.putFailed('a');
    await clock.advance(delayMs - 1);
    t.is(queue.count('active'), 0);
    await clock.advance(1);
    t.is(queue.count('active'), 1);
  }
});

test('a refused pod sleeps until what refused it may have changed its mind, or five minutes', async t => {
  const { clock, queue, takeAll } = await setup(['a']);
  await takeAll();
  queue.putUnschedulable('a', FIT);
  await clock.advance(60_000);
  queue.wake('NodePorts', always);
  queue.wake('NodeResourcesFit', () => false);
  t.is(queue.count('unschedulable'), 1);
  queue.wake('NodeResourcesFit', always);
  t.deepEqual(await takeAll(), ['a']);
  queue.putUnschedulable('a', FIT);
  await clock.advance(UNSCHEDULABLE_MS_MAX);
  t.deepEqual(await takeAll(), ['a']);
});

test('who may have been helped comes early if nobody else waits; who failed does not', async t => {
  const { clock, queue, takeAll } = await setup(['helped', 'failed', 'low', 'other']);
  await takeAll();
  queue.putUnschedulable('helped', FIT);
  queue.putFailed('failed');
  queue.wake('NodeResourcesFit', always);
  t.is(queue.count('backOff'), 2);
  const { taken, running } = listen(queue);
  await clock.advance(0);
  t.deepEqual(taken, ['helped']);
  await clock.advance(1000);
  t.deepEqual(taken, ['helped', 'failed']);
  queue.shutDown();
  await running;
});

test('a held pod is tried only when it is released, and then only if something happened', async t => {
  const { clock, queue, takeAll } = await setup(['a']);
  await takeAll();
  queue.putUnschedulable('a', FIT);
  queue.hold('a');
  await clock.advance(5000);
  queue.wake('NodeResourcesFit', always);
  t.is(queue.count('unschedulable'), 1);
  queue.release('a', false);
  t.deepEqual(await takeAll(), ['a']);
  queue.putUnschedulable('a', FIT);
  queue.hold('a');
  queue.release('a', false);
  t.is(queue.count('unschedulable'), 1);
  queue.hold('a');
  await clock.advance(5000);
  queue.release('a', true);
  t.deepEqual(await takeAll(), ['a']);
});

test('holds no more than it may, and forgets who leaves', async t => {
  const queue = new SchedulingQueue({ clock: new ManualClock(), podsMax: 2 });
  t.true(queue.put(pod('a')));
  t.true(queue.put(pod('b')));
  t.false(queue.put(pod('c')));
  t.true(queue.put(pod('b')));
  queue.remove('a');
  t.true(queue.put(pod('c')));
  t.is(queue.size, 2);
  t.is((await queue.take())?.pod.metadata?.name, 'b');
});

test('it is known whether anybody sleeps that an event could wake', async t => {
  const { queue, takeAll } = await setup(['a', 'b']);
  t.deepEqual(await takeAll(), ['a', 'b']);
  t.false(queue.hasSleepers);
  queue.putUnschedulable('a', FIT);
  t.true(queue.hasSleepers);
  queue.wake('NodeResourcesFit', always);
  t.false(queue.hasSleepers);
  queue.putUnschedulable('b', FIT);
  queue.remove('b');
  t.false(queue.hasSleepers);
});
