/** The pure parts of the aggregation layer: orders, merged documents, APIServices of the server's own, headers. */
import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import type { APIService } from '../../api/generated/types.ts';
import { ALL_KINDS } from '../../api/registry.ts';
import { REVIEWS } from '../reviews.ts';
import { conditionsAfter } from './availability.ts';
import { mergeGroups, mergeListedGroups } from './discovery-merge.ts';
import { planLocalServices } from './local-services.ts';
import { mergeOpenApi } from './openapi-merge.ts';
import { remoteHeaders } from './remote-user.ts';

const remote = (group: string, version: string, groupPriority: number, versionPriority = 10) => ({
  group,
  version,
  groupPriority,
  versionPriority,
});
const listed = (name: string, ...versions: string[]) => ({
  name,
  versions: versions.map(version => ({ groupVersion: `${name}/${version}`, version })),
});

test('groups stand in the order of their priorities, versions too', t => {
  const own = [listed('apps', 'v1'), listed('policy', 'v1'), listed('b.example.com', 'v1')];
  const merged = mergeListedGroups(own, [
    remote('high.example.com', 'v1', 17_500),
    remote('a.example.com', 'v1', 1_000),
    remote('b.example.com', 'v2', 500, 200),
  ]);
  t.deepEqual(
    merged.map(({ name, versions }) => [name, ...versions.map(({ version }) => version)]),
    [
      ['apps', 'v1'],
      ['high.example.com', 'v1'],
      ['policy', 'v1'],
      ['a.example.com', 'v1'],
      ['b.example.com', 'v2', 'v1'],
    ],
  );
  t.deepEqual(merged.at(-1)?.preferredVersion, { groupVersion: 'b.example.com/v2', version: 'v2' });
});

test('a version that another server serves takes the place of an own one', t => {
  const own = [
    {
      metadata: { name: 'apps' },
      versions: [{ version: 'v1', freshness: 'Current' as const, resources: [{ resource: 'own' }] }],
    },
  ];
  const theirs = { version: 'v1', freshness: 'Stale' as const };
  const [group] = mergeGroups(own, [{ ...remote('apps', 'v1', 17_800), discovered: theirs }]);
  t.deepEqual(group, { metadata: { name: 'apps' }, versions: [theirs] });
});

test('only what is theirs is taken from another OpenAPI document, and names that clash are changed', t => {
  const ref = (name: string) => ({ $ref: `#/definitions/${name}` });
  const own = {
    swagger: '2.0',
    paths: { '/api/': {} },
    definitions: { Same: { type: 'object' }, Meta: { type: 'string' } },
  };
  const document = {
    paths: { '/apis/x.io/v1/things': { get: ref('Thing') }, '/apis/x.io/v1beta1/things': {}, '/apis/x.io/v10': {} },
    definitions: {
      Thing: { properties: { meta: ref('Meta'), same: ref('Same'), self: ref('Thing') } },
      Meta: { type: 'object' },
      Same: { type: 'object' },
      Unused: {},
    },
  };
  t.deepEqual(mergeOpenApi(own, [{ prefixes: ['/apis/x.io/v1'], document }]), {
    swagger: '2.0',
    paths: { '/api/': {}, '/apis/x.io/v1/things': { get: ref('Thing') } },
    definitions: {
      Same: { type: 'object' },
      Meta: { type: 'string' },
      Thing: { properties: { meta: ref('Meta_v2'), same: ref('Same'), self: ref('Thing') } },
      Meta_v2: { type: 'object' },
    },
  });
});

test('the server’s own APIServices are made, mended and taken away; those of others stay', t => {
  const builtIn = [{ group: 'apps', version: 'v1' }];
  const crd = {
    spec: {
      group: 'x.io',
      names: { kind: 'X', plural: 'xs' },
      scope: 'Cluster',
      versions: [
        { name: 'v1', served: true, storage: true },
        { name: 'v2', served: false, storage: false },
      ],
    },
  };
  const plan = (present: readonly APIService[], custom = [crd]) => planLocalServices(present, { builtIn, custom });
  t.deepEqual([...new Set(plan([]).map(({ type }) => type))], ['create']);
  const made = plan([]).map(({ object }) => object);
  t.deepEqual(made.map(({ metadata }) => metadata?.name).sort(), ['v1.apps', 'v1.x.io']);
  t.like(
    made.find(({ metadata }) => metadata?.name === 'v1.x.io'),
    {
      metadata: { labels: { 'kube-aggregator.kubernetes.io/automanaged': 'true' } },
      spec: { group: 'x.io', version: 'v1', groupPriorityMinimum: 1_000, versionPriority: 100 },
    },
  );
  t.deepEqual(plan(made), []);
  t.deepEqual(
    plan(made, []).map(({ type, object }) => [type, object.metadata?.name]),
    [['delete', 'v1.x.io']],
  );
  const bent = made.map(object => ({
    ...object,
    spec: { ...object.spec, versionPriority: 1, groupPriorityMinimum: 1 },
  }));
  t.deepEqual(
    plan(bent).map(({ type }) => type),
    ['update', 'update'],
  );
  const theirs = bent.map(object => ({ ...object, metadata: { name: object.metadata?.name ?? '' } }));
  t.deepEqual(plan(theirs, []), []);
});

const FACTS = new URL('../../../../shared/api/namespace-bootstrap.json', import.meta.url);
const facts = existsSync(FACTS) ? JSON.parse(readFileSync(FACTS, 'utf8')) : undefined;

(facts ? test : test.skip)('a new cluster has the APIServices of Kubernetes', t => {
  const builtIn = [...ALL_KINDS, ...REVIEWS].map(({ group, version }) => ({ group, version }));
  const made = new Map(
    planLocalServices([], { builtIn, custom: [] }).map(({ object }) => [object.metadata?.name, object]),
  );
  for (const [name, { labels, spec }] of Object.entries<{ labels: object; spec: object }>(facts.apiServices)) {
    t.like(made.get(name), { metadata: { labels }, spec } as object, name);
    made.delete(name);
  }
  // What Kubernetes does not serve any more.
  t.deepEqual([...made.keys()].sort(), ['v1beta1.apps', 'v1beta1.extensions', 'v1beta2.apps']);
});

test('a condition keeps the time of its last change of status', t => {
  const up = { status: 'True', reason: 'Passed', message: 'all checks passed' };
  const first = conditionsAfter([{ type: 'Other', status: 'True' }], up, 't1') ?? [];
  t.deepEqual(first, [
    { type: 'Other', status: 'True' },
    { type: 'Available', ...up, lastTransitionTime: 't1' },
  ]);
  t.is(conditionsAfter(first, up, 't2'), undefined);
  t.is(conditionsAfter(first, { ...up, message: 'still' }, 't2')?.[1]?.lastTransitionTime, 't1');
  t.is(conditionsAfter(first, { ...up, status: 'False' }, 't2')?.[1]?.lastTransitionTime, 't2');
});

test('who asks is told in headers that nothing can be smuggled into', t => {
  t.deepEqual(
    remoteHeaders({
      user: 'a\r\nX-Evil: b',
      uid: 'u',
      groups: ['g1', 'g2'],
      extra: { 'example.com/key': ['v'], ä: ['w'] },
    }),
    {
      'X-Remote-User': 'aX-Evil: b',
      'X-Remote-Uid': 'u',
      'X-Remote-Group': ['g1', 'g2'],
      'X-Remote-Extra-example.com%2Fkey': ['v'],
      'X-Remote-Extra-%C3%A4': ['w'],
    },
  );
});
