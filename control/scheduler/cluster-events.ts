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

export type ClusterEvent =
  | { readonly kind: 'node'; readonly node: Node; readonly old: Node | undefined }
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

/** True if a field of a node is other than it was, or the node is new. */
export function differs<T>(node: T, old: T | undefined, part: (of: T) => unknown): boolean {
  return old === undefined || JSON.stringify(part(node)) !== JSON.stringify(part(old));
}
