import test from 'ava';
import type { ContainerStatus, Job, Pod } from '../api/generated/types.ts';
import { timestamp } from '../client/clock.ts';
import { planJob } from './job-plan.ts';
import { backoffMs, endedAtMs, TRACKING_FINALIZER } from './job-pods.ts';
import { JOB_BACKOFF_MS_MAX } from './limits.ts';

const NOW = Date.UTC(2026, 0, 1);
const at = (seconds: number) => timestamp(NOW + seconds * 1000);
const ended = (seconds: number): ContainerStatus =>
  ({ name: 'c', state: { terminated: { exitCode: 1, finishedAt: at(seconds) } } }) as ContainerStatus;
const RUNNING = { name: 'c', state: { running: {} } } as ContainerStatus;
const unready = (seconds: number) => [{ type: 'Ready', status: 'False', lastTransitionTime: at(seconds) }];
const deleted = { deletionTimestamp: at(90), deletionGracePeriodSeconds: 30 };

const rows: readonly (readonly [string, Pod, number | undefined])[] = [
  ['the last container', { status: { phase: 'Failed', containerStatuses: [ended(10), ended(20), ended(15)] } }, 20],
  [
    'a sidecar that goes after them',
    { status: { phase: 'Failed', containerStatuses: [ended(10)], initContainerStatuses: [ended(25)] } },
    25,
  ],
  [
    'an init container, where no other began',
    {
      status: {
        phase: 'Failed',
        containerStatuses: [{ name: 'c', state: { waiting: {} } } as ContainerStatus],
        initContainerStatuses: [ended(5)],
      },
    },
    5,
  ],
  ['not ready any more', { status: { phase: 'Failed', conditions: unready(30) } }, 30],
  [
    'deleted while a container runs: when that was asked for, not when another container ended',
    { metadata: deleted, status: { phase: 'Running', containerStatuses: [ended(10), RUNNING] } },
    60,
  ],
  ['deleted at once', { metadata: { deletionTimestamp: at(90) }, status: { phase: 'Pending' } }, 90],
  ['refused by its node', { metadata: { creationTimestamp: at(3) }, status: { phase: 'Failed' } }, 3],
];
for (const [title, pod, seconds] of rows) {
  test(`the end of a pod: ${title}`, t => t.is(endedAtMs(pod), seconds && NOW + seconds * 1000));
}

test('a pause after failures: 10 seconds, doubled with each, ten minutes at most', t => {
  const pauses = [0, 1, 2, 3, 4, 7, 8, 1_000_000].map(failures => backoffMs(failures, NOW, NOW) / 1000);
  t.deepEqual(pauses, [0, 10, 20, 40, 80, 600, 600, JOB_BACKOFF_MS_MAX / 1000]);
  t.is(backoffMs(2, NOW, NOW + 15_000), 5_000);
  t.is(backoffMs(2, NOW, NOW + 25_000), 0);
});

test('a pod that its node refuses is not replaced in a hurry', t => {
  const job: Job = {
    metadata: { name: 'j', namespace: 'n', uid: 'j' },
    spec: { parallelism: 1, completions: 1, backoffLimit: 6, template: {} },
    status: { startTime: at(0) },
  };
  const refused = (index: number): Pod => ({
    metadata: { name: `p${index}`, uid: `p${index}`, creationTimestamp: at(index), finalizers: [TRACKING_FINALIZER] },
    status: { phase: 'Failed', reason: 'NodeAffinity' },
  });
  const one = planJob(job, [refused(1)], NOW + 2_000);
  t.deepEqual([one.create.length, one.afterMs], [0, 9_000]);
  const two = planJob(job, [refused(1), refused(12)], NOW + 12_000);
  t.deepEqual([two.create.length, two.afterMs], [0, 20_000]);
  t.is(planJob(job, [refused(1)], NOW + 11_000).create.length, 1);
});
