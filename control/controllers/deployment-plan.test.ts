import test from 'ava';
import fc from 'fast-check';
import type { Deployment, IntOrString, ReplicaSet } from '../api/generated/types.ts';
import { timestamp } from '../client/clock.ts';
import { type DeploymentPlan, planDeployment } from './deployment-plan.ts';
import { DESIRED_REPLICAS, HASH_LABEL, REVISION, replicasOf, rollingBounds } from './deployment-util.ts';
import { isEqual } from './equal.ts';

/** A Deployment and its ReplicaSets, whose pods become available when the test says so. */
class World {
  deployment: Deployment;
  sets: ReplicaSet[] = [];
  nowMs = Date.UTC(2026, 0, 1);
  events: string[] = [];
  #uids = 0;

  constructor(spec: Partial<Deployment['spec']> & { replicas: number }) {
    this.deployment = {
      metadata: { name: 'd', namespace: 'n', uid: 'd-uid', generation: 1 },
      spec: {
        selector: { matchLabels: { app: 'd' } },
        template: template('1'),
        progressDeadlineSeconds: 600,
        revisionHistoryLimit: 10,
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
        ...spec,
      },
    };
  }

  change(spec: Partial<Deployment['spec']>): void {
    const generation = (this.deployment.metadata?.generation ?? 0) + 1;
    this.deployment = {
      ...this.deployment,
      metadata: { ...this.deployment.metadata, generation },
      spec: { ...(this.deployment.spec as NonNullable<Deployment['spec']>), ...spec },
    };
  }

  step(): DeploymentPlan {
    const hasOldPods = this.sets.some(
      set => set.spec?.template?.spec?.containers[0]?.image !== this.image && (set.status?.replicas ?? 0) > 0,
    );
    const plan = planDeployment({ deployment: this.deployment, sets: this.sets, hasOldPods, nowMs: this.nowMs });
    this.nowMs += 1000;
    if (plan.create) {
      const metadata = { ...plan.create.metadata, uid: `rs-${++this.#uids}`, creationTimestamp: timestamp(this.nowMs) };
      this.sets = [...this.sets, { ...plan.create, metadata, status: { replicas: 0 } }];
      this.events.push(`${imageOf(plan.create)} 0->${replicasOf(plan.create)}`);
    }
    for (const { old, next } of plan.updates) {
      this.sets = this.sets.map(set => (set.metadata?.uid === next.metadata?.uid ? next : set));
      if (replicasOf(old) !== replicasOf(next))
        this.events.push(`${imageOf(next)} ${replicasOf(old)}->${replicasOf(next)}`);
    }
    this.sets = this.sets.filter(set => !plan.remove.includes(set));
    if (plan.revision) {
      this.deployment = {
        ...this.deployment,
        metadata: { ...this.deployment.metadata, annotations: { [REVISION]: plan.revision } },
      };
    }
    this.deployment = { ...this.deployment, status: plan.status };
    return plan;
  }

  /** What the ReplicaSet controller and the nodes do; `ready` says which share of the missing pods come up. */
  run(ready = 1): void {
    this.sets = this.sets.map(set => {
      const replicas = replicasOf(set);
      const available = Math.min(set.status?.availableReplicas ?? 0, replicas);
      const up = Math.min(replicas, available + Math.ceil((replicas - available) * ready));
      return {
        ...set,
        status: {
          replicas,
          readyReplicas: up,
          availableReplicas: up,
          observedGeneration: set.metadata?.generation ?? 0,
        },
      };
    });
  }

  settle(steps = 60): void {
    for (let step = 0; step < steps; step++) {
      const before = JSON.stringify([this.sets, this.deployment.status?.replicas]);
      this.step();
      this.run();
      if (JSON.stringify([this.sets, this.deployment.status?.replicas]) === before) return;
    }
  }

