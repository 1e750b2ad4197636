import test from 'ava';
import fc from 'fast-check';
import type { PersistentVolume, PersistentVolumeClaim, StorageClass } from '../api/generated/types.ts';
import {
  BIND_COMPLETED,
  BOUND_BY_CONTROLLER,
  capacityOf,
  compareStorage,
  PROVISIONED_BY,
  requestedStorage,
  SELECTED_NODE,
  STORAGE_PROVISIONER,
} from '../api/volume-binding.ts';
import { findVolume, whyUnfit } from './persistent-volume-match.ts';
import { type ClaimWorld, planClaim, planVolume, type VolumeStep } from './persistent-volume-plan.ts';

type Spec<T> = Partial<NonNullable<T>>;

const volumeOf = (
  name: string,
  spec: Spec<PersistentVolume['spec']> = {},
  more: { phase?: string; annotations?: Record<string, string>; labels?: Record<string, string> } = {},
): PersistentVolume => ({
  metadata: { name, resourceVersion: '1', annotations: more.annotations ?? {}, labels: more.labels ?? {} },
  spec: {
    capacity: { storage: '1Gi' },
    accessModes: ['ReadWriteOnce'],
    persistentVolumeReclaimPolicy: 'Retain',
    volumeMode: 'Filesystem',
    ...spec,
  },
  status: { phase: more.phase ?? 'Available' },
});

const claimOf = (
  name: string,
  spec: Spec<PersistentVolumeClaim['spec']> = {},
  more: { phase?: string; annotations?: Record<string, string>; uid?: string } = {},
): PersistentVolumeClaim => ({
  metadata: {
    name,
    namespace: 'ns',
    uid: more.uid ?? `uid-${name}`,
    resourceVersion: '1',
    annotations: more.annotations ?? {},
  },
  spec: {
    accessModes: ['ReadWriteOnce'],
    resources: { requests: { storage: '1Gi' } },
    storageClassName: '',
    volumeMode: 'Filesystem',
    ...spec,
  },
  status: { phase: more.phase ?? 'Pending' },
});

const worldOf = (
  volumes: readonly PersistentVolume[] = [],
  classes: readonly StorageClass[] = [],
  pods: readonly string[] = [],
): ClaimWorld => ({
  volume: name => volumes.find(({ metadata }) => metadata?.name === name),
  candidates: () => volumes,
  classes: () => classes,
  podsWaitingFor: () => pods,
});

/** What the step writes. */
function written<T extends PersistentVolume | PersistentVolumeClaim>({ write }: VolumeStep): T {
  if (!write) throw new Error('the step writes nothing');
  return write.object as T;
}

const messages = ({ events = [] }: VolumeStep) =>
  events.map(({ event: { type, reason, message } }) => `${type} ${reason}: ${message}`);

const waiting: StorageClass = {
  metadata: { name: 'wait' },
  provisioner: 'x.io/p',
  volumeBindingMode: 'WaitForFirstConsumer',
};
const atOnce: StorageClass = { metadata: { name: 'fast' }, provisioner: 'x.io/p', volumeBindingMode: 'Immediate' };
const inTree: StorageClass = { metadata: { name: 'none' }, provisioner: 'kubernetes.io/no-provisioner' };

