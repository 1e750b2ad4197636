/** What keeps volumes and claims from going while something uses them. A controller takes it away. */

export const VOLUME_PROTECTION = 'kubernetes.io/pv-protection';
export const CLAIM_PROTECTION = 'kubernetes.io/pvc-protection';
