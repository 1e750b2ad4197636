import test from 'ava';
import * as fc from 'fast-check';
import { ApiError } from '../status.ts';
import { jsonPatch } from './json-patch.ts';
import { mergePatch } from './merge-patch.ts';
import { decodePatch, JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH } from './patch.ts';
import { strategicMergePatch } from './strategic-merge-patch.ts';

const CONFIG_MAP = 'io.k8s.api.core.v1.ConfigMap';
const DEPLOYMENT = 'io.k8s.api.apps.v1.Deployment';
const POD = 'io.k8s.api.core.v1.Pod';
const SERVICE = 'io.k8s.api.core.v1.Service';

const configMap = { data: { a: 'b' }, metadata: { name: 'cm' } };

for (const [name, operations, expected] of [
  ['adds a key', [{ op: 'add', path: '/data/x', value: 'y' }], { a: 'b', x: 'y' }],
  ['replaces an absent key', [{ op: 'replace', path: '/data/none', value: 'x' }], { a: 'b', none: 'x' }],
  ['takes a missing value for null', [{ op: 'add', path: '/data/x' }], { a: 'b', x: null }],
  ['unescapes pointers', [{ op: 'add', path: '/data/x~1y~0z', value: 1 }], { a: 'b', 'x/y~z': 1 }],
  ['moves', [{ op: 'move', from: '/data/a', path: '/data/c' }], { c: 'b' }],
  ['copies', [{ op: 'copy', from: '/data/a', path: '/data/c' }], { a: 'b', c: 'b' }],
  ['tests an absent key for null', [{ op: 'test', path: '/data/q', value: null }], { a: 'b' }],
  [
    'does not pollute prototypes',
    [{ op: 'add', path: '/data/__proto__', value: { z: 1 } }],
    JSON.parse('{"a":"b","__proto__":{"z":1}}'),
  ],
] as const) {
  test(`JSON patch ${name}`, t => {
    t.deepEqual(jsonPatch(configMap, operations), { ...configMap, data: expected });
    t.deepEqual(configMap.data, { a: 'b' });
  });
}

test('JSON patch inserts into, appends to and removes from arrays', t => {
  const operations = [
    { op: 'add', path: '/l/0', value: 'x' },
    { op: 'add', path: '/l/-', value: 'y' },
    { op: 'remove', path: '/l/1' },
    { op: 'replace', path: '/l/1', value: 'z' },
  ];
  t.deepEqual(jsonPatch({ l: ['a', 'b'] }, operations), { l: ['x', 'z', 'y'] });
});

for (const [name, operation] of [
  ['an unknown operation', { op: 'zap', path: '/data/a' }],
  ['removing what is absent', { op: 'remove', path: '/data/none' }],
  ['a failed test', { op: 'test', path: '/data/a', value: 'zzz' }],
  ['an absent parent', { op: 'add', path: '/metadata/annotations/x', value: 'y' }],
  ['an index beyond the end', { op: 'replace', path: '/l/5', value: 'y' }],
  ['an index with a leading zero', { op: 'replace', path: '/l/00', value: 'y' }],
  ['a path that is no text', { op: 'add', path: 5, value: 'y' }],
  ['moving what is absent', { op: 'move', from: '/x', path: '/y' }],
] as const) {
  test(`JSON patch refuses ${name}`, t => {
    const error = t.throws(() => jsonPatch({ ...configMap, l: [1] }, [operation]), { instanceOf: ApiError });
    t.is(error?.code, 422);
    t.is(error?.message, 'the server rejected our request due to an error in our request');
  });
}

test('JSON patch bounds the number of operations and what copies add', t => {
  const many = Array.from({ length: 10_001 }, () => ({ op: 'add', path: '/data/x', value: 'y' }));
  t.is(t.throws(() => jsonPatch(configMap, many), { instanceOf: ApiError })?.code, 413);
  const doubling = Array.from({ length: 64 }, (_, index) => ({ op: 'copy', from: '', path: `/copy${index}` }));
  t.is(t.throws(() => jsonPatch({ text: 'x'.repeat(100) }, doubling), { instanceOf: ApiError })?.code, 422);
});

const json = fc.letrec(tie => ({
  value: fc.oneof({ maxDepth: 4 }, fc.constant(null), fc.integer(), fc.string(), tie('array'), tie('object')),
  array: fc.array(tie('value'), { maxLength: 3 }),
  object: fc.dictionary(fc.constantFrom('a', 'b', 'c', '__proto__'), tie('value'), { maxKeys: 3 }),
}));

