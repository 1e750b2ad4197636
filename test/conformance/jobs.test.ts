/**
 * What the conformance suite of Kubernetes v1.33 demands of Jobs ([sig-apps] Job): pods end here as the test says, where the suite's
 * containers run programs that succeed or fail.
 */
import test, { type ExecutionContext } from 'ava';
import * as kinds from '../../control/api/generated/kinds.ts';
import type { Job, JobSpec, Pod } from '../../control/api/generated/types.ts';
import { encodeProtobuf } from '../../control/api/protobuf/testing/encode.ts';
import { hasReason } from '../../control/api/status.ts';
import { type ControlPlane, createControlPlane, NAMESPACE } from '../helpers/control-plane.ts';
import { until } from '../helpers/run.ts';

const INDEX = 'batch.kubernetes.io/job-completion-index';
const indexOf = ({ metadata }: Pod) => Number(metadata?.annotations?.[INDEX] ?? -1);
const isReady = ({ metadata, status }: Pod) =>
  !metadata?.deletionTimestamp &&
  (status?.conditions ?? []).some(each => each.type === 'Ready' && each.status === 'True');

/** How a container of the pod ends; undefined if it runs on. */
type Ending = (pod: Pod) => number | undefined;

async function createJob(plane: ControlPlane, spec: Partial<JobSpec>): Promise<void> {
  const job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'j' },
    spec: {
      manualSelector: false,
      template: {
        metadata: { labels: { job: 'j' } },
        spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'x' }] },
      },
      ...spec,
    },
  };
  const { status, text } = await plane.api.call('POST', `/apis/batch/v1/namespaces/${NAMESPACE}/jobs`, {
    body: encodeProtobuf(job),
    headers: { 'content-type': 'application/vnd.kubernetes.protobuf' },
  });
  if (status !== 201) throw new Error(text);
}

const podsOf = (plane: ControlPlane) => plane.list(kinds.pods, 'job=j');

/** Ends those pods that are running as they are to end. */
async function endPods(plane: ControlPlane, ending: Ending): Promise<void> {
  for (const pod of await podsOf(plane)) {
    const exitCode = isReady(pod) && pod.status?.phase === 'Running' ? ending(pod) : undefined;
    if (exitCode === undefined) continue;
    const status = {
      phase: exitCode === 0 ? 'Succeeded' : 'Failed',
      conditions: [{ type: 'Ready', status: 'False' }],
      containerStatuses: [
        { name: 'c', image: 'x', imageID: '', ready: false, restartCount: 0, state: { terminated: { exitCode } } },
      ],
    };
    try {
      await plane.patch(kinds.pods, pod.metadata?.name ?? '', { status }, { subresource: 'status' });
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
    }
  }
}

/** Lets pods end until the Job has a condition of these, and gives it. */
async function runUntil(plane: ControlPlane, type: 'Complete' | 'Failed', ending: Ending): Promise<Job> {
  await until(`it is ${type}`, async () => {
    await endPods(plane, ending);
    const { status } = await plane.get(kinds.jobs, 'j');
    return (status?.conditions ?? []).some(each => each.type === type && each.status === 'True');
  });
  return plane.get(kinds.jobs, 'j');
}
const conditionsOf = ({ status }: Job) =>
  Object.fromEntries(
    (status?.conditions ?? []).map(({ type, status: value, reason }) => [type, `${value} ${reason ?? ''}`.trim()]),
  );
/** What the suite reads of a status; nothing may run any more. */
function counts(t: ExecutionContext, { status }: Job): readonly unknown[] {
  t.deepEqual([status?.active ?? 0, status?.ready ?? 0, status?.terminating ?? 0], [0, 0, 0]);
  return [status?.completedIndexes ?? '', status?.failedIndexes ?? '', status?.succeeded ?? 0, status?.failed ?? 0];
}

const failOdd: Ending = pod => indexOf(pod) % 2;
const inSequence = { completionMode: 'Indexed', completions: 4, parallelism: 2 } as const;

test('all indexes are tried though some fail, each as often as its own limit says', async t => {
  const plane = await createControlPlane(t);
  await createJob(plane, { ...inSequence, backoffLimitPerIndex: 1 });
  const job = await runUntil(plane, 'Failed', failOdd);
  t.deepEqual(counts(t, job), ['0,2', '1,3', 2, 4]);
  t.like(conditionsOf(job), { Failed: 'True FailedIndexes', FailureTarget: 'True FailedIndexes' });
});

test('too many failed indexes end the rest', async t => {
  const plane = await createControlPlane(t);
  await createJob(plane, { ...inSequence, parallelism: 1, backoffLimitPerIndex: 0, maxFailedIndexes: 0 });
  const job = await runUntil(plane, 'Failed', () => 1);
  t.deepEqual(counts(t, job), ['', '0', 0, 1]);
  t.is(conditionsOf(job).Failed, 'True MaxFailedIndexesExceeded');
});

