/** What the provisioner of volumes in nodes' own folders does next; see control/api/local-volumes.ts. Pure. */
import type { Node, PersistentVolume, PersistentVolumeClaim, StorageClass } from '../api/generated/types.ts';
import {
  affinityTo,
  isLetGo,
  isLocalVolume,
  LOCAL_CLASS,
  LOCAL_FINALIZER,
  LOCAL_FOLDER,
  LOCAL_LABEL,
  LOCAL_NODE,
  LOCAL_PROVISIONER,
} from '../api/local-volumes.ts';
import {
  capacityOf,
  classNameOf,
  compareStorage,
  DEFAULT_CLASS,
  isBoundTo,
  modeOf,
  PROVISIONED_BY,
  requestedStorage,
  SELECTED_NODE,
} from '../api/volume-binding.ts';
import type { EventToRecord } from '../client/events.ts';

export type LocalStep =
  | { readonly type: 'create'; readonly volume: PersistentVolume }
  | { readonly type: 'reschedule' | 'refuse'; readonly event: EventToRecord; readonly claim: PersistentVolumeClaim }
  | { readonly type: 'resizeVolume'; readonly volume: PersistentVolume }
  | { readonly type: 'resizeStatus'; readonly claim: PersistentVolumeClaim; readonly event: EventToRecord };

export interface LocalWorld {
  storageClass(name: string): StorageClass | undefined;
  node(name: string): Node | undefined;
  volume(name: string): PersistentVolume | undefined;
  /** The node of a pod that uses the claim and was given its node without the scheduler. */
  nodeOfUser(claim: PersistentVolumeClaim): string | undefined;
}

/** Linux' NAME_MAX; names of claims and namespaces are ASCII. */
const FILE_NAME_LENGTH_MAX = 255;

/** One claim has one volume, whoever makes it and however often. */
export const localVolumeName = ({ metadata }: PersistentVolumeClaim): string => `pvc-${metadata?.uid}`;

/** The next step for a claim; undefined if there is none, or if the claim is another provisioner's. */
export function planLocalClaim(claim: PersistentVolumeClaim, world: LocalWorld): LocalStep | undefined {
  const storageClass = world.storageClass(classNameOf(claim));
  if (storageClass?.provisioner !== LOCAL_PROVISIONER) return undefined;
  if (claim.spec?.volumeName) return planLocalResize(claim, storageClass, world);
  if (claim.metadata?.deletionTimestamp || world.volume(localVolumeName(claim))) return undefined;
  const selected = claim.metadata?.annotations?.[SELECTED_NODE] ?? world.nodeOfUser(claim);
  if (selected === undefined) {
    if (storageClass.volumeBindingMode === 'WaitForFirstConsumer') return undefined;
    return refuse(claim, 'a volume of a node needs volumeBindingMode WaitForFirstConsumer: no node was chosen');
  }
  const why = whyImpossible(claim);
  if (why !== undefined) return refuse(claim, why);
  const node = world.node(selected);
  const folder = node?.metadata?.annotations?.[LOCAL_FOLDER];
  const hostname = node?.metadata?.labels?.['kubernetes.io/hostname'];
  if (!folder || !hostname) return reschedule(claim, `node "${selected}" keeps no volumes`);
  return { type: 'create', volume: localVolume(claim, storageClass, { node: selected, folder, hostname }) };
}

function whyImpossible({ spec }: PersistentVolumeClaim): string | undefined {
  if (spec?.volumeMode === 'Block') return 'only volumeMode Filesystem is supported';
  if (spec?.selector) return 'claim.spec.selector is not supported';
  if (spec?.dataSource ?? spec?.dataSourceRef) return 'claim.spec.dataSource is not supported';
  const foreign = spec?.accessModes?.find(mode => mode !== 'ReadWriteOnce' && mode !== 'ReadWriteOncePod');
  return foreign && `only access modes ReadWriteOnce and ReadWriteOncePod are supported, not ${foreign}`;
}

function localVolume(
  claim: PersistentVolumeClaim,
  storageClass: StorageClass,
  { node, folder, hostname }: { readonly node: string; readonly folder: string; readonly hostname: string },
): PersistentVolume {
  const { namespace = '', name = '', uid = '', resourceVersion = '' } = claim.metadata ?? {};
  const volumeName = localVolumeName(claim);
  return {
    metadata: {
      name: volumeName,
      labels: { [LOCAL_LABEL]: 'true' },
      annotations: { [PROVISIONED_BY]: LOCAL_PROVISIONER, [LOCAL_NODE]: node },
      finalizers: [LOCAL_FINALIZER],
    },
    spec: {
      accessModes: [...(claim.spec?.accessModes ?? [])],
      capacity: { storage: requestedStorage(claim) ?? '0' },
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid, resourceVersion },
      // The first part alone is unique; the rest is for people who look into the folder.
      local: { path: `${folder}/${`${volumeName}_${namespace}_${name}`.slice(0, FILE_NAME_LENGTH_MAX)}` },
      nodeAffinity: affinityTo(hostname),
      persistentVolumeReclaimPolicy: storageClass.reclaimPolicy ?? 'Delete',
      storageClassName: storageClass.metadata?.name ?? '',
      volumeMode: modeOf(claim),
    },
  };
}

