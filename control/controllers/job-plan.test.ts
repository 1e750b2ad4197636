import test from 'ava';
import fc from 'fast-check';
import type { Job, JobSpec, Pod } from '../api/generated/types.ts';
import { timestamp } from '../client/clock.ts';
import { isJobFinished } from './job-finished.ts';
import { formatIndexes, INDEX_ANNOTATION, parseIndexes } from './job-indexes.ts';
import { type JobPlan, planJob } from './job-plan.ts';
import { INDEX_FAILURES_ANNOTATION, isTracked, TRACKING_FINALIZER } from './job-pods.ts';
import { matchSuccessPolicy } from './job-policy.ts';
import { jobPod } from './job-template.ts';

const START = Date.UTC(2026, 0, 1);

/** The controller breaks off: nothing after this write is done. */
class Crash extends Error {
  override readonly name = 'Crash';
}

/** A Job whose pods end as the test says. */
class World {
  job: Job;
  pods: Pod[] = [];
  nowMs = START;
  events: string[] = [];
  /** Writes that are still done before the controller breaks off. */
  writesLeft = Number.POSITIVE_INFINITY;
  /** Pods come to their end slowly when they are deleted. */
  isGraceful = false;
  /** All that ever ended while it was tracked, by UID. */
  readonly ended = new Map<string, 'Succeeded' | 'Failed'>();
  /** The view lags: finalizers that are gone are still shown. */
  readonly shownTracked = new Set<string>();
  isLagging = false;
  /** An older version of the Job, where the cache has not seen the newest. */
  #seen: Job | undefined;
  #uids = 0;

  constructor(spec: Partial<JobSpec> = {}) {
    const template = { spec: { restartPolicy: 'Never', containers: [{ name: 'c' }] } };
    this.job = {
      metadata: { name: 'j', namespace: 'n', uid: 'job', resourceVersion: '1' },
      spec: { parallelism: 1, completions: 1, backoffLimit: 6, template, ...spec },
    };
  }

  /** One look and all that follows from it, or as much as comes before the crash. */
  step(): void {
    try {
      this.#perform(planJob(this.#seen ?? this.job, this.#view(), this.nowMs), this.#seen ?? this.job);
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
    }
    this.writesLeft = Number.POSITIVE_INFINITY;
    this.#seen = undefined;
  }
  /** The next look is at the Job as it is now, whatever is written meanwhile. */
  look(): void {
    this.#seen = this.job;
  }
  settle(): void {
    for (let step = 0; step < 10; step++) this.step();
  }
  end(wanted: 'Succeeded' | 'Failed', count = 1, exitCode = 1): void {
    let left = count;
    this.pods = this.pods.map(pod => {
      if (pod.status?.phase !== 'Running' || left-- <= 0) return pod;
      // Who is stopped has not succeeded.
      const phase = pod.metadata?.deletionTimestamp ? 'Failed' : wanted;
      const terminated = { exitCode: phase === 'Failed' ? exitCode : 0, finishedAt: timestamp(this.nowMs) };
      if (isTracked(pod)) this.ended.set(pod.metadata?.uid ?? '', phase);
      return {
        ...pod,
        status: { ...pod.status, phase, containerStatuses: [{ name: 'c', state: { terminated } } as never] },
      };
    });
    this.#clear();
  }
  /** Ends one pod of each of these indexes. */
  endIndexes(phase: 'Succeeded' | 'Failed', ...indexes: readonly number[]): void {
    for (const index of indexes) {
      const rest = this.pods.filter(pod => indexIn(pod) !== index);
      this.pods = this.pods.filter(pod => indexIn(pod) === index);
      this.end(phase);
      this.pods = [...rest, ...this.pods];
    }
  }
  /** Somebody deletes running pods. */
  remove(count: number): void {
    const running = this.pods.filter(
      ({ status, metadata }) => status?.phase === 'Running' && !metadata?.deletionTimestamp,
    );
    for (const pod of running.slice(0, count)) {
      if (isTracked(pod)) this.ended.set(pod.metadata?.uid ?? '', 'Failed');
      this.#delete(pod);
    }
  }
  spec(change: Partial<JobSpec>): void {
    this.job = { ...this.job, spec: { ...(this.job.spec as JobSpec), ...change } };
  }
  get active(): readonly Pod[] {
    return this.pods.filter(({ status, metadata }) => status?.phase === 'Running' && !metadata?.deletionTimestamp);
  }
  get running(): number {
    return this.pods.filter(({ status }) => status?.phase === 'Running').length;
  }
  get conditions(): string[] {
    return (this.job.status?.conditions ?? []).map(({ type, status, reason }) => `${type} ${status} ${reason}`);
  }
  countOf(phase: 'Succeeded' | 'Failed'): number {
    return [...this.ended.values()].filter(each => each === phase).length;
  }

