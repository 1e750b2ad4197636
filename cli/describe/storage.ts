/** Claims, volumes and classes of storage. */
import type { PersistentVolume, PersistentVolumeClaim, Pod, StorageClass } from '../../control/api/generated/types.ts';
import { labelsText } from '../../control/api/printers/printer.ts';
import { type DescribeHelp, describing } from './description.ts';
import { annotationLines, indent, labelLines } from './lines.ts';
import { csiLines, hostPathLines, modesText, nfsLines } from './volumes.ts';

const finalizersText = (finalizers: readonly string[] | undefined): string => `[${(finalizers ?? []).join(' ')}]`;

export const persistentVolumeClaim = describing<PersistentVolumeClaim>(async ({ metadata, spec, status }, help) => {
  const isBound = Boolean(spec?.volumeName);
  return [
    `Name:\t${metadata?.name}`,
    `Namespace:\t${metadata?.namespace}`,
    `StorageClass:\t${spec?.storageClassName ?? ''}`,
    `Status:\t${metadata?.deletionTimestamp ? 'Terminating' : (status?.phase ?? '')}`,
    `Volume:\t${spec?.volumeName ?? ''}`,
    ...labelLines(metadata?.labels),
    ...annotationLines(metadata),
    `Finalizers:\t${finalizersText(metadata?.finalizers)}`,
    `Capacity:\t${isBound ? (status?.capacity?.storage ?? '') : ''}`,
    `Access Modes:\t${isBound ? modesText(status?.accessModes) : ''}`,
    ...(spec?.volumeMode ? [`VolumeMode:\t${spec.volumeMode}`] : []),
    ...usersLines(await podsWith(help, metadata?.name ?? '', metadata?.namespace ?? '')),
  ];
});

async function podsWith(help: DescribeHelp, claim: string, namespace: string): Promise<string[]> {
  const pods = await help.list<Pod>('pods', { namespace });
  return pods
    .filter(({ spec }) => spec?.volumes?.some(({ persistentVolumeClaim: used }) => used?.claimName === claim))
    .map(({ metadata }) => metadata?.name ?? '');
}

function usersLines(names: readonly string[]): string[] {
  if (names.length === 0) return ['Used By:\t<none>'];
  return names.map((name, index) => `${index === 0 ? 'Used By:' : ''}\t${name}`);
}

export const persistentVolume = describing<PersistentVolume>(({ metadata, spec, status }) => [
  `Name:\t${metadata?.name}`,
  ...labelLines(metadata?.labels),
  ...annotationLines(metadata),
  `Finalizers:\t${finalizersText(metadata?.finalizers)}`,
  `StorageClass:\t${spec?.storageClassName ?? ''}`,
  `Status:\t${metadata?.deletionTimestamp ? 'Terminating' : (status?.phase ?? '')}`,
  `Claim:\t${spec?.claimRef ? `${spec.claimRef.namespace}/${spec.claimRef.name}` : ''}`,
  `Reclaim Policy:\t${spec?.persistentVolumeReclaimPolicy ?? ''}`,
  `Access Modes:\t${modesText(spec?.accessModes)}`,
  ...(spec?.volumeMode ? [`VolumeMode:\t${spec.volumeMode}`] : []),
  `Capacity:\t${spec?.capacity?.storage ?? ''}`,
  ...affinityLines(spec),
  `Message:\t${status?.message ?? ''}`,
  'Source:',
  ...indent(sourceLines(spec), '    '),
]);

function affinityLines(spec: PersistentVolume['spec']): string[] {
  const required = spec?.nodeAffinity?.required;
  if (!required) return ['Node Affinity:\t<none>'];
  return [
    'Node Affinity:\t',
    '  Required Terms:\t',
    ...required.nodeSelectorTerms.flatMap((term, index) =>
      (term.matchExpressions ?? []).map(
        ({ key, operator, values }, place) =>
          `    ${place === 0 ? `Term ${index}:` : ''}\t${key} ${operator.toLowerCase()} [${(values ?? []).join(', ')}]`,
      ),
    ),
  ];
}

function sourceLines(spec: PersistentVolume['spec']): string[] {
  if (spec?.hostPath) return hostPathLines(spec.hostPath);
  if (spec?.local) {
    return ['Type:\tLocalVolume (a persistent volume backed by local storage on a node)', `Path:\t${spec.local.path}`];
  }
  if (spec?.nfs) return nfsLines(spec.nfs);
  if (spec?.csi) return csiLines(spec.csi);
  return ['Type:\t<unknown>'];
}

export const storageClass = describing<StorageClass>(object => [
  `Name:\t${object.metadata?.name}`,
  `IsDefaultClass:\t${object.metadata?.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true' ? 'Yes' : 'No'}`,
  `Annotations:\t${labelsText(object.metadata?.annotations)}`,
  `Provisioner:\t${object.provisioner}`,
  `Parameters:\t${
    Object.entries(object.parameters ?? {})
      .map(([key, value]) => `${key}=${value}`)
      .sort()
      .join(',') || '<none>'
  }`,
  `AllowVolumeExpansion:\t${object.allowVolumeExpansion === undefined ? '<unset>' : object.allowVolumeExpansion ? 'True' : 'False'}`,
  ...((object.mountOptions ?? []).length === 0
    ? ['MountOptions:\t<none>']
    : ['MountOptions:', ...(object.mountOptions ?? []).map(option => `  ${option}`)]),
  `ReclaimPolicy:\t${object.reclaimPolicy ?? ''}`,
  `VolumeBindingMode:\t${object.volumeBindingMode ?? ''}`,
]);
