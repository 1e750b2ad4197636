/** Where volumes come from, for pods, pod templates and persistent volumes. Lines without their indent. */
import type { Volume } from '../../control/api/generated/types.ts';
import { labelLines, mapLines } from './lines.ts';

/** `RWO` for `ReadWriteOnce`. */
const SHORT_MODES: Readonly<Record<string, string>> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
};

export const modesText = (modes: readonly string[] | undefined): string =>
  (modes ?? []).map(mode => SHORT_MODES[mode] ?? mode).join(',');

type Source<K extends keyof Volume> = NonNullable<Volume[K]>;

const emptyDirLines = ({ medium, sizeLimit }: Source<'emptyDir'>): string[] => [
  "Type:\tEmptyDir (a temporary directory that shares a pod's lifetime)",
  `Medium:\t${medium ?? ''}`,
  `SizeLimit:\t${sizeLimit ?? '<unset>'}`,
];

export const hostPathLines = ({ path, type }: Source<'hostPath'>): string[] => [
  'Type:\tHostPath (bare host directory volume)',
  `Path:\t${path}`,
  `HostPathType:\t${type ?? ''}`,
];

export const nfsLines = ({ server, path, readOnly = false }: Source<'nfs'>): string[] => [
  'Type:\tNFS (an NFS mount that lasts the lifetime of a pod)',
  `Server:\t${server}`,
  `Path:\t${path}`,
  `ReadOnly:\t${readOnly}`,
];

/** A driver's volume; those of persistent volumes have a handle. */
export function csiLines({
  driver,
  fsType,
  volumeHandle,
  readOnly = false,
  volumeAttributes,
}: {
  readonly driver: string;
  readonly fsType?: string | undefined;
  readonly volumeHandle?: string | undefined;
  readonly readOnly?: boolean | undefined;
  readonly volumeAttributes?: Readonly<Record<string, string>> | undefined;
}): string[] {
  return [
    'Type:\tCSI (a Container Storage Interface (CSI) volume source)',
    `Driver:\t${driver}`,
    `FSType:\t${fsType ?? ''}`,
    ...(volumeHandle === undefined ? [] : [`VolumeHandle:\t${volumeHandle}`]),
    `ReadOnly:\t${readOnly}`,
    ...mapLines('VolumeAttributes', volumeAttributes, '='),
  ];
}

const configMapLines = ({ name, optional }: Source<'configMap'>): string[] => [
  'Type:\tConfigMap (a volume populated by a ConfigMap)',
  `Name:\t${name ?? ''}`,
  `Optional:\t${optional ?? false}`,
];

const secretLines = ({ secretName, optional }: Source<'secret'>): string[] => [
  'Type:\tSecret (a volume populated by a Secret)',
  `SecretName:\t${secretName ?? ''}`,
  `Optional:\t${optional ?? false}`,
];

const claimLines = ({ claimName, readOnly }: Source<'persistentVolumeClaim'>): string[] => [
  'Type:\tPersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)',
  `ClaimName:\t${claimName}`,
  `ReadOnly:\t${readOnly ?? false}`,
];

const projectedLines = ({ sources }: Source<'projected'>): string[] => [
  'Type:\tProjected (a volume that contains injected data from multiple sources)',
  ...(sources ?? []).flatMap(source => [
    ...(source.serviceAccountToken
      ? [`TokenExpirationSeconds:\t${source.serviceAccountToken.expirationSeconds ?? 3600}`]
      : []),
    ...(source.configMap
      ? [`ConfigMapName:\t${source.configMap.name ?? ''}`, `Optional:\t${source.configMap.optional ?? false}`]
      : []),
    ...(source.secret
      ? [`SecretName:\t${source.secret.name ?? ''}`, `Optional:\t${source.secret.optional ?? false}`]
      : []),
    ...(source.downwardAPI ? ['DownwardAPI:\ttrue'] : []),
  ]),
];

const downwardLines = ({ items }: Source<'downwardAPI'>): string[] => [
  'Type:\tDownwardAPI (a volume populated by information about the pod)',
  'Items:',
  ...(items ?? []).map(
    ({ fieldRef, resourceFieldRef, path }) => `  ${fieldRef?.fieldPath ?? resourceFieldRef?.resource ?? ''} -> ${path}`,
  ),
];

const ephemeralLines = ({ volumeClaimTemplate }: Source<'ephemeral'>): string[] => {
  const { metadata, spec } = volumeClaimTemplate ?? {};
  return [
    'Type:\tEphemeralVolume (an inline specification for a volume that gets created and deleted with the pod)',
    `StorageClass:\t${spec?.storageClassName ?? ''}`,
    `Volume:\t${spec?.volumeName ?? ''}`,
    ...labelLines(metadata?.labels),
    ...mapLines('Annotations', metadata?.annotations, ': '),
    'Capacity:\t',
    'Access Modes:\t',
    ...(spec?.volumeMode ? [`VolumeMode:\t${spec.volumeMode}`] : []),
  ];
};

const imageLines = ({ reference, pullPolicy }: Source<'image'>): string[] => [
  'Type:\tImage (a container image or OCI artifact)',
  `Reference:\t${reference ?? ''}`,
  `PullPolicy:\t${pullPolicy ?? ''}`,
];

/** What a pod's volume is made of. */
export function volumeSourceLines(volume: Volume): string[] {
  if (volume.emptyDir) return emptyDirLines(volume.emptyDir);
  if (volume.hostPath) return hostPathLines(volume.hostPath);
  if (volume.configMap) return configMapLines(volume.configMap);
  if (volume.secret) return secretLines(volume.secret);
  if (volume.persistentVolumeClaim) return claimLines(volume.persistentVolumeClaim);
  if (volume.projected) return projectedLines(volume.projected);
  if (volume.downwardAPI) return downwardLines(volume.downwardAPI);
  if (volume.nfs) return nfsLines(volume.nfs);
  if (volume.csi) return csiLines(volume.csi);
  if (volume.ephemeral) return ephemeralLines(volume.ephemeral);
  if (volume.image) return imageLines(volume.image);
  const [type = '<unknown>'] = Object.keys(volume).filter(key => key !== 'name');
  return [`Type:\t${type}`];
}
