/** What happens in a cluster that may make a refused pod schedulable. */
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  Namespace,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
  VolumeAttachment,
} from '../api/generated/types.ts';
import type { PodInfo } from './pod-info.ts';

/** Which parts of a node are other than they were: found once, and asked for every waiting pod. */
export interface NodeChanges {
  readonly labels: boolean;
  readonly taints: boolean;
  readonly allocatable: boolean;
}

export type ClusterEvent =
  | {
      readonly kind: 'node';
      readonly node: Node;
      readonly old: Node | undefined;
      /** All of them for a new node. */
      readonly changes: NodeChanges;
    }
  | { readonly kind: 'nodeRemoved'; readonly node: Node }
  /** A pod that had a node, or was to have one, takes no room any more. */
  | { readonly kind: 'podRemoved'; readonly pod: PodInfo }
  | { readonly kind: 'podPlaced'; readonly pod: PodInfo }
  /** A pod in place has other labels, asks for less, or is leaving. */
  | { readonly kind: 'podChanged'; readonly pod: PodInfo; readonly old: PodInfo }
  /** The waiting pod itself. */
  | { readonly kind: 'ownChange'; readonly pod: PodInfo; readonly old: PodInfo }
  | { readonly kind: 'namespace'; readonly namespace: Namespace }
  | { readonly kind: 'claim'; readonly claim: PersistentVolumeClaim; readonly old: PersistentVolumeClaim | undefined }
  | { readonly kind: 'volume'; readonly volume: PersistentVolume; readonly old: PersistentVolume | undefined }
  | { readonly kind: 'storageClass'; readonly storageClass: StorageClass; readonly old: StorageClass | undefined }
  | { readonly kind: 'csiNode'; readonly csiNode: CSINode; readonly old: CSINode | undefined }
  | { readonly kind: 'csiDriver'; readonly csiDriver: CSIDriver; readonly old: CSIDriver | undefined }
  | {
      readonly kind: 'storageCapacity';
      readonly capacity: CSIStorageCapacity;
      readonly old: CSIStorageCapacity | undefined;
    }
  | { readonly kind: 'attachmentRemoved'; readonly attachment: VolumeAttachment };

/** A node came, or changed from what it was. */
export function nodeSeen(node: Node, old: Node | undefined): ClusterEvent & { readonly kind: 'node' } {
  const changes = {
    labels: differs(node, old, ({ metadata }) => metadata?.labels),
    taints: differs(node, old, ({ spec }) => spec?.taints),
    allocatable: differs(node, old, ({ status }) => status?.allocatable),
  };
  return { kind: 'node', node, old, changes };
}

/** True if a field of a node is other than it was, or the node is new. */
export function differs<T>(node: T, old: T | undefined, part: (of: T) => unknown): boolean {
  return old === undefined || JSON.stringify(part(node)) !== JSON.stringify(part(old));
}