test('a failure policy fails an index without another try', async t => {
  const plane = await createControlPlane(t);
  const podFailurePolicy = { rules: [{ action: 'FailIndex', onExitCodes: { operator: 'In', values: [1] } }] };
  await createJob(plane, { ...inSequence, backoffLimitPerIndex: 1, podFailurePolicy });
  const job = await runUntil(plane, 'Failed', failOdd);
  t.deepEqual(counts(t, job), ['0,2', '1,3', 2, 2]);
  t.is(conditionsOf(job).Failed, 'True FailedIndexes');
});

test('a failure policy fails the whole Job by an exit code', async t => {
  const plane = await createControlPlane(t);
  const podFailurePolicy = {
    rules: [{ action: 'FailJob', onExitCodes: { containerName: 'c', operator: 'In', values: [1] } }],
  };
  await createJob(plane, { completions: 4, parallelism: 2, backoffLimit: 1, podFailurePolicy });
  let isFirst = true;
  const job = await runUntil(plane, 'Failed', () => {
    const code = isFirst ? 1 : 0;
    isFirst = false;
    return code;
  });
  t.is(conditionsOf(job).Failed, 'True PodFailurePolicy');
  t.regex(
    job.status?.conditions?.find(({ type }) => type === 'Failed')?.message ?? '',
    /exit code 1 matching FailJob rule at index 0/,
  );
});

test('a failure policy passes over pods that were evicted', async t => {
  const plane = await createControlPlane(t);
  const podFailurePolicy = {
    rules: [{ action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] }],
  };
  await createJob(plane, { ...inSequence, completions: 2, backoffLimit: 0, podFailurePolicy });
  await until('two run', async () => (await podsOf(plane)).filter(isReady).length === 2);
  const evicted = (await podsOf(plane)).map(({ metadata }) => metadata?.name ?? '');
  for (const name of evicted) {
    const { status, text } = await plane.api.call('POST', `/api/v1/namespaces/${NAMESPACE}/pods/${name}/eviction`, {
      body: encodeProtobuf({ apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name } } as {
        apiVersion: string;
        kind: string;
      }),
      headers: { 'content-type': 'application/vnd.kubernetes.protobuf' },
    });
    t.is(status, 201, text);
  }
  const job = await runUntil(plane, 'Complete', ({ metadata }) =>
    evicted.includes(metadata?.name ?? '') ? undefined : 0,
  );
  t.deepEqual(counts(t, job), ['0,1', '', 2, 0]);
});

for (const { title, rule, ending, after } of [
  { title: 'all indexes', rule: { succeededIndexes: '0-3' }, ending: () => 0, after: ['0-3', '', 4, 0] },
  {
    title: 'some indexes, though others run',
    rule: { succeededIndexes: '0' },
    ending: (pod: Pod) => (indexOf(pod) === 0 ? 0 : undefined),
    after: ['0', '', 1, 0],
  },
  {
    title: 'a number of indexes, though others run',
    rule: { succeededCount: 1 },
    ending: (pod: Pod) => (indexOf(pod) === 1 ? 0 : undefined),
    after: ['1', '', 1, 0],
  },
]) {
  test(`a success policy is met by ${title}`, async t => {
    const plane = await createControlPlane(t);
    await createJob(plane, { ...inSequence, successPolicy: { rules: [rule] } });
    const job = await runUntil(plane, 'Complete', ending);
    t.deepEqual(counts(t, job), after);
    t.deepEqual(conditionsOf(job), { SuccessCriteriaMet: 'True SuccessPolicy', Complete: 'True SuccessPolicy' });
  });
}

test('an orphan that matches is taken back, and a pod that does not is let go', async t => {
  const plane = await createControlPlane(t);
  await createJob(plane, { completions: 4, parallelism: 2 });
  await until('two run', async () => (await podsOf(plane)).filter(isReady).length === 2);
  const { uid } = (await plane.get(kinds.jobs, 'j')).metadata ?? {};
  const [pod] = await podsOf(plane);
  const name = pod?.metadata?.name ?? '';
  const owner = async () => (await plane.get(kinds.pods, name)).metadata?.ownerReferences?.[0]?.uid;
  await plane.patch(kinds.pods, name, { metadata: { ownerReferences: null } });
  await until('taken back', async () => (await owner()) === uid);
  await plane.client.update(kinds.pods, {
    ...(await plane.get(kinds.pods, name)),
    metadata: { ...(await plane.get(kinds.pods, name)).metadata, labels: {} },
  });
  await until('let go', async () => (await owner()) === undefined);
  t.pass();
});

test('pods of an indexed Job know their index by annotation, label, variable and host name', async t => {
  const plane = await createControlPlane(t);
  await createJob(plane, { ...inSequence });
  const job = await runUntil(plane, 'Complete', () => 0);
  t.deepEqual(counts(t, job), ['0-3', '', 4, 0]);
  const succeeded = (await podsOf(plane)).filter(({ status }) => status?.phase === 'Succeeded');
  t.deepEqual(succeeded.map(indexOf).sort(), [0, 1, 2, 3]);
  for (const pod of succeeded) {
    t.is(pod.spec?.hostname, `j-${indexOf(pod)}`);
    t.is(pod.metadata?.labels?.[INDEX], String(indexOf(pod)));
    const [variable] = pod.spec?.containers[0]?.env ?? [];
    t.like(variable, { name: 'JOB_COMPLETION_INDEX' });
  }
});
