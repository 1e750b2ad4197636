/** What becomes of an object whose owners are known to be there or gone. Pure. */
import type { OwnerReference } from '../api/generated/types.ts';
import type { KubernetesObject } from '../api/kind.ts';
import { FOREGROUND, ORPHAN } from './garbage-graph.ts';

/** present: it owns on. waiting: it is there only until its dependents are gone. absent: it is certainly gone. */
export type OwnerState = 'present' | 'waiting' | 'absent';

export type GarbageAction =
  | { readonly do: 'keep' }
  /** Drops references to owners that no longer count. */
  | { readonly do: 'release'; readonly ownerReferences: readonly OwnerReference[] }
  | { readonly do: 'delete'; readonly propagationPolicy: 'Background' | 'Foreground' | 'Orphan' };

/**
 * An object lives as long as one owner is present. With none left it is deleted, in the foreground if an owner waits for it
 * and it has dependents itself, else in the way its own finalizers ask for (k/k garbagecollector.go attemptToDeleteItem).
 */
export function planGarbage(
  object: KubernetesObject,
  stateOf: (owner: OwnerReference) => OwnerState,
  hasDependents: boolean,
): GarbageAction {
  const { ownerReferences = [], finalizers = [], deletionTimestamp } = object.metadata ?? {};
  if (ownerReferences.length === 0 || deletionTimestamp) return { do: 'keep' };
  const states = ownerReferences.map(stateOf);
  if (states.includes('present')) {
    const kept = ownerReferences.filter((_, index) => states[index] === 'present');
    return kept.length === ownerReferences.length ? { do: 'keep' } : { do: 'release', ownerReferences: kept };
  }
  if (states.includes('waiting') && hasDependents) return { do: 'delete', propagationPolicy: 'Foreground' };
  if (finalizers.includes(ORPHAN)) return { do: 'delete', propagationPolicy: 'Orphan' };
  if (finalizers.includes(FOREGROUND)) return { do: 'delete', propagationPolicy: 'Foreground' };
  return { do: 'delete', propagationPolicy: 'Background' };
}
