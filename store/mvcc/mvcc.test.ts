import test from 'ava';
import fc from 'fast-check';
import type { Alarm, AlarmFilter, KeyValue, Operation } from '../client/client.ts';
import { eventsAt } from '../testing/events.ts';
import type { Applied, ApplyResult, Change, Command } from './command.ts';
import { OPEN_END } from './keys.ts';
import { ALARMS_MAX, LEASE_IDS_COUNTED } from './limits.ts';
import { Mvcc } from './mvcc.ts';

const bytes = (text: string) => new Uint8Array(Buffer.from(text));
const put = (key: string, value = 'v', lease = 0): Operation => ({ type: 'put', key, value: bytes(value), lease });
const transaction = (...operations: Operation[]): Command => ({
  type: 'transaction',
  transaction: { then: operations },
});
const run = (state: Mvcc, command: Command, term = 1) => state.apply(command, { term });
const all = (state: Mvcc, revision = 0) => state.range({ key: '', end: OPEN_END, revision });
const written = (writes: Applied['writes']) =>
  writes.flatMap(change => (change.type === 'revision' ? change.items : []));
const codeOf = (result: ApplyResult) => (result.ok ? 'ok' : result.refusal.code);

/** Everything that can be seen of a state. */
function visible(state: Mvcc) {
  const past = [];
  for (let revision = Math.max(1, state.compactedRevision); revision <= state.revision; revision++) {
    const sorted = [...eventsAt(state, revision)].sort((a, b) => (a.item.key < b.item.key ? -1 : 1));
    // What was there before may have been compacted.
    const events = sorted.map(({ type, item, previous }) => ({
      type,
      item,
      previous: revision === state.compactedRevision ? 'unknown' : previous,
    }));
    past.push({ range: all(state, revision), events });
  }
  const leases = [...state.leases].sort((a, b) => a.id - b.id);
  return { counters: state.counters, liveBytes: state.liveBytes, liveCount: state.liveCount, leases, past };
}

/** Copies a state through an image, as a checkpoint or a snapshot does. */
function copied(state: Mvcc, pageBytes: number): Mvcc {
  const image = state.image();
  const copy = new Mvcc({ head: image });
  for (let after: string | undefined, more = true; more; more = after !== undefined) {
    const page = image.read(after, pageBytes);
    copy.load(page.items);
    after = page.next;
  }
  image.release();
  copy.loaded();
  return copy;
}

test('ids that clients choose for leases are the same after a restart, and never given out twice', t => {
  const state = new Mvcc();
  const copy = new Mvcc();
  const grant = (id?: number) => {
    const applied = run(state, { type: 'leaseGrant', ttlSeconds: 5, ...(id === undefined ? {} : { id }) });
    for (const change of applied.writes) copy.replay(change);
    t.deepEqual(copy.counters, state.counters);
    return applied.result.ok && applied.result.value.type === 'lease'
      ? applied.result.value.id
      : codeOf(applied.result);
  };
  t.deepEqual([grant(), grant(5), grant(), grant(5)], [1, 5, 6, 'STORE_LEASE_EXISTS']);
  t.is(grant(Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER);
  t.is(grant(), 7);
  // The largest that counts: after it, ids begin anew with those that are free.
  t.is(grant(LEASE_IDS_COUNTED - 1), LEASE_IDS_COUNTED - 1);
  t.deepEqual([grant(), grant()], [2, 3]);
});

test('transactions are nested only so deep', t => {
  let nested: Operation = put('a');
  for (let depth = 0; depth < 9; depth++) nested = { type: 'transaction', then: [nested] };
  t.is(codeOf(run(new Mvcc(), transaction(nested)).result), 'STORE_INVALID_REQUEST');
});

const anyKey = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const anyOperation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(anyKey, fc.string({ maxLength: 3 }), fc.constantFrom(0, 0, 1, 2))
      .map(([key, value, lease]) => put(key, value, lease)),
  },
  { weight: 2, arbitrary: anyKey.map((key): Operation => ({ type: 'delete', key })) },
  { weight: 1, arbitrary: fc.tuple(anyKey, anyKey).map(([key, end]): Operation => ({ type: 'delete', key, end })) },
);
const anyCommand: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.array(anyOperation, { maxLength: 3, minLength: 1 }).map(operations => transaction(...operations)),
  },
  { weight: 1, arbitrary: fc.constant<Command>({ type: 'leaseGrant', ttlSeconds: 5 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 3 }).map((id): Command => ({ type: 'leaseKeepAlive', id })) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 3 }).map((id): Command => ({ type: 'leaseRevoke', id })) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 40 }).map((revision): Command => ({ type: 'compact', revision })) },
);
const anyCommands = fc.array(anyCommand, { maxLength: 60 });

