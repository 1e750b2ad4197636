/** Zones, their states and the pace of evictions; and time that somebody was awake for. */
import test from 'ava';
import type { Node } from '../api/generated/types.ts';
import type { Clock } from '../client/clock.ts';
import { ManualClock, settle } from '../client/testing/manual-clock.ts';
import { AwakeClock } from './awake-clock.ts';
import {
  EvictionPace,
  evictionRate,
  NODE_HEALTH_DEFAULTS,
  ZoneCensus,
  type ZoneState,
  zoneOf,
  zoneState,
} from './node-health.ts';

const zoneCases: readonly [ready: number, notReady: number, state: ZoneState, rate: number][] = [
  [0, 0, 'Normal', 0.1],
  [3, 0, 'Normal', 0.1],
  [1, 1, 'Normal', 0.1],
  [1, 2, 'Normal', 0.1],
  [1, 3, 'PartialDisruption', 0],
  [9, 11, 'PartialDisruption', 0],
  [10, 11, 'Normal', 0.1],
  [20, 30, 'PartialDisruption', 0],
  [20, 31, 'PartialDisruption', 0.01],
  [0, 1, 'FullDisruption', 0.1],
  [0, 100, 'FullDisruption', 0.1],
];
for (const [ready, notReady, state, rate] of zoneCases) {
  test(`a zone of ${ready} nodes that are ready and ${notReady} that are not`, t => {
    t.is(zoneState({ ready, notReady }, NODE_HEALTH_DEFAULTS), state);
    t.is(evictionRate({ ready, notReady }, NODE_HEALTH_DEFAULTS), rate);
  });
}

const node = (name: string, zone: string | undefined, ready: string): Node => ({
  metadata: { name, ...(zone !== undefined && { labels: { 'topology.kubernetes.io/zone': zone } }) },
  status: { conditions: [{ type: 'Ready', status: ready }] },
});

test('a census counts each node once, wherever it went', t => {
  const census = new ZoneCensus();
  t.false(census.isWhollyDisrupted);
  census.note(node('a', 'x', 'True'));
  census.note(node('b', 'x', 'Unknown'));
  census.note(node('c', undefined, 'False'));
  t.deepEqual(census.count(zoneOf(node('', 'x', ''))), { ready: 1, notReady: 1 });
  t.deepEqual(census.count(zoneOf(node('', undefined, ''))), { ready: 0, notReady: 1 });
  t.false(census.isWhollyDisrupted);
  census.note(node('a', 'y', 'Unknown'));
  t.deepEqual(census.count(zoneOf(node('', 'x', ''))), { ready: 0, notReady: 1 });
  t.true(census.isWhollyDisrupted);
  for (const name of ['a', 'b', 'c', 'never']) census.forget(name);
  t.false(census.isWhollyDisrupted);
  t.deepEqual(census.count(zoneOf(node('', 'x', ''))), { ready: 0, notReady: 0 });
});

test('a node that is excluded says nothing about its zone, nor about the cluster', t => {
  const census = new ZoneCensus();
  const excluded = (ready: string): Node => ({
    ...node('b', 'x', ready),
    metadata: {
      name: 'b',
      labels: { 'topology.kubernetes.io/zone': 'x', 'node.kubernetes.io/exclude-disruption': '' },
    },
  });
  census.note(node('a', 'x', 'Unknown'));
  census.note(excluded('True'));
  t.deepEqual(census.count(zoneOf(node('', 'x', ''))), { ready: 0, notReady: 1 });
  t.true(census.isWhollyDisrupted);
  census.note(node('b', 'x', 'True'));
  t.false(census.isWhollyDisrupted, 'without the label it counts');
  census.note(excluded('True'));
  t.true(census.isWhollyDisrupted, 'and with it no more');
});

test('nodes of a zone take turns, and a turn that failed is free again', t => {
  const pace = new EvictionPace();
  t.is(pace.take('x', 0.1, 0), 0);
  t.is(pace.take('x', 0.1, 4_000), 6_000);
  t.is(pace.take('y', 0.1, 4_000), 0);
  t.is(pace.take('x', 0.1, 10_000), 0);
  pace.giveBack('x');
  t.is(pace.take('x', 0.1, 10_001), 0);
  t.is(pace.take('x', 0, 99_000), Number.POSITIVE_INFINITY);
});

test('time in which the process stood still does not count, nor does a clock that is set', async t => {
  const manual = new ManualClock(1_000_000);
  let jumpMs = 0;
  const clock: Clock = { now: () => manual.now() + jumpMs, setTimeout: (run, ms) => manual.setTimeout(run, ms) };
  const awake = new AwakeClock(clock);
  const stop = new AbortController();
  const running = awake.run(stop.signal);
  const start = awake.now();
  await manual.advance(60_000);
  t.is(awake.now() - start, 60_000);
  // Stopped for an hour: known before the tick that is overdue, and after it.
  jumpMs += 3_600_000;
  t.true(awake.now() - start <= 61_000);
  await manual.advance(10_000);
  t.true(Math.abs(awake.now() - start - 70_000) <= 1_000);
  // Set back by an hour: it does not go back.
  const before = awake.now();
  jumpMs -= 3_600_000;
  t.true(awake.now() >= before);
  await manual.advance(10_000);
  t.true(Math.abs(awake.now() - start - 80_000) <= 1_000);
  stop.abort();
  await settle();
  await running;
});