const failure = (claim: PersistentVolumeClaim, why: string): EventToRecord => ({
  type: 'Warning',
  reason: 'ProvisioningFailed',
  message: `failed to provision volume with StorageClass "${classNameOf(claim)}": ${why}`,
});

const refuse = (claim: PersistentVolumeClaim, why: string): LocalStep => ({
  type: 'refuse',
  event: failure(claim, why),
  claim,
});

/** Takes the choice of the node back: the scheduler makes another. */
function reschedule(claim: PersistentVolumeClaim, why: string): LocalStep {
  const { [SELECTED_NODE]: _node, ...annotations } = claim.metadata?.annotations ?? {};
  return {
    type: 'reschedule',
    event: failure(claim, why),
    claim: { ...claim, metadata: { ...claim.metadata, annotations } },
  };
}

/** A directory takes what its disk has, so a volume grows by saying so: first that it does, then the volume, then the claim. */
function planLocalResize(
  claim: PersistentVolumeClaim,
  storageClass: StorageClass,
  world: LocalWorld,
): LocalStep | undefined {
  const { status = {} } = claim;
  const volume = world.volume(claim.spec?.volumeName ?? '');
  const wanted = requestedStorage(claim);
  if (!volume || !isLocalVolume(volume) || !isBoundTo(volume, claim) || wanted === undefined) return undefined;
  if (status.phase !== 'Bound' || compareStorage(wanted, status.capacity?.storage) <= 0) return undefined;
  if (!storageClass.allowVolumeExpansion) return undefined;
  if (compareStorage(status.allocatedResources?.storage, wanted) !== 0) {
    const next = {
      ...status,
      allocatedResources: { storage: wanted },
      allocatedResourceStatuses: { storage: 'ControllerResizeInProgress' },
    };
    const message = `External resizer is resizing volume ${volume.metadata?.name}`;
    return {
      type: 'resizeStatus',
      claim: { ...claim, status: next },
      event: { type: 'Normal', reason: 'Resizing', message },
    };
  }
  if (compareStorage(capacityOf(volume), wanted) < 0) {
    return { type: 'resizeVolume', volume: { ...volume, spec: { ...volume.spec, capacity: { storage: wanted } } } };
  }
  const { allocatedResourceStatuses: _done, ...rest } = status;
  const event = { type: 'Normal', reason: 'VolumeResizeSuccessful', message: 'Resize volume succeeded' } as const;
  return { type: 'resizeStatus', claim: { ...claim, status: { ...rest, capacity: { storage: wanted } } }, event };
}

export type LocalVolumeStep =
  | { readonly type: 'delete' }
  /** The directory cannot be removed any more: its machine has left the cluster. */
  | { readonly type: 'abandon'; readonly volume: PersistentVolume };

/** What is to be done about a volume whose claim has gone. */
export function planLocalVolume(volume: PersistentVolume, nodes: readonly Node[]): LocalVolumeStep | undefined {
  if (!isLocalVolume(volume)) return undefined;
  const { metadata, spec, status } = volume;
  if (!metadata?.deletionTimestamp) {
    const isReleased = status?.phase === 'Released' || status?.phase === 'Failed';
    return isReleased && spec?.persistentVolumeReclaimPolicy === 'Delete' ? { type: 'delete' } : undefined;
  }
  if (!isLetGo(volume) || !metadata.finalizers?.includes(LOCAL_FINALIZER)) return undefined;
  const home = metadata.annotations?.[LOCAL_NODE];
  if (nodes.some(node => node.metadata?.name === home)) return undefined;
  const finalizers = metadata.finalizers.filter(name => name !== LOCAL_FINALIZER);
  return { type: 'abandon', volume: { ...volume, metadata: { ...metadata, finalizers } } };
}

/** The class that is there by itself. It is the default one unless the cluster has one already. */
export const localClass = (isDefault: boolean): StorageClass => ({
  metadata: { name: LOCAL_CLASS, ...(isDefault && { annotations: { [DEFAULT_CLASS]: 'true' } }) },
  provisioner: LOCAL_PROVISIONER,
  reclaimPolicy: 'Delete',
  volumeBindingMode: 'WaitForFirstConsumer',
});
