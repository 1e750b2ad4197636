import test from 'ava';
import fc from 'fast-check';
import { HistoryRecorder, type KeyValueInput, type KeyValueOperation, keyValueModel } from './key-value-model.ts';
import { checkLinearizable } from './linearizability.ts';

const NEVER = Number.POSITIVE_INFINITY;

function op(calledAt: number, returnedAt: number, input: KeyValueInput, value?: string | boolean): KeyValueOperation {
  return { calledAt, returnedAt, input, output: returnedAt === NEVER ? undefined : { value } };
}
const put = (from: number, to: number, value: string, key = 'k') => op(from, to, { type: 'put', key, value });
const get = (from: number, to: number, value?: string, key = 'k') => op(from, to, { type: 'get', key }, value);
const cas = (from: number, to: number, change: [string | undefined, string], done?: boolean) =>
  op(from, to, { type: 'compareAndSet', key: 'k', expected: change[0], value: change[1] }, done);

const accepted: Record<string, KeyValueOperation[]> = {
  'nothing at all': [],
  'one after the other': [put(1, 2, 'a'), get(3, 4, 'a'), put(5, 6, 'b'), get(7, 8, 'b')],
  'a read beside a write sees either': [put(1, 2, 'a'), put(3, 8, 'b'), get(4, 5, 'a'), get(6, 7, 'b')],
  'a write of unknown outcome that happened late': [put(1, 2, 'a'), put(3, NEVER, 'b'), get(4, 5, 'a'), get(6, 7, 'b')],
  'a write of unknown outcome that never happened': [
    put(1, 2, 'a'),
    put(3, NEVER, 'b'),
    get(4, 5, 'a'),
    get(6, 7, 'a'),
  ],
  'keys do not disturb each other': [
    put(1, 2, 'a', 'x'),
    put(3, 4, 'b', 'y'),
    get(5, 6, 'a', 'x'),
    get(7, 8, 'b', 'y'),
  ],
  'one of two racing exchanges wins': [
    cas(1, 4, [undefined, 'a'], true),
    cas(2, 3, [undefined, 'b'], false),
    get(5, 6, 'a'),
  ],
  'touching operations are concurrent': [put(1, 2, 'a'), get(2, 3)],
};

const rejected: Record<string, KeyValueOperation[]> = {
  'a stale read': [put(1, 2, 'a'), put(3, 4, 'b'), get(5, 6, 'a')],
  'a lost write': [put(1, 2, 'a'), get(3, 4)],
  'a read of what was never written': [put(1, 2, 'a'), get(3, 4, 'z')],
  'two reads that see the change in different order': [put(1, 2, 'a'), put(3, 10, 'b'), get(4, 5, 'b'), get(6, 7, 'a')],
  'two exchanges that both win': [cas(1, 4, [undefined, 'a'], true), cas(2, 3, [undefined, 'b'], true)],
  'an unknown write seen, then unseen': [put(1, 2, 'a'), put(3, NEVER, 'b'), get(4, 5, 'b'), get(6, 7, 'a')],
  'an unknown write seen before its call': [put(1, 2, 'a'), get(3, 4, 'b'), put(5, NEVER, 'b')],
};

for (const [title, history] of Object.entries(accepted)) {
  test(`accepts ${title}`, t => {
    t.deepEqual(checkLinearizable(history, keyValueModel), { type: 'linearizable' });
  });
}
for (const [title, history] of Object.entries(rejected)) {
  test(`rejects ${title}`, t => {
    t.like(checkLinearizable(history, keyValueModel), { type: 'violation', partition: 'k' });
  });
}

test('gives up rather than searching for ever', t => {
  const history = [...Array.from({ length: 30 }, (_, n) => put(n, 200, `${n}`)), get(100, 101, 'z')];
  t.deepEqual(checkLinearizable(history, keyValueModel, { stepsMax: 1000 }), { type: 'undecided', partition: 'k' });
});

/** Runs operations on one copy, each taking effect at a moment of its own, calls and returns spread around it. */
const atomicHistory = fc
  .array(
    fc.record({
      type: fc.constantFrom('get' as const, 'put' as const, 'compareAndSet' as const, 'delete' as const),
      key: fc.constantFrom('x', 'y'),
      value: fc.constantFrom('a', 'b', 'c'),
      before: fc.integer({ min: 0, max: 50 }),
      after: fc.integer({ min: 0, max: 50 }),
      isLost: fc.integer({ min: 0, max: 9 }).map(number => number === 0),
    }),
    { maxLength: 60 },
  )
  .map(plans => {
    const data = new Map<string, string>();
    return plans.map(({ type, key, value, before, after, isLost }, position): KeyValueOperation => {
      const at = position * 10;
      let output: string | boolean | undefined;
      if (type === 'get') output = data.get(key);
      else if (type === 'put') data.set(key, value);
      else if (type === 'delete') data.delete(key);
      else {
        output = data.get(key) === 'a';
        if (output) data.set(key, value);
      }
      const input: KeyValueInput =
        type === 'compareAndSet'
          ? { type, key, expected: 'a', value }
          : type === 'put'
            ? { type, key, value }
            : { type, key };
      const isUnknown = isLost && type !== 'get';
      return {
        input,
        calledAt: at - before,
        returnedAt: isUnknown ? NEVER : at + after,
        output: isUnknown ? undefined : { value: output },
      };
    });
  });

