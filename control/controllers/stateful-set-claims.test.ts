import test from 'ava';
import fc from 'fast-check';
import type { PersistentVolumeClaim, Pod } from '../api/generated/types.ts';
import { timestamp } from '../client/clock.ts';
import { withRetention } from './stateful-set-claims.ts';
import { actions, NOW, plan, pod, type Shape, statefulSet } from './testing/stateful-world.ts';

const template = {
  metadata: { name: 'data', labels: { mine: 'x' } },
  spec: { accessModes: ['ReadWriteOnce'] },
  status: { phase: 'Pending' },
};
const withClaims = (policy: { whenDeleted?: string; whenScaled?: string } = {}, spec = {}) =>
  statefulSet({ replicas: 1, volumeClaimTemplates: [template], persistentVolumeClaimRetentionPolicy: policy, ...spec });
const mounted = (ordinal: number, kind: Shape = 'ready'): Pod => {
  const bare = pod(ordinal, kind);
  const volumes = [{ name: 'data', persistentVolumeClaim: { claimName: `data-s-${ordinal}` } }];
  return { ...bare, spec: { containers: [{ name: 'c' }], volumes } };
};
const claim = (ordinal: number, ownerReferences: object[] = [], more = {}): PersistentVolumeClaim => ({
  metadata: {
    name: `data-s-${ordinal}`,
    namespace: 'n',
    ...(ownerReferences.length > 0 && { ownerReferences: ownerReferences as never }),
    ...more,
  },
});
const ofSet = {
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  name: 's',
  uid: 'set',
  controller: true,
  blockOwnerDeletion: true,
};
const ofPod = (ordinal: number, uid = `s-${ordinal}-s-a`) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  name: `s-${ordinal}`,
  uid,
  controller: true,
  blockOwnerDeletion: true,
});
const other = { apiVersion: 'v1', kind: 'ConfigMap', name: 'o', uid: 'o' };

test('a pod comes with its claims, which have the labels of template and selector', t => {
  const [create] = plan({ set: withClaims() }).steps.flat();
  if (create?.do !== 'create') return t.fail();
  t.deepEqual(create.claims.create, [
    {
      metadata: { name: 'data-s-0', namespace: 'n', labels: { mine: 'x', app: 's' } },
      spec: { accessModes: ['ReadWriteOnce'] },
    },
  ]);
  t.deepEqual(create.pod.spec?.volumes, [{ name: 'data', persistentVolumeClaim: { claimName: 'data-s-0' } }]);
});

/** Policy, the pod's ordinal of one replica, owners before, owners after; undefined if nothing is to be done. */
const owners: readonly (readonly [string, object, number, object[], object[] | undefined])[] = [
  ['kept', {}, 0, [], undefined],
  ['kept, the set let go', {}, 0, [ofSet, other], [other]],
  ['goes with the set', { whenDeleted: 'Delete' }, 0, [other], [other, ofSet]],
  ['goes with the set already', { whenDeleted: 'Delete' }, 0, [ofSet], undefined],
  ['goes with the set when it is scaled away too', { whenDeleted: 'Delete' }, 1, [], [ofSet]],
  ['goes when scaled away: not yet', { whenScaled: 'Delete' }, 0, [], undefined],
  ['goes when scaled away: now', { whenScaled: 'Delete' }, 1, [], [ofPod(1)]],
  ['goes either way: not yet', { whenScaled: 'Delete', whenDeleted: 'Delete' }, 0, [ofPod(0)], [ofSet]],
  ['goes either way: now', { whenScaled: 'Delete', whenDeleted: 'Delete' }, 1, [ofSet], [ofPod(1)]],
  [
    'an owner that is not the controller is made one',
    { whenDeleted: 'Delete' },
    0,
    [{ ...ofSet, controller: false }],
    [ofSet],
  ],
  ['another controller keeps it', { whenDeleted: 'Delete' }, 0, [{ ...other, controller: true }], undefined],
  [
    'another controller keeps it alone',
    { whenDeleted: 'Delete' },
    0,
    [{ ...other, controller: true }, ofSet],
    [{ ...other, controller: true }],
  ],
  ['an earlier set of this name has it still', { whenDeleted: 'Delete' }, 0, [{ ...ofSet, uid: 'old' }], undefined],
];
for (const [title, policy, ordinal, before, after] of owners) {
  test(`claim: ${title}`, t => {
    const pods = ordinal === 0 ? [mounted(0)] : [mounted(0), mounted(ordinal)];
    const claims = [
      claim(ordinal, before),
      ...(ordinal === 0 ? [] : [claim(0, 'whenDeleted' in policy ? [ofSet] : [])]),
    ];
    const updates = plan({ set: withClaims(policy), pods, claims })
      .steps.flat()
      .filter(action => action.do === 'update');
    t.deepEqual(
      updates.flatMap(action => action.claims.update.map(({ metadata }) => metadata?.ownerReferences ?? [])),
      after ? [after as never] : [],
    );
  });
}

