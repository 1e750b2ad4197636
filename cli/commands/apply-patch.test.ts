import test from 'ava';
import * as fc from 'fast-check';
import { strategicMergePatch } from '../../control/api/patch/strategic-merge-patch.ts';
import { lastApplied, overlaps, threeWayPatch, withLastApplied } from './apply-patch.ts';

const POD = 'io.k8s.api.core.v1.Pod';

test('what the manifest drops is deleted, what others set is left', t => {
  const original = {
    metadata: { labels: { a: '1', b: '2' } },
    spec: {
      containers: [
        { name: 'x', image: 'i' },
        { name: 'y', image: 'i' },
      ],
    },
  };
  const current = {
    metadata: { labels: { a: '1', b: '2', theirs: '3' }, uid: 'u' },
    spec: {
      containers: [
        { name: 'x', image: 'i', pull: 'Always' },
        { name: 'y', image: 'i' },
        { name: 'theirs', image: 't' },
      ],
    },
  };
  const modified = { metadata: { labels: { a: '9' } }, spec: { containers: [{ name: 'x', image: 'j' }] } };
  const patch = threeWayPatch({ original, modified, current }, POD);
  t.deepEqual(strategicMergePatch(current, patch, POD), {
    metadata: { labels: { a: '9', theirs: '3' }, uid: 'u' },
    spec: {
      containers: [
        { name: 'x', image: 'j', pull: 'Always' },
        { name: 'theirs', image: 't' },
      ],
    },
  });
});

test('without a schema lists are replaced', t => {
  const patch = threeWayPatch(
    { original: {}, modified: { spec: { list: [{ name: 'a' }] } }, current: { spec: { list: [{ name: 'b' }] } } },
    undefined,
  );
  t.deepEqual(patch, { spec: { list: [{ name: 'a' }] } });
});

test('the configuration is kept in the annotation, without itself', t => {
  const applied = withLastApplied(withLastApplied({ kind: 'ConfigMap', metadata: { name: 'c' }, data: { b: '1' } }));
  t.deepEqual(lastApplied(applied), { kind: 'ConfigMap', metadata: { annotations: {}, name: 'c' }, data: { b: '1' } });
});

const labels = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('1', '2'));
const containers = fc.uniqueArray(
  fc.record({ name: fc.constantFrom('x', 'y', 'z'), image: fc.constantFrom('1', '2') }),
  {
    selector: item => item.name,
  },
);
const pod = fc.record({ metadata: fc.record({ labels }), spec: fc.record({ containers }) });

test('applying a manifest to what the one before it made gives what it says, and then there is nothing left to do', t => {
  const result = fc.check(
    fc.property(pod, pod, (original, modified) => {
      const patch = threeWayPatch({ original, modified, current: original }, POD);
      const current = strategicMergePatch(structuredClone(original), patch, POD);
      const again = threeWayPatch({ original: modified, modified, current }, POD);
      const names = (value: unknown) => (value as typeof original).spec.containers;
      const byName = (list: { name: string }[]) => [...list].sort((a, b) => (a.name < b.name ? -1 : 1));
      return (
        Object.keys(again).length === 0 &&
        JSON.stringify(byName(names(current))) === JSON.stringify(byName(modified.spec.containers)) &&
        Object.keys(modified.metadata.labels).length ===
          Object.keys((current as typeof original).metadata.labels).length
      );
    }),
  );
  t.false(result.failed, JSON.stringify(result.counterexample));
});

test('a patch overlaps with changes of others where both lead to something else', t => {
  t.true(overlaps({ data: { a: '1' } }, { data: { a: '2' } }));
  t.true(overlaps({ data: null }, { data: { a: '2' } }));
  t.false(overlaps({ data: { a: '1' } }, { data: { a: '1', b: '2' } }), 'the same is no overlap');
  t.false(overlaps({ data: { a: '1' } }, { data: { b: '2' }, kind: 'x' }));
});
