/**
 * Begins and ends the tracking of a Job's pods, and lets go of pods whose Job no longer counts them: it is gone, it has
 * finished, or it has released them. Without that they could never be removed.
 */
import { jobs as jobsKind, pods as podsKind } from '../api/generated/kinds.ts';
import type { Job, Pod } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import type { Client } from '../client/client.ts';
import type { ReconcileResult } from '../client/controller.ts';
import { keyOf, objectKey } from '../client/keys.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { isJobFinished } from './job-finished.ts';
import { isTracked, TRACKING_FINALIZER } from './job-pods.ts';
import { POD_PATCHES_CONCURRENT_MAX } from './limits.ts';
import { byControllerUid, CONTROLLER_INDEX, controllerOf, refersTo } from './owners.ts';

const OWN_MANAGER = 'kubernetes.io/job-controller';

/** False for a Job that names another controller: its pods are not ours. */
export const isOurs = ({ spec }: Job): boolean => !spec?.managedBy || spec.managedBy === OWN_MANAGER;

/** Adds or removes the finalizer. Gives the pods for which it is so afterwards, and the first error. */
export async function setTracking(
  client: Client,
  pods: readonly Pod[],
  isWanted: boolean,
): Promise<{ readonly done: readonly Pod[]; readonly error: unknown }> {
  const done: Pod[] = [];
  let error: unknown;
  for (let start = 0; start < pods.length; start += POD_PATCHES_CONCURRENT_MAX) {
    const batch = pods.slice(start, start + POD_PATCHES_CONCURRENT_MAX);
    const results = await Promise.allSettled(batch.map(pod => setFinalizer(client, pod, isWanted)));
    for (const [index, result] of results.entries()) {
      const pod = batch[index];
      if (result.status === 'fulfilled' && pod) done.push(pod);
      else if (result.status === 'rejected') error ??= result.reason;
    }
  }
  return { done, error };
}

async function setFinalizer(client: Client, pod: Pod, isWanted: boolean): Promise<void> {
  if (isTracked(pod) === isWanted) return;
  const field = isWanted ? 'finalizers' : '$deleteFromPrimitiveList/finalizers';
  const body = { metadata: { uid: pod.metadata?.uid ?? '', [field]: [TRACKING_FINALIZER] } };
  try {
    await client.patch(podsKind, objectKey(pod), { type: 'application/strategic-merge-patch+json', body });
  } catch (error) {
    // Gone, or replaced under its name: nothing holds it.
    if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) throw error;
  }
}

/** Watches for tracked pods that no Job counts. */
export function jobTrackingController(context: ControllerContext): Controller {
  const { client, informers } = context;
  const queue = newQueue(context);
  const jobs = informers.for<Job>(jobsKind);
  const pods = informers.for<Pod>(podsKind);
  pods.addIndex(CONTROLLER_INDEX, byControllerUid);
  const jobOf = (pod: Pod): Job | undefined => {
    const owner = controllerOf(pod);
    const job = owner && jobs.get(`${pod.metadata?.namespace}/${owner.name}`);
    return job?.metadata?.uid === owner?.uid ? job : undefined;
  };
  const isForUs = (pod: Pod): boolean => {
    const owner = controllerOf(pod);
    return isTracked(pod) && (!owner || refersTo(owner, jobsKind));
  };
  const isCounted = (job: Job | undefined): boolean => job !== undefined && (!isOurs(job) || !isJobFinished(job));
  const enqueue = (pod: Pod) => {
    if (isForUs(pod) && !isCounted(jobOf(pod))) queue.add(keyOf(pod));
  };
  const enqueueAll = (job: Job) => {
    for (const pod of pods.byIndex(CONTROLLER_INDEX, job.metadata?.uid ?? '')) enqueue(pod);
  };
  pods.addHandler({ added: enqueue, updated: enqueue });
  jobs.addHandler({ updated: job => isJobFinished(job) && enqueueAll(job), deleted: enqueueAll });

  /** Asks the API where the cache knows of no Job: it may be behind. */
  const ownerNow = async (pod: Pod): Promise<Job | undefined> => {
    const owner = controllerOf(pod);
    if (!owner) return undefined;
    try {
      const job = await client.get(jobsKind, { namespace: pod.metadata?.namespace ?? '', name: owner.name });
      return job.metadata?.uid === owner.uid ? job : undefined;
    } catch (error) {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    }
  };
  const reconcile = async (key: string): Promise<ReconcileResult | undefined> => {
    const pod = pods.get(key);
    if (!pod || !isForUs(pod) || isCounted(jobOf(pod)) || isCounted(await ownerNow(pod))) return undefined;
    const { error } = await setTracking(client, [pod], false);
    if (error) throw error;
    return undefined;
  };
  return queueController(context, { name: 'job-tracking-controller', queue, reconcile });
}