test('agrees with a list of all states that ever were', t => {
  fc.assert(
    fc.property(anyCommands, commands => {
      const state = new Mvcc();
      const past = new Map<number, ReadonlyMap<string, string>>([[1, new Map()]]);
      let now = new Map<string, string>();
      for (const command of commands) {
        const before = state.revision;
        const { result, writes } = run(state, command);
        state.sweep();
        now = new Map(now);
        for (const item of written(writes)) {
          if (item.version > 0) now.set(item.key, Buffer.from(item.value).toString());
          else now.delete(item.key);
        }
        t.is(state.revision, before + (written(writes).length === 0 ? 0 : 1));
        if (!result.ok) t.deepEqual(writes, []);
        past.set(state.revision, now);
      }
      for (const [revision, expected] of past) {
        const outcome = all(state, revision);
        if (revision < state.compactedRevision) t.is(outcome.ok, false);
        else {
          const items = outcome.ok ? outcome.value.items : [];
          const found = items.map(item => [item.key, Buffer.from(item.value).toString()]);
          t.deepEqual(found, [...expected].sort());
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('an image, and the changes repeated, give the same state as applying', t => {
  fc.assert(
    fc.property(anyCommands, anyCommands, fc.constantFrom(1, 200, 100_000), (first, second, pageBytes) => {
      const state = new Mvcc();
      const writes: Change[] = [];
      for (const command of first) writes.push(...run(state, command).writes);
      const repeated = new Mvcc();
      for (const change of writes) repeated.replay(change);
      t.deepEqual(visible(repeated), visible(state));
      const copy = copied(state, pageBytes);
      t.deepEqual(visible(copy), visible(state));
      for (const command of second) {
        t.deepEqual(run(copy, command).result, run(state, command).result);
        state.sweep();
      }
      while (copy.sweep());
      t.deepEqual(visible(copy), visible(state));
    }),
    { numRuns: 200 },
  );
});

test('an image stays as it was while the state moves on', t => {
  fc.assert(
    fc.property(anyCommands, anyCommands, (first, second) => {
      const state = new Mvcc();
      for (const command of first) run(state, command);
      const expected = visible(copied(state, 1_000));
      const image = state.image();
      const items: KeyValue[] = [];
      let rest: readonly Command[] = second;
      for (let after: string | undefined, more = true; more; more = after !== undefined) {
        const page = image.read(after, 1);
        items.push(...page.items);
        after = page.next;
        for (const command of rest.slice(0, 10)) run(state, command);
        rest = rest.slice(10);
        while (state.sweep());
      }
      const copy = new Mvcc({ head: image });
      copy.load(items);
      copy.loaded();
      t.deepEqual(visible(copy), expected);
      image.release();
    }),
    { numRuns: 200 },
  );
});

test('what compaction frees is really gone', t => {
  const state = new Mvcc();
  for (let n = 0; n < 3_000; n++) run(state, transaction(put(`k${n % 10}`, 'x'.repeat(10))));
  run(state, transaction({ type: 'delete', key: 'k3' }));
  run(state, transaction(put('last')));
  run(state, { type: 'compact', revision: state.revision });
  t.true(state.hasToSweep);
  while (state.sweep());
  t.false(state.hasToSweep);
  const image = state.image();
  t.deepEqual(
    image.read(undefined, 1e6).items.map(item => item.key),
    ['k0', 'k1', 'k2', 'k4', 'k5', 'k6', 'k7', 'k8', 'k9', 'last'],
  );
  image.release();
});

test('a compaction that lands on a deletion keeps it for watches (etcd 18089), and the revision stands (etcd 17780)', t => {
  const state = new Mvcc();
  run(state, transaction(put('a')));
  const gone = state.revision + 1;
  run(state, transaction({ type: 'delete', key: 'a' }));
  run(state, { type: 'compact', revision: gone });
  while (state.sweep());
  for (const each of [state, copied(state, 100)]) {
    t.like(eventsAt(each, gone)[0], { type: 'delete', item: { key: 'a', modRevision: gone } });
    t.is(each.revision, gone);
    t.deepEqual(all(each).ok && all(each), { ok: true, value: { revision: gone, items: [], more: false, count: 0 } });
    run(each, transaction(put('b')));
    run(each, { type: 'compact', revision: gone + 1 });
    while (each.sweep());
    t.is(copied(each, 100).revision, gone + 1);
    t.deepEqual(eventsAt(each, gone), []);
  }
});

test('a refused transaction writes nothing, whichever operation is at fault', t => {
  const state = new Mvcc();
  run(state, transaction(put('a', '1')));
  run(state, transaction(put('a', '2')));
  run(state, { type: 'compact', revision: 3 });
  const before = visible(state);
  const refusals: [Command, string][] = [
    [transaction(put('x'), put('y', 'v', 99)), 'STORE_LEASE_NOT_FOUND'],
    [transaction(put('x'), { type: 'range', range: { key: 'a', revision: 2 } }), 'STORE_COMPACTED'],
    [transaction(put('x'), { type: 'range', range: { key: 'a', revision: 9 } }), 'STORE_FUTURE_REVISION'],
    [transaction(put('x'), put('x')), 'STORE_INVALID_REQUEST'],
    [transaction(put('x'), { type: 'delete', key: 'a', end: OPEN_END }), 'STORE_INVALID_REQUEST'],
    [{ type: 'transaction', transaction: { then: [put('x')], fenceTerm: 2 } }, 'STORE_FENCED'],
    [{ type: 'leaseExpire', fenceTerm: 2, leases: [] }, 'STORE_FENCED'],
    [{ type: 'leaseRevoke', id: 5 }, 'STORE_LEASE_NOT_FOUND'],
    [{ type: 'compact', revision: 2 }, 'STORE_COMPACTED'],
  ];
  for (const [command, code] of refusals) {
    const applied = run(state, command);
    t.is(codeOf(applied.result), code);
    t.deepEqual(applied.writes, []);
  }
  t.deepEqual(visible(state), before);
});

const quota: Alarm = { type: 'NOSPACE', memberId: '', cause: 'quota' };
const disk: Alarm = { type: 'NOSPACE', memberId: '0'.repeat(16), cause: 'disk' };
const corrupt: Alarm = { type: 'CORRUPT', memberId: '1'.repeat(16), cause: 'divergence' };
const raise = (alarm: Alarm): Command => ({ type: 'alarm', action: 'raise', alarm });
const disarm = (filter: AlarmFilter): Command => ({ type: 'alarm', action: 'disarm', filter });

test('while there is no space, puts and grants are refused, and everything that frees some passes', t => {
  for (const [alarm, code] of [
    [quota, 'STORE_QUOTA_EXCEEDED'],
    [disk, 'STORE_NO_SPACE'],
  ] as const) {
    const state = new Mvcc();
    run(state, { type: 'leaseGrant', ttlSeconds: 5 });
    run(state, { type: 'leaseGrant', ttlSeconds: 5 });
    run(state, transaction(put('a', 'v', 1), put('b', 'v', 2), put('c')));
    run(state, raise(alarm));
    const { revision } = state;
    const present = (then: Operation[], otherwise: Operation[]): Command => {
      const compare = [{ key: 'c', target: 'version', op: '=', value: 1 }] as const;
      return { type: 'transaction', transaction: { compare, then, otherwise } };
    };
    t.is(codeOf(run(state, transaction(put('d'))).result), code);
    t.is(codeOf(run(state, transaction({ type: 'delete', key: 'c' }, put('d'))).result), code);
    t.is(codeOf(run(state, present([put('d')], [])).result), code);
    t.is(codeOf(run(state, { type: 'leaseGrant', ttlSeconds: 5 }).result), code);
    t.is(state.revision, revision);
    t.is(codeOf(run(state, present([], [put('d')])).result), 'ok', 'a branch that does not run matters to nobody');
    t.is(codeOf(run(state, transaction({ type: 'delete', key: 'c' })).result), 'ok');
    t.is(codeOf(run(state, { type: 'leaseKeepAlive', id: 1 }).result), 'ok');
    t.is(codeOf(run(state, { type: 'leaseRevoke', id: 1 }).result), 'ok');
    const leases = [{ id: 2, renewals: 0 }];
    t.is(codeOf(run(state, { type: 'leaseExpire', fenceTerm: 1, leases }).result), 'ok');
    t.is(codeOf(run(state, { type: 'compact', revision: state.revision }).result), 'ok');
    t.is(state.liveCount, 0);
    run(state, disarm({ cause: alarm.cause }));
    t.is(codeOf(run(state, transaction(put('d'))).result), 'ok');
  }
});

test('an alarm is there once, is taken back by what is known of it, and outlives a restart and a snapshot', t => {
  const state = new Mvcc();
  const replayed = new Mvcc();
  const step = (command: Command) => {
    const applied = run(state, command);
    for (const change of applied.writes) replayed.replay(change);
    return applied;
  };
  for (const alarm of [quota, disk, corrupt]) t.is(step(raise(alarm)).writes.length, 1);
  t.deepEqual(step(raise(disk)).writes, []);
  t.is(state.alarms.length, 3);
  t.deepEqual(replayed.alarms, state.alarms);
  t.deepEqual(copied(state, 100).alarms, state.alarms);
  t.deepEqual(step(disarm({ memberId: 'f'.repeat(16) })).result, { ok: true, value: { type: 'alarms', alarms: [] } });
  t.deepEqual(step(disarm({ type: 'NOSPACE' })).result, { ok: true, value: { type: 'alarms', alarms: [disk, quota] } });
  t.deepEqual(state.alarms, [corrupt]);
  t.deepEqual(replayed.alarms, [corrupt]);
  step(disarm({}));
  t.deepEqual(state.alarms, []);
  for (let n = 0; n < ALARMS_MAX; n++) step(raise({ ...disk, memberId: n.toString(16).padStart(16, '0') }));
  t.is(codeOf(step(raise(quota)).result), 'STORE_INVALID_REQUEST');
  t.is(codeOf(step(raise(disk)).result), 'ok', 'it is there already');
  for (const nonsense of [{ ...quota, type: 'OTHER' }, { ...quota, memberId: 'no id' }, { type: 'NOSPACE' }]) {
    t.is(codeOf(step(raise(nonsense as Alarm)).result), 'STORE_INVALID_REQUEST');
  }
});

test('an expiry that came too late for a renewal does nothing (etcd 15247)', t => {
  const state = new Mvcc();
  run(state, { type: 'leaseGrant', ttlSeconds: 5 });
  run(state, { type: 'leaseGrant', ttlSeconds: 5 });
  run(state, transaction(put('a', 'v', 1), put('b', 'v', 2)));
  run(state, { type: 'leaseKeepAlive', id: 1 });
  const leases = [
    { id: 1, renewals: 0 },
    { id: 2, renewals: 0 },
  ];
  const { writes } = run(state, { type: 'leaseExpire', fenceTerm: 1, leases });
  t.deepEqual(
    written(writes).map(item => item.key),
    ['b'],
  );
  t.deepEqual(state.leases, [{ id: 1, ttlSeconds: 5, renewals: 1 }]);
  run(state, { type: 'leaseRevoke', id: 1 });
  const granted = run(state, { type: 'leaseGrant', ttlSeconds: 5 }).result;
  t.deepEqual(granted, { ok: true, value: { type: 'lease', id: 3, ttlSeconds: 5 } });
});

test('comparisons follow etcd', t => {
  const state = new Mvcc();
  run(state, transaction(put('a', 'b')));
  run(state, transaction(put('a', 'c')));
  const holds = (compare: object) => {
    const command = { type: 'transaction', transaction: { compare: [compare], then: [] } } as unknown as Command;
    const { result } = run(state, command);
    return result.ok && result.value.type === 'transaction' && result.value.result.succeeded;
  };
  const cases: [string, string, string, unknown, boolean][] = [
    ['a', 'version', '=', 2, true],
    ['a', 'modRevision', '>', 2, true],
    ['a', 'createRevision', '<', 2, false],
    ['a', 'lease', '=', 0, true],
    ['a', 'value', '=', bytes('c'), true],
    ['a', 'value', '!=', bytes('c'), false],
    ['a', 'value', '<', bytes('d'), true],
    ['a', 'value', '>', bytes('b'), true],
    ['none', 'version', '=', 0, true],
    ['none', 'modRevision', '!=', 0, false],
    ['none', 'value', '!=', bytes('c'), false],
  ];
  for (const [key, target, op, value, expected] of cases) {
    t.is(holds({ key, target, op, value }), expected, `${key} ${target} ${op}`);
  }
});
