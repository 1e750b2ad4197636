/**
 * When a CSI volume is to be attached to a node, and when it may be let go: decided from objects alone (k/k
 * pkg/controller/volume/attachdetach). Pure.
 */
import type { CSIDriver, Node, PersistentVolume, Pod, VolumeAttachment } from '../api/generated/types.ts';
import { attachmentName, inUseName, MANAGED_ATTACH } from '../client/volume-attachments.ts';
import { FORCED_DETACH_MS } from './limits.ts';

/** One volume, one node, and what the caches say of both. */
export interface AttachmentView {
  readonly volume: PersistentVolume | undefined;
  readonly nodeName: string;
  readonly node: Node | undefined;
  readonly driver: CSIDriver | undefined;
  /** Pods of the node that use the volume and have not ended. */
  readonly users: readonly Pod[];
  /** The volume's attachments to all nodes. */
  readonly attachments: readonly VolumeAttachment[];
  /** For how long nobody has needed the volume here. */
  readonly unneededMs: number;
}

export type AttachmentPlan =
  | { readonly type: 'nothing' }
  | { readonly type: 'attach'; readonly attachment: VolumeAttachment }
  /** Another node has it, which must be alone with it. */
  | { readonly type: 'refuse'; readonly nodeNames: readonly string[] }
  | { readonly type: 'detach'; readonly attachment: VolumeAttachment }
  /** The node may still have it mounted. */
  | { readonly type: 'wait'; readonly afterMs: number };

const NOTHING: AttachmentPlan = { type: 'nothing' };
const OUT_OF_SERVICE = 'node.kubernetes.io/out-of-service';
const SHARED_MODES = ['ReadWriteMany', 'ReadOnlyMany'];

export function planAttachment(view: AttachmentView): AttachmentPlan {
  const { volume, nodeName, node, driver, users, attachments } = view;
  const csi = volume?.spec?.csi;
  if (!volume || !csi) return NOTHING;
  const name = attachmentName({ driver: csi.driver, handle: csi.volumeHandle }, nodeName);
  const own = attachments.find(({ metadata }) => metadata?.name === name);
  if (users.length === 0) return own && !own.metadata?.deletionTimestamp ? planDetachment(view, own) : NOTHING;
  // One that is going has to be gone before it can be made again.
  if (own || driver?.spec.attachRequired === false) return NOTHING;
  if (node?.metadata?.annotations?.[MANAGED_ATTACH] !== 'true') return NOTHING;
  const others = attachments.map(({ spec }) => spec.nodeName).filter(other => other !== nodeName);
  if (others.length > 0 && isExclusive(volume)) return { type: 'refuse', nodeNames: others };
  const attachment = {
    metadata: { name },
    spec: { attacher: csi.driver, nodeName, source: { persistentVolumeName: volume.metadata?.name ?? '' } },
  };
  return { type: 'attach', attachment };
}

/** True for a volume that one node at a time may have. */
function isExclusive({ spec }: PersistentVolume): boolean {
  const modes = spec?.accessModes ?? [];
  return modes.length > 0 && !modes.some(mode => SHARED_MODES.includes(mode));
}

function planDetachment({ volume, node, unneededMs }: AttachmentView, attachment: VolumeAttachment): AttachmentPlan {
  const csi = volume?.spec?.csi;
  const inUse = csi && inUseName({ driver: csi.driver, handle: csi.volumeHandle });
  if (!node || !inUse || !node.status?.volumesInUse?.includes(inUse)) return { type: 'detach', attachment };
  if (node.spec?.taints?.some(({ key }) => key === OUT_OF_SERVICE)) return { type: 'detach', attachment };
  // A node that lives takes its time; one that is silent gets a while, for it may only be cut off and still be writing.
  const isReady = node.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
  if (isReady) return NOTHING;
  if (unneededMs >= FORCED_DETACH_MS) return { type: 'detach', attachment };
  return { type: 'wait', afterMs: FORCED_DETACH_MS - unneededMs };
}

/**
 * False for a pod that has ended, or that is being deleted and of which nothing runs any more: only somebody's finalizer may
 * keep it (k/k pkg/volume/util: IsPodTerminated).
 */
export function holdsVolumes({ metadata, status }: Pod): boolean {
  if (status?.phase === 'Succeeded' || status?.phase === 'Failed') return false;
  if (!metadata?.deletionTimestamp) return true;
  return (status?.containerStatuses ?? []).some(({ state }) => !state?.terminated && !state?.waiting);
}

/** What the pods that wait are told; `others` are the pods that have the volume. */
export function multiAttachMessage(volumeName: string, namespace: string, others: readonly Pod[]): string {
  const error = `Multi-Attach error for volume "${volumeName}" Volume is already`;
  if (others.length === 0) return `${error} exclusively attached to one node and can't be attached to another`;
  const names = others.flatMap(({ metadata }) => (metadata?.namespace === namespace ? [metadata.name ?? ''] : []));
  const foreign = others.length - names.length;
  if (names.length === 0) return `${error} used by ${foreign} pod(s) in different namespaces`;
  const more = foreign > 0 ? ` and ${foreign} pod(s) in different namespaces` : '';
  return `${error} used by pod(s) ${names.sort().join(', ')}${more}`;
}
