/** Which claims a pod uses. Pure. */
import type { Pod } from '../api/generated/types.ts';
import { ephemeralClaimName } from '../api/volume-binding.ts';

/** The claims that a pod uses, its ephemeral ones too. */
export function claimsOf({ metadata, spec }: Pod): string[] {
  return (spec?.volumes ?? []).flatMap(({ name, persistentVolumeClaim, ephemeral }) => {
    if (persistentVolumeClaim) return [persistentVolumeClaim.claimName];
    return ephemeral ? [ephemeralClaimName(metadata?.name ?? '', name)] : [];
  });
}

/** Index of pods by the keys of the claims that they use. */
export const CLAIM_INDEX = 'claims';
export const podsByClaim = (pod: Pod): string[] => claimsOf(pod).map(name => `${pod.metadata?.namespace}/${name}`);