  get image(): string {
    return this.deployment.spec?.template.spec?.containers[0]?.image ?? '';
  }
  get total(): number {
    return this.sets.reduce((sum, set) => sum + replicasOf(set), 0);
  }
  get available(): number {
    return this.sets.reduce((sum, set) => sum + Math.min(replicasOf(set), set.status?.availableReplicas ?? 0), 0);
  }
  reason(type: string): string | undefined {
    return this.deployment.status?.conditions?.find(condition => condition.type === type)?.reason;
  }
}
const template = (image: string) => ({
  metadata: { labels: { app: 'd' } },
  spec: { containers: [{ name: 'c', image }] },
});
const imageOf = (set: ReplicaSet) => set.spec?.template?.spec?.containers[0]?.image;
const rolling = (maxSurge: IntOrString, maxUnavailable: IntOrString) => ({
  strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } },
});

const rolls: readonly [string, Partial<Deployment['spec']> & { replicas: number }, readonly string[]][] = [
  ['by default', { replicas: 2 }, ['2 0->1', '1 2->1', '2 1->2', '1 1->0']],
  ['half and half', { replicas: 4, ...rolling('50%', '50%') }, ['2 0->2', '1 4->2', '2 2->4', '1 2->0']],
  ['all at once', { replicas: 2, ...rolling(0, '100%') }, ['2 0->0', '1 2->0', '2 0->2']],
  ['recreating', { replicas: 3, strategy: { type: 'Recreate' } }, ['1 3->0', '2 0->3']],
];
for (const [name, spec, expected] of rolls) {
  test(`rolls as Kubernetes does: ${name}`, t => {
    const world = new World(spec);
    world.settle();
    world.events = [];
    world.change({ template: template('2') });
    world.settle();
    t.deepEqual(world.events, [...expected]);
    t.is(world.reason('Progressing'), 'NewReplicaSetAvailable');
    t.is(world.reason('Available'), 'MinimumReplicasAvailable');
  });
}

test('an undo makes the old ReplicaSet the newest revision', t => {
  const world = new World({ replicas: 2 });
  world.settle();
  world.change({ template: template('2') });
  world.settle();
  world.change({ template: template('1') });
  world.settle();
  const revisions = Object.fromEntries(world.sets.map(set => [imageOf(set), set.metadata?.annotations?.[REVISION]]));
  t.deepEqual(revisions, { 1: '3', 2: '2' });
  t.is(world.deployment.metadata?.annotations?.[REVISION], '3');
  t.is(world.sets.length, 2);
});

test('revisions are whole numbers of 64 bits', t => {
  const world = new World({ replicas: 1 });
  world.settle();
  const [set] = world.sets;
  world.sets = [{ ...set, metadata: { ...set?.metadata, annotations: { [REVISION]: '3546343826724305832' } } }];
  world.change({ template: template('2') });
  world.settle();
  t.is(world.deployment.metadata?.annotations?.[REVISION], '3546343826724305833');
});

test('pausing stops the roll but not the scaling', t => {
  const world = new World({ replicas: 1 });
  world.settle();
  world.change({ paused: true });
  world.settle();
  t.is(world.reason('Progressing'), 'DeploymentPaused');
  world.change({ template: template('2') });
  world.change({ replicas: 2 });
  world.settle();
  t.deepEqual(
    world.sets.map(set => [imageOf(set), replicasOf(set)]),
    [['1', 2]],
  );
  world.change({ paused: false });
  world.settle();
  t.deepEqual(
    world.sets.map(set => [imageOf(set), replicasOf(set)]),
    [
      ['1', 0],
      ['2', 2],
    ],
  );
});

test('recreating waits for an old ReplicaSet that still counts pods, though the cache of pods shows none', t => {
  const world = new World({ replicas: 2, strategy: { type: 'Recreate' } });
  world.settle();
  world.change({ template: template('2') });
  world.step();
  t.deepEqual(world.sets.map(replicasOf), [0]);
  const plan = () =>
    planDeployment({ deployment: world.deployment, sets: world.sets, hasOldPods: false, nowMs: world.nowMs });
  t.is(plan().create, undefined);
  world.run();
  t.is(plan().create?.spec?.replicas, 2);
});

test('scaling to zero leaves a status without counts', t => {
  const world = new World({ replicas: 3 });
  world.settle();
  world.change({ replicas: 0 });
  world.settle();
  const { conditions: _, ...counts } = world.deployment.status ?? {};
  t.deepEqual(counts, { observedGeneration: 2 });
});

