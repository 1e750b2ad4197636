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
  const history = [...Array.from({ length: 30 }, (_, n) => put(n, NEVER, `${n}`)), get(100, 101, 'z')];
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
