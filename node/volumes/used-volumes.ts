/** What the volumes of pods hold, as far as their drivers count it. */
import type { Pod } from '../api.ts';
import type { UsedVolume } from '../metrics/usage.ts';
import type { CsiStats } from './csi/stats.ts';
import type { VolumeManager } from './manager.ts';

/** Never rejects; a driver that is slow or fails leaves its volumes out. */
export async function usedVolumes(
  pods: readonly { readonly uid: string; readonly pod: Pod }[],
  by: { readonly volumes: Pick<VolumeManager, 'csiVolumesOf'>; readonly stats: Pick<CsiStats, 'of'> | undefined },
): Promise<readonly UsedVolume[]> {
  const all = pods.flatMap(({ uid: podUid, pod }) =>
    by.volumes.csiVolumesOf(pod).map(volume => ({ ...volume, podUid, namespace: pod.metadata?.namespace ?? '' })),
  );
  const found = (await by.stats?.of(all)) ?? [];
  return all.flatMap(({ podUid, namespace, name, claim }, index) => {
    const figures = found[index];
    return figures ? [{ podUid, namespace, name, claim, figures }] : [];
  });
}
