/** Hashes as kubectl 1.33 makes them. */
import test from 'ava';
import { contentHash } from './hash.ts';

const cases = [
  ['gen-4h2mbtbbt6', false, { kind: 'ConfigMap', metadata: { name: 'gen' }, data: { a: 'b' } }],
  ['c-975k97dt86', true, { kind: 'ConfigMap', metadata: { name: 'c' }, data: { 'f.txt': 'text\n' } }],
  ['s-mmkg9d6tm4', true, { kind: 'Secret', metadata: { name: 's' }, data: { 'f.txt': 'dGV4dAo=' } }],
  ['sec-hb2dth72f6', false, { kind: 'Secret', metadata: { name: 'sec' }, type: 'Opaque', data: { p: 'cQ==' } }],
] as const;
for (const [name, isNamed, object] of cases) {
  test(name, t => t.is(`${object.metadata.name}-${contentHash(object, isNamed)}`, name));
}
