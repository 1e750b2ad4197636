/**
 * What control plane and agents agree on for volumes in nodes' own folders. A node says in an annotation where its volumes
 * lie; the controller makes a PersistentVolume with a path in that folder; the agent of the node makes the directory when a
 * pod first uses it, removes it when the volume is deleted, and then takes the finalizer away. Pure.
 */
import type { PersistentVolume } from './generated/types.ts';
import { PROVISIONED_BY } from './volume-binding.ts';

/** The provisioner of the class, and how volumes say that it made them. */
export const LOCAL_PROVISIONER = 'raftsman.io/local-path';
/** The class that is there by itself once a node can make volumes; named as users of k3s know it. */
export const LOCAL_CLASS = 'local-path';
/** On a Node: the folder in which its agent keeps volumes. */
export const LOCAL_FOLDER = 'raftsman.io/local-volumes';
/** On a volume: the name of the node on which it lies. */
export const LOCAL_NODE = 'raftsman.io/node';
/** On a volume: agents follow those that have it. */
export const LOCAL_LABEL = 'raftsman.io/local-volume';
/** On a volume: its directory is still there. */
export const LOCAL_FINALIZER = 'raftsman.io/local-volume';

const HOSTNAME = 'kubernetes.io/hostname';

/** True for volumes that the local provisioner made. */
export const isLocalVolume = ({ metadata, spec }: PersistentVolume): boolean =>
  metadata?.annotations?.[PROVISIONED_BY] === LOCAL_PROVISIONER && spec?.local !== undefined;

/** What keeps pods that use the volume on its node. */
export const affinityTo = (hostname: string) => ({
  required: { nodeSelectorTerms: [{ matchExpressions: [{ key: HOSTNAME, operator: 'In', values: [hostname] }] }] },
});

/** True if nobody uses a local volume any more, so that its directory may go. */
export const isLetGo = ({ metadata, status }: PersistentVolume): boolean =>
  metadata?.deletionTimestamp !== undefined && status?.phase !== 'Bound';
