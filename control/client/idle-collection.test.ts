import test from 'ava';
import {
  collectWhenIdle,
  GROWN_BYTES_MIN,
  HEAP_BYTES_MAX,
  INITIAL_IDLE_STATE,
  judge,
  QUIET_READINGS,
  READING_INTERVAL_MS,
  REST_READINGS,
} from './idle-collection.ts';

const MEBIBYTE = 2 ** 20;

/** A process whose readings the test makes, one after another. */
function machine() {
  const own = { processor: 0, heap: 100 * MEBIBYTE, left: 40 * MEBIBYTE, collections: 0, look: () => {} };
  const watching = collectWhenIdle({
    every: (intervalMs, look) => {
      own.look = look;
      const stop = () => {
        own.look = () => {};
      };
      return { [Symbol.dispose]: stop, intervalMs };
    },
    processorMs: () => own.processor,
    heapBytes: () => own.heap,
    collect: () => {
      own.collections += 1;
      own.heap = own.left;
    },
  });
  const readings = (count: number, share: number) => {
    for (let reading = 0; reading < count; reading += 1) {
      own.processor += share * READING_INTERVAL_MS;
      own.look();
    }
  };
  return { own, readings, watching };
}

test('after a burst the heap is gone through once, and not again while nothing happens', t => {
  const { own, readings } = machine();
  readings(20, 0.8);
  t.is(own.collections, 0, 'not while there is work');
  readings(QUIET_READINGS - 1, 0.01);
  t.is(own.collections, 0, 'a short pause is not the end of a burst');
  readings(1, 0.01);
  t.is(own.collections, 1);
  readings(REST_READINGS * 10, 0.01);
  t.is(own.collections, 1, 'a heap that has not grown is left alone');
});

test('a heap that grew again is gone through again, but not at once', t => {
  const { own, readings } = machine();
  readings(QUIET_READINGS, 0);
  own.heap += GROWN_BYTES_MIN;
  readings(REST_READINGS - 1, 0);
  t.is(own.collections, 1);
  readings(1, 0);
  t.is(own.collections, 2);
});

test('a burst between quiet readings starts the count anew', t => {
  const { own, readings } = machine();
  readings(QUIET_READINGS - 1, 0.01);
  readings(1, 0.5);
  readings(QUIET_READINGS - 1, 0.01);
  t.is(own.collections, 0);
});

test('a heap that would hold everything up for long is left alone', t => {
  const quiet = { ...INITIAL_IDLE_STATE, quietReadings: QUIET_READINGS };
  t.true(judge(quiet, { share: 0, heapBytes: HEAP_BYTES_MAX }).collect);
  t.false(judge(quiet, { share: 0, heapBytes: HEAP_BYTES_MAX + 1 }).collect);
});

test('nothing is looked at any more once it is disposed of', t => {
  const { own, readings, watching } = machine();
  watching[Symbol.dispose]();
  readings(100, 0);
  t.is(own.collections, 0);
});