test('which volume suits a claim', t => {
  const names = (claim: PersistentVolumeClaim, volumes: PersistentVolume[], delayed = false) =>
    findVolume(claim, volumes, delayed)?.metadata?.name;
  const claim = claimOf('c', { resources: { requests: { storage: '2Gi' } } });
  const sized = (name: string, storage: string, more: Spec<PersistentVolume['spec']> = {}) =>
    volumeOf(name, { capacity: { storage }, ...more });
  const rows: [string, PersistentVolume[], string | undefined][] = [
    ['nothing is there', [], undefined],
    ['all are too small', [sized('a', '1Gi')], undefined],
    ['the smallest that is large enough', [sized('a', '5Gi'), sized('b', '3Gi'), sized('c', '1Gi')], 'b'],
    ['equal sizes: the first by name', [sized('b', '3Gi'), sized('a', '3Gi')], 'a'],
    ['units are compared as amounts', [sized('a', '2147483647'), sized('b', '2097152Ki')], 'b'],
    [
      'fewer modes before less space',
      [sized('a', '2Gi', { accessModes: ['ReadWriteOnce', 'ReadOnlyMany'] }), sized('b', '9Gi')],
      'b',
    ],
    ['the mode is not offered', [sized('a', '2Gi', { accessModes: ['ReadOnlyMany'] })], undefined],
    ['another class', [sized('a', '2Gi', { storageClassName: 'x' })], undefined],
    ['block is no file system', [sized('a', '2Gi', { volumeMode: 'Block' })], undefined],
    ['reserved for somebody else', [sized('a', '2Gi', { claimRef: { namespace: 'ns', name: 'd' } })], undefined],
    ['a namesake of another namespace', [sized('a', '2Gi', { claimRef: { namespace: 'x', name: 'c' } })], undefined],
    [
      'an earlier claim of that name',
      [sized('a', '2Gi', { claimRef: { namespace: 'ns', name: 'c', uid: 'old' } })],
      undefined,
    ],
    [
      'reserved for it, before a better one',
      [sized('a', '2Gi'), sized('b', '9Gi', { claimRef: { namespace: 'ns', name: 'c' } })],
      'b',
    ],
    ['reserved for it and too small', [sized('a', '1Gi', { claimRef: { namespace: 'ns', name: 'c' } })], undefined],
  ];
  for (const [title, volumes, wanted] of rows) t.is(names(claim, volumes), wanted, title);
  t.is(
    names(claim, [volumeOf('a', { capacity: { storage: '2Gi' } }, { phase: 'Released' })]),
    undefined,
    'not available',
  );
  const going = sized('a', '2Gi');
  t.is(names(claim, [{ ...going, metadata: { ...going.metadata, deletionTimestamp: 'now' } }]), undefined, 'going');
  t.is(names(claim, [sized('a', '2Gi')], true), undefined, 'a delayed claim is the scheduler’s');
  t.is(names(claim, [sized('a', '2Gi', { claimRef: { namespace: 'ns', name: 'c' } })], true), 'a', 'unless reserved');
  const choosy = claimOf('c', { selector: { matchLabels: { disk: 'fast' } } });
  t.is(names(choosy, [volumeOf('a'), volumeOf('b', {}, { labels: { disk: 'fast' } })]), 'b', 'a selector');
});

test('why a claim cannot have the volume that it names', t => {
  t.is(whyUnfit(volumeOf('v'), claimOf('c')), undefined);
  t.is(
    whyUnfit(volumeOf('v'), claimOf('c', { resources: { requests: { storage: '5Gi' } } })),
    'requested PV is too small',
  );
  t.is(whyUnfit(volumeOf('v'), claimOf('c', { storageClassName: 'x' })), 'storageClassName does not match');
  t.is(whyUnfit(volumeOf('v'), claimOf('c', { volumeMode: 'Block' })), 'incompatible volumeMode');
  t.is(whyUnfit(volumeOf('v'), claimOf('c', { accessModes: ['ReadWriteMany'] })), 'incompatible accessMode');
});

test('what a claim without a volume is told', t => {
  const rows: [PersistentVolumeClaim, ClaimWorld, string[]][] = [
    [
      claimOf('c'),
      worldOf(),
      ['Normal FailedBinding: no persistent volumes available for this claim and no storage class is set'],
    ],
    [
      claimOf('c', { storageClassName: 'nope' }),
      worldOf(),
      ['Warning ProvisioningFailed: storageclass.storage.k8s.io "nope" not found'],
    ],
    [
      claimOf('c', { storageClassName: 'none' }),
      worldOf([], [inTree]),
      ['Warning ProvisioningFailed: no volume plugin matched name: kubernetes.io/no-provisioner'],
    ],
    [
      claimOf('c', { storageClassName: 'wait' }),
      worldOf([], [waiting]),
      ['Normal WaitForFirstConsumer: waiting for first consumer to be created before binding'],
    ],
    [
      claimOf('c', { storageClassName: 'wait' }),
      worldOf([], [waiting], ['p']),
      ['Normal WaitForPodScheduled: waiting for pod p to be scheduled'],
    ],
    [
      claimOf('c', { storageClassName: 'wait' }),
      worldOf([], [waiting], ['p', 'q']),
      ['Normal WaitForPodScheduled: waiting for pods p,q to be scheduled'],
    ],
    [
      claimOf('c', { volumeName: 'v', resources: { requests: { storage: '5Gi' } } }),
      worldOf([volumeOf('v')]),
      ['Warning VolumeMismatch: Cannot bind to requested volume "v": requested PV is too small'],
    ],
    [
      claimOf('c', { volumeName: 'v' }),
      worldOf([volumeOf('v', { claimRef: { namespace: 'other', name: 'other' } })]),
      ['Warning FailedBinding: volume "v" already bound to a different claim.'],
    ],
    [claimOf('c', { volumeName: 'v' }), worldOf(), []],
  ];
  for (const [claim, world, wanted] of rows) {
    const step = planClaim(claim, world);
    t.deepEqual(messages(step), wanted);
    t.is(step.write, undefined);
    t.true(step.waits);
  }
});

