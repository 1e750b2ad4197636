/**
 * A CSI volume as a pod has it, from the pod's own volume or from the PersistentVolume behind its claim, and what a driver is
 * told of it (kubelet: pkg/volume/csi). Pure.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { CSIDriver, PersistentVolume, Pod, Volume } from '../../api.ts';
import { VolumeError } from '../content.ts';
import { accessMode, nodeCapability, type VolumeCapability } from './messages.ts';

export interface CsiVolume {
  /** The PersistentVolume's name, or that of the pod's own volume: users see it in events. */
  readonly name: string;
  readonly driver: string;
  readonly handle: string;
  readonly lifecycle: 'Persistent' | 'Ephemeral';
  readonly fsType: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly readOnly: boolean;
  readonly mountOptions: readonly string[];
  /** The first one is what the driver is told. */
  readonly accessModes: readonly string[];
  readonly isBlock: boolean;
  readonly stageSecret?: SecretName;
  readonly publishSecret?: SecretName;
  readonly expandSecret?: SecretName;
}
export interface SecretName {
  readonly namespace: string;
  readonly name: string;
}

/** The volume behind a claim; undefined if it is no CSI volume. */
export function persistentCsiVolume({ metadata, spec }: PersistentVolume, readOnly: boolean): CsiVolume | undefined {
  const csi = spec?.csi;
  if (!spec || !csi) return undefined;
  const secret = (reference: { readonly namespace?: string; readonly name?: string } | undefined) =>
    reference && { namespace: reference.namespace ?? '', name: reference.name ?? '' };
  const [stageSecret, publishSecret] = [secret(csi.nodeStageSecretRef), secret(csi.nodePublishSecretRef)];
  const expandSecret = secret(csi.nodeExpandSecretRef);
  return {
    name: metadata?.name ?? '',
    driver: csi.driver,
    handle: csi.volumeHandle,
    lifecycle: 'Persistent',
    fsType: csi.fsType ?? '',
    attributes: csi.volumeAttributes ?? {},
    readOnly,
    mountOptions: spec.mountOptions ?? [],
    accessModes: spec.accessModes ?? [],
    isBlock: spec.volumeMode === 'Block',
    ...(stageSecret && { stageSecret }),
    ...(publishSecret && { publishSecret }),
    ...(expandSecret && { expandSecret }),
  };
}

/** The pod's own volume; undefined if it is no CSI volume. */
export function inlineCsiVolume({ metadata }: Pod, { name, csi }: Volume): CsiVolume | undefined {
  if (!csi) return undefined;
  const secret = csi.nodePublishSecretRef?.name;
  return {
    name,
    driver: csi.driver,
    handle: `csi-${sha256(`${metadata?.uid ?? ''}${name}`)}`,
    lifecycle: 'Ephemeral',
    fsType: csi.fsType ?? '',
    attributes: csi.volumeAttributes ?? {},
    readOnly: csi.readOnly ?? false,
    mountOptions: [],
    accessModes: ['ReadWriteOnce'],
    isBlock: false,
    ...(secret && { publishSecret: { namespace: metadata?.namespace ?? '', name: secret } }),
  };
}

/** Throws {@link VolumeError} if the driver says that it has no volumes of this kind. */
export function checkLifecycle({ name, driver, lifecycle }: CsiVolume, object: CSIDriver | undefined): void {
  // A driver that says nothing has persistent volumes only.
  const modes = object?.spec.volumeLifecycleModes ?? ['Persistent'];
  if (modes.includes(lifecycle)) return;
  const why = object ? `only supports ${JSON.stringify(modes)}` : 'no CSIDriver object';
  throw new VolumeError(name, `volume mode "${lifecycle}" not supported by driver ${driver} (${why})`);
}

/** True if somebody has to attach the volume to the node before it can be mounted there. */
export const needsAttachment = ({ lifecycle }: CsiVolume, object: CSIDriver | undefined): boolean =>
  lifecycle === 'Persistent' && object?.spec.attachRequired !== false;

