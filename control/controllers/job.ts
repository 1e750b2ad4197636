/** Runs Jobs to their end. */
import { jobs as jobsKind, pods as podsKind } from '../api/generated/kinds.ts';
import type { Job, Pod } from '../api/generated/types.ts';
import type { ReconcileResult } from '../client/controller.ts';
import { Expectations } from '../client/expectations.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { isEqual } from './equal.ts';
import { followPods } from './follow-pods.ts';
import { isJobFinished } from './job-finished.ts';
import { type JobPlan, planJob } from './job-plan.ts';
import { jobPod } from './job-template.ts';
import { isOurs, setTracking } from './job-tracking.ts';
import { JOB_RETRY_MS_MAX, JOB_RETRY_MS_MIN, LOOK_AGAIN_MS_MAX } from './limits.ts';
import { CONTROLLER_INDEX, ORPHAN_INDEX, performClaims, planClaims } from './owners.ts';
import { createPods, deletePods, type PodControl } from './pod-control.ts';
import { RecentWrites } from './recent-writes.ts';

export function jobController(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const queue = newQueue(context, { backoffMsMin: JOB_RETRY_MS_MIN, backoffMsMax: JOB_RETRY_MS_MAX });
  const expectations = new Expectations(clock);
  const jobs = informers.for<Job>(jobsKind);
  // A pod that was released shows before the status that counts it, if the watch of Jobs is behind.
  const written = new RecentWrites(jobs);
  const pods = informers.for<Pod>(podsKind);
  const recorder = context.recorder('job-controller');
  const control: PodControl = { client, recorder, expectations };
  followPods({ pods, owners: jobs, kind: jobsKind, queue, expectations, selectorOf: ({ spec }) => spec?.selector });

  /** All pods of the Job, once claims are settled. */
  const ownedPods = (job: Job): Promise<readonly Pod[]> => {
    const candidates = [
      ...pods.byIndex(CONTROLLER_INDEX, job.metadata?.uid ?? ''),
      ...pods.byIndex(ORPHAN_INDEX, job.metadata?.namespace ?? ''),
    ];
    const claims = planClaims(job, job.spec?.selector, candidates);
    return performClaims({ client, owner: job, ownerKind: jobsKind, kind: podsKind, claims });
  };

  /** Creates and deletes. Gives the first error; the rest is done all the same. */
  const performScale = async (job: Job, plan: JobPlan): Promise<unknown> => {
    const uid = job.metadata?.uid ?? '';
    const { error: trackError } = await setTracking(client, plan.track, true);
    const untracked = plan.deletesUncounted
      ? await setTracking(client, plan.delete, false)
      : { done: plan.delete, error: undefined };
    expectations.expect(uid, {
      creations: plan.create.length,
      deletions: untracked.done.map(({ metadata }) => metadata?.uid ?? ''),
    });
    const wanted = plan.create.map(each => jobPod(job, each));
    const creationError = await createPods(control, job, wanted);
    const deletionError = await deletePods(control, job, untracked.done);
    return creationError ?? deletionError ?? trackError ?? untracked.error;
  };

  /** The status first: what it holds need not be tracked any longer, and what it does not hold must be. */
  const perform = async (job: Job, plan: JobPlan): Promise<void> => {
    const failure = await performScale(job, plan);
    // How many were made is not known then; the next look tells.
    const isUnsure = failure !== undefined && plan.create.length > 0;
    const status = isUnsure ? { ...plan.status, active: (plan.status.active ?? 0) - plan.create.length } : plan.status;
    if (!isEqual(status, job.status ?? {})) {
      written.note(await client.update(jobsKind, { ...job, status }, { subresource: 'status' }));
    }
    for (const event of plan.events) recorder.record(job, event);
    const { error } = await setTracking(client, plan.release, false);
    if (failure ?? error) throw failure ?? error;
  };

  const reconcile = async (key: string): Promise<ReconcileResult | undefined> => {
    const job = written.get(key);
    if (!job || !isOurs(job) || isJobFinished(job)) return undefined;
    if (!expectations.areMet(job.metadata?.uid ?? '')) return undefined;
    const plan = planJob(job, await ownedPods(job), clock.now());
    await perform(job, plan);
    return { afterMs: plan.afterMs && Math.min(plan.afterMs, LOOK_AGAIN_MS_MAX) };
  };
  return queueController(context, { name: 'job-controller', queue, reconcile });
}
