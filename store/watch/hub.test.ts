import test from 'ava';
import { CompactedError, type WatchBatch, WatchLostError, type WatchRequest } from '../client/client.ts';
import type { Clock } from '../clock.ts';
import { WATCH_BATCH_EVENTS_MAX } from '../limits.ts';
import { OPEN_END } from '../mvcc/keys.ts';
import { Mvcc } from '../mvcc/mvcc.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { WatchHub } from './hub.ts';

function make(clock: Clock = new ManualClock()) {
  const state = new Mvcc();
  const hub = new WatchHub({ source: state, clock });
  const put = (key: string) => {
    state.apply(
      { type: 'transaction', transaction: { then: [{ type: 'put', key, value: Buffer.from('v') }] } },
      { term: 1 },
    );
    hub.published();
    return state.revision;
  };
  const compact = (revision: number) => {
    state.apply({ type: 'compact', revision }, { term: 1 });
    while (state.sweep());
  };
  const watch = (request: Partial<WatchRequest> = {}) =>
    hub.watch({ key: '', end: OPEN_END, signal: new AbortController().signal, ...request });
  return { state, hub, put, compact, watch };
}

const revisions = (batch: WatchBatch) => batch.events.map(event => event.item.modRevision);

test('a slow watcher costs nothing until compaction passes it, and others go on', async t => {
  const { put, compact, watch } = make();
  const first = put('a');
  const slow = watch({ startRevision: first });
  const fast = watch({ startRevision: first });
  t.deepEqual(revisions((await slow.next()).value), [first]);
  await fast.next();
  for (let n = 0; n < 50; n++) put('a');
  const last = put('a');
  t.is(revisions((await fast.next()).value).length, 51);
  compact(last);
  await t.throwsAsync(slow.next(), { instanceOf: WatchLostError });
  t.true((await slow.next()).done);
  const after = put('a');
  t.deepEqual(revisions((await fast.next()).value), [after]);
});

test('what is written and compacted before it is told of is a loss, not silence', async t => {
  const { state, hub, put, compact, watch } = make();
  const first = put('a');
  const [waiting, absent] = [hub.watch({ key: 'a', signal: new AbortController().signal }), watch()];
  const answer = waiting.next();
  const write = (key: string) =>
    state.apply(
      { type: 'transaction', transaction: { then: [{ type: 'put', key, value: Buffer.from('v') }] } },
      { term: 1 },
    );
  for (const key of ['a', 'b', 'a']) write(key);
  compact(first + 3);
  hub.published();
  await t.throwsAsync(answer, { instanceOf: WatchLostError });
  await t.throwsAsync(absent.next(), { instanceOf: WatchLostError });
  // What reaches back to the very revision that is still kept has lost nothing.
  const whole = watch({ startRevision: first + 4 });
  write('a');
  compact(first + 4);
  hub.published();
  t.deepEqual(revisions((await whole.next()).value), [first + 4]);
});

test('a start below the compacted revision is told so, at the compacted revision it works', async t => {
  const { put, compact, watch } = make();
  const first = put('a');
  const second = put('a');
  compact(second);
  await t.throwsAsync(watch({ startRevision: first }).next(), { instanceOf: CompactedError });
  t.deepEqual(revisions((await watch({ startRevision: second }).next()).value), [second]);
});

test('a watch on a future revision stays silent until then (etcd 20221)', async t => {
  const clock = new ManualClock();
  const { put, watch } = make(clock);
  const future = put('a') + 3;
  const next = watch({ startRevision: future, progressMs: 10 }).next();
  put('a');
  clock.advance(100);
  put('a');
  clock.advance(100);
  put('a');
  t.deepEqual(revisions((await next).value), [future]);
});

test('progress is never ahead of what was seen (etcd 15220)', async t => {
  const clock = new ManualClock();
  const { put, watch, state } = make(clock);
  const quiet = watch({ key: 'quiet', progressMs: 100, ...{ end: undefined } });
  const next = quiet.next();
  for (let n = 0; n < 5; n++) put('loud');
  clock.advance(100);
  t.deepEqual((await next).value, { revision: state.revision, events: [] });
  const again = quiet.next();
  const written = put('quiet');
  t.deepEqual(revisions((await again).value), [written]);
});

test('a long past comes in bounded batches, no revision split, nothing twice', async t => {
  const { state, watch, hub } = make();
  const width = 100;
  for (let n = 0; n < 25; n++) {
    const then = Array.from(
      { length: width },
      (_, key) => ({ type: 'put', key: `${key}`, value: Buffer.from('') }) as const,
    );
    state.apply({ type: 'transaction', transaction: { then } }, { term: 1 });
  }
  hub.published();
  const watcher = watch({ startRevision: 2 });
  const seen: number[] = [];
  while (seen.length < 25 * width) {
    const batch = (await watcher.next()).value as WatchBatch;
    t.true(batch.events.length <= WATCH_BATCH_EVENTS_MAX + width);
    t.is(batch.events.length % width, 0);
    seen.push(...revisions(batch));
  }
  t.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b),
  );
});

test('an ended watch is forgotten', async t => {
  const { hub, watch } = make();
  const abort = new AbortController();
  const watcher = watch({ signal: abort.signal });
  const other = watch();
  t.is(hub.size, 2);
  const next = watcher.next();
  abort.abort();
  t.true((await next).done);
  await other.return?.();
  t.is(hub.size, 0);
  hub.close();
  t.throws(() => watch(), { code: 'STORE_UNAVAILABLE' });
});
