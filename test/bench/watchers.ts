/**
 * What watches cost on one member: memory for each, and a put that concerns none of them, one of them, or all of them.
 *   node --expose-gc test/bench/watchers.ts [watches]
 */
import { systemClock } from '../../store/clock.ts';
import { prefixEnd } from '../../store/mvcc/keys.ts';
import { Mvcc } from '../../store/mvcc/mvcc.ts';
import { WatchHub } from '../../store/watch/hub.ts';

const PUTS = 20_000;
const count = Number(process.argv[2] ?? 50_000);
const collect = globalThis.gc ?? (() => {});

const state = new Mvcc();
const hub = new WatchHub({ source: state, clock: systemClock });
const value = new Uint8Array(256);
const put = (key: string) => {
  state.apply({ type: 'transaction', transaction: { then: [{ type: 'put', key, value }] } }, { term: 1 });
  hub.published();
};

async function measure(what: string, puts: number, keyOf: (number: number) => string): Promise<void> {
  collect();
  const cpu = process.cpuUsage();
  const since = performance.now();
  for (let number = 0; number < puts; number++) {
    put(keyOf(number));
    // Readers take what is theirs before the next put, as they do where puts come over a network.
    await Promise.resolve();
  }
  await new Promise<void>(resolve => setImmediate(resolve));
  const used = process.cpuUsage(cpu);
  const microseconds = ((performance.now() - since) * 1000) / puts;
  console.log(
    `${what}: ${microseconds.toFixed(2)} µs a put (${((used.user + used.system) / puts).toFixed(2)} µs of CPU)`,
  );
}

/** Reads for ever, as a server's loop does. */
async function follow(watch: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of watch) told++;
}
let told = 0;

await measure('no watches', PUTS, number => `/other/${number % 100}`);
const kinds = {
  'one key each': (number: number) => ({ key: `/key/${number}` }),
  'one prefix each': (number: number) => ({ key: `/prefix/${number}/`, end: prefixEnd(`/prefix/${number}/`) }),
};
for (const [kind, request] of Object.entries(kinds)) {
  collect();
  const before = process.memoryUsage().heapUsed;
  const aborts = Array.from({ length: count }, () => new AbortController());
  const signals = process.memoryUsage().heapUsed;
  for (const [number, { signal }] of aborts.entries()) void follow(hub.watch({ ...request(number), signal }));
  collect();
  const each = (process.memoryUsage().heapUsed - before) / count;
  console.log(
    `${count} watches, ${kind}: ${each.toFixed(0)} bytes each (${((signals - before) / count).toFixed(0)} of them its signal)`,
  );
  await measure('  none concerned', PUTS, number => `/other/${number % 100}`);
  told = 0;
  const place = kind === 'one key each' ? '/key' : '/prefix';
  await measure('  one concerned', PUTS, number => (place === '/key' ? `/key/${number}` : `/prefix/${number}/x`));
  console.log(`  told ${told} times`);
  for (const abort of aborts) abort.abort();
}
const aborts = Array.from({ length: 1_000 }, () => new AbortController());
for (const { signal } of aborts) void follow(hub.watch({ key: '/hot', signal }));
told = 0;
await measure('1000 watches of one key, all concerned', 2_000, () => '/hot');
console.log(`  told ${told} times`);
for (const abort of aborts) abort.abort();
