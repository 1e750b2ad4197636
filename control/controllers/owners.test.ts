/** Who takes over and lets go of what. */
import test from 'ava';
import fc from 'fast-check';
import { replicasets } from '../api/generated/kinds.ts';
import type { Pod } from '../api/generated/types.ts';
import type { KubernetesObject } from '../api/kind.ts';
import { type Claims, controllerReference, planClaims, withController } from './owners.ts';

const selector = { matchLabels: { app: 'w' } };
const set = (isLeaving = false): KubernetesObject => ({
  metadata: { name: 's', namespace: 'n', uid: 's', ...(isLeaving && { deletionTimestamp: 'now' }) },
});

interface Shape {
  readonly owner?: 'us' | 'other' | 'keeper' | undefined;
  readonly isSelected?: boolean;
  readonly isLeaving?: boolean;
}
/** A keeper is an owner that does not control. */
const pod = ({ owner, isSelected = true, isLeaving = false }: Shape): Pod => {
  const reference = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 's', controller: owner !== 'keeper' };
  return {
    metadata: {
      name: 'p',
      labels: { app: isSelected ? 'w' : 'x' },
      ...(owner && { ownerReferences: [{ ...reference, uid: owner === 'us' ? 's' : owner }] }),
      ...(isLeaving && { deletionTimestamp: 'now' }),
    },
  };
};
const fateOf = (claims: Claims<Pod>): string => {
  const fates = (['owned', 'adopt', 'release'] as const).filter(fate => claims[fate].length > 0);
  return fates.join(' ') || 'left alone';
};

const rows: readonly (readonly [string, Shape, boolean, string])[] = [
  ['ours', { owner: 'us' }, false, 'owned'],
  ['ours, and leaving', { owner: 'us', isLeaving: true }, false, 'owned'],
  ['ours, not selected any more', { owner: 'us', isSelected: false }, false, 'release'],
  ['ours, not selected any more, and the set leaves', { owner: 'us', isSelected: false }, true, 'left alone'],
  ['ours, and the set leaves', { owner: 'us' }, true, 'owned'],
  ['of nobody', {}, false, 'adopt'],
  ['of an owner that does not control it', { owner: 'keeper' }, false, 'adopt'],
  ['of nobody, and leaving', { isLeaving: true }, false, 'left alone'],
  ['of nobody, and the set leaves', {}, true, 'left alone'],
  ['of nobody, not selected', { isSelected: false }, false, 'left alone'],
  ['of another', { owner: 'other' }, false, 'left alone'],
];
for (const [title, shape, isLeaving, fate] of rows) {
  test(`claims: ${title}`, t => t.is(fateOf(planClaims(set(isLeaving), selector, [pod(shape)])), fate));
}

test('what is no member is let go, and not taken', t => {
  const claims = (shape: Shape) => planClaims(set(), selector, [pod(shape)], () => false);
  t.is(fateOf(claims({ owner: 'us' })), 'release');
  t.is(fateOf(claims({})), 'left alone');
});

test('who is taken over names its controller once', t => {
  const controller = controllerReference(replicasets, set());
  const reference = (uid: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', name: uid, uid });
  t.deepEqual(withController(undefined, controller), [controller]);
  t.deepEqual(withController([reference('o')], controller), [reference('o'), controller]);
  t.deepEqual(withController([reference('s'), reference('o')], controller), [controller, reference('o')]);
});

const anyShape = fc.record({
  owner: fc.constantFrom('us' as const, 'other' as const, 'keeper' as const, undefined),
  isSelected: fc.boolean(),
  isLeaving: fc.boolean(),
});

test('whatever there is: each once at most, nothing of others, nothing taken by who leaves; done, nothing is left to do', t => {
  fc.assert(
    fc.property(fc.array(anyShape, { maxLength: 12 }), fc.boolean(), (shapes, isLeaving) => {
      const pods = shapes.map(pod);
      const { owned, adopt, release } = planClaims(set(isLeaving), selector, pods);
      const all = [...owned, ...adopt, ...release];
      t.is(new Set(all).size, all.length);
      for (const [index, { owner }] of shapes.entries()) {
        if (owner === 'other') t.false(all.includes(pods[index] as Pod));
      }
      if (isLeaving) t.is(adopt.length + release.length, 0);
      const after = pods.map((each, index) => {
        const shape = shapes[index] ?? {};
        if (adopt.includes(each)) return pod({ ...shape, owner: 'us' });
        return release.includes(each) ? pod({ ...shape, owner: undefined }) : each;
      });
      const again = planClaims(set(isLeaving), selector, after);
      t.is(again.owned.length, owned.length + adopt.length);
      t.deepEqual([again.adopt, again.release], [[], []]);
    }),
    { numRuns: 200 },
  );
});
