/** Limits of static pods. Where a kubelet has the same number, it is the same here. */

/** The folder is read at least this often (kubelet `fileCheckFrequency`). */
export const MANIFESTS_SCAN_MS = 20_000;
/** Rest between two readings that changes in the folder ask for; an editor writes a file in several steps. */
export const MANIFESTS_REST_MS = 250;
/** Largest manifest (kubelet `maxConfigLength`). */
export const MANIFEST_BYTES_MAX = 10 * 1024 * 1024;
/** Files of the folder that are looked at, the first by name. */
export const MANIFESTS_MAX = 500;
/** Rest between two looks at mirror pods. */
export const MIRRORS_REST_MS = 50;
