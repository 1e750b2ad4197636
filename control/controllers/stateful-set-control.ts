/** Performs what {@link planStatefulSet} asks for, and tells of it in Kubernetes' words. */
import { persistentvolumeclaims as claimsKind, pods as podsKind } from '../api/generated/kinds.ts';
import type { PersistentVolumeClaim, Pod, StatefulSet } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import { objectKey } from '../client/keys.ts';
import { controllerOf } from './owners.ts';
import { inGrowingBatches, isNamespaceTerminating, messageOf, type PodControl } from './pod-control.ts';
import { type ClaimWork, isParallel, type StatefulAction, type StatefulPlan } from './stateful-set-plan.ts';

/** Takes the steps one after the other, up to the first in which something fails. Gives the first error. */
export async function performSteps(control: PodControl, set: StatefulSet, plan: StatefulPlan): Promise<unknown> {
  const left = new Set(plan.steps.flat());
  expectAll(control, set, left);
  const run = async (action: StatefulAction) => {
    await perform(control, set, action);
    left.delete(action);
  };
  let error: unknown;
  for (const step of plan.steps) {
    error = isParallel(set) ? (await inGrowingBatches(step, run)).error : await oneByOne(step, run);
    if (error) break;
  }
  // What failed or was not tried will not be seen.
  for (const action of left) forget(control, set, action);
  return isNamespaceTerminating(error) ? undefined : error;
}

async function oneByOne<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<unknown> {
  try {
    for (const item of items) await run(item);
  } catch (error) {
    return error;
  }
  return undefined;
}

function expectAll({ expectations }: PodControl, set: StatefulSet, actions: ReadonlySet<StatefulAction>): void {
  const all = [...actions];
  const creations = all.filter(action => action.do === 'create').length;
  const deletions = all.filter(action => action.do === 'delete').map(({ pod }) => pod.metadata?.uid ?? '');
  if (creations + deletions.length > 0) expectations.expect(set.metadata?.uid ?? '', { creations, deletions });
}

function forget({ expectations }: PodControl, set: StatefulSet, action: StatefulAction): void {
  const uid = set.metadata?.uid ?? '';
  if (action.do === 'create') expectations.creationObserved(uid);
  if (action.do === 'delete') expectations.deletionObserved(uid, action.pod.metadata?.uid ?? '');
}

async function perform(control: PodControl, set: StatefulSet, action: StatefulAction): Promise<void> {
  const { pod } = action;
  switch (action.do) {
    case 'create':
      return createPod(control, set, { pod, claims: action.claims });
    case 'update':
      return updatePod(control, set, { pod, next: action.next, claims: action.claims });
    case 'delete':
      return deletePod(control, set, pod);
  }
}

async function createPod(
  control: PodControl,
  set: StatefulSet,
  { pod, claims }: { pod: Pod; claims: ClaimWork },
): Promise<void> {
  try {
    await keepClaims(control, set, { pod, claims });
    await control.client.create(podsKind, pod);
  } catch (error) {
    // A cache that is behind: the pod is ours, and comes through the watch.
    if (hasReason(error, 'AlreadyExists') && (await isOurs(control, set, pod))) {
      control.expectations.creationObserved(set.metadata?.uid ?? '');
      return;
    }
    if (!hasReason(error, 'AlreadyExists') && !isNamespaceTerminating(error))
      tell(control, set, { verb: 'create', pod, error });
    throw error;
  }
  tell(control, set, { verb: 'create', pod });
}

async function isOurs({ client }: PodControl, set: StatefulSet, pod: Pod): Promise<boolean> {
  const present = await client.get(podsKind, objectKey(pod));
  return controllerOf(present)?.uid === set.metadata?.uid;
}

