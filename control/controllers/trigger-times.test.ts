/** The time that endpoints tell of their last change, in the cases of k/k endpointslice/util/trigger_time_tracker_test.go. */
import test from 'ava';
import type { Pod, Service } from '../api/generated/types.ts';
import { LAST_CHANGE_TRIGGER_TIME, TriggerTimes, withTriggerTime } from './trigger-times.ts';

const at = (second: number) => `2026-01-01T00:00:0${second}Z`;
const service = (created: number): Service => ({
  metadata: { name: 's', namespace: 'n', creationTimestamp: at(created) },
});
const pod = (name: string, ready: number): Pod => ({
  metadata: { name, namespace: 'n' },
  status: { conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: at(ready) }] },
});
const pods = (times: Record<string, number>) => Object.entries(times).map(([name, ready]) => pod(name, ready));

type Look = readonly [created: number, pods: Record<string, number>, expected: number | undefined];
const cases: Record<string, readonly Look[]> = {
  'a new Service has its own time, whatever its pods say': [[3, { a: 0, b: 1, c: 5 }, 3]],
  'pods that are added: the earliest': [
    [0, {}, 0],
    [0, { a: 2, b: 1 }, 1],
  ],
  'pods that became ready anew: the earliest of those': [
    [0, { a: 1, b: 2, c: 3 }, 0],
    [0, { a: 5, b: 4, c: 3 }, 4],
  ],
  'nothing, or what has no time': [
    [0, { a: 1 }, 0],
    [0, { a: 1 }, undefined],
    [0, {}, undefined],
    [0, { a: 4 }, 4],
  ],
};

for (const [name, looks] of Object.entries(cases)) {
  test(name, t => {
    const times = new TriggerTimes();
    for (const [created, ready, expected] of looks)
      t.is(times.next(service(created), pods(ready)), expected === undefined ? undefined : at(expected));
  });
}

test('a Service that was made again is a new one', t => {
  const times = new TriggerTimes();
  times.next(service(0), pods({ a: 1 }));
  times.forget('n/s');
  t.is(times.next(service(3), pods({ a: 1 })), at(3));
});

test('the time stands in an annotation, beside others', t => {
  const object = { metadata: { name: 'x', annotations: { a: '1' } } };
  const told = withTriggerTime(object, at(1));
  t.deepEqual(told.metadata.annotations as object, { a: '1', [LAST_CHANGE_TRIGGER_TIME]: at(1) });
  t.deepEqual(withTriggerTime(told, undefined), object);
  t.deepEqual(withTriggerTime(withTriggerTime({ metadata: { name: 'x' } }, at(1)), undefined), {
    metadata: { name: 'x' },
  });
});
