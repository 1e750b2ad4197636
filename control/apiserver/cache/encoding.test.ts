import test from 'ava';
import fc from 'fast-check';
import { encodeStored, makeReady, metadataBytes, withRevision } from './encoding.ts';

const uid = '0b4f9f3a-7d6b-4c7a-9a51-7d7c3f5b2a11';

test('metadata are written in the order of Kubernetes, whatever order they came in', t => {
  const stored = encodeStored({
    metadata: {
      resourceVersion: '3',
      managedFields: [],
      labels: { uid: 'x' },
      creationTimestamp: '2024-01-02T03:04:05Z',
      uid,
      namespace: 'default',
      name: 'a',
    },
    status: {},
    data: { a: 'b' },
    apiVersion: 'v1',
    kind: 'ConfigMap',
  } as object);
  t.is(
    makeReady(stored, 7).bytes.toString(),
    `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","namespace":"default","uid":"${uid}","resourceVersion":"7","creationTimestamp":"2024-01-02T03:04:05Z","labels":{"uid":"x"},"managedFields":[]},"data":{"a":"b"},"status":{}}`,
  );
});

test('bytes of any order take a resourceVersion, and another one', t => {
  const metadata = fc.record(
    {
      name: fc.oneof(fc.constantFrom('a', 'name', 'a"b', '\\'), fc.string()),
      namespace: fc.constant('ns'),
      uid: fc.constant(uid),
      labels: fc.object(),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(metadata, fc.integer({ min: 1 }), fc.integer({ min: 1 }), fc.boolean(), (meta, from, to, isOrdered) => {
      const object = { kind: 'K', apiVersion: 'v1', metadata: meta, data: { resourceVersion: '1' } } as object;
      const stored = isOrdered ? encodeStored(object) : Buffer.from(JSON.stringify(object));
      // Old bytes whose metadata are empty are no object's.
      if (Object.keys(meta).length === 0) return;
      const ready = makeReady(stored, from);
      const shown = (revision: number) => ({ ...object, metadata: { ...meta, resourceVersion: String(revision) } });
      const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown;
      t.deepEqual(JSON.parse(ready.bytes.toString()), plain(shown(from)));
      t.deepEqual(JSON.parse(metadataBytes(ready).toString()), plain(shown(from).metadata));
      t.deepEqual(JSON.parse(withRevision(ready, from, to).bytes.toString()), plain(shown(to)));
      t.deepEqual(
        JSON.parse(`{${ready.bytes.subarray(ready.itemOffset).toString()}`).metadata,
        plain(shown(from).metadata),
      );
    }),
  );
});
