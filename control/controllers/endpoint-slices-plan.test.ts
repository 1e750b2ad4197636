/** What a Service's slices become: the fewest writes that do, whatever was there. */
import test from 'ava';
import type { EndpointSlice, Pod, Service, ServicePort } from '../api/generated/types.ts';
import { planSlices, type SliceState } from './endpoint-slices-plan.ts';

const service = (ports: ServicePort[]): Service => ({
  metadata: { name: 's', namespace: 'n', uid: 's' },
  spec: { selector: { app: 'a' }, ports, clusterIP: '10.96.0.9' },
});
const pod: Pod = {
  metadata: { name: 'p', namespace: 'n', uid: 'p', labels: { app: 'a' } },
  spec: { containers: [], nodeName: 'x' },
  status: { podIP: '10.91.0.1', conditions: [{ type: 'Ready', status: 'True' }] },
};
const web = { name: 'web', port: 80, targetPort: 8080 };
const num = { name: 'num', port: 81, targetPort: 9090 };

test("a slice's ports have an order of their own, whatever the Service's", t => {
  const plan = (ports: ServicePort[], slices = [] as ReturnType<typeof planSlices>['create']) =>
    planSlices({ service: service(ports), pods: [pod], slices, nodeOf: name => ({ metadata: { name } }) });
  const [slice] = plan([num, web]).create;
  t.deepEqual(
    slice?.ports?.map(({ name }) => name),
    ['web', 'num'],
  );
  t.deepEqual(plan([web, num], slice ? [slice] : []), { create: [], update: [], remove: [] });
});

const many = (count: number): Pod[] =>
  Array.from({ length: count }, (_, at) => ({
    ...pod,
    metadata: { ...pod.metadata, name: `p${at}`, uid: `p${at}` },
    status: { ...pod.status, podIP: `10.91.${Math.floor(at / 200)}.${(at % 200) + 1}` },
  }));
const planOf = (pods: readonly Pod[], slices: readonly EndpointSlice[], state: Partial<SliceState> = {}) =>
  planSlices({ service: service([web]), pods, slices, nodeOf: name => ({ metadata: { name } }), ...state });
/** One slice with just these pods. */
const sliceOf = (name: string, pods: readonly Pod[], state: Partial<SliceState> = {}): EndpointSlice => {
  const [made] = planOf(pods, [], state).create;
  return { ...made, metadata: { ...made?.metadata, name }, addressType: 'IPv4', endpoints: made?.endpoints ?? [] };
};
const shape = ({ create, update, remove }: ReturnType<typeof planSlices>) => ({
  create: create.map(({ endpoints }) => endpoints?.length ?? 0),
  update: update.map(({ metadata, endpoints }) => [metadata?.name, endpoints?.length ?? 0]),
  remove: remove.map(({ metadata }) => metadata?.name),
});

// The figures are those of k/k staging/src/k8s.io/endpointslice/reconciler_test.go.
test('new endpoints go into one slice that they fill best, or into new ones, never into many', t => {
  const pods = many(300);
  const first = [sliceOf('a', pods.slice(0, 62)), sliceOf('b', pods.slice(62, 123))];
  t.deepEqual(shape(planOf(pods.slice(0, 250), first)), { create: [100], update: [['a', 89]], remove: [] });
  const second = [sliceOf('a', pods.slice(0, 74)), sliceOf('b', pods.slice(74, 148))];
  t.deepEqual(shape(planOf(pods, second)), { create: [100, 52], update: [], remove: [] });
});

test('a slice that would go is used for what would be made', t => {
  const pods = many(300);
  const old = Array.from({ length: 10 }, (_, at) => sliceOf(`s${at}`, many(400).slice(300 + at * 10, 310 + at * 10)));
  const renewed = shape(planOf(pods, old));
  t.deepEqual([renewed.create.length, renewed.update.length, renewed.remove.length], [0, 3, 7]);
  const present = [sliceOf('a', pods.slice(0, 100)), sliceOf('b', pods.slice(100, 150))];
  const moved = planOf(pods.slice(0, 150), present, { service: service([{ ...web, targetPort: 81 }]) });
  t.deepEqual(
    shape(moved)
      .update.map(([name]) => name)
      .sort(),
    ['a', 'b'],
    'another port is no other slice',
  );
  t.deepEqual([moved.create, moved.remove], [[], []]);
  t.deepEqual(
    moved.update.map(({ ports }) => ports?.[0]?.port),
    [81, 81],
  );
  const emptied = planOf([], present);
  t.deepEqual([emptied.create.length, emptied.update.length, emptied.remove.length], [0, 1, 1]);
  const placeholder = { ...sliceOf('e', []), ports: emptied.update[0]?.ports ?? [] };
  t.deepEqual(shape(planOf([], [placeholder])), { create: [], update: [], remove: [] });
  t.deepEqual(shape(planOf(pods.slice(0, 2), [placeholder])), { create: [], update: [['e', 2]], remove: [] });
});

test('slices of an earlier Service of the same name go, and none of them is used again', t => {
  const before = { ...service([web]), metadata: { name: 's', namespace: 'n', uid: 'before' } };
  const old = sliceOf('old', [pod], { service: before });
  t.deepEqual(shape(planOf([pod], [old])), { create: [1], update: [], remove: ['old'] });
});

test('pods of a node that does not exist are no endpoints, unless whatever there is is wanted', t => {
  const nodeOf = () => undefined;
  t.deepEqual(shape(planOf([pod], [], { nodeOf })).create, [0]);
  const all = { ...service([web]), spec: { ...service([web]).spec, publishNotReadyAddresses: true } };
  t.deepEqual(shape(planOf([pod], [], { nodeOf, service: all })).create, [1]);
});

test("a Service's labels are its slices', but for those by which slices are known", t => {
  const labels = { team: 'x', 'service.kubernetes.io/headless': '', 'kubernetes.io/service-name': 'other' };
  const labelled = { ...service([web]), metadata: { ...service([web]).metadata, labels } };
  t.deepEqual(planOf([pod], [], { service: labelled }).create[0]?.metadata?.labels, {
    team: 'x',
    'kubernetes.io/service-name': 's',
    'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
  });
});
