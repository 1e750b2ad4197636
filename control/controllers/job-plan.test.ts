import test from 'ava';
import fc from 'fast-check';
import type { Job, JobSpec, Pod } from '../api/generated/types.ts';
import { timestamp } from '../client/clock.ts';
import { formatIndexes, INDEX_ANNOTATION, parseIndexes } from './job-indexes.ts';
import { isJobFinished, planJob } from './job-plan.ts';

const START = Date.UTC(2026, 0, 1);

/** A Job whose pods end as the test says. */
class World {
  job: Job;
  pods: Pod[] = [];
  nowMs = START;
  events: string[] = [];
  #uids = 0;

  constructor(spec: Partial<JobSpec> = {}) {
    const template = { spec: { restartPolicy: 'Never', containers: [{ name: 'c' }] } };
    this.job = {
      metadata: { name: 'j', namespace: 'n' },
      spec: { parallelism: 1, completions: 1, backoffLimit: 6, template, ...spec },
    };
  }
  step(): void {
    const plan = planJob(this.job, this.pods, this.nowMs);
    for (const index of plan.create) {
      const metadata = {
        name: `p${++this.#uids}`,
        namespace: 'n',
        ...(index !== undefined && { annotations: { [INDEX_ANNOTATION]: `${index}` } }),
      };
      this.pods.push({ metadata, spec: { containers: [] }, status: { phase: 'Running' } });
    }
    this.pods = this.pods.filter(pod => !plan.delete.includes(pod));
    this.job = { ...this.job, status: plan.status };
    this.events.push(...plan.events.map(({ reason }) => reason));
  }
  settle(): void {
    for (let step = 0; step < 10; step++) this.step();
  }
  end(phase: 'Succeeded' | 'Failed', count = 1, exitCode = 1): void {
    let left = count;
    this.pods = this.pods.map(pod => {
      if (pod.status?.phase !== 'Running' || left-- <= 0) return pod;
      const terminated = { exitCode: phase === 'Failed' ? exitCode : 0, finishedAt: timestamp(this.nowMs) };
      return { ...pod, status: { phase, containerStatuses: [{ name: 'c', state: { terminated } } as never] } };
    });
  }
  spec(change: Partial<JobSpec>): void {
    this.job = { ...this.job, spec: { ...(this.job.spec as JobSpec), ...change } };
  }
  get running(): number {
    return this.pods.filter(({ status }) => status?.phase === 'Running').length;
  }
  get conditions(): string[] {
    return (this.job.status?.conditions ?? []).map(({ type, status, reason }) => `${type} ${status} ${reason}`);
  }
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

test('never runs more than it may, and ends with exactly the completions wanted', t => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 4 }),
      fc.boolean(),
      fc.array(
        fc.tuple(
          fc.constantFrom<'Succeeded' | 'Failed'>('Succeeded', 'Succeeded', 'Failed'),
          fc.integer({ min: 1, max: 3 }),
        ),
        { maxLength: 30 },
      ),
      (completions, parallelism, indexed, ends) => {
        const world = new World({
          completions,
          parallelism,
          backoffLimit: 100,
          ...(indexed && { completionMode: 'Indexed' }),
        });
        for (const [phase, count] of [...ends, ...Array(20).fill(['Succeeded', 9] as const)]) {
          world.settle();
          t.true(world.running <= parallelism);
          world.end(phase, count);
          world.nowMs += 700_000;
        }
        world.settle();
        t.true(isJobFinished(world.job));
        t.is(world.job.status?.succeeded, completions);
        t.is(world.pods.filter(({ status }) => status?.phase === 'Succeeded').length, completions);
      },
    ),
    { numRuns: 60 },
  );
});