test('a claim that goes with the pod before holds the next pod back', t => {
  const set = withClaims({ whenScaled: 'Delete' });
  t.deepEqual(actions({ set, claims: [claim(0, [ofPod(0, 'old')])] }), []);
  t.deepEqual(actions({ set, claims: [claim(0)] }), ['create s-0 s-a']);
  t.deepEqual(actions({ set: withClaims(), claims: [claim(0, [ofPod(0, 'old')])] }), ['create s-0 s-a']);
});

test('a pod that waits gets claims that somebody took away; a claim that is leaving is named', t => {
  const [missing] = plan({ set: withClaims(), pods: [mounted(0, 'pending')] }).steps.flat();
  t.deepEqual(missing?.do === 'update' && missing.claims.create.map(({ metadata }) => metadata?.name), ['data-s-0']);
  const [create] = plan({
    set: withClaims(),
    claims: [claim(0, [], { deletionTimestamp: timestamp(NOW) })],
  }).steps.flat();
  t.deepEqual(create?.do === 'create' && create.claims.leaving, ['data-s-0']);
});

test('whatever owns a claim: at most one controller, strangers stay, and a second look finds nothing to do', t => {
  const keep = fc.constantFrom('Retain', 'Delete');
  const owner = fc.constantFrom<object>(
    ofSet,
    { ...ofSet, controller: false },
    { ...ofSet, uid: 'earlier' },
    ofPod(0),
    ofPod(0, 'earlier'),
    other,
    { ...other, uid: 'o2', controller: true },
  );
  const isStranger = ({ kind }: { readonly kind?: string }) => kind === 'ConfigMap';
  fc.assert(
    fc.property(
      fc.record({ whenDeleted: keep, whenScaled: keep }),
      fc.uniqueArray(owner, { maxLength: 4, selector: each => (each as { uid: string }).uid }),
      fc.nat(2),
      (policy, given, replicas) => {
        const holders = { set: withClaims(policy, { replicas }), pod: mounted(0), ordinal: 0 };
        const next = withRetention(claim(0, given), holders);
        t.is(withRetention(next, holders), next);
        const owners = next.metadata?.ownerReferences ?? [];
        t.deepEqual(owners.filter(isStranger), given.filter(isStranger) as never);
        if (given.some(each => (each as { uid: string }).uid === 'earlier')) {
          t.deepEqual(owners, given as never);
          return;
        }
        t.true(owners.filter(({ controller }) => controller).length <= 1);
        const isHeld = owners.some(each => isStranger(each) && each.controller);
        const [wanted] =
          replicas === 0 && policy.whenScaled === 'Delete'
            ? ['Pod']
            : policy.whenDeleted === 'Delete'
              ? ['StatefulSet']
              : [];
        t.deepEqual(
          owners.filter(each => !isStranger(each)).map(({ kind }) => kind),
          wanted && !isHeld ? [wanted] : [],
        );
      },
    ),
    { numRuns: 300 },
  );
});