  #view(): Pod[] {
    if (!this.isLagging) this.shownTracked.clear();
    return this.pods.map(pod => (this.shownTracked.has(pod.metadata?.uid ?? '') ? withFinalizer(pod, true) : pod));
  }
  #perform(plan: JobPlan, seen: Job): void {
    for (const pod of plan.track) this.#write(() => this.#change(pod, current => withFinalizer(current, true)));
    if (plan.deletesUncounted) for (const pod of plan.delete) this.#untrack(pod);
    for (const each of plan.create) this.#write(() => this.#create(each));
    for (const pod of plan.delete) {
      this.#write(() => {
        // What a failing Job removes has failed with it.
        if (!plan.deletesUncounted && isTracked(pod)) this.ended.set(pod.metadata?.uid ?? '', 'Failed');
        this.#delete(pod);
      });
    }
    this.#write(() => {
      if (seen.metadata?.resourceVersion !== this.job.metadata?.resourceVersion) throw new Crash();
      const resourceVersion = String(Number(this.job.metadata?.resourceVersion) + 1);
      this.job = { ...this.job, metadata: { ...this.job.metadata, resourceVersion }, status: plan.status };
    });
    this.events.push(...plan.events.map(({ reason }) => reason));
    for (const pod of plan.release) this.#untrack(pod, this.isLagging);
  }
  #write(run: () => void): void {
    if (this.writesLeft-- <= 0) throw new Crash();
    run();
  }
  #create(each: JobPlan['create'][number]): void {
    const { metadata, spec } = jobPod(this.job, each);
    const name = `p${++this.#uids}`;
    this.pods.push({ metadata: { ...metadata, name, uid: name }, ...(spec && { spec }), status: { phase: 'Running' } });
  }
  #untrack(pod: Pod, isHidden = false): void {
    this.#write(() => {
      const now = this.pods.find(({ metadata }) => metadata?.uid === pod.metadata?.uid);
      if (isHidden && now && isTracked(now)) this.shownTracked.add(pod.metadata?.uid ?? '');
      this.#change(pod, current => withFinalizer(current, false));
    });
  }
  #change(pod: Pod, change: (pod: Pod) => Pod): void {
    this.pods = this.pods.map(each => (each.metadata?.uid === pod.metadata?.uid ? change(each) : each));
    this.#clear();
  }
  #delete(pod: Pod): void {
    const deletionTimestamp = timestamp(this.nowMs);
    this.#change(pod, current => ({ ...current, metadata: { ...current.metadata, deletionTimestamp } }));
  }
  /** What is deleted, at its end and held by nothing goes. */
  #clear(): void {
    this.pods = this.pods.filter(pod => {
      const isHeld = isTracked(pod) || (this.isGraceful && pod.status?.phase === 'Running');
      return !pod.metadata?.deletionTimestamp || isHeld;
    });
  }
}

const indexIn = ({ metadata }: Pod) => Number(metadata?.annotations?.[INDEX_ANNOTATION]);
function withFinalizer(pod: Pod, isWanted: boolean): Pod {
  const others = (pod.metadata?.finalizers ?? []).filter(each => each !== TRACKING_FINALIZER);
  return { ...pod, metadata: { ...pod.metadata, finalizers: isWanted ? [...others, TRACKING_FINALIZER] : others } };
}

test('completes', t => {
  const world = new World();
  world.settle();
  t.is(world.running, 1);
  t.like(world.job.status, { active: 1, startTime: timestamp(START) });
  world.end('Succeeded');
  world.settle();
  t.deepEqual(world.conditions, ['SuccessCriteriaMet True CompletionsReached', 'Complete True CompletionsReached']);
  t.like(world.job.status, {
    succeeded: 1,
    ready: 0,
    terminating: 0,
    uncountedTerminatedPods: {},
    completionTime: timestamp(START),
  });
  t.deepEqual(world.events, ['Completed']);
});

