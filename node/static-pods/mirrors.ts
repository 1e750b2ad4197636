/**
 * Mirror pods: what the API shows of static pods. They follow the static pods, never the other way round: one that is
 * deleted comes back, one that belongs to none goes (k/k: pkg/kubelet/pod/mirror_client.go). Pure.
 */
import type { Node, Pod } from '../api.ts';
import { fullName, type PodsByName } from './folder.ts';

export const MIRROR_ANNOTATION = 'kubernetes.io/config.mirror';

export const isMirror = (pod: Pod): boolean => staticUidOf(pod) !== undefined;

/** The UID of the static pod that a mirror pod shows; undefined if it is none. */
export const staticUidOf = ({ metadata }: Pod): string | undefined => metadata?.annotations?.[MIRROR_ANNOTATION];

export interface MirrorInput {
  /** Static pods that run. */
  readonly running: PodsByName;
  /** Names of static pods that are on their way out: their mirrors go after them. */
  readonly ending: ReadonlySet<string>;
  /** Pods of this node that the API has, mirrors and others. */
  readonly known: readonly Pod[];
}
export interface MirrorPlan {
  readonly remove: readonly Pod[];
  /** Static pods that want a mirror. */
  readonly create: readonly Pod[];
}

/** What is to be changed in the API. A mirror that is taken away is made again once it is gone. */
export function planMirrors({ running, ending, known }: MirrorInput): MirrorPlan {
  const remove = known.filter(pod => {
    const uid = staticUidOf(pod);
    if (uid === undefined || ending.has(fullName(pod))) return false;
    return running.get(fullName(pod))?.metadata?.uid !== uid || pod.metadata?.deletionTimestamp !== undefined;
  });
  const taken = new Set(known.map(fullName));
  const create = [...running].flatMap(([name, pod]) => (taken.has(name) || ending.has(name) ? [] : [pod]));
  return { remove, create };
}

/** The mirror of a static pod, owned by its node. */
export function makeMirror({ metadata, spec }: Pod, node: Node): Pod {
  const { name, namespace, labels, annotations, uid = '' } = metadata ?? {};
  const owner = { apiVersion: 'v1', kind: 'Node', name: node.metadata?.name ?? '', uid: node.metadata?.uid ?? '' };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...(name && { name }),
      ...(namespace && { namespace }),
      ...(labels && { labels }),
      annotations: { ...annotations, [MIRROR_ANNOTATION]: uid },
      ownerReferences: [{ ...owner, controller: true }],
    },
    ...(spec && { spec }),
  };
}
