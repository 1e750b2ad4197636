/**
 * What a watch promises, on every {@link StoreClient}: etcd's guarantees (etcd.io/docs, "KV API guarantees: watch"). A watch is
 * ordered, unique, reliable, atomic, resumable and bookmarkable, tells what was there before, filters by its range, and says
 * so when it cannot keep that. Each test writes at random from a seed of its own and judges what watches tell against a
 * history that is put together from the answers to the writes alone.
 */
import type { ExecutionContext, TestFn } from 'ava';
import { systemClock } from '../clock.ts';
import { OPEN_END, prefixEnd } from '../mvcc/keys.ts';
import { CompactedError, type Operation, type StoreClient, type WatchBatch, WatchLostError } from './client.ts';
import { bytes, type MakeStore, open, text } from './contract.ts';

/** One event as a line: revision, type, key, value, and the value before it. */
type Line = string;
interface Happened {
  readonly revision: number;
  readonly key: string;
  readonly line: Line;
}
interface Range {
  readonly key: string;
  readonly end?: string;
}

const KEYS = ['/w/a', '/w/b', '/w/c', '/w/d', '/x/a', '/x/b'];
const RANGES: readonly Range[] = [
  { key: '/w/a' },
  { key: '/x/a' },
  { key: '/w/', end: prefixEnd('/w/') },
  { key: '/w/b', end: '/w/d' },
  { key: '/', end: OPEN_END },
  { key: '', end: OPEN_END },
  { key: '/quiet/', end: prefixEnd('/quiet/') },
];
const WRITERS = 8;
/** A real etcd on a busy disk takes its time. */
const TIMEOUT_MS = 60_000;

export interface WatchSupport {
  /** Older etcds lose to watches a deletion on whose revision compaction landed (mended by etcd 18274 and 19188). */
  readonly keepsCompactedDeletion?: boolean;
}