/** A pod's own volume is never staged. */
export const isStagedBy = (
  { capabilities }: { readonly capabilities: ReadonlySet<number> },
  { lifecycle }: CsiVolume,
): boolean => lifecycle === 'Persistent' && capabilities.has(nodeCapability.stageUnstageVolume);

/** What the volume is to be for the pod. `group`: the one that the driver is to give it to, if it can. */
export function capabilityOf(
  { isBlock, fsType, mountOptions, accessModes }: CsiVolume,
  capabilities: ReadonlySet<number>,
  group: number | undefined,
): VolumeCapability {
  const isDelegated = group !== undefined && capabilities.has(nodeCapability.volumeMountGroup);
  return {
    accessMode: { mode: accessModeOf(accessModes[0], capabilities.has(nodeCapability.singleNodeMultiWriter)) },
    ...(isBlock
      ? { block: {} }
      : { mount: { fsType, mountFlags: mountOptions, ...(isDelegated && { volumeMountGroup: String(group) }) } }),
  };
}

function accessModeOf(mode: string | undefined, knowsWriters: boolean): number {
  switch (mode) {
    case 'ReadOnlyMany':
      return accessMode.multiNodeReaderOnly;
    case 'ReadWriteMany':
      return accessMode.multiNodeMultiWriter;
    case 'ReadWriteOncePod':
      return knowsWriters ? accessMode.singleNodeSingleWriter : accessMode.singleNodeWriter;
    default:
      return knowsWriters ? accessMode.singleNodeMultiWriter : accessMode.singleNodeWriter;
  }
}

/** True if the agent itself gives the volume to the pod's group. */
export function isGivenToGroup(
  { readOnly, isBlock, fsType, accessModes }: CsiVolume,
  object: CSIDriver | undefined,
  capabilities: ReadonlySet<number>,
): boolean {
  const policy = object?.spec.fsGroupPolicy ?? 'ReadWriteOnceWithFSType';
  if (readOnly || isBlock || policy === 'None' || capabilities.has(nodeCapability.volumeMountGroup)) return false;
  if (policy === 'File') return true;
  return fsType !== '' && accessModes.some(mode => mode === 'ReadWriteOnce' || mode === 'ReadWriteOncePod');
}

/** What a driver that asks for it is told of the pod. */
export function podAttributes(
  { metadata, spec }: Pod,
  { lifecycle }: CsiVolume,
  object: CSIDriver | undefined,
): Readonly<Record<string, string>> {
  if (!object?.spec.podInfoOnMount) return {};
  return {
    'csi.storage.k8s.io/pod.name': metadata?.name ?? '',
    'csi.storage.k8s.io/pod.namespace': metadata?.namespace ?? '',
    'csi.storage.k8s.io/pod.uid': metadata?.uid ?? '',
    'csi.storage.k8s.io/serviceAccount.name': spec?.serviceAccountName ?? '',
    'csi.storage.k8s.io/ephemeral': String(lifecycle === 'Ephemeral'),
  };
}

/** Where the volume is staged and published, below the folder that drivers know as the kubelet's. Throws {@link VolumeError}. */
export function pathsOf(
  { name, driver, handle, isBlock }: CsiVolume,
  { kubeletDir, podUid }: { readonly kubeletDir: string; readonly podUid: string },
): { readonly stagingPath: string; readonly targetPath: string } {
  for (const part of [name, driver, podUid])
    if (!/^[\w][\w.-]*$/.test(part)) throw new VolumeError(name, `${JSON.stringify(part)} cannot be part of a path`);
  const plugin = join(kubeletDir, 'plugins', 'kubernetes.io', 'csi');
  if (isBlock) {
    const devices = join(plugin, 'volumeDevices');
    return { stagingPath: join(devices, 'staging', name), targetPath: join(devices, 'publish', name, podUid) };
  }
  return {
    stagingPath: join(plugin, driver, sha256(handle), 'globalmount'),
    targetPath: join(kubeletDir, 'pods', podUid, 'volumes', 'kubernetes.io~csi', name, 'mount'),
  };
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