async function updatePod(
  control: PodControl,
  set: StatefulSet,
  { pod, next, claims }: { pod: Pod; next: Pod; claims: ClaimWork },
): Promise<void> {
  const isRunning = pod.status?.phase === 'Running';
  try {
    await keepClaims(control, set, { pod, claims });
    if (next !== pod) await control.client.update(podsKind, next);
  } catch (error) {
    if (!isNamespaceTerminating(error)) tell(control, set, { verb: 'update', pod, error });
    throw error;
  }
  // Of claims that were seen to while their pod waits for them, their own events tell.
  if (next !== pod || isRunning) tell(control, set, { verb: 'update', pod });
}

async function deletePod(control: PodControl, set: StatefulSet, pod: Pod): Promise<void> {
  try {
    await control.client.delete(podsKind, objectKey(pod), { uid: pod.metadata?.uid ?? '' });
  } catch (error) {
    // Gone, or replaced under its name: what was wanted is so.
    if (hasReason(error, 'NotFound') || hasReason(error, 'Conflict')) {
      control.expectations.deletionObserved(set.metadata?.uid ?? '', pod.metadata?.uid ?? '');
      return;
    }
    tell(control, set, { verb: 'delete', pod, error });
    throw error;
  }
  tell(control, set, { verb: 'delete', pod });
}

async function keepClaims(
  control: PodControl,
  set: StatefulSet,
  { pod, claims }: { pod: Pod; claims: ClaimWork },
): Promise<void> {
  for (const name of claims.foreign) {
    control.recorder.record(set, {
      type: 'Warning',
      reason: 'ConflictingController',
      // "manging" is how Kubernetes spells it.
      message: `PersistentVolumeClaim ${name} has a conflicting OwnerReference that acts as a manging controller, the retention policy is ignored for this claim`,
    });
  }
  for (const claim of claims.create) await createClaim(control, set, { pod, claim });
  if (claims.leaving.length > 0) throw new Error(claims.leaving.map(name => `pvc ${name} is being deleted`).join(', '));
  for (const claim of claims.update) await updateClaim(control, claim);
}

async function createClaim(
  { client, recorder }: PodControl,
  set: StatefulSet,
  { pod, claim }: { pod: Pod; claim: PersistentVolumeClaim },
): Promise<void> {
  const { name } = claim.metadata ?? {};
  const place = `Pod ${pod.metadata?.name} in StatefulSet ${set.metadata?.name}`;
  try {
    await client.create(claimsKind, claim);
  } catch (error) {
    if (hasReason(error, 'AlreadyExists')) return;
    if (isNamespaceTerminating(error)) throw error;
    const message = `create Claim ${name} for ${place} failed error: ${messageOf(error)}`;
    recorder.record(set, { type: 'Warning', reason: 'FailedCreate', message });
    throw new Error(`failed to create PVC ${name}: ${messageOf(error)}`, { cause: error });
  }
  recorder.record(set, {
    type: 'Normal',
    reason: 'SuccessfulCreate',
    message: `create Claim ${name} ${place} success`,
  });
}

async function updateClaim({ client }: PodControl, claim: PersistentVolumeClaim): Promise<void> {
  const { name } = claim.metadata ?? {};
  try {
    await client.update(claimsKind, claim);
  } catch (error) {
    if (hasReason(error, 'NotFound')) return;
    const message = `could not update claim ${name} for delete policy ownerRefs: ${messageOf(error)}`;
    throw new Error(message, { cause: error });
  }
}

const PAST: Readonly<Record<Told['verb'], string>> = { create: 'Create', update: 'Update', delete: 'Delete' };

interface Told {
  readonly verb: 'create' | 'update' | 'delete';
  readonly pod: Pod;
  readonly error?: unknown;
}

function tell({ recorder }: PodControl, set: StatefulSet, { verb, pod, error }: Told): void {
  const what = `${verb} Pod ${pod.metadata?.name} in StatefulSet ${set.metadata?.name}`;
  if (error === undefined) {
    recorder.record(set, { type: 'Normal', reason: `Successful${PAST[verb]}`, message: `${what} successful` });
  } else {
    const message = `${what} failed error: ${messageOf(error)}`;
    recorder.record(set, { type: 'Warning', reason: `Failed${PAST[verb]}`, message });
  }
}
