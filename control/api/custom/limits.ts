/** Every bound of custom resources, with its source. */

/** Fields of one version by which its objects may be selected (KEP-4358). */
export const SELECTABLE_FIELDS_MAX = 8;
/** Bytes of a version's deprecation warning. */
export const DEPRECATION_WARNING_BYTES_MAX = 256;
/** What a scale's replica count can be: an int32. */
export const REPLICAS_MAX = 2_147_483_647;
/** Results that one part of a JSONPath may have, so that a column never costs more than its object. */
export const JSON_PATH_RESULTS_MAX = 1_000;