test('a provisioner is named on the claim, then waited for', t => {
  for (const claim of [
    claimOf('c', { storageClassName: 'fast' }),
    claimOf('c', { storageClassName: 'wait' }, { annotations: { [SELECTED_NODE]: 'n' } }),
  ]) {
    const first = planClaim(claim, worldOf([], [atOnce, waiting]));
    t.is(first.write?.type, 'claim');
    t.is(first.write?.object.metadata?.annotations?.[STORAGE_PROVISIONER], 'x.io/p');
    const second = planClaim(first.write?.object as PersistentVolumeClaim, worldOf([], [atOnce, waiting]));
    t.is(second.write, undefined);
    t.regex(messages(second)[0] ?? '', /^Normal ExternalProvisioning: Waiting for a volume .* 'x\.io\/p' or manually/);
  }
});

test('a claim that left its class open gets the default one when there is one', t => {
  const open = claimOf('c');
  delete open.spec?.storageClassName;
  const preset: StorageClass = {
    ...atOnce,
    metadata: { name: 'fast', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
  };
  const step = planClaim(open, worldOf([], [preset]));
  t.is(written<PersistentVolumeClaim>(step).spec?.storageClassName, 'fast');
  t.is(planClaim(claimOf('c'), worldOf([], [preset])).write, undefined, 'no class is a choice too');
  t.is(
    planClaim(open, worldOf([volumeOf('v')], [preset])).write?.type,
    'volume',
    'a volume without a class comes first',
  );
});

test('a bound claim that lost its volume says so once', t => {
  const bound = claimOf('c', { volumeName: 'v' }, { phase: 'Bound', annotations: { [BIND_COMPLETED]: 'yes' } });
  const step = planClaim(bound, worldOf());
  t.like(step.write, { type: 'claimStatus', object: { status: { phase: 'Lost' } } });
  t.deepEqual(messages(step), [
    'Warning ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!',
  ]);
  t.deepEqual(planClaim(step.write?.object as PersistentVolumeClaim, worldOf()), {});
  const stolen = volumeOf('v', { claimRef: { namespace: 'ns', name: 'd', uid: 'uid-d' } });
  t.regex(messages(planClaim(bound, worldOf([stolen])))[0] ?? '', /^Warning ClaimMisbound: Two claims are bound/);
});

test('what becomes of a volume whose claim has gone', t => {
  const claimRef = { namespace: 'ns', name: 'c', uid: 'uid-c' };
  const make = (policy: string, phase = 'Released', annotations = {}) =>
    volumeOf('v', { claimRef, persistentVolumeReclaimPolicy: policy }, { phase, annotations });
  t.like(planVolume(make('Retain', 'Bound'), undefined).write, {
    type: 'volumeStatus',
    object: { status: { phase: 'Released' } },
  });
  t.deepEqual(planVolume(make('Retain'), undefined), {});
  const refused = (policy: string) => messages(planVolume(make(policy), undefined));
  t.deepEqual(refused('Recycle'), ['Warning VolumeFailedRecycle: No recycler plugin found for the volume!']);
  t.deepEqual(refused('Delete'), [
    'Warning VolumeFailedDelete: error getting deleter volume plugin for volume "v": no deletable volume plugin matched',
  ]);
  t.like(planVolume(make('Delete'), undefined).write?.object, {
    status: {
      phase: 'Failed',
      message: 'error getting deleter volume plugin for volume "v": no deletable volume plugin matched',
    },
  });
  t.deepEqual(planVolume(make('Delete', 'Failed'), undefined), {}, 'told once');
  t.deepEqual(
    planVolume(make('Delete', 'Released', { [PROVISIONED_BY]: 'x.io/p' }), undefined),
    {},
    'its maker’s business',
  );
  t.like(planVolume(make('Retain', 'Bound'), claimOf('c', {}, { uid: 'another' })).write?.object, {
    status: { phase: 'Released' },
  });
});

test('a volume whose claim went elsewhere becomes free', t => {
  const elsewhere = claimOf('c', { volumeName: 'w' });
  const claimRef = { namespace: 'ns', name: 'c', uid: 'uid-c' };
  const chosen = planVolume(volumeOf('v', { claimRef }, { annotations: { [BOUND_BY_CONTROLLER]: 'yes' } }), elsewhere);
  t.is(written<PersistentVolume>(chosen).spec?.claimRef, undefined);
  const reserved = planVolume(volumeOf('v', { claimRef }), elsewhere);
  t.deepEqual(written<PersistentVolume>(reserved).spec?.claimRef, { namespace: 'ns', name: 'c' });
  const made = volumeOf(
    'v',
    { claimRef, persistentVolumeReclaimPolicy: 'Delete' },
    { annotations: { [PROVISIONED_BY]: 'x' } },
  );
  t.like(planVolume(made, elsewhere).write?.object, { status: { phase: 'Released' } });
});

// ---- properties -------------------------------------------------------------------------------------------------------

/** Volumes and claims with versions, as the API server keeps them. */
class Store {
  readonly volumes = new Map<string, PersistentVolume>();
  readonly claims = new Map<string, PersistentVolumeClaim>();
  writes = 0;

  constructor(volumes: readonly PersistentVolume[], claims: readonly PersistentVolumeClaim[]) {
    for (const volume of volumes) this.volumes.set(volume.metadata?.name ?? '', volume);
    for (const claim of claims) this.claims.set(claim.metadata?.name ?? '', claim);
  }

  claimOf({ spec }: PersistentVolume) {
    return spec?.claimRef?.namespace === 'ns' ? this.claims.get(spec.claimRef.name ?? '') : undefined;
  }

  /** Refuses what was planned from an older state. */
  apply({ type, object }: NonNullable<VolumeStep['write']>): boolean {
    const name = object.metadata?.name ?? '';
    const map: Map<string, PersistentVolume | PersistentVolumeClaim> =
      type === 'volume' || type === 'volumeStatus' ? this.volumes : this.claims;
    const present = map.get(name);
    if (present?.metadata?.resourceVersion !== object.metadata?.resourceVersion) return false;
    this.writes++;
    const resourceVersion = String(Number(object.metadata?.resourceVersion) + 1);
    map.set(name, { ...object, metadata: { ...object.metadata, resourceVersion } });
    return true;
  }

  /** What a controller sees whose cache stands still. */
  copy(): Store {
    return new Store([...this.volumes.values()], [...this.claims.values()]);
  }

  world(): ClaimWorld {
    return worldOf([...this.volumes.values()]);
  }
}

/** Looks at everything until nothing is left to write; false if that does not happen. */
function settle(store: Store): boolean {
  for (let round = 0; round < 50; round++) {
    const before = store.writes;
    for (const name of store.claims.keys()) {
      const claim = store.claims.get(name);
      const { write } = claim ? planClaim(claim, store.world()) : {};
      if (write) store.apply(write);
    }
    for (const name of store.volumes.keys()) {
      const volume = store.volumes.get(name);
      const { write } = volume ? planVolume(volume, store.claimOf(volume)) : {};
      if (write) store.apply(write);
    }
    if (store.writes === before) return true;
  }
  return false;
}

const sizes = fc.constantFrom('1Gi', '2Gi', '3Gi');
const modes: fc.Arbitrary<string[]> = fc.constantFrom<string[][]>(
  ['ReadWriteOnce'],
  ['ReadWriteOnce', 'ReadOnlyMany'],
  ['ReadWriteMany'],
);
const classes = fc.constantFrom('', 'slow');
const someVolumes = fc
  .array(
    fc.record({
      size: sizes,
      modes,
      storageClassName: classes,
      reserved: fc.option(fc.nat(4), { freq: 3, nil: undefined }),
      phase: fc.constantFrom('Available', 'Pending'),
    }),
    { maxLength: 5 },
  )
  .map(list =>
    list.map(({ size, modes, storageClassName, reserved, phase }, index) =>
      volumeOf(
        `v${index}`,
        {
          capacity: { storage: size },
          accessModes: modes,
          storageClassName,
          ...(reserved !== undefined && { claimRef: { namespace: 'ns', name: `c${reserved}` } }),
        },
        { phase },
      ),
    ),
  );
const someClaims = fc
  .array(fc.record({ size: sizes, modes, storageClassName: classes }), { maxLength: 5 })
  .map(list =>
    list.map(({ size, modes, storageClassName }, index) =>
      claimOf(`c${index}`, { resources: { requests: { storage: size } }, accessModes: modes, storageClassName }),
    ),
  );

/** Two controllers, of which one or both work on an old copy of the world, act and break off in any order. */
const schedule = fc.array(
  fc.record({ actor: fc.nat(1), isClaim: fc.boolean(), index: fc.nat(4), refresh: fc.boolean(), isLost: fc.boolean() }),
  { maxLength: 60 },
);

test('a claim binds to one volume and a volume to one claim, under stale caches, races and crashes', t => {
  fc.assert(
    fc.property(
      someVolumes,
      someClaims,
      schedule,
      fc.option(fc.nat(4), { nil: undefined }),
      (volumes, claims, steps, deleted) => {
        const store = new Store(volumes, claims);
        const views = [store.copy(), store.copy()];
        for (const [at, { actor, isClaim, index, refresh, isLost }] of steps.entries()) {
          if (at === 20 && deleted !== undefined) store.claims.delete(`c${deleted}`);
          if (refresh) views[actor] = store.copy();
          const view = views[actor] ?? store;
          const claim = view.claims.get(`c${index}`);
          const volume = view.volumes.get(`v${index}`);
          // Whether a claim is really gone is asked of the API itself.
          const live = volume && (view.claimOf(volume) ?? store.claimOf(volume));
          const step = isClaim ? claim && planClaim(claim, view.world()) : volume && planVolume(volume, live);
          if (step?.write && !isLost) store.apply(step.write);
          assertExclusive(store);
        }
        t.true(settle(store), 'it comes to rest');
        assertExclusive(store);
        const before = store.writes;
        t.true(settle(store));
        t.is(store.writes, before, 'a second run does nothing');
        for (const claim of store.claims.values()) {
          if (claim.status?.phase !== 'Bound') continue;
          const volume = store.volumes.get(claim.spec?.volumeName ?? '');
          t.is(volume?.spec?.claimRef?.uid, claim.metadata?.uid);
          t.is(volume?.status?.phase, 'Bound');
          t.true(compareStorage(volume && capacityOf(volume), requestedStorage(claim)) >= 0, 'never one too small');
        }
        for (const claim of store.claims.values()) {
          if (claim.status?.phase === 'Bound') continue;
          t.is(
            findVolume(claim, [...store.volumes.values()], false),
            undefined,
            'nobody waits beside what he could have',
          );
        }
      },
    ),
    { numRuns: 500 },
  );
});

/** No two claims that are done name one volume, and none names a volume that belongs to another. */
function assertExclusive(store: Store): void {
  const taken = new Map<string, string>();
  for (const claim of store.claims.values()) {
    const name = claim.spec?.volumeName;
    if (!name) continue;
    const other = taken.get(name);
    if (other !== undefined) throw new Error(`${name} belongs to ${other} and ${claim.metadata?.name}`);
    taken.set(name, claim.metadata?.name ?? '');
    const owner = store.volumes.get(name)?.spec?.claimRef?.uid;
    if (owner !== claim.metadata?.uid) throw new Error(`${claim.metadata?.name} has ${name}, which is ${owner}'s`);
  }
}
