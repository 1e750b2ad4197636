/**
 * What a DELETE does to an object: nothing more, mark it, or remove it. Pure; the order of questions is Kubernetes'
 * (apiserver/pkg/registry/rest/delete.go and registry/generic/registry/store.go).
 */
import { CLEANUP_FINALIZER, withCondition } from '../../api/custom/names.ts';
import type { CustomResourceDefinition, ObjectMeta } from '../../api/generated/types.ts';
import type { KindDeclaration, KubernetesObject } from '../../api/kind.ts';
import { formatTime } from '../../api/schema/time.ts';
import type { DeletionOptions } from './options.ts';

export type DeletionPlan =
  /** It is on its way already, and the request changes nothing about that. */
  | { readonly type: 'nothing' }
  | { readonly type: 'mark'; readonly object: KubernetesObject }
  /** `object` is how it looked last. */
  | { readonly type: 'remove'; readonly object: KubernetesObject };

const ORPHAN = 'orphan';
const FOREGROUND = 'foregroundDeletion';

/** Decides; `object` is a private copy and may be changed. `now` in milliseconds since the epoch. */
export function planDeletion(
  kind: KindDeclaration,
  object: KubernetesObject,
  { options, now }: { readonly options: DeletionOptions; readonly now: number },
): DeletionPlan {
  object.metadata ??= {};
  const { metadata } = object;
  if (isNamespace(kind)) return planNamespaceDeletion(object, now);
  if (isDefinition(kind) && !metadata.deletionTimestamp) return planDefinitionDeletion(object, now);
  if (metadata.deletionTimestamp) return planAgain(object, options);
  const grace = kind.decideDeletion?.(object, options.gracePeriodSeconds).gracePeriodSeconds;
  if (grace !== undefined) mark(metadata, grace, now);
  metadata.finalizers = planFinalizers(kind, metadata.finalizers ?? [], options);
  const isHeld = metadata.finalizers.length > 0;
  if (!isHeld) delete metadata.finalizers;
  if (isHeld && grace === undefined) mark(metadata, 0, now);
  return isHeld || (grace ?? 0) > 0 ? { type: 'mark', object } : { type: 'remove', object };
}

/** A custom resource may be called so too. */
export const isNamespace = ({ group, kind }: Pick<KindDeclaration, 'group' | 'kind'>): boolean =>
  group === '' && kind === 'Namespace';

const isDefinition = ({ group, plural }: KindDeclaration): boolean =>
  group === 'apiextensions.k8s.io' && plural === 'customresourcedefinitions';

/** A definition goes when its objects are gone: a controller sees to that, and takes this finalizer away. */
function planDefinitionDeletion(object: KubernetesObject, now: number): DeletionPlan {
  const crd = object as CustomResourceDefinition; // told by its kind
  const metadata = object.metadata as ObjectMeta; // set by the caller
  metadata.deletionTimestamp = formatTime(now);
  const finalizers = metadata.finalizers ?? [];
  if (!finalizers.includes(CLEANUP_FINALIZER)) metadata.finalizers = [...finalizers, CLEANUP_FINALIZER];
  crd.status = withCondition(crd.status ?? {}, {
    type: 'Terminating',
    status: 'True',
    reason: 'InstanceDeletionPending',
    message: 'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon',
    lastTransitionTime: formatTime(now),
  });
  return { type: 'mark', object };
}

function mark(metadata: ObjectMeta, graceSeconds: number, now: number): void {
  metadata.deletionTimestamp = formatTime(now + graceSeconds * 1000);
  metadata.deletionGracePeriodSeconds = graceSeconds;
  if (metadata.generation) metadata.generation++;
}

/** A second DELETE may only shorten the grace period. */
function planAgain(object: KubernetesObject, { gracePeriodSeconds: wanted }: DeletionOptions): DeletionPlan {
  const metadata = object.metadata as ObjectMeta; // set by the caller
  const isHeld = (metadata.finalizers ?? []).length > 0;
  const pending = metadata.deletionGracePeriodSeconds;
  if (pending === undefined) return isHeld ? { type: 'nothing' } : { type: 'remove', object };
  if (wanted === undefined || wanted >= pending) {
    const isOver = pending === 0 && !isHeld;
    return isOver ? { type: 'remove', object } : { type: 'nothing' };
  }
  const start = Date.parse(metadata.deletionTimestamp ?? '') - pending * 1000;
  metadata.deletionTimestamp = formatTime(start + wanted * 1000);
  metadata.deletionGracePeriodSeconds = wanted;
  return wanted > 0 || isHeld ? { type: 'mark', object } : { type: 'remove', object };
}

/** Who waits for whom: the garbage collector's two finalizers, as the policy says. */
function planFinalizers(kind: KindDeclaration, finalizers: readonly string[], options: DeletionOptions): string[] {
  const { propagation } = options;
  const hasPolicy = propagation !== undefined;
  const hasOrphan = finalizers.includes(ORPHAN);
  const hasForeground = finalizers.includes(FOREGROUND);
  const isDefaultOrphan = !hasOrphan && !hasForeground && kind.defaultPropagation === 'Orphan';
  const orphans = hasPolicy ? propagation === 'Orphan' : hasOrphan || isDefaultOrphan;
  const isForeground = hasPolicy ? propagation === 'Foreground' : hasForeground && !orphans;
  const others = finalizers.filter(name => name !== ORPHAN && name !== FOREGROUND);
  return [...others, ...(orphans ? [ORPHAN] : []), ...(isForeground ? [FOREGROUND] : [])];
}

/** A namespace goes through phase Terminating; the controller that empties it takes away the finalizer of its spec. */
function planNamespaceDeletion(object: KubernetesObject, now: number): DeletionPlan {
  const namespace = object as KubernetesObject & { spec?: { finalizers?: string[] }; status?: { phase?: string } };
  const metadata = object.metadata as ObjectMeta; // set by the caller
  const isHeld = (namespace.spec?.finalizers ?? []).length > 0 || (metadata.finalizers ?? []).length > 0;
  if (!isHeld) return { type: 'remove', object };
  if (metadata.deletionTimestamp) return { type: 'nothing' };
  metadata.deletionTimestamp = formatTime(now);
  namespace.status = { ...namespace.status, phase: 'Terminating' };
  return { type: 'mark', object };
}