test('accepts whatever one copy could have done', t => {
  fc.assert(
    fc.property(atomicHistory, history => checkLinearizable(history, keyValueModel).type === 'linearizable'),
    { numRuns: 300 },
  );
  t.pass();
});

test('rejects such a history once a read is made to see what was never there', t => {
  fc.assert(
    fc.property(atomicHistory, fc.nat(), (history, pick) => {
      const reads = history.filter(({ input }) => input.type === 'get');
      const victim = reads[pick % Math.max(1, reads.length)];
      fc.pre(victim !== undefined);
      const spoiled = history.map(one => (one === victim ? { ...one, output: { value: 'never written' } } : one));
      return checkLinearizable(spoiled, keyValueModel).type === 'violation';
    }),
    { numRuns: 100 },
  );
  t.pass();
});

test('judges a long history quickly', t => {
  const recorder = new HistoryRecorder();
  let value: string | undefined;
  for (let n = 0; n < 5_000; n++) {
    const write = recorder.begin({ type: 'put', key: 'k', value: `${n}` });
    const read = recorder.begin({ type: 'get', key: 'k' });
    read.returned(value);
    value = `${n}`;
    write.returned(undefined);
    if (n % 100 === 0) recorder.begin({ type: 'put', key: 'k', value: 'x' }).notDone();
    recorder.begin({ type: 'get', key: 'k' });
  }
  t.is(checkLinearizable(recorder.history, keyValueModel).type, 'linearizable');
});

/**
 * What a cluster under faults leaves behind: clients side by side, keys that many use, one write in ten of unknown outcome,
 * half of which happened, some of those long after their client had given up.
 */
function faultyHistory(length: number): KeyValueOperation[] {
  const data = new Map<string, string>();
  const late: { readonly at: number; readonly key: string; readonly value: string }[] = [];
  const history: KeyValueOperation[] = [];
  let seed = 42;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
  for (let n = 0; n < length; n++) {
    for (const write of late.filter(({ at }) => at === n)) data.set(write.key, write.value);
    const key = `k${random(5)}`;
    const at = n * 10;
    const [calledAt, returnedAt] = [at - random(160), at + random(160)];
    const kind = random(10);
    const value = `v${n}`;
    if (kind < 5) history.push({ input: { type: 'get', key }, calledAt, returnedAt, output: { value: data.get(key) } });
    else if (kind === 5) {
      const input = { type: 'put', key, value } as const;
      if (random(2) === 0) late.push({ at: n + random(40), key, value });
      history.push({ input, calledAt: at, returnedAt: NEVER, output: undefined });
    } else if (kind === 6) {
      const expected = random(2) === 0 ? data.get(key) : 'v-never';
      const fits = data.get(key) === expected;
      if (fits) data.set(key, value);
      const input = { type: 'compareAndSet', key, expected, value } as const;
      history.push({ input, calledAt, returnedAt, output: { value: fits } });
    } else {
      data.set(key, value);
      history.push({ input: { type: 'put', key, value }, calledAt, returnedAt, output: { value: undefined } });
    }
  }
  return history;
}

test('judges twenty thousand operations with thousands of unknown outcome', t => {
  t.timeout(60_000);
  t.is(checkLinearizable(faultyHistory(20_000), keyValueModel).type, 'linearizable');
});

test('finds one stale read and one lost write among a thousand operations', t => {
  t.timeout(60_000);
  const history = faultyHistory(1_000);
  const reads = history.filter(({ input, output }) => input.type === 'get' && output?.value !== undefined);
  // A value that was overwritten long ago comes back.
  const [old] = reads;
  const victim = reads.findLast(({ input }) => input.key === old?.input.key);
  const stale = history.map(one => (one === victim && old !== undefined ? { ...one, output: old.output } : one));
  t.is(checkLinearizable(stale, keyValueModel).type, 'violation');
  // A write that was read is taken out.
  const seen = new Set(reads.map(({ input, output }) => `${input.key}=${output?.value}`));
  const lost = history.find(({ input }) => input.type === 'put' && seen.has(`${input.key}=${input.value}`));
  const without = history.filter(one => one !== lost);
  t.is(checkLinearizable(without, keyValueModel).type, 'violation');
});

test('an unknown write that nobody saw explains why an exchange failed', t => {
  t.is(
    checkLinearizable(
      [put(1, 2, 'a'), put(3, NEVER, 'b'), put(4, NEVER, 'c'), cas(5, 6, ['a', 'd'], false), get(7, 8, 'c')],
      keyValueModel,
    ).type,
    'linearizable',
  );
  t.is(
    checkLinearizable(
      [put(1, 2, 'a'), cas(3, 4, ['a', 'd'], false), put(5, NEVER, 'b'), put(6, NEVER, 'c')],
      keyValueModel,
    ).type,
    'violation',
  );
});