/** The merge patch that leads from one value to another, straight from RFC 7396. */
function difference(from: unknown, to: unknown): unknown {
  const isMap = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isMap(from) || !isMap(to)) return to;
  const entries = Object.keys(to).map((key): [string, unknown] => [
    key,
    difference(Object.hasOwn(from, key) ? from[key] : undefined, to[key]),
  ]);
  const removed = Object.keys(from).filter(key => !Object.hasOwn(to, key));
  return Object.fromEntries([...entries, ...removed.map((key): [string, unknown] => [key, null])]);
}

/** Null cannot be a value in a merge patch. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== null)
      .map(([key, field]) => [key, withoutNulls(field)]),
  );
}

test('merge patch leads from any value to any other', t => {
  const result = fc.check(
    fc.property(json.value, json.value, (from, to) => {
      const target = withoutNulls(to);
      return JSON.stringify(sorted(mergePatch(from, difference(from, target)))) === JSON.stringify(sorted(target));
    }),
  );
  t.false(result.failed, JSON.stringify(result.counterexample));
});

test('merge patch applied twice is applied once', t => {
  const result = fc.check(
    fc.property(json.value, json.value, (from, patch) => {
      const once = mergePatch(from, patch);
      return JSON.stringify(sorted(mergePatch(once, patch))) === JSON.stringify(sorted(once));
    }),
  );
  t.false(result.failed, JSON.stringify(result.counterexample));
});

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, field]) => [key, sorted(field)]);
}

const deployment = {
  metadata: { name: 'd', labels: { x: 'y', z: 'w' }, finalizers: ['a/one', 'a/two'] },
  spec: {
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } },
    template: {
      spec: {
        containers: [
          { name: 'a', image: 'a:1', env: [{ name: 'E', value: '1' }], args: ['x'] },
          { name: 'b', image: 'b:1' },
        ],
        tolerations: [{ key: 'k' }],
        volumes: [{ name: 'v', emptyDir: {} }],
      },
    },
  },
};
const containersOf = (result: unknown) => (result as typeof deployment).spec.template.spec.containers;
const podSpecPatch = (spec: object) => ({ spec: { template: { spec } } });

test('a strategic merge patch changes nothing of the object, and copies only what it touches', t => {
  const deep = <T>(value: T): T => {
    if (typeof value === 'object' && value !== null) for (const each of Object.values(value)) deep(each);
    return Object.freeze(value);
  };
  const container = { name: 'c', image: 'i:1', env: [{ name: 'A', value: '1' }], args: ['x'] };
  const other = { name: 'd', image: 'i:1' };
  const spec = { containers: [container, other], nodeSelector: { a: 'b' } };
  const object = deep({ metadata: { name: 'p', finalizers: ['a/b', 'a/c'] }, spec, status: { phase: 'Pending' } });
  const patch = deep({
    metadata: { '$deleteFromPrimitiveList/finalizers': ['a/b'] },
    spec: {
      '$setElementOrder/containers': [{ name: 'd' }, { name: 'c' }],
      containers: [{ name: 'c', env: [{ name: 'A', $patch: 'delete' }], $retainKeys: ['name', 'env'] }],
    },
  });
  const result = strategicMergePatch(object, patch, POD) as typeof object;
  t.deepEqual<unknown, unknown>(result, {
    metadata: { name: 'p', finalizers: ['a/c'] },
    spec: { containers: [other, { name: 'c', env: [] }], nodeSelector: { a: 'b' } },
    status: { phase: 'Pending' },
  });
  t.is(result.status, object.status);
  t.is(result.spec.containers[0], other);
});

test('strategic merge patch merges lists by their key and keeps the rest', t => {
  const result = strategicMergePatch(
    deployment,
    podSpecPatch({
      containers: [
        { name: 'b', image: 'b:2' },
        { name: 'c', image: 'c:1', command: null },
      ],
    }),
    DEPLOYMENT,
  );
  t.deepEqual(containersOf(result), [
    deployment.spec.template.spec.containers[0],
    { name: 'b', image: 'b:2' },
    { name: 'c', image: 'c:1' },
  ] as never);
});

test('strategic merge patch merges nested lists, replaces atomic ones and deletes by null', t => {
  const result = strategicMergePatch(
    deployment,
    {
      metadata: { labels: { x: null, n: 'm' } },
      ...podSpecPatch({
        containers: [{ name: 'a', args: ['z'], image: null, env: [{ name: 'F', value: '2' }] }],
        tolerations: [{ key: 'other' }],
      }),
    },
    DEPLOYMENT,
  ) as typeof deployment;
  t.deepEqual(result.metadata.labels as object, { z: 'w', n: 'm' });
  t.deepEqual(result.spec.template.spec.tolerations, [{ key: 'other' }]);
  t.deepEqual(containersOf(result)[0] as object, {
    name: 'a',
    args: ['z'],
    env: [
      { name: 'F', value: '2' },
      { name: 'E', value: '1' },
    ],
  });
});

for (const [name, patch, expected] of [
  ['deletes an item', { containers: [{ name: 'a', $patch: 'delete' }] }, [{ name: 'b', image: 'b:1' }]],
  [
    'replaces a list',
    { containers: [{ $patch: 'replace' }, { name: 'q', image: 'q:1' }] },
    [{ name: 'q', image: 'q:1' }],
  ],
  [
    'replaces an item',
    {
      containers: [
        { name: 'a', $patch: 'delete' },
        { name: 'a', image: 'z' },
      ],
    },
    [
      { name: 'a', image: 'z' },
      { name: 'b', image: 'b:1' },
    ],
  ],
  [
    'sets the order of items',
    {
      '$setElementOrder/containers': [{ name: 'n' }, { name: 'b' }, { name: 'a' }],
      containers: [{ name: 'n', image: 'n:1' }],
    },
    [{ name: 'n', image: 'n:1' }, { name: 'b', image: 'b:1' }, deployment.spec.template.spec.containers[0]],
  ],
  [
    'sets the order without changing items',
    { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] },
    [{ name: 'b', image: 'b:1' }, deployment.spec.template.spec.containers[0]],
  ],
] as const) {
  test(`strategic merge patch ${name}`, t => {
    t.deepEqual(
      containersOf(strategicMergePatch(deployment, podSpecPatch(patch), DEPLOYMENT)) as unknown[],
      expected as unknown as unknown[],
    );
  });
}

test('strategic merge patch knows $retainKeys, $patch: replace and retained volumes', t => {
  const strategy = { $retainKeys: ['type'], type: 'Recreate' };
  t.deepEqual(
    (strategicMergePatch(deployment, { spec: { strategy } }, DEPLOYMENT) as { spec: { strategy: unknown } }).spec
      .strategy,
    { type: 'Recreate' },
  );
  t.deepEqual(strategicMergePatch(configMap, { data: { $patch: 'replace', q: 'r' } }, CONFIG_MAP), {
    ...configMap,
    data: { q: 'r' },
  });
  const volumes = [{ $retainKeys: ['name', 'hostPath'], name: 'v', hostPath: { path: '/x' } }];
  t.deepEqual(
    (strategicMergePatch(deployment, podSpecPatch({ volumes }), DEPLOYMENT) as typeof deployment).spec.template.spec
      .volumes as unknown[],
    [{ name: 'v', hostPath: { path: '/x' } }],
  );
});

test('keys that $retainKeys does not name may be in the patch to say that they go', t => {
  const volumes = [{ $retainKeys: ['name', 'hostPath'], name: 'v', emptyDir: null, hostPath: { path: '/x' } }];
  const spec = { strategy: { $retainKeys: ['type'], rollingUpdate: null, type: 'Recreate' } };
  const before = {
    spec: {
      strategy: { rollingUpdate: { maxSurge: 1 } },
      template: { spec: { volumes: [{ name: 'v', emptyDir: {} }] } },
    },
  };
  t.deepEqual(strategicMergePatch(before, { spec: { ...spec, template: { spec: { volumes } } } }, DEPLOYMENT), {
    spec: {
      strategy: { type: 'Recreate' },
      template: { spec: { volumes: [{ name: 'v', hostPath: { path: '/x' } }] } },
    },
  });
});

test('strategic merge patch merges lists of scalars as sets', t => {
  const metadata = { '$deleteFromPrimitiveList/finalizers': ['a/one'], finalizers: ['a/three', 'a/two'] };
  const result = strategicMergePatch(deployment, { metadata }, DEPLOYMENT) as typeof deployment;
  t.deepEqual([...result.metadata.finalizers].sort(), ['a/three', 'a/two']);
});

test('strategic merge patch merges service ports by port', t => {
  const service = { spec: { ports: [{ port: 80, targetPort: 8080 }, { port: 443 }] } };
  t.deepEqual(strategicMergePatch(service, { spec: { ports: [{ port: 80, name: 'web' }] } }, SERVICE), {
    spec: { ports: [{ port: 80, targetPort: 8080, name: 'web' }, { port: 443 }] },
  });
});

test('strategic merge patch merges what is not in the object yet as if into nothing', t => {
  const patch = {
    spec: {
      containers: [
        { name: 'x', $patch: 'delete' },
        { name: 'y', image: null, env: [] },
      ],
    },
  };
  t.deepEqual(strategicMergePatch({}, patch, POD), { spec: { containers: [{ name: 'y', env: [] }] } });
});

for (const [name, spec, code, message] of [
  [
    'no merge key',
    { containers: [{ image: 'x' }] },
    500,
    'map: map[image:x] does not contain declared merge key: name',
  ],
  [
    'an unknown directive',
    { containers: [{ $patch: 'zap', name: 'c' }] },
    500,
    'unknown patch type: zap in map: map[$patch:zap name:c]',
  ],
  [
    'an order that does not name its items',
    { '$setElementOrder/containers': [{ name: 'zz' }], containers: [{ image: 'y', name: 'c' }] },
    500,
    "The order in patch list:\n[map[image:y name:c]]\n doesn't match $setElementOrder list:\n[map[name:zz]]\n",
  ],
] as const) {
  test(`strategic merge patch refuses ${name}`, t => {
    const error = t.throws(() => strategicMergePatch(deployment, podSpecPatch(spec), DEPLOYMENT), {
      instanceOf: ApiError,
    });
    t.is(error?.message, message);
    t.is(error?.code, code);
  });
}

for (const strategy of [{ $retainKeys: ['type'], rollingUpdate: { maxSurge: 1 } }, { $retainKeys: 5 }]) {
  test(`strategic merge patch refuses ${JSON.stringify(strategy)}`, t => {
    const error = t.throws(() => strategicMergePatch(deployment, { spec: { strategy } }, DEPLOYMENT), {
      instanceOf: ApiError,
    });
    t.is(error?.code, 400);
    t.is(error?.message, 'invalid patch format of retainKeys');
  });
}

const names = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { maxLength: 5 });
const asContainers = (list: readonly string[], image: string) => list.map(name => ({ name, image }));

test('a strategic merge keeps every item once, the server’s own in their order, and obeys the order that it is given', t => {
  const result = fc.check(
    fc.property(names, names, (server, wanted) => {
      const patch = {
        spec: {
          '$setElementOrder/containers': wanted.map(name => ({ name })),
          containers: asContainers(wanted, 'new'),
        },
      };
      const merged = strategicMergePatch({ spec: { containers: asContainers(server, 'old') } }, patch, POD);
      const list = (merged as { spec: { containers: { name: string; image: string }[] } }).spec.containers;
      const order = list.map(item => item.name);
      const isWanted = (name: string) => wanted.some(other => other === name);
      return (
        new Set(order).size === order.length &&
        order.filter(isWanted).join() === wanted.join() &&
        order.filter(name => !isWanted(name)).join() === server.filter(name => !isWanted(name)).join() &&
        list.every(item => item.image === (isWanted(item.name) ? 'new' : 'old'))
      );
    }),
  );
  t.false(result.failed, JSON.stringify(result.counterexample));
});

test('bodies that are no patch are told apart', t => {
  const refusal = (type: string, body: string, definition?: string) => {
    const error = t.throws(() => decodePatch(type, body, definition), { instanceOf: ApiError });
    return `${error?.code} ${error?.message}`;
  };
  t.is(
    refusal(JSON_PATCH, '{"op":"add"}'),
    '400 error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp',
  );
  t.is(
    refusal(MERGE_PATCH, '[1]'),
    '400 error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}',
  );
  t.is(refusal(MERGE_PATCH, ''), '400 error decoding patch: unexpected end of JSON input');
  t.is(refusal(STRATEGIC_MERGE_PATCH, '{"x', POD), '400 unexpected end of JSON input');
  t.regex(
    refusal(STRATEGIC_MERGE_PATCH, '{}'),
    /^415 .*include: application\/json-patch\+json, application\/merge-patch\+json, application\/apply-patch\+yaml$/,
  );
  t.regex(refusal('application/json', '{}', POD), /^415 the body of the request was in an unknown format/);
});
