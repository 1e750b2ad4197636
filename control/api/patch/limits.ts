/** Bounds of patches. Values: Kubernetes' defaults. */

/** How many operations one JSON patch may hold. */
export const JSON_PATCH_OPERATIONS_MAX = 10_000;

/** How many bytes the `copy` operations of one JSON patch may add, so that doubling copies cannot fill the memory. */
export const JSON_PATCH_COPIED_BYTES_MAX = 3 * 1024 * 1024;