test('fails after its retries, with a growing pause between them', t => {
  const world = new World({ backoffLimit: 1 });
  world.settle();
  world.end('Failed');
  world.settle();
  t.is(world.running, 0);
  world.nowMs += 10_000;
  world.settle();
  t.is(world.running, 1);
  world.end('Failed');
  world.settle();
  t.deepEqual(world.conditions, ['FailureTarget True BackoffLimitExceeded', 'Failed True BackoffLimitExceeded']);
  t.is(world.job.status?.failed, 2);
  t.deepEqual(world.events, ['BackoffLimitExceeded']);
});

test('fails at its deadline and takes its pods along', t => {
  const world = new World({ activeDeadlineSeconds: 5 });
  world.settle();
  world.nowMs += 5_000;
  world.settle();
  t.is(world.running, 0);
  t.deepEqual(world.conditions, ['FailureTarget True DeadlineExceeded', 'Failed True DeadlineExceeded']);
});

test('a pod failure policy fails the Job or forgives', t => {
  const rule = (action: string) => ({
    podFailurePolicy: { rules: [{ action, onExitCodes: { operator: 'In', values: [42] } }] },
    backoffLimit: 0,
  });
  const failing = new World(rule('FailJob'));
  failing.settle();
  failing.end('Failed', 1, 42);
  failing.settle();
  t.is(
    failing.job.status?.conditions?.[0]?.message,
    'Container c for pod n/p1 failed with exit code 42 matching FailJob rule at index 0',
  );
  const forgiving = new World(rule('Ignore'));
  forgiving.settle();
  forgiving.end('Failed', 1, 42);
  forgiving.nowMs += 60_000;
  forgiving.settle();
  t.is(forgiving.running, 1);
});

test('is suspended and resumed', t => {
  const world = new World({ suspend: true });
  world.settle();
  t.deepEqual([world.running, world.job.status?.startTime], [0, undefined]);
  t.deepEqual(world.conditions, ['Suspended True JobSuspended']);
  world.nowMs += 60_000;
  world.spec({ suspend: false, parallelism: 2 });
  world.settle();
  t.is(world.running, 1);
  t.is(world.job.status?.startTime, timestamp(START + 60_000));
  world.end('Succeeded');
  world.settle();
  t.deepEqual(world.events, ['Suspended', 'Resumed', 'Completed']);
});

test('without completions the first success ends the work', t => {
  const world = new World({ parallelism: 3 });
  delete world.job.spec?.completions;
  world.settle();
  t.is(world.running, 3);
  world.end('Succeeded');
  world.settle();
  t.is(world.running, 2);
  world.end('Succeeded', 2);
  world.settle();
  t.true(isJobFinished(world.job));
});

test('each index completes once', t => {
  const world = new World({ completionMode: 'Indexed', completions: 3, parallelism: 2 });
  world.settle();
  t.deepEqual(
    world.pods.map(({ metadata }) => metadata?.annotations?.[INDEX_ANNOTATION]),
    ['0', '1'],
  );
  world.end('Succeeded');
  world.settle();
  t.is(world.job.status?.completedIndexes, '0');
  world.end('Succeeded', 2);
  world.settle();
  t.is(world.job.status?.completedIndexes, '0-2');
  t.true(isJobFinished(world.job));
});

test('indexes are written short and read back', t => {
  t.is(formatIndexes([0, 1, 2, 5, 7, 8]), '0-2,5,7,8');
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat({ max: 40 })), indexes => {
      t.deepEqual(
        [...parseIndexes(formatIndexes(indexes))],
        indexes.toSorted((a, b) => a - b),
      );
    }),
  );
});

const indexed = (spec: Partial<JobSpec> = {}): Partial<JobSpec> => ({
  completionMode: 'Indexed',
  completions: 4,
  parallelism: 4,
  ...spec,
});

test('each index has its own limit, and its own pause', t => {
  const world = new World(indexed({ backoffLimitPerIndex: 1, backoffLimit: 2 ** 31 - 1 }));
  world.settle();
  world.endIndexes('Failed', 1, 3);
  world.settle();
  t.is(world.running, 2);
  t.deepEqual([world.job.status?.failed, world.job.status?.failedIndexes], [undefined, '']);
  world.nowMs += 10_000;
  world.settle();
  t.is(world.running, 4);
  t.deepEqual(
    world.active.map(pod => [indexIn(pod), pod.metadata?.annotations?.[INDEX_FAILURES_ANNOTATION]]).toSorted(),
    [
      [0, '0'],
      [1, '1'],
      [2, '0'],
      [3, '1'],
    ],
  );
  t.is(world.job.status?.failed, 2);
  world.endIndexes('Failed', 1, 3);
  world.endIndexes('Succeeded', 0, 2);
  world.settle();
  t.like(world.job.status, { failed: 4, succeeded: 2, completedIndexes: '0,2', failedIndexes: '1,3' });
  t.deepEqual(world.conditions, ['FailureTarget True FailedIndexes', 'Failed True FailedIndexes']);
});

