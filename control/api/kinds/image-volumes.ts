/** Volumes that are the files of an image, where the cluster has them switched off. */
import type { Container, PodSpec } from '../generated/types.ts';

/**
 * Takes image volumes and their mounts out of a pod's spec, alone or in a template. An object that has one keeps them
 * (Kubernetes' pkg/api/pod/util.go: what a feature that was switched off left behind may be used on).
 */
export function dropImageVolumes(spec: PodSpec, old: PodSpec | undefined): void {
  if (old?.volumes?.some(volume => volume.image)) return;
  const dropped = new Set((spec.volumes ?? []).filter(volume => volume.image).map(volume => volume.name));
  if (dropped.size === 0) return;
  spec.volumes = (spec.volumes ?? []).filter(volume => !volume.image);
  const containers: Partial<Container>[] = [
    ...(spec.containers ?? []),
    ...(spec.initContainers ?? []),
    ...(spec.ephemeralContainers ?? []),
  ];
  for (const container of containers) {
    if (container.volumeMounts)
      container.volumeMounts = container.volumeMounts.filter(mount => !dropped.has(mount.name));
  }
}