test('scaling in the middle of a roll keeps the proportions', t => {
  const world = new World({ replicas: 10, ...rolling(3, 2) });
  world.settle();
  world.change({ template: template('2') });
  world.step();
  world.run(0);
  world.step();
  world.run(0);
  t.deepEqual(world.sets.map(replicasOf), [8, 5]);
  world.change({ replicas: 15 });
  world.step();
  t.deepEqual(world.sets.map(replicasOf), [11, 7]);
  t.deepEqual(
    world.sets.map(set => set.metadata?.annotations?.[DESIRED_REPLICAS]),
    ['15', '15'],
  );
});

test('a rollout that stands still is reported after its deadline', t => {
  const world = new World({ replicas: 1 });
  world.settle();
  world.change({ template: template('2') });
  world.step();
  world.run(0);
  world.step();
  world.nowMs += 601_000;
  const plan = world.step();
  t.is(world.reason('Progressing'), 'ProgressDeadlineExceeded');
  t.is(plan.afterMs, undefined);
});

test('history is bounded, oldest revisions first', t => {
  const world = new World({ replicas: 1, revisionHistoryLimit: 2 });
  for (const image of ['1', '2', '3', '4', '5']) {
    world.change({ template: template(image) });
    world.settle();
  }
  world.settle();
  t.deepEqual(world.sets.map(imageOf), ['3', '4', '5']);
});

test('the ReplicaSet carries the hash in its name, labels, selector and template', t => {
  const { create } = new World({ replicas: 1 }).step();
  const hash = create?.metadata?.labels?.[HASH_LABEL] ?? '';
  t.is(create?.metadata?.name, `d-${hash}`);
  t.is(create?.spec?.selector.matchLabels?.[HASH_LABEL], hash);
  t.is(create?.spec?.template?.metadata?.labels?.[HASH_LABEL], hash);
});

const amount = fc.oneof(
  fc.integer({ min: 0, max: 6 }),
  fc.integer({ min: 0, max: 100 }).map(percent => `${percent}%`),
);
test('never oversteps surge or unavailability, comes to an end, and then does nothing', t => {
  fc.assert(
    fc.property(
      fc.record({
        replicas: fc.integer({ min: 0, max: 12 }),
        maxSurge: amount,
        maxUnavailable: amount,
        shares: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 30 }),
        images: fc.array(fc.constantFrom('1', '2', '3'), { minLength: 1, maxLength: 4 }),
      }),
      ({ replicas, maxSurge, maxUnavailable, shares, images }) => {
        const world = new World({ replicas, ...rolling(maxSurge, maxUnavailable) });
        world.settle();
        const bounds = rollingBounds(world.deployment);
        const check = () => {
          t.true(world.total <= replicas + bounds.maxSurge, `${world.total} pods for ${replicas}`);
          t.true(world.available >= replicas - bounds.maxUnavailable, `${world.available} available of ${replicas}`);
        };
        const steps = [...shares];
        for (const image of images) {
          world.change({ template: template(image) });
          for (const share of steps.splice(0, 6)) {
            world.step();
            check();
            world.run(share);
          }
        }
        world.settle(200);
        check();
        t.is(world.available, replicas);
        t.deepEqual(world.sets.filter(set => replicasOf(set) > 0).map(imageOf), replicas > 0 ? [world.image] : []);
        const settled = world.deployment.status;
        const plan = world.step();
        t.deepEqual([plan.create, plan.updates, plan.remove, plan.revision], [undefined, [], [], undefined]);
        t.true(isEqual(plan.status, settled));
      },
    ),
    { numRuns: 200 },
  );
});

/** A change that a user makes while pods come and go. */
const change = fc.oneof(
  fc.record({ template: fc.constantFrom('1', '2', '3', '4').map(template) }),
  fc.record({ replicas: fc.integer({ min: 0, max: 12 }) }),
  fc.record({ paused: fc.boolean() }),
);
const arbitrarySet = fc.record({
  image: fc.constantFrom('1', '2', '3', '4'),
  replicas: fc.integer({ min: 0, max: 12 }),
  available: fc.integer({ min: 0, max: 12 }),
  sizedFor: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined }),
});

