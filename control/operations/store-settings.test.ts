import test from 'ava';
import { readLimits, timesProblem } from './store-settings.ts';

test('limits are read by name', t => {
  t.deepEqual(readLimits([]), {});
  t.deepEqual(readLimits(['quotaBytes=1000000', 'requestBytesMax=4096']), {
    quotaBytes: 1_000_000,
    requestBytesMax: 4_096,
  });
});

for (const [wrong, said] of [
  ['quota=1', /the limits are requestBytesMax/],
  ['quotaBytes', /NAME=NUMBER/],
  ['quotaBytes=-1', /NAME=NUMBER/],
  ['quotaBytes=0', /positive/],
  ['requestBytesMax=999999999999', /at most/],
] as const) {
  test(`${wrong} is refused`, t => {
    t.throws(() => readLimits([wrong]), { instanceOf: RangeError, message: said });
  });
}

test('times have to fit each other, also with a default', t => {
  t.is(timesProblem({ heartbeatMs: undefined, electionTimeoutMs: undefined }), undefined);
  t.is(timesProblem({ heartbeatMs: 100, electionTimeoutMs: 300 }), undefined);
  t.regex(timesProblem({ heartbeatMs: 200, electionTimeoutMs: undefined }) ?? '', /less than three times/);
});
