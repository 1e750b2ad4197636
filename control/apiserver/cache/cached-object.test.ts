import test from 'ava';
import { configmaps, namespaces } from '../../api/generated/kinds.ts';
import { declarationOf } from '../../api/registry.ts';
import { identityOfKey } from '../keys.ts';
import { CachedObject } from './cached-object.ts';
import { encodeStored } from './encoding.ts';

test('fields are read once for the kind that asks, and anew for another', t => {
  const stored = encodeStored({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', namespace: 'n' } });
  const object = CachedObject.fromStored('/registry/core/pods/n/a', stored, 7);
  const [first, second] = [{}, {}];
  let reads = 0;
  const read = (phase: string) => () => {
    reads++;
    return { 'status.phase': phase };
  };
  t.deepEqual(object.fields(first, read('Running')), { 'status.phase': 'Running' });
  t.deepEqual(object.fields(first, read('never read')), { 'status.phase': 'Running' });
  t.is(reads, 1);
  t.deepEqual(object.fields(second, read('Pending')), { 'status.phase': 'Pending' });
  t.deepEqual(object.fields(first, read('Running')), { 'status.phase': 'Running' });
  t.is(reads, 3);
});

test('a key tells name and namespace', t => {
  const at = (kind: typeof configmaps | typeof namespaces, key: string) => identityOfKey(declarationOf(kind), key);
  t.deepEqual(at(configmaps, '/registry/core/configmaps/n/a.b'), { 'metadata.name': 'a.b', 'metadata.namespace': 'n' });
  t.deepEqual(at(namespaces, '/registry/core/namespaces/n'), { 'metadata.name': 'n', 'metadata.namespace': '' });
});