/** Declares the suite's tests. */
export function watchContract(test: TestFn, name: string, make: MakeStore, support: WatchSupport = {}): void {
  const contract = (title: string, run: (t: ExecutionContext, store: StoreClient) => Promise<void>) =>
    test(`${name}: watches are ${title}`, async t => {
      t.timeout(TIMEOUT_MS);
      const { store, done } = await make();
      try {
        await run(t, store);
      } finally {
        await done();
      }
    });

  contract('ordered, unique, reliable, filtered, and tell what was before', async (t, store) => {
    const base = (await store.put('/base', bytes(''))).revision;
    // Those that see it happen, and those that come later and read the past.
    const live = RANGES.map(range => open(store, { ...range, startRevision: base + 1 }));
    const history = await write(store, { seed: 1, transactions: 150 });
    const last = await mark(store);
    const late = RANGES.map(range => open(store, { ...range, startRevision: base + 1 }));
    for (const [number, range] of RANGES.entries()) {
      const expected = linesOf(history, range);
      if (expected.length === 0) continue;
      const wanted = within(range, MARK) ? last : (lastOf(history, range)?.revision ?? last);
      const seen = await Promise.all([live[number]?.until(wanted), late[number]?.until(wanted)]);
      for (const events of seen) {
        t.deepEqual(
          (events ?? []).map(lineOf).filter(line => !line.includes(MARK)),
          expected,
          JSON.stringify(range),
        );
      }
    }
    for (const watch of [...live, ...late]) await watch[Symbol.asyncDispose]();
  });

  contract('atomic: no revision comes in two parts', async (t, store) => {
    const base = (await store.put('/base', bytes(''))).revision;
    await using watch = open(store, { key: '', end: OPEN_END, startRevision: base + 1 });
    const history = write(store, { seed: 2, transactions: 150 });
    const seen = new Map<number, number>();
    let batchNumber = 0;
    const note = (batch: WatchBatch) => {
      batchNumber++;
      for (const { item } of batch.events) {
        t.is(seen.get(item.modRevision) ?? batchNumber, batchNumber, `revision ${item.modRevision} was split`);
        seen.set(item.modRevision, batchNumber);
      }
      return batch.revision;
    };
    const last = (await history).at(-1)?.revision ?? 0;
    for (let reached = 0; reached < last; ) reached = note(await watch.next());
  });

  contract('resumable: after any batch, the next revision goes on without gap or repetition', async (t, store) => {
    const base = (await store.put('/base', bytes(''))).revision;
    const range = { key: '/w/', end: prefixEnd('/w/') };
    const history: Happened[] = [];
    const lines: Line[] = [];
    let reached = base;
    const readOne = async () => {
      await using watch = open(store, { ...range, startRevision: reached + 1 });
      const batch = await watch.next();
      lines.push(...batch.events.map(lineOf));
      reached = batch.revision;
    };
    for (let round = 0; round < 10; round++) {
      // One that is resumed has a past to read, and more comes while it does.
      history.push(...(await write(store, { seed: 30 + round, transactions: 10 })));
      const writing = write(store, { seed: 50 + round, transactions: 10 });
      await readOne();
      history.push(...(await writing));
    }
    const last = lastOf(history, range)?.revision ?? 0;
    while (reached < last) await readOne();
    t.deepEqual(lines, linesOf(history, range));
  });

  contract('bookmarkable: what a batch says was seen has been seen, and it never goes back', async (t, store) => {
    const base = (await store.put('/base', bytes(''))).revision;
    const range = { key: '/w/a' };
    await using watch = open(store, { ...range, startRevision: base + 1, progressMs: 10 });
    const writing = write(store, { seed: 4, transactions: 150 });
    const seen: number[] = [];
    const bookmarks: { readonly revision: number; readonly seen: number }[] = [];
    const take = async () => {
      const { revision, events } = await watch.next();
      seen.push(...events.map(({ item }) => item.modRevision));
      bookmarks.push({ revision, seen: seen.length });
      return revision;
    };
    for (let taken = 0; taken < 5; taken++) await take();
    const history = await writing;
    const last = history.at(-1)?.revision ?? 0;
    // The last ones concern other keys, so only a progress notice can say so.
    while ((await take()) < last);
    const expected = history.filter(({ key }) => within(range, key));
    let before = 0;
    for (const bookmark of bookmarks) {
      t.true(bookmark.revision >= before);
      before = bookmark.revision;
      t.is(bookmark.seen, expected.filter(({ revision }) => revision <= bookmark.revision).length);
    }
  });

  contract('silent about what lies before a start in the future (etcd 20221)', async (t, store) => {
    const { revision } = await store.put('/f', bytes('0'));
    const start = revision + 4;
    await using watch = open(store, { key: '/f', startRevision: start, progressMs: 10 });
    const next = watch.next();
    for (let number = 1; number <= 3; number++) {
      await store.put('/f', bytes(`${number}`));
      await pause(30);
    }
    const last = await store.put('/f', bytes('4'));
    t.is(last.revision, start);
    const batch = await next;
    t.deepEqual(batch.events.map(lineOf), [`${start} put /f 4 < 3`]);
  });

  contract('refused below what is kept, with the oldest revision that is, and begin there', async (t, store) => {
    const first = await store.put('/c', bytes('1'));
    await store.put('/c', bytes('2'));
    const gone = await store.delete('/c');
    await store.put('/c', bytes('3'));
    await store.compact(gone.revision);
    await using below = open(store, { key: '/c', startRevision: first.revision });
    const error = await t.throwsAsync(below.next(), { instanceOf: CompactedError });
    t.is((error as CompactedError | undefined)?.compactedRevision, gone.revision);
    // The deletion stands right where compaction landed (etcd 18089, 19179).
    await using at = open(store, { key: '/c', startRevision: gone.revision });
    const events = await at.until(gone.revision + 1);
    const told = events.map(({ type, item }) => [type, item.modRevision]);
    const put = ['put', gone.revision + 1];
    if (support.keepsCompactedDeletion === false) t.deepEqual(told.at(-1), put);
    else t.deepEqual(told, [['delete', gone.revision], put]);
  });

  contract('independent: one that is not read costs another nothing, and reads all of it later', async (t, store) => {
    const base = (await store.put('/base', bytes(''))).revision;
    const range = { key: '/', end: OPEN_END };
    await using slow = open(store, { ...range, startRevision: base + 1 });
    await using fast = open(store, { ...range, startRevision: base + 1 });
    await store.put('/w/a', bytes('begun'));
    t.is((await slow.next()).events.length, 1);
    let history: readonly Happened[] = [];
    for (let round = 0; round < 5; round++) {
      history = await write(store, { seed: 10 + round, transactions: 100 });
      await fast.until(history.at(-1)?.revision ?? 0);
    }
    const events = await slow.until(history.at(-1)?.revision ?? 0);
    const revisions = events.map(({ item }) => item.modRevision);
    t.deepEqual(
      revisions,
      revisions.toSorted((one, other) => one - other),
    );
    const all = await readAll(store, range, { from: base + 2, through: history.at(-1)?.revision ?? 0 });
    t.deepEqual(events.map(lineOf), all);
  });

  contract('told when what they have not read is gone: a prefix and then the loss (etcd 17529)', async (t, store) => {
    const base = (await store.put('/base', bytes(''))).revision;
    const range = { key: '/', end: OPEN_END };
    await using slow = open(store, { ...range, startRevision: base + 1 });
    await store.put('/w/a', bytes('begun'));
    const begun = await slow.next();
    let history: readonly Happened[] = [];
    for (let round = 0; round < 20; round++) history = await write(store, { seed: 70 + round, transactions: 25 });
    const last = history.at(-1)?.revision ?? 0;
    const all = await readAll(store, range, { from: base + 1, through: last });
    await store.compact(last);
    await store.put('/w/a', bytes('after'));
    const lines = begun.events.map(lineOf);
    const reading = (async () => {
      for (;;) {
        const { revision, events } = await slow.next();
        lines.push(...events.map(lineOf));
        // Where all of it was on its way before the compaction there is no loss.
        if (revision > last) return 'whole';
      }
    })();
    const outcome = await reading.catch((error: unknown) => error);
    if (outcome === 'whole') t.deepEqual(lines.slice(0, all.length), all);
    else {
      t.true(outcome instanceof WatchLostError || outcome instanceof CompactedError, String(outcome));
      t.deepEqual(lines, all.slice(0, lines.length));
    }
  });
}

