import test from 'ava';
import { UsageCollector } from './collector.ts';
import { DEFAULT_METRICS_LIMITS } from './limits.ts';
import { readSummary, usageBetween } from './rates.ts';

const SECOND = 1_000_000_000;
interface Containers {
  readonly [pod: string]: Readonly<Record<string, number>>;
}
/** CPU seconds used so far by container, by pod. */
const summary = (pods: Containers) => ({
  node: { nodeName: 'a', memory: { workingSetBytes: 5000 } },
  pods: Object.entries(pods).map(([name, containers]) => ({
    podRef: { name, namespace: 'ns', uid: name },
    containers: Object.entries(containers).map(([container, cpuSeconds]) => ({
      name: container,
      cpu: { usageCoreNanoSeconds: cpuSeconds * SECOND },
      memory: { workingSetBytes: 2048 },
    })),
  })),
});

test('a rate is what was used between two looks', t => {
  const before = readSummary(summary({ p: { c: 10, d: 1 }, q: { c: 5 } }), 0);
  const now = readSummary(summary({ p: { c: 15, d: 1 }, q: { c: 6 } }), 10_000);
  const usage = usageBetween(before, now);
  t.like(usage, { atMs: 10_000, windowMs: 10_000, cpuNanocores: 600_000_000, memoryBytes: 5000 });
  t.deepEqual(usage.pods.get('ns/p'), [
    { name: 'c', cpuNanocores: 500_000_000, memoryBytes: 2048 },
    { name: 'd', cpuNanocores: 0, memoryBytes: 2048 },
  ]);
});

test('a pod of which a container is new or has started anew is left out', t => {
  const before = readSummary(summary({ p: { c: 10 }, q: { c: 5 }, r: { c: 1 } }), 0);
  const now = readSummary(summary({ p: { c: 15, d: 1 }, q: { c: 2 }, r: { c: 2 } }), 10_000);
  t.deepEqual([...usageBetween(before, now).pods.keys()], ['ns/r']);
});

test('what is no summary is refused', t => {
  t.throws(() => readSummary({ pods: 3 }, 0));
});

test('agents are asked only when somebody wants to know, twice the first time, and one that is silent is left out', async t => {
  let nowMs = 0;
  const asked: string[] = [];
  let nodes = ['a', 'b'];
  const collector = new UsageCollector({
    // Time passes as soon as somebody waits.
    clock: {
      now: () => nowMs,
      setTimeout(run, delayMs) {
        nowMs += delayMs;
        queueMicrotask(run);
        return () => undefined;
      },
    },
    logger: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined } as never,
    limits: DEFAULT_METRICS_LIMITS,
    nodes: () => nodes,
    async fetch(node) {
      asked.push(node);
      if (node === 'b') throw new Error('silent');
      return summary({ p: { c: nowMs / 2000 } });
    },
  });
  t.deepEqual(asked, []);
  const [first, same] = await Promise.all([collector.usage(), collector.usage()]);
  t.is(first, same);
  t.deepEqual(asked, ['a', 'b', 'a']);
  t.deepEqual([...first.keys()], ['a']);
  t.is(first.get('a')?.pods.get('ns/p')?.[0]?.cpuNanocores, 500_000_000);
  nowMs += 5000;
  await collector.usage();
  t.is(asked.length, 3);
  nowMs += 10_000;
  // Counted with the second in which the other node was waited for.
  t.is((await collector.usage()).get('a')?.windowMs, 16_000);
  nodes = [];
  nowMs += 10_000;
  t.is((await collector.usage()).size, 0);
});
