/** Whatever pods come, change and go: each is in exactly one slice, none holds too many, and little is written. */

import test from 'ava';
import fc from 'fast-check';
import type { EndpointSlice, Pod, Service } from '../api/generated/types.ts';
import { planSlices, type SlicePlan } from './endpoint-slices-plan.ts';
import { isEqual } from './equal.ts';
import { ENDPOINTS_PER_SLICE_MAX } from './limits.ts';

const service: Service = {
  metadata: { name: 's', namespace: 'n', uid: 's' },
  spec: { selector: { app: 'a' }, ports: [{ name: 'web', port: 80, targetPort: 'http' }], clusterIP: '10.96.0.9' },
};

interface Shape {
  readonly isReady: boolean;
  readonly isLeaving: boolean;
  readonly isFinished: boolean;
  readonly hasAddress: boolean;
  /** Pods of another port lie in other slices. */
  readonly port: number;
}
const shape: fc.Arbitrary<Shape> = fc.record({
  isReady: fc.boolean(),
  isLeaving: fc.boolean(),
  isFinished: fc.integer({ min: 0, max: 9 }).map(n => n === 0),
  hasAddress: fc.integer({ min: 0, max: 9 }).map(n => n > 0),
  port: fc.constantFrom(8080, 8080, 8080, 9090),
});

const podOf = (id: number, { isReady, isLeaving, isFinished, hasAddress, port }: Shape): Pod => ({
  metadata: {
    name: `p${id}`,
    namespace: 'n',
    uid: `u${id}`,
    labels: { app: 'a' },
    ...(isLeaving && { deletionTimestamp: 'x' }),
  },
  spec: { containers: [{ name: 'c', ports: [{ name: 'http', containerPort: port }] }], nodeName: 'x' },
  status: {
    phase: isFinished ? 'Failed' : 'Running',
    ...(hasAddress && { podIP: `10.${Math.floor(id / 65_536)}.${Math.floor(id / 256) % 256}.${id % 256}` }),
    conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }],
  },
});

let names = 0;
function apply(slices: readonly EndpointSlice[], { create, update, remove }: SlicePlan): EndpointSlice[] {
  const changed = new Map(update.map(slice => [slice.metadata?.name, slice]));
  const gone = new Set(remove.map(({ metadata }) => metadata?.name));
  return [
    ...slices
      .filter(({ metadata }) => !gone.has(metadata?.name))
      .map(slice => changed.get(slice.metadata?.name) ?? slice),
    ...create.map(slice => ({ ...slice, metadata: { ...slice.metadata, name: `s-${names++}` } })),
  ];
}

const plan = (pods: readonly Pod[], slices: readonly EndpointSlice[]) =>
  planSlices({ service, pods, slices, nodeOf: name => ({ metadata: { name } }) });
const writes = ({ create, update, remove }: SlicePlan) => create.length + update.length + remove.length;

function problems(pods: readonly Pod[], slices: readonly EndpointSlice[]): string[] {
  const seen = new Map<string, number>();
  const found: string[] = [];
  for (const { endpoints, metadata } of slices) {
    if ((endpoints ?? []).length > ENDPOINTS_PER_SLICE_MAX) found.push(`${metadata?.name} holds ${endpoints.length}`);
    for (const { targetRef, conditions } of endpoints ?? []) {
      seen.set(targetRef?.uid ?? '', (seen.get(targetRef?.uid ?? '') ?? 0) + 1);
      const pod = pods.find(({ metadata: { uid } = {} }) => uid === targetRef?.uid);
      const isReady = pod?.status?.conditions?.[0]?.status === 'True' && !pod.metadata?.deletionTimestamp;
      if (!pod || conditions?.ready !== isReady) found.push(`${targetRef?.name} is ${conditions?.ready}`);
    }
  }
  for (const { metadata, status } of pods) {
    const expected = status?.podIP && status.phase === 'Running' ? 1 : 0;
    if ((seen.get(metadata?.uid ?? '') ?? 0) !== expected)
      found.push(`${metadata?.name} is there ${seen.get(metadata?.uid ?? '') ?? 0} times`);
  }
  return found;
}

test('every pod that serves is in exactly one slice, whatever was there before, and a second look writes nothing', t => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(400), shape), { maxLength: 40 }), fc.nat(350), (changes, first) => {
      const present = new Map<number, Pod>();
      const usual: Shape = { isReady: true, isLeaving: false, isFinished: false, hasAddress: true, port: 8080 };
      for (let id = 0; id < first; id++) present.set(id, podOf(id, usual));
      let slices = apply([], plan([...present.values()], []));
      for (let at = 0; at < changes.length; at += 8) {
        for (const [id, next] of changes.slice(at, at + 8)) {
          if (present.has(id) && next.port === 9090) present.delete(id);
          else present.set(id, podOf(id, next));
        }
        const pods = [...present.values()];
        slices = apply(slices, plan(pods, slices));
        if (problems(pods, slices).length > 0) throw new Error(problems(pods, slices).join('; '));
        if (slices.length === 0) throw new Error('a Service has at least one slice');
        if (writes(plan(pods, slices)) > 0) throw new Error('a second look writes something');
      }
    }),
    { numRuns: 60 },
  );
  t.pass();
});

test('one pod more, less or changed is one write, where no slice fills up or empties', t => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 350 }),
      fc.nat(),
      fc.constantFrom('more', 'less', 'changed'),
      (count, pick, what) => {
        const usual: Shape = { isReady: true, isLeaving: false, isFinished: false, hasAddress: true, port: 8080 };
        const pods = Array.from({ length: count }, (_, id) => podOf(id, usual));
        const slices = apply([], plan(pods, []));
        const at = pick % count;
        const next =
          what === 'more'
            ? [...pods, podOf(count, usual)]
            : what === 'less'
              ? pods.filter((_, id) => id !== at)
              : pods.map((pod, id) => (id === at ? podOf(id, { ...usual, isReady: false }) : pod));
        if (writes(plan(next, slices)) !== 1) throw new Error(`${writes(plan(next, slices))} writes`);
      },
    ),
    { numRuns: 100 },
  );
  t.pass();
});

test('after most pods have gone few slices are left', t => {
  const usual: Shape = { isReady: true, isLeaving: false, isFinished: false, hasAddress: true, port: 8080 };
  const pods = Array.from({ length: 1_000 }, (_, id) => podOf(id, usual));
  let slices = apply([], plan(pods, []));
  t.is(slices.length, 10);
  const left = pods.filter((_, id) => id % 10 === 0);
  slices = apply(slices, plan(left, slices));
  t.true(slices.length <= 2, `${slices.length} slices for ${left.length} pods`);
  t.deepEqual(problems(left, slices), []);
  t.true(isEqual(plan(left, slices), { create: [], update: [], remove: [] }));
});
