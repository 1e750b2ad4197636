/** Bounds of server-side apply. Values: Kubernetes' defaults. */

/** Entries of updates in one object; older ones are put together. */
export const UPDATE_MANAGERS_MAX = 10;

/** Steps of one path; what is nested deeper in managedFields is refused. */
export const PATH_STEPS_MAX = 1_000;

/** Characters of a manager's name that is taken from the User-Agent. */
export const MANAGER_NAME_LENGTH_MAX = 128;

/** Keys and values of all annotations together; a last-applied annotation that does not fit is left out. */
export const ANNOTATIONS_BYTES_MAX = 256 * 1024;
