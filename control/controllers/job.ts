/** Runs Jobs to their end, and removes those that are done after their time to live. */
import { jobs as jobsKind, pods as podsKind } from '../api/generated/kinds.ts';
import type { Job, Pod } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import { parseTime } from '../client/clock.ts';
import type { ReconcileResult } from '../client/controller.ts';
import { Expectations } from '../client/expectations.ts';
import { keyOf, objectKey } from '../client/keys.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { isEqual } from './equal.ts';
import { followPods } from './follow-pods.ts';
import { INDEX_ANNOTATION } from './job-indexes.ts';
import { isJobFinished, planJob } from './job-plan.ts';
import { CONTROLLER_INDEX, controllerReference, ORPHAN_INDEX, performClaims, planClaims } from './owners.ts';
import { createPods, deletePods, type PodControl } from './pod-control.ts';
import { podFromTemplate } from './pods.ts';

export function jobController(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const queue = newQueue(context);
  const expectations = new Expectations(clock);
  const jobs = informers.for<Job>(jobsKind);
  const pods = informers.for<Pod>(podsKind);
  const recorder = context.recorder('job-controller');
  const control: PodControl = { client, recorder, expectations };
  followPods({ pods, owners: jobs, kind: jobsKind, queue, expectations, selectorOf: ({ spec }) => spec?.selector });

  const reconcile = async (key: string): Promise<ReconcileResult | undefined> => {
    const job = jobs.get(key);
    // A Job that names another manager is not ours.
    if (!job || (job.spec?.managedBy && job.spec.managedBy !== 'kubernetes.io/job-controller')) return undefined;
    const uid = job.metadata?.uid ?? '';
    if (job.metadata?.deletionTimestamp || isJobFinished(job) || !expectations.areMet(uid)) return undefined;
    const candidates = [
      ...pods.byIndex(CONTROLLER_INDEX, uid),
      ...pods.byIndex(ORPHAN_INDEX, job.metadata?.namespace ?? ''),
    ];
    const claims = planClaims(job, job.spec?.selector, candidates);
    const owned = await performClaims({ client, owner: job, ownerKind: jobsKind, kind: podsKind, claims });
    const plan = planJob(job, owned, clock.now());
    expectations.expect(uid, {
      creations: plan.create.length,
      deletions: plan.delete.map(({ metadata }) => metadata?.uid ?? ''),
    });
    const creationError = await createPods(
      control,
      job,
      plan.create.map(index => jobPod(job, index)),
    );
    const deletionError = await deletePods(control, job, plan.delete);
    if (!isEqual(plan.status, job.status)) {
      await client.update(jobsKind, { ...job, status: plan.status }, { subresource: 'status' });
    }
    for (const event of plan.events) recorder.record(job, event);
    const failure = creationError ?? deletionError;
    if (failure) throw failure;
    return { afterMs: plan.afterMs };
  };
  return queueController(context, { name: 'job-controller', queue, reconcile });
}

/** The template's pod; in an indexed Job it knows its index by annotation, label, host name and environment. */
function jobPod(job: Job, index: number | undefined): Pod {
  const { name = '', namespace = '' } = job.metadata ?? {};
  const podName = index === undefined ? name : `${name}-${index}`;
  const reference = controllerReference(jobsKind, job);
  const pod = podFromTemplate(job.spec?.template, { name: podName, namespace, reference });
  if (index === undefined || !pod.spec) return pod;
  const variable = {
    name: 'JOB_COMPLETION_INDEX',
    valueFrom: { fieldRef: { fieldPath: `metadata.labels['${INDEX_ANNOTATION}']` } },
  };
  const withIndex = <T extends { env?: object[] }>(container: T): T => ({
    ...container,
    env: [...(container.env ?? []), variable],
  });
  return {
    metadata: {
      ...pod.metadata,
      labels: { ...pod.metadata?.labels, [INDEX_ANNOTATION]: String(index) },
      annotations: { ...pod.metadata?.annotations, [INDEX_ANNOTATION]: String(index) },
    },
    spec: {
      ...pod.spec,
      hostname: podName,
      containers: pod.spec.containers.map(withIndex),
      ...(pod.spec.initContainers && { initContainers: pod.spec.initContainers.map(withIndex) }),
    },
  };
}

/** Removes finished Jobs that say how long they want to be kept. */
export function ttlController(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const queue = newQueue(context);
  const jobs = informers.for<Job>(jobsKind);
  const enqueue = (job: Job) => {
    if (job.spec?.ttlSecondsAfterFinished !== undefined && isJobFinished(job)) queue.add(keyOf(job));
  };
  jobs.addHandler({ added: enqueue, updated: enqueue });
  const reconcile = async (key: string): Promise<ReconcileResult | undefined> => {
    const job = jobs.get(key);
    const ttlSeconds = job?.spec?.ttlSecondsAfterFinished;
    if (!job || ttlSeconds === undefined || !isJobFinished(job) || job.metadata?.deletionTimestamp) return undefined;
    const end = job.status?.conditions?.find(
      ({ type, status }) => ['Complete', 'Failed'].includes(type) && status === 'True',
    );
    const leftMs = (parseTime(end?.lastTransitionTime) ?? clock.now()) + ttlSeconds * 1000 - clock.now();
    if (leftMs > 0) return { afterMs: leftMs };
    const { uid = '', resourceVersion = '' } = job.metadata ?? {};
    try {
      // The version too: the time to live may have been raised since.
      await client.delete(jobsKind, objectKey(job), { uid, resourceVersion, propagationPolicy: 'Foreground' });
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
    }
    return undefined;
  };
  return queueController(context, { name: 'ttl-after-finished-controller', queue, reconcile });
}
