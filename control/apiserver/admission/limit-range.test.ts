/** Limit ranges: what containers get, and what is out of range. */
import test from 'ava';
import type { LimitRange, LimitRangeItem, Pod } from '../../api/generated/types.ts';
import { createHarness } from '../testing/harness.ts';
import { applyDefaults, refusals } from './limit-range.ts';

const range = (...limits: LimitRangeItem[]): LimitRange => ({ metadata: { name: 'l' }, spec: { limits } });
const container = (name: string, resources: object = {}) => ({ name, image: 'i', resources });
const pod = (containers: object[], initContainers: object[] = []): Pod =>
  ({ metadata: { name: 'p' }, spec: { containers, initContainers } }) as unknown as Pod;

test('containers get what they do not say themselves, and the pod says so', t => {
  const object = pod(
    [container('a'), container('b', { requests: { cpu: '1' }, limits: { cpu: '2' } })],
    [container('i')],
  );
  applyDefaults(
    range({ type: 'Container', default: { cpu: '3', memory: '1Gi' }, defaultRequest: { cpu: '2' } }),
    object,
  );
  t.deepEqual(
    [...(object.spec?.containers ?? []), ...(object.spec?.initContainers ?? [])].map(({ resources }) => resources),
    [
      { requests: { cpu: '2' }, limits: { cpu: '3', memory: '1Gi' } },
      { requests: { cpu: '1' }, limits: { cpu: '2', memory: '1Gi' } },
      { requests: { cpu: '2' }, limits: { cpu: '3', memory: '1Gi' } },
    ],
  );
  t.is(
    object.metadata?.annotations?.['kubernetes.io/limit-ranger'],
    'LimitRanger plugin set: cpu request for container a; cpu, memory limit for container a; ' +
      'memory limit for container b; cpu request for init container i; cpu, memory limit for init container i',
  );
  const silent = pod([container('a')]);
  applyDefaults(range({ type: 'Pod', default: { cpu: '3' } }, { type: 'Container' }), silent);
  t.deepEqual(silent, pod([container('a')]));
});

const size = (cpu: string, limit?: string) => ({ requests: { cpu }, ...(limit && { limits: { cpu: limit } }) });
const cases: readonly [string, LimitRangeItem, Pod, string[]][] = [
  [
    'below the minimum',
    { type: 'Container', min: { cpu: '1' } },
    pod([container('a', size('500m', '700m'))]),
    ['minimum cpu usage per Container is 1, but request is 500m'],
  ],
  [
    'nothing asked where there is a minimum',
    { type: 'Container', min: { memory: '1Gi' } },
    pod([container('a', size('1'))]),
    ['minimum memory usage per Container is 1Gi.  No request is specified'],
  ],
  [
    'above the maximum',
    { type: 'Container', max: { cpu: '1' } },
    pod([container('a', size('1', '1100m')), container('b', size('1', '1'))]),
    ['maximum cpu usage per Container is 1, but limit is 1100m'],
  ],
  [
    'no limit where there is a maximum, in each container, told once',
    { type: 'Container', max: { cpu: '1' } },
    pod([container('a', size('1'))], [container('i', size('1'))]),
    ['maximum cpu usage per Container is 1.  No limit is specified'],
  ],
  [
    'init containers are looked at too',
    { type: 'Container', max: { cpu: '1' } },
    pod([container('a', size('1', '1'))], [container('i', size('2', '2'))]),
    ['maximum cpu usage per Container is 1, but limit is 2'],
  ],
  [
    'a whole pod: the sum of what runs, or the hungriest moment before',
    { type: 'Pod', max: { cpu: '3' }, min: { cpu: '1' } },
    pod([container('a', size('1', '2')), container('b', size('1', '2'))], [container('i', size('100m', '5'))]),
    ['maximum cpu usage per Pod is 3, but limit is 5'],
  ],
  [
    'the ratio',
    { type: 'Pod', maxLimitRequestRatio: { cpu: '1500m' } },
    pod([container('a', size('2', '4'))]),
    ['cpu max limit to request ratio per Pod is 1500m, but provided ratio is 2.000000'],
  ],
  [
    'no ratio without a limit',
    { type: 'Container', maxLimitRequestRatio: { cpu: '2' } },
    pod([container('a', size('2')), container('b')]),
    [
      'cpu max limit to request ratio per Container is 2, but no limit is specified or limit is 0',
      'cpu max limit to request ratio per Container is 2, but no request is specified or request is 0',
    ],
  ],
  [
    'within all bounds',
    { type: 'Container', min: { cpu: '1' }, max: { cpu: '2' }, maxLimitRequestRatio: { cpu: '2' } },
    pod([container('a', size('1', '2'))]),
    [],
  ],
  ['what is not about pods', { type: 'PersistentVolumeClaim', max: { storage: '1' } }, pod([container('a')]), []],
];
for (const [title, item, object, expected] of cases) {
  test(`a pod: ${title}`, t => {
    t.deepEqual(refusals(range(item), 'Pod', object), expected);
  });
}

test('claims are bound by what they ask for', t => {
  const claim = (storage: string) => ({ spec: { resources: { requests: { storage } } } });
  const limits = range({ type: 'PersistentVolumeClaim', min: { storage: '1Gi' }, max: { storage: '2Gi' } });
  const of = (storage: string) => refusals(limits, 'PersistentVolumeClaim', { metadata: {}, ...claim(storage) });
  t.deepEqual(of('2Gi'), []);
  t.deepEqual(of('3Gi'), ['maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi']);
  t.deepEqual(of('1'), ['minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1']);
});

test('through the server: several reasons are one list, defaults come before validation, a change of a pod is none', async t => {
  const harness = await createHarness();
  t.teardown(() => harness.close());
  const pods = '/api/v1/namespaces/default/pods';
  await harness.create('/api/v1/namespaces/default/limitranges', {
    apiVersion: 'v1',
    kind: 'LimitRange',
    metadata: { name: 'l' },
    spec: { limits: [{ type: 'Container', default: { memory: '64Mi' }, max: { cpu: '1', memory: '1Gi' } }] },
  } as object);
  const body = (name: string, resources: object) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { containers: [container('c', resources)] },
  });
  const both = await harness.call('POST', pods, { body: body('a', { limits: { cpu: '2', memory: '2Gi' } }) });
  t.is(both.status, 403);
  t.is(
    both.body.message,
    'pods "a" is forbidden: [maximum cpu usage per Container is 1, but limit is 2, maximum memory usage per Container is 1Gi, but limit is 2Gi]',
  );
  const wrong = await harness.call('POST', pods, { body: body('a', { requests: { memory: '128Mi' } }) });
  t.is(wrong.status, 422);
  await harness.create(pods, body('a', {}));
  await harness.call('PATCH', '/api/v1/namespaces/default/limitranges/l', {
    body: { spec: { limits: [{ type: 'Container', max: { cpu: '1m' } }] } },
    headers: { 'content-type': 'application/merge-patch+json' },
  });
  const label = await harness.call('PATCH', `${pods}/a`, {
    body: { metadata: { labels: { a: 'b' } } },
    headers: { 'content-type': 'application/merge-patch+json' },
  });
  t.is(label.status, 200);
});