test('too many failed indexes end the Job', t => {
  const world = new World(indexed({ backoffLimitPerIndex: 0, maxFailedIndexes: 1, backoffLimit: 2 ** 31 - 1 }));
  world.settle();
  world.endIndexes('Failed', 0, 1);
  world.settle();
  t.deepEqual(world.events, ['MaxFailedIndexesExceeded']);
  t.is(world.running, 0);
  // What still ran has failed with it.
  t.is(world.job.status?.failed, 4);
});

test('FailIndex gives up an index at once, and Ignore never', t => {
  const rules = [
    { action: 'FailIndex', onExitCodes: { operator: 'In', values: [3] } },
    { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
  ];
  const world = new World(
    indexed({ completions: 2, backoffLimitPerIndex: 5, backoffLimit: 2 ** 31 - 1, podFailurePolicy: { rules } }),
  );
  world.settle();
  world.end('Failed', 1, 3);
  world.settle();
  t.is(world.job.status?.failedIndexes, '0');
  world.pods = world.pods.map(pod => ({
    ...pod,
    status: { ...pod.status, conditions: [{ type: 'DisruptionTarget', status: 'True' }] },
  }));
  world.end('Failed');
  world.nowMs += 60_000;
  world.settle();
  t.is(world.active[0]?.metadata?.annotations?.['batch.kubernetes.io/job-index-ignored-failure-count'], '1');
  t.is(world.job.status?.failed, 1);
});

const SUCCESSES: readonly (readonly [object, readonly number[], boolean])[] = [
  [{ succeededCount: 2 }, [0, 3], true],
  [{ succeededCount: 3 }, [0, 3], false],
  [{ succeededIndexes: '0,3' }, [0, 3], true],
  [{ succeededIndexes: '0-1' }, [0, 3], false],
  [{ succeededIndexes: '0-2', succeededCount: 1 }, [0, 3], true],
  [{ succeededIndexes: '1-2', succeededCount: 1 }, [0, 3], false],
];
test('a rule of the success policy may name two thousand million indexes in a few characters', t => {
  const job = (succeededIndexes: string): Job => ({
    spec: { completions: 2_147_483_647, successPolicy: { rules: [{ succeededIndexes }] }, template: {} },
  });
  t.is(matchSuccessPolicy(job('1-2147483646'), new Set([1])), undefined);
  t.is(matchSuccessPolicy(job('0,1,5-7'), new Set([7, 6, 5, 1, 0])), 'Matched rules at index 0');
});

for (const [rule, indexes, isMet] of SUCCESSES) {
  test(`success policy ${JSON.stringify(rule)} with ${indexes.join()}`, t => {
    const world = new World(indexed({ successPolicy: { rules: [rule] } }));
    world.settle();
    world.endIndexes('Succeeded', ...indexes);
    world.settle();
    t.is(isJobFinished(world.job), isMet);
    if (!isMet) return;
    t.deepEqual(world.conditions, ['SuccessCriteriaMet True SuccessPolicy', 'Complete True SuccessPolicy']);
    t.is(world.job.status?.conditions?.[0]?.message, 'Matched rules at index 0');
    t.deepEqual([world.running, world.job.status?.failed, world.job.status?.succeeded], [0, undefined, 2]);
  });
}

test('a pod that is being deleted is replaced at once, or when it has ended', t => {
  for (const [podReplacementPolicy, running, failed] of [
    ['TerminatingOrFailed', 2, 1],
    ['Failed', 1, undefined],
  ] as const) {
    const world = new World({ podReplacementPolicy, backoffLimit: 9 });
    world.isGraceful = true;
    world.settle();
    world.remove(1);
    world.nowMs += 20_000;
    world.settle();
    t.deepEqual([world.running, world.job.status?.failed], [running, failed]);
    t.is(world.job.status?.terminating, 1);
  }
});

test('a pod that was removed before it ran is replaced, whatever the policy', t => {
  const world = new World({ podReplacementPolicy: 'Failed', backoffLimit: 9 });
  world.isGraceful = true;
  world.settle();
  world.remove(1);
  world.pods = world.pods.map(pod => ({ ...pod, metadata: { ...pod.metadata, deletionGracePeriodSeconds: 0 } }));
  // Only its finalizer still keeps it.
  world.isGraceful = false;
  world.nowMs += 20_000;
  world.settle();
  t.deepEqual([world.active.length, world.job.status?.failed], [1, 1]);
});

test('what is removed by suspending has not failed, and the deadline begins anew', t => {
  const world = new World({ parallelism: 2, completions: 2, activeDeadlineSeconds: 30 });
  world.settle();
  world.spec({ suspend: true });
  world.settle();
  t.deepEqual([world.running, world.job.status?.failed], [0, undefined]);
  world.nowMs += 60_000;
  world.spec({ suspend: false });
  world.settle();
  t.is(world.running, 2);
  t.is(world.job.status?.startTime, timestamp(START + 60_000));
});

test('the Job is not over while pods of it still end', t => {
  const world = new World({ activeDeadlineSeconds: 5 });
  world.isGraceful = true;
  world.settle();
  world.nowMs += 6000;
  world.settle();
  t.deepEqual(world.conditions, ['FailureTarget True DeadlineExceeded']);
  world.end('Failed');
  world.settle();
  t.deepEqual(world.conditions, ['FailureTarget True DeadlineExceeded', 'Failed True DeadlineExceeded']);
  t.is(world.job.status?.failed, 1);
});

test('an indexed Job grows and shrinks', t => {
  const world = new World(indexed({ completions: 3, parallelism: 3 }));
  world.settle();
  world.endIndexes('Succeeded', 0);
  world.settle();
  world.spec({ completions: 5, parallelism: 5 });
  world.settle();
  t.deepEqual(world.active.map(indexIn).toSorted(), [1, 2, 3, 4]);
  world.spec({ completions: 2, parallelism: 2 });
  world.settle();
  t.deepEqual(world.active.map(indexIn), [1]);
  world.endIndexes('Succeeded', 1);
  world.settle();
  t.like(world.job.status, { succeeded: 2, completedIndexes: '0,1' });
  t.deepEqual(world.events, ['Completed']);
  t.is(world.job.status?.failed, undefined);
});

test('restarts in place count against the limit', t => {
  const template = { spec: { restartPolicy: 'OnFailure', containers: [{ name: 'c' }] } };
  const world = new World({ backoffLimit: 0, template });
  world.settle();
  world.pods = world.pods.map(pod => ({
    ...pod,
    status: { phase: 'Running', containerStatuses: [{ name: 'c', restartCount: 1 } as never] },
  }));
  world.settle();
  t.deepEqual(world.events, ['BackoffLimitExceeded']);
});

test('a Job that leaves lets all its pods go, and one that is over asks for nothing', t => {
  const world = new World({ parallelism: 2, completions: 2 });
  world.settle();
  const leaving = { ...world.job, metadata: { ...world.job.metadata, deletionTimestamp: timestamp(START) } };
  const plan = planJob(leaving, world.pods, START);
  t.deepEqual([plan.release.length, plan.create, plan.delete], [2, [], []]);
});

test('a pod of an indexed Job knows its index, and its name does so however long the Job’s is', t => {
  const name = 'j'.repeat(63);
  const job: Job = {
    metadata: { name, namespace: 'n' },
    spec: { template: { spec: { containers: [{ name: 'c', env: [{ name: 'A', value: 'b' }] }] } } },
  };
  const { metadata, spec } = jobPod(job, { index: 12 });
  t.is(metadata?.generateName, `${'j'.repeat(54)}-12-`);
  t.deepEqual(metadata?.finalizers, [TRACKING_FINALIZER]);
  t.is(spec?.hostname, `${name}-12`);
  t.deepEqual(
    spec?.containers[0]?.env?.map(each => each.name),
    ['A', 'JOB_COMPLETION_INDEX'],
  );
});

/** What may happen to a Job between two looks. */
const happening = fc.oneof(
  fc.record({
    type: fc.constant('end' as const),
    phase: fc.constantFrom<'Succeeded' | 'Failed'>('Succeeded', 'Succeeded', 'Failed'),
    count: fc.integer({ min: 1, max: 4 }),
  }),
  fc.record({ type: fc.constant('crash' as const), writes: fc.nat({ max: 12 }) }),
  fc.record({ type: fc.constant('remove' as const), count: fc.integer({ min: 1, max: 2 }) }),
  fc.record({ type: fc.constant('lag' as const), isLagging: fc.boolean() }),
  fc.record({ type: fc.constant('old view' as const) }),
  fc.record({ type: fc.constant('suspend' as const), suspend: fc.boolean() }),
  fc.record({ type: fc.constant('parallelism' as const), parallelism: fc.integer({ min: 1, max: 4 }) }),
);

const specs = fc
  .record({
    completions: fc.integer({ min: 1, max: 6 }),
    parallelism: fc.integer({ min: 1, max: 4 }),
    isIndexed: fc.boolean(),
    backoffLimitPerIndex: fc.option(fc.nat({ max: 2 }), { nil: undefined }),
    podReplacementPolicy: fc.constantFrom('TerminatingOrFailed', 'Failed'),
    backoffLimit: fc.constantFrom(2, 100),
  })
  .map(
    ({ isIndexed, backoffLimitPerIndex, ...spec }): Partial<JobSpec> => ({
      ...spec,
      ...(isIndexed && { completionMode: 'Indexed' }),
      ...(isIndexed && backoffLimitPerIndex !== undefined && { backoffLimitPerIndex, backoffLimit: 2 ** 31 - 1 }),
    }),
  );

test('whatever happens and wherever it breaks off: no pod too many, every end counted once, and it comes to its end', t => {
  fc.assert(
    fc.property(specs, fc.boolean(), fc.array(happening, { maxLength: 40 }), (spec, isGraceful, happenings) => {
      const world = new World(spec);
      world.isGraceful = isGraceful;
      const check = () => {
        const { parallelism = 1, podReplacementPolicy } = world.job.spec ?? {};
        const counted = podReplacementPolicy === 'Failed' ? world.running : world.active.length;
        t.true(counted <= Math.max(parallelism, before), `${counted} run, ${parallelism} may`);
        const { succeeded = 0, failed = 0, uncountedTerminatedPods: open } = world.job.status ?? {};
        if (world.job.spec?.completionMode !== 'Indexed') {
          t.true(succeeded + (open?.succeeded ?? []).length <= world.countOf('Succeeded'));
        }
        t.true(failed + (open?.failed ?? []).length <= world.countOf('Failed'));
      };
      let before = 0;
      const look = () => {
        before = world.job.spec?.podReplacementPolicy === 'Failed' ? world.running : world.active.length;
        world.step();
        check();
      };
      for (const each of happenings) {
        if (each.type === 'end') world.end(each.phase, each.count);
        if (each.type === 'remove') world.remove(each.count);
        if (each.type === 'crash') world.writesLeft = each.writes;
        if (each.type === 'lag') world.isLagging = each.isLagging;
        if (each.type === 'suspend') world.spec({ suspend: each.suspend });
        if (each.type === 'parallelism') world.spec({ parallelism: each.parallelism });
        if (each.type === 'old view') {
          world.look();
          const seen = world.job;
          look();
          world.look();
          world.job = { ...world.job };
          t.is(seen.metadata?.uid, world.job.metadata?.uid);
        }
        look();
        world.nowMs += 7000;
      }
      world.isLagging = false;
      world.spec({ suspend: false });
      for (let round = 0; round < 30 && !isJobFinished(world.job); round++) {
        for (let step = 0; step < 6; step++) look();
        world.end('Succeeded', 9);
        world.nowMs += 700_000;
      }
      t.true(isJobFinished(world.job), JSON.stringify(world.job.status));
      const { status } = world.job;
      t.is(status?.failed ?? 0, world.countOf('Failed'));
      if (world.job.spec?.completionMode === 'Indexed') {
        t.is(status?.succeeded ?? 0, parseIndexes(status?.completedIndexes).size);
        t.deepEqual(
          [...parseIndexes(status?.completedIndexes)].filter(index => parseIndexes(status?.failedIndexes).has(index)),
          [],
        );
      } else t.is(status?.succeeded ?? 0, world.countOf('Succeeded'));
      t.deepEqual(status?.uncountedTerminatedPods, {});
      t.deepEqual(world.pods.filter(isTracked), []);
      const again = planJob(world.job, world.pods, world.nowMs);
      t.deepEqual([again.create, again.delete, again.release, again.events], [[], [], [], []]);
      t.deepEqual(again.status, status);
    }),
    { numRuns: 300 },
  );
});
