/** What the names of the core group's definitions begin with. */
export const CORE_V1 = 'io.k8s.api.core.v1.';
