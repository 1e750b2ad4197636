/**
 * Who owns whom, over all kinds of the cluster, as the garbage collector's informers tell it. Pure bookkeeping: it knows
 * nothing of requests and queues.
 */
import type { OwnerReference } from '../api/generated/types.ts';
import type { Kind, KubernetesObject } from '../api/kind.ts';

/** All that is kept of an object. */
export interface GraphNode {
  readonly uid: string;
  readonly kind: Kind;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly owners: readonly OwnerReference[];
  readonly isLeaving: boolean;
  /** It leaves after its dependents: finalizer `foregroundDeletion`. */
  readonly awaitsDependents: boolean;
  /** Its dependents are to be let go: finalizer `orphan`. */
  readonly orphansDependents: boolean;
}

export const FOREGROUND = 'foregroundDeletion';
export const ORPHAN = 'orphan';

export class GarbageGraph {
  readonly #nodes = new Map<string, GraphNode>();
  readonly #dependents = new Map<string, Set<string>>();

  get size(): number {
    return this.#nodes.size;
  }

  get(uid: string): GraphNode | undefined {
    return this.#nodes.get(uid);
  }

  dependentsOf(uid: string): readonly GraphNode[] {
    return [...(this.#dependents.get(uid) ?? [])].flatMap(dependent => this.#nodes.get(dependent) ?? []);
  }

  /**
   * Dependents without whose end their owner may not go. One that itself waits for this owner to go, in a circle, does not
   * block: else none of them ever went.
   */
  blockersOf(uid: string): readonly GraphNode[] {
    const blockers = this.dependentsOf(uid).filter(({ owners }) =>
      owners.some(owner => owner.uid === uid && owner.blockOwnerDeletion),
    );
    if (!blockers.some(({ awaitsDependents }) => awaitsDependents)) return blockers;
    const ancestors = this.#ancestorsOf(uid);
    return blockers.filter(blocker => !blocker.awaitsDependents || !ancestors.has(blocker.uid));
  }

  /** All that the object depends on, through however many others. */
  #ancestorsOf(uid: string): ReadonlySet<string> {
    const ancestors = new Set<string>();
    const open = [uid];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      for (const owner of this.#nodes.get(next)?.owners ?? []) {
        if (ancestors.has(owner.uid)) continue;
        ancestors.add(owner.uid);
        open.push(owner.uid);
      }
    }
    return ancestors;
  }

  /** Takes in an object; gives it as it was before. */
  set(kind: Kind, object: KubernetesObject): { readonly node: GraphNode; readonly old: GraphNode | undefined } {
    const node = describe(kind, object);
    const old = this.#nodes.get(node.uid);
    for (const { uid } of old?.owners ?? []) this.#unlink(uid, node.uid);
    for (const { uid } of node.owners) this.#link(uid, node.uid);
    this.#nodes.set(node.uid, node);
    return { node, old };
  }

  remove(uid: string): GraphNode | undefined {
    const node = this.#nodes.get(uid);
    for (const owner of node?.owners ?? []) this.#unlink(owner.uid, uid);
    this.#nodes.delete(uid);
    return node;
  }

  #link(owner: string, dependent: string): void {
    const set = this.#dependents.get(owner);
    if (set) set.add(dependent);
    else this.#dependents.set(owner, new Set([dependent]));
  }

  #unlink(owner: string, dependent: string): void {
    const set = this.#dependents.get(owner);
    set?.delete(dependent);
    if (set?.size === 0) this.#dependents.delete(owner);
  }
}

function describe(kind: Kind, { metadata = {} }: KubernetesObject): GraphNode {
  const isLeaving = metadata.deletionTimestamp !== undefined;
  const finalizers = metadata.finalizers ?? [];
  return {
    uid: metadata.uid ?? '',
    kind,
    namespace: metadata.namespace,
    name: metadata.name ?? '',
    owners: metadata.ownerReferences ?? NO_OWNERS,
    isLeaving,
    awaitsDependents: isLeaving && finalizers.includes(FOREGROUND),
    orphansDependents: isLeaving && finalizers.includes(ORPHAN),
  };
}

/** What an informer has to keep of an object for the graph: there is one for almost every object of the cluster. */
export function keptForGraph({ metadata = {} }: KubernetesObject): KubernetesObject {
  const { name, namespace, uid, resourceVersion, ownerReferences, finalizers, deletionTimestamp } = metadata;
  return {
    metadata: {
      ...{ name, namespace, uid, resourceVersion },
      ...(ownerReferences && { ownerReferences }),
      ...(finalizers && { finalizers }),
      ...(deletionTimestamp && { deletionTimestamp }),
    },
  } as KubernetesObject; // a namespace that is not there is undefined
}

/** One array for the many that have none. */
const NO_OWNERS: readonly OwnerReference[] = [];
