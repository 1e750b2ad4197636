/** Pods that outgrow the disk space they were allowed: limits of emptyDir volumes and of the whole pod. Pure. */
import type { Pod } from '../api.ts';
import { quantityValue } from '../pods/quantity.ts';

/** Bytes of a pod's emptyDir volumes on the disk or in memory, by name. */
export type VolumeUsage = ReadonlyMap<string, number>;

/** True if there is anything to measure. */
export function hasStorageLimits({ spec }: Pod): boolean {
  return (
    (spec?.volumes ?? []).some(({ emptyDir }) => emptyDir?.sizeLimit !== undefined) ||
    storageLimitOf(spec) !== undefined
  );
}

/**
 * Why the pod has to go; undefined if it may stay. `ownBytes` is what the files take that the agent gives each container and
 * that it can write: /etc/hosts, its last message and the like (CVE-2020-8557).
 */
export function storageExcess({ spec }: Pod, usage: VolumeUsage, ownBytes: number): string | undefined {
  for (const { name, emptyDir } of spec?.volumes ?? []) {
    const limit = quantityValue(emptyDir?.sizeLimit);
    if (limit && (usage.get(name) ?? 0) > limit)
      return `Usage of EmptyDir volume "${name}" exceeds the limit "${emptyDir?.sizeLimit}". `;
  }
  const limit = storageLimitOf(spec);
  if (limit === undefined) return undefined;
  const onDisk = (spec?.volumes ?? []).filter(({ emptyDir }) => emptyDir && emptyDir.medium !== 'Memory');
  const total = onDisk.reduce((sum, { name }) => sum + (usage.get(name) ?? 0), ownBytes);
  if (total <= limit.bytes) return undefined;
  return `Pod ephemeral local storage usage exceeds the total limit of containers ${limit.text}. `;
}

/** The containers' limits together, where each has one. */
function storageLimitOf(spec: Pod['spec']): { readonly bytes: number; readonly text: string } | undefined {
  const limits = (spec?.containers ?? []).map(({ resources }) => resources?.limits?.['ephemeral-storage']);
  const bytes = limits.map(limit => quantityValue(limit));
  const known = bytes.filter(value => value !== undefined);
  if (known.length === 0 || known.length < bytes.length) return undefined;
  const total = known.reduce((sum, value) => sum + value, 0);
  return { bytes: total, text: known.length === 1 ? String(limits[0]) : String(total) };
}
