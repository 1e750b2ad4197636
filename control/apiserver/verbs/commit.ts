/**
 * One optimistic transaction on one object: it happens only if the object is still as it was read. What comes with it
 * (allocations, the namespace's being there) is in the same transaction, so either all of it holds or nothing happens.
 */
import type { Compare, Operation, Transaction } from '../../../store/index.ts';
import type { KubernetesObject } from '../../api/kind.ts';
import { CachedObject } from '../cache/cached-object.ts';
import { encodeStored } from '../cache/encoding.ts';
import { REGISTRY } from '../cache/watch-cache.ts';
import type { Core } from '../core.ts';
import { resourcePrefix } from '../keys.ts';

export interface Change {
  readonly key: string;
  /** The object's revision as read; 0 if it must not exist. */
  readonly expectedRevision: number;
  /** What to store, in stored form; undefined removes the object. */
  readonly object: KubernetesObject | undefined;
  readonly extra?: ExtraConditions;
  readonly fenceTerm?: number | undefined;
}

/** What must hold and happen besides. */
export interface ExtraConditions {
  readonly compare: readonly Compare[];
  readonly then: readonly Operation[];
  /** Called once it is known what became of the transaction: with its revision, or with none if it did not happen. */
  readonly settle?: ((revision?: number) => void) | undefined;
}

export type CommitResult =
  | { readonly outcome: 'done'; readonly revision: number; readonly stored: CachedObject | undefined }
  /** Somebody else was faster; `current` is what is there now. */
  | { readonly outcome: 'changed'; readonly current: CachedObject | undefined }
  /** The object is as expected, but something of `extra` does not hold. */
  | { readonly outcome: 'blocked' };

/**
 * What this server itself looks at in its cache: roles and bindings, webhooks and policies, kinds that
 * come at run time, who serves which group. What is acknowledged here must hold here.
 */
const HEEDED = [
  'rbac.authorization.k8s.io/',
  'admissionregistration.k8s.io/',
  'apiextensions.k8s.io/',
  'apiregistration.k8s.io/',
].map(group => REGISTRY + group);
const EVENTS = resourcePrefix({ group: '', plural: 'events' });

/** Throws what the store throws: nothing is told as done that was not acknowledged. */
export async function commit(core: Core, change: Change): Promise<CommitResult> {
  let revision: number | undefined;
  try {
    const result = await transactChange(core, change);
    if (result.outcome === 'done') revision = result.revision;
    return result;
  } finally {
    change.extra?.settle?.(revision);
  }
}

async function transactChange(core: Core, change: Change): Promise<CommitResult> {
  const { key, expectedRevision, object, extra, fenceTerm } = change;
  const bytes = object && encodeStored(object);
  const transact = (lease?: number) => {
    const put = bytes && ({ type: 'put', key, value: bytes, ...(lease !== undefined && { lease }) } as const);
    const transaction: Transaction = {
      compare: [{ key, target: 'modRevision', op: '=', value: expectedRevision }, ...(extra?.compare ?? [])],
      then: [put ?? { type: 'delete', key }, ...(extra?.then ?? [])],
      otherwise: [{ type: 'range', range: { key } }],
      ...(fenceTerm !== undefined && { fenceTerm }),
    };
    return core.store.transaction(transaction);
  };
  const isEvent = bytes !== undefined && key.startsWith(EVENTS);
  const result = isEvent ? await core.eventLeases.with(transact) : await transact();
  if (result.succeeded) {
    const { revision } = result;
    if (HEEDED.some(prefix => key.startsWith(prefix))) await core.cache.waitFor(revision);
    return { outcome: 'done', revision, stored: bytes && storedAs(core, { key, bytes, revision }) };
  }
  const [first] = result.results;
  const item = first?.type === 'range' ? first.result.items[0] : undefined;
  if ((item?.modRevision ?? 0) === expectedRevision) return { outcome: 'blocked' };
  return { outcome: 'changed', current: item && CachedObject.fromStored(item.key, item.value, item.modRevision) };
}

/** What was written, as it is served: the cache mostly has it by now, and once made it serves both. */
function storedAs(
  { cache }: Core,
  { key, bytes, revision }: { readonly key: string; readonly bytes: Uint8Array; readonly revision: number },
): CachedObject {
  const known = cache.get(key);
  return known?.revision === revision ? known : CachedObject.fromStored(key, bytes, revision);
}