test('from any mix of ReplicaSets and through any changes it converges, within its bounds at each step of a rollout', t => {
  fc.assert(
    fc.property(
      fc.record({
        replicas: fc.integer({ min: 0, max: 12 }),
        maxSurge: amount,
        maxUnavailable: amount,
        isRecreated: fc.boolean(),
        sets: fc.uniqueArray(arbitrarySet, { selector: ({ image }) => image }),
        changes: fc.array(change, { maxLength: 4 }),
        shares: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 }),
      }),
      ({ replicas, maxSurge, maxUnavailable, isRecreated, sets, changes, shares }) => {
        const strategy = isRecreated ? { strategy: { type: 'Recreate' } } : rolling(maxSurge, maxUnavailable);
        const world = new World({ replicas, ...strategy });
        world.sets = sets.map(({ image, replicas: size, available, sizedFor }, index) => ({
          metadata: {
            name: `d-${image}`,
            uid: `old-${image}`,
            creationTimestamp: timestamp(world.nowMs - 60_000 + index * 1000),
            annotations: {
              [REVISION]: String(index + 1),
              ...(sizedFor !== undefined && { [DESIRED_REPLICAS]: String(sizedFor) }),
            },
          },
          spec: { replicas: size, selector: {}, template: template(image) },
          status: { replicas: size, availableReplicas: Math.min(size, available) },
        }));
        /** One step, and what it may do: more pods than there were only up to the surge, fewer working ones only down to the floor. */
        const step = () => {
          const [total, available] = [world.total, world.available];
          const desired = world.deployment.spec?.replicas ?? 0;
          const { maxSurge: surge, maxUnavailable: down } = rollingBounds(world.deployment);
          // Scaling shares by size, whatever works, as in Kubernetes.
          const isScaled = world.sets.some(set => {
            const sizedFor = set.metadata?.annotations?.[DESIRED_REPLICAS];
            return replicasOf(set) > 0 && sizedFor !== undefined && Number(sizedFor) !== desired;
          });
          world.step();
          t.true(world.total <= Math.max(total, desired + surge), `${total} to ${world.total} for ${desired}+${surge}`);
          if (isRecreated || isScaled || world.deployment.spec?.paused) return;
          t.true(
            world.available >= Math.min(available, desired - down),
            `${available} to ${world.available} of ${desired}-${down}`,
          );
        };
        const rounds = [...shares];
        for (const next of changes) {
          world.change(next as Partial<Deployment['spec']>);
          for (const share of rounds.splice(0, 5)) {
            step();
            world.run(share);
          }
        }
        world.change({ paused: false });
        for (let round = 0; round < 100; round++) {
          step();
          world.run();
        }
        const wanted = world.deployment.spec?.replicas ?? 0;
        t.is(world.total, wanted);
        t.is(world.available, wanted);
        t.deepEqual(world.sets.filter(set => replicasOf(set) > 0).map(imageOf), wanted > 0 ? [world.image] : []);
        const plan = world.step();
        t.deepEqual([plan.create, plan.updates, plan.remove, plan.revision], [undefined, [], [], undefined]);
      },
    ),
    { numRuns: 150 },
  );
});

test('a status that is older than the size of its set makes nothing available', t => {
  const world = new World({
    replicas: 5,
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 2, maxUnavailable: 0 } },
  });
  world.settle();
  world.change({ template: template('2') });
  world.step();
  world.run();
  world.step();
  // The old set was made smaller, and its status has not been written since.
  const [old, next] = world.sets;
  t.deepEqual(
    [old, next].map(set => set && replicasOf(set)),
    [3, 2],
  );
  world.sets = world.sets.map(set => (set === old ? { ...set, status: { replicas: 5, availableReplicas: 5 } } : set));
  world.step();
  t.is(
    world.sets.reduce((sum, set) => sum + (imageOf(set) === '1' ? replicasOf(set) : 0), 0),
    3,
  );
});