const MARK = '/mark';

/** A last write, so that watches on everything can be read up to it. */
async function mark(store: StoreClient): Promise<number> {
  return (await store.put(MARK, bytes('end'))).revision;
}

/** Writes at random from several sides at once; resolves with what happened, by revision, as the answers tell. */
async function write(
  store: StoreClient,
  { seed, transactions }: { readonly seed: number; readonly transactions: number },
): Promise<readonly Happened[]> {
  const random = seeded(seed);
  const before = await store.range({ key: '', end: OPEN_END });
  const done: { readonly revision: number; readonly writes: readonly Operation[] }[] = [];
  const plans = Array.from({ length: transactions }, (_, number) => planWrites(random, `${seed}.${number}`));
  const writer = async () => {
    for (let writes = plans.shift(); writes !== undefined; writes = plans.shift()) {
      const { revision, results } = await store.transaction({ then: writes });
      const effective = writes.filter((_, at) => {
        const result = results[at];
        return result?.type !== 'delete' || result.deleted.length > 0;
      });
      if (effective.length > 0) done.push({ revision, writes: effective });
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, writer));
  const values = new Map(before.items.map(({ key, value }) => [key, text(value)]));
  return done
    .toSorted((one, other) => one.revision - other.revision)
    .flatMap(({ revision, writes }) => writes.map(operation => happen(operation, revision, values)));
}

function planWrites(random: () => number, value: string): Operation[] {
  const count = 1 + Math.floor(random() * 3);
  const keys = KEYS.toSorted(() => random() - 0.5).slice(0, count);
  return keys.map(
    (key): Operation =>
      random() < 0.25 ? { type: 'delete', key } : { type: 'put', key, value: bytes(`${value}${key}`) },
  );
}

function happen(operation: Operation, revision: number, values: Map<string, string>): Happened {
  if (operation.type !== 'put' && operation.type !== 'delete') throw new Error('only writes happen');
  const { key } = operation;
  const previous = values.get(key);
  const value = operation.type === 'put' ? text(operation.value) : '';
  if (operation.type === 'put') values.set(key, value);
  else values.delete(key);
  return { revision, key, line: `${revision} ${operation.type} ${key} ${value} < ${previous}` };
}

function lineOf({ type, item, previous }: WatchBatch['events'][number]): Line {
  return `${item.modRevision} ${type} ${item.key} ${text(item.value)} < ${previous && text(previous.value)}`;
}

function within({ key, end }: Range, name: string): boolean {
  // The keys here are plain ASCII, where the order of strings is that of bytes.
  return end === undefined ? name === key : name >= key && (end === OPEN_END || name < end);
}

function linesOf(history: readonly Happened[], range: Range): Line[] {
  return history.filter(({ key }) => within(range, key)).map(({ line }) => line);
}

function lastOf(history: readonly Happened[], range: Range): Happened | undefined {
  return history.findLast(({ key }) => within(range, key));
}

async function readAll(
  store: StoreClient,
  range: Range,
  { from, through }: { readonly from: number; readonly through: number },
): Promise<Line[]> {
  await using watch = open(store, { ...range, startRevision: from });
  return (await watch.until(through)).filter(({ item }) => item.modRevision <= through).map(lineOf);
}

/** Numbers in [0, 1) that are the same each time (a linear congruence; good enough to mix writes). */
function seeded(seed: number): () => number {
  let state = (seed * 2_654_435_761) >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A moment in which a wrong notice would come; the right answer does not depend on its length. */
function pause(delayMs: number): Promise<void> {
  return new Promise(resolve => systemClock.setTimeout(resolve, delayMs));
}
