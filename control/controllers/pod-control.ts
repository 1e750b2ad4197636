/** Creating and deleting pods for their owner, with the events that tell of it. */
import { pods as podsKind } from '../api/generated/kinds.ts';
import type { Pod } from '../api/generated/types.ts';
import type { KubernetesObject } from '../api/kind.ts';
import { ApiError, hasReason } from '../api/status.ts';
import type { Client } from '../client/client.ts';
import type { EventRecorder } from '../client/events.ts';
import type { Expectations } from '../client/expectations.ts';
import { objectKey } from '../client/keys.ts';
import { POD_DELETIONS_CONCURRENT_MAX, POD_WRITES_MAX, SLOW_START_BATCH } from './limits.ts';

export interface PodControl {
  readonly client: Client;
  readonly recorder: EventRecorder;
  readonly expectations: Expectations;
}

/**
 * Creates the pods in batches that double while all goes well, so that a thousand refusals cost few requests. The
 * expectations for all must have been set. Gives the first error; pods not tried are counted off.
 */
export async function createPods(control: PodControl, owner: KubernetesObject, pods: readonly Pod[]): Promise<unknown> {
  const uid = owner.metadata?.uid ?? '';
  const { tried, error } = await inGrowingBatches(pods, pod => createPod(control, owner, pod));
  for (let left = tried; left < pods.length; left++) control.expectations.creationObserved(uid);
  return isNamespaceTerminating(error) ? undefined : error;
}

/** Runs in batches that double while all goes well; a batch in which something fails is the last. Gives its first error. */
export async function inGrowingBatches<T>(
  items: readonly T[],
  run: (item: T) => Promise<void>,
): Promise<{ readonly tried: number; readonly error: unknown }> {
  let tried = 0;
  for (let batch = SLOW_START_BATCH; tried < items.length; batch = Math.min(2 * batch, POD_WRITES_MAX)) {
    const results = await Promise.allSettled(items.slice(tried, tried + batch).map(run));
    tried += results.length;
    const failed = results.find(result => result.status === 'rejected');
    if (failed) return { tried, error: failed.reason };
  }
  return { tried, error: undefined };
}

async function createPod(
  { client, recorder, expectations }: PodControl,
  owner: KubernetesObject,
  pod: Pod,
): Promise<void> {
  try {
    const created = await client.create(podsKind, pod);
    recorder.record(owner, {
      type: 'Normal',
      reason: 'SuccessfulCreate',
      message: `Created pod: ${created.metadata?.name}`,
    });
  } catch (error) {
    expectations.creationObserved(owner.metadata?.uid ?? '');
    if (!isNamespaceTerminating(error)) {
      recorder.record(owner, {
        type: 'Warning',
        reason: 'FailedCreate',
        message: `Error creating: ${messageOf(error)}`,
      });
    }
    throw error;
  }
}

/** Deletes the pods. The expectations for all must have been set. Gives the first error. */
export async function deletePods(control: PodControl, owner: KubernetesObject, pods: readonly Pod[]): Promise<unknown> {
  let firstError: unknown;
  for (let start = 0; start < pods.length; start += POD_DELETIONS_CONCURRENT_MAX) {
    const batch = pods.slice(start, start + POD_DELETIONS_CONCURRENT_MAX);
    const results = await Promise.allSettled(batch.map(pod => deletePod(control, owner, pod)));
    firstError ??= results.find(result => result.status === 'rejected')?.reason;
  }
  return firstError;
}

async function deletePod(
  { client, recorder, expectations }: PodControl,
  owner: KubernetesObject,
  pod: Pod,
): Promise<void> {
  const { name, uid = '' } = pod.metadata ?? {};
  try {
    await client.delete(podsKind, objectKey(pod), { uid });
    recorder.record(owner, { type: 'Normal', reason: 'SuccessfulDelete', message: `Deleted pod: ${name}` });
  } catch (error) {
    expectations.deletionObserved(owner.metadata?.uid ?? '', uid);
    // Gone, or replaced under its name: what was wanted is so.
    if (hasReason(error, 'NotFound') || hasReason(error, 'Conflict')) return;
    recorder.record(owner, { type: 'Warning', reason: 'FailedDelete', message: `Error deleting: ${messageOf(error)}` });
    throw error;
  }
}

/** The owner is about to go with its namespace: no failure worth telling. */
export function isNamespaceTerminating(error: unknown): boolean {
  return (
    error instanceof ApiError && (error.details?.causes ?? []).some(({ reason }) => reason === 'NamespaceTerminating')
  );
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
