/** Removes finished Jobs after their time to live. */
import { jobs as jobsKind } from '../api/generated/kinds.ts';
import type { Job } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import { parseTime } from '../client/clock.ts';
import type { ReconcileResult } from '../client/controller.ts';
import { keyOf, objectKey } from '../client/keys.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { finishedCondition, isJobFinished } from './job-finished.ts';
import { LOOK_AGAIN_MS_MAX } from './limits.ts';

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
    const leftMs =
      (parseTime(finishedCondition(job)?.lastTransitionTime) ?? clock.now()) + ttlSeconds * 1000 - clock.now();
    if (leftMs > 0) return { afterMs: Math.min(leftMs, LOOK_AGAIN_MS_MAX) };
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
