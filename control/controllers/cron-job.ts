/** Starts the runs of CronJobs when they are due. */
import { cronjobs as cronJobsKind, jobs as jobsKind } from '../api/generated/kinds.ts';
import type { CronJob, CronJobStatus, Job } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import type { ReconcileResult } from '../client/controller.ts';
import { keyOf, objectKey } from '../client/keys.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { type CronJobPlan, isUnexpected, planCronJob, type Run, withoutRun, withRun } from './cron-job-plan.ts';
import { isEqual } from './equal.ts';
import { LOOK_AGAIN_MS_MAX } from './limits.ts';
import { byControllerUid, CONTROLLER_INDEX, controllerOf, refersTo } from './owners.ts';
import { isNamespaceTerminating, messageOf } from './pod-control.ts';

export function cronJobController(context: ControllerContext): Controller {
  const { client, clock, informers, options } = context;
  const queue = newQueue(context);
  const recorder = context.recorder('cronjob-controller');
  const cronJobs = informers.for<CronJob>(cronJobsKind);
  const jobs = informers.for<Job>(jobsKind);
  jobs.addIndex(CONTROLLER_INDEX, byControllerUid);
  const enqueue = (cronJob: CronJob) => queue.add(keyOf(cronJob));
  const enqueueOwner = (job: Job) => {
    const owner = controllerOf(job);
    if (owner && refersTo(owner, cronJobsKind)) queue.add(`${job.metadata?.namespace}/${owner.name}`);
  };
  cronJobs.addHandler({ added: enqueue, updated: enqueue });
  jobs.addHandler({ added: enqueueOwner, updated: enqueueOwner, deleted: enqueueOwner });

  const localZone = options.timeZone ?? 'UTC';
  const exists = async (name: string, namespace: string): Promise<boolean> => {
    try {
      await client.get(jobsKind, { namespace, name });
      return true;
    } catch (error) {
      if (hasReason(error, 'NotFound')) return false;
      throw error;
    }
  };
  const plan = async (cronJob: CronJob, own: readonly Job[]): Promise<CronJobPlan> => {
    const known = new Set(own.map(({ metadata }) => metadata?.uid));
    const missing = new Set<string>();
    for (const { uid, name = '' } of cronJob.status?.active ?? []) {
      if (!known.has(uid) && !(await exists(name, cronJob.metadata?.namespace ?? ''))) missing.add(name);
    }
    return planCronJob({ cronJob, jobs: own, missing, nowMs: clock.now(), localZone });
  };

  const removeJob = async (cronJob: CronJob, name: string, uid: string): Promise<boolean> => {
    try {
      const key = { namespace: cronJob.metadata?.namespace ?? '', name };
      await client.delete(jobsKind, key, { propagationPolicy: 'Background', ...(uid && { uid }) });
    } catch (error) {
      // Gone, or another under its name: it is not there.
      if (hasReason(error, 'NotFound') || hasReason(error, 'Conflict')) return true;
      recorder.record(cronJob, {
        type: 'Warning',
        reason: 'FailedDelete',
        message: `Deleted job: ${messageOf(error)}`,
      });
      return false;
    }
    recorder.record(cronJob, { type: 'Normal', reason: 'SuccessfulDelete', message: `Deleted job ${name}` });
    return true;
  };

  /** The job of the run; undefined if another's job has its name. */
  const createJob = async (cronJob: CronJob, run: Run): Promise<Job | undefined> => {
    try {
      const created = await client.create(jobsKind, run.job);
      const message = `Created job ${created.metadata?.name}`;
      recorder.record(cronJob, { type: 'Normal', reason: 'SuccessfulCreate', message });
      return created;
    } catch (error) {
      if (hasReason(error, 'AlreadyExists')) {
        // Created, and the status not written: by us before a crash, or by the leader before us.
        const existing = await client.get(jobsKind, objectKey(run.job));
        return controllerOf(existing)?.uid === cronJob.metadata?.uid ? existing : undefined;
      }
      if (!isNamespaceTerminating(error)) {
        const message = `Error creating job: ${messageOf(error)}`;
        recorder.record(cronJob, { type: 'Warning', reason: 'FailedCreate', message });
      }
      throw error;
    }
  };

  /** Gives the status afterwards. What fails is handed to `fail`, so that the rest is still written. */
  const performRun = async (
    cronJob: CronJob,
    { status, run }: { readonly status: CronJobStatus; readonly run: Run },
    fail: (error: unknown) => void,
  ): Promise<CronJobStatus> => {
    let next = status;
    try {
      for (const reference of run.replaced) {
        const { name = '', uid = '', namespace } = reference;
        if (!(await removeJob(cronJob, name, uid))) throw new Error(`could not replace job ${namespace}/${name}`);
        next = withoutRun(next, reference);
      }
      const created = await createJob(cronJob, run);
      return created ? withRun(next, run, created) : next;
    } catch (error) {
      fail(error);
      return next;
    }
  };

  const perform = async (cronJob: CronJob, decided: CronJobPlan): Promise<void> => {
    const failures: unknown[] = [];
    for (const event of decided.events) recorder.record(cronJob, event);
    const status = decided.run
      ? await performRun(cronJob, { status: decided.status, run: decided.run }, error => failures.push(error))
      : decided.status;
    for (const { metadata } of decided.remove) await removeJob(cronJob, metadata?.name ?? '', metadata?.uid ?? '');
    if (!isEqual(status, cronJob.status ?? {})) {
      await client.update(cronJobsKind, { ...cronJob, status }, { subresource: 'status' });
    }
    if (failures.length > 0) throw failures[0];
  };

  const reconcile = async (key: string): Promise<ReconcileResult | undefined> => {
    const cached = cronJobs.get(key);
    if (!cached) return undefined;
    const own = jobs.byIndex(CONTROLLER_INDEX, cached.metadata?.uid ?? '');
    let cronJob = cached;
    let decided = await plan(cronJob, own);
    // An old view must neither start a run twice nor wonder at a job that has been noted since.
    if (decided.run || own.some(job => isUnexpected(cached, job))) {
      cronJob = await client.get(cronJobsKind, objectKey(cached)).catch(error => {
        if (hasReason(error, 'NotFound')) return cached;
        throw error;
      });
      if (cronJob.metadata?.uid !== cached.metadata?.uid) return undefined;
      if (cronJob.metadata?.resourceVersion !== cached.metadata?.resourceVersion) decided = await plan(cronJob, own);
    }
    await perform(cronJob, decided);
    return { afterMs: decided.afterMs && Math.min(decided.afterMs, LOOK_AGAIN_MS_MAX) };
  };
  return queueController(context, { name: 'cronjob-controller', queue, reconcile });
}
