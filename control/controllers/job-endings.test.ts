/** Which end a Job comes to where several are possible at once: the order is Kubernetes'. */
import test from 'ava';
import type { Job, JobSpec, Pod } from '../api/generated/types.ts';
import { timestamp } from '../client/clock.ts';
import { INDEX_ANNOTATION } from './job-indexes.ts';
import { planJob } from './job-plan.ts';
import { INDEX_FAILURES_ANNOTATION, TRACKING_FINALIZER } from './job-pods.ts';

const NOW = Date.UTC(2026, 0, 1);

interface Shape {
  readonly index: number;
  readonly phase: string;
  readonly failures?: number;
  readonly isDisrupted?: boolean;
}
const pod = ({ index, phase, failures = 0, isDisrupted = false }: Shape, number: number): Pod => ({
  metadata: {
    name: `p${number}`,
    namespace: 'n',
    uid: `p${number}`,
    finalizers: [TRACKING_FINALIZER],
    annotations: { [INDEX_ANNOTATION]: String(index), [INDEX_FAILURES_ANNOTATION]: String(failures) },
  },
  status: { phase, ...(isDisrupted && { conditions: [{ type: 'DisruptionTarget', status: 'True' }] }) },
});
const job = (spec: Partial<JobSpec>, announced: readonly (readonly [string, string])[]): Job => ({
  metadata: { name: 'j', namespace: 'n', uid: 'j' },
  spec: { completionMode: 'Indexed', parallelism: 2, completions: 2, backoffLimit: 100, template: {}, ...spec },
  status: {
    startTime: timestamp(NOW - 60_000),
    conditions: announced.map(([type, reason]) => ({ type, status: 'True', reason, message: 'said before' })),
  },
});
const oneOfTwo = { successPolicy: { rules: [{ succeededIndexes: '0,1', succeededCount: 1 }] } };
const onDisruption = {
  podFailurePolicy: {
    rules: [{ action: 'FailJob', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] }],
  },
};
const DISRUPTED: Shape = { index: 0, phase: 'Failed', isDisrupted: true };
const FAILED: Shape = { index: 0, phase: 'Failed' };
const LAST_FAILURE: Shape = { index: 0, phase: 'Failed', failures: 1 };
const SUCCEEDED: Shape = { index: 1, phase: 'Succeeded' };

const rows: readonly {
  readonly title: string;
  readonly spec: Partial<JobSpec>;
  readonly announced?: readonly (readonly [string, string])[];
  readonly pods: readonly Shape[];
  readonly end: string | undefined;
}[] = [
  { title: 'success by policy', spec: oneOfTwo, pods: [FAILED, SUCCEEDED], end: 'SuccessCriteriaMet SuccessPolicy' },
  {
    title: 'a rule that fails the Job before its success',
    spec: { ...oneOfTwo, ...onDisruption },
    pods: [DISRUPTED, SUCCEEDED],
    end: 'FailureTarget PodFailurePolicy',
  },
  {
    title: 'too many failures before its success',
    spec: { ...oneOfTwo, backoffLimit: 1 },
    pods: [FAILED, FAILED, SUCCEEDED],
    end: 'FailureTarget BackoffLimitExceeded',
  },
  {
    title: 'too many failures before the deadline',
    spec: { backoffLimit: 0, activeDeadlineSeconds: 1 },
    pods: [FAILED],
    end: 'FailureTarget BackoffLimitExceeded',
  },
  {
    title: 'the deadline before its success',
    spec: { ...oneOfTwo, activeDeadlineSeconds: 1 },
    pods: [SUCCEEDED],
    end: 'FailureTarget DeadlineExceeded',
  },
  {
    title: 'failed indexes before its success',
    spec: { ...oneOfTwo, backoffLimitPerIndex: 1 },
    pods: [LAST_FAILURE, SUCCEEDED],
    end: 'FailureTarget FailedIndexes',
  },
  {
    title: 'too many failed indexes before all of them',
    spec: { backoffLimitPerIndex: 1, maxFailedIndexes: 0 },
    pods: [LAST_FAILURE, SUCCEEDED],
    end: 'FailureTarget MaxFailedIndexesExceeded',
  },
  {
    title: 'an announced success stays, whatever fails then',
    spec: { ...oneOfTwo, ...onDisruption, backoffLimit: 0, backoffLimitPerIndex: 1 },
    announced: [['SuccessCriteriaMet', 'SuccessPolicy']],
    pods: [DISRUPTED, LAST_FAILURE],
    end: 'SuccessCriteriaMet SuccessPolicy',
  },
  {
    title: 'an announced failure stays, whatever succeeds then',
    spec: oneOfTwo,
    announced: [['FailureTarget', 'PodFailurePolicy']],
    pods: [SUCCEEDED],
    end: 'FailureTarget PodFailurePolicy',
  },
  { title: 'none yet', spec: { backoffLimitPerIndex: 1 }, pods: [FAILED, SUCCEEDED], end: undefined },
];
for (const { title, spec, announced = [], pods, end } of rows) {
  test(`ends: ${title}`, t => {
    const { status } = planJob(job(spec, announced), pods.map(pod), NOW);
    t.deepEqual(
      (status.conditions ?? []).map(({ type, reason }) => `${type} ${reason}`),
      end === undefined ? [] : [end],
    );
  });
}

test('an announcement that somebody has taken back is none', t => {
  const waiting = job({}, []);
  for (const type of ['FailureTarget', 'SuccessCriteriaMet']) {
    const conditions = [{ type, status: 'False', reason: 'ByHand', message: '' }];
    const plan = planJob({ ...waiting, status: { ...waiting.status, conditions } }, [], NOW);
    t.deepEqual(plan.status.conditions, conditions);
    t.is(plan.create.length, 2);
  }
});
