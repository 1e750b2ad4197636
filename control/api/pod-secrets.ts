/** Which Secrets of its namespace a pod names. Pure. */
import type { Container, EphemeralContainer, PodSpec, Volume } from './generated/types.ts';

export function secretNamesOf(spec: PodSpec): ReadonlySet<string> {
  const names: (string | undefined)[] = (spec.imagePullSecrets ?? []).map(({ name }) => name);
  for (const { env = [], envFrom = [] } of containersOf(spec)) {
    names.push(...envFrom.map(({ secretRef }) => secretRef?.name));
    names.push(...env.map(({ valueFrom }) => valueFrom?.secretKeyRef?.name));
  }
  for (const volume of spec.volumes ?? []) names.push(...namesInVolume(volume));
  return new Set(names.flatMap(name => name || []));
}

/** All containers of a pod, of each kind. */
export function containersOf(spec: PodSpec): readonly (Container | EphemeralContainer)[] {
  return [...(spec.initContainers ?? []), ...(spec.containers ?? []), ...(spec.ephemeralContainers ?? [])];
}

function namesInVolume(volume: Volume): (string | undefined)[] {
  const { azureFile, cephfs, cinder, flexVolume, iscsi, rbd, scaleIO, storageos, csi } = volume;
  return [
    volume.secret?.secretName,
    ...(volume.projected?.sources ?? []).map(({ secret }) => secret?.name),
    ...[cephfs, cinder, flexVolume, iscsi, rbd, scaleIO, storageos].map(source => source?.secretRef?.name),
    azureFile?.secretName,
    csi?.nodePublishSecretRef?.name,
  ];
}
