/** Every bound of what custom resources cost the server, by name. */

/** How long a conversion webhook may take (k/k: 30 s). */
export const CONVERSION_MS_MAX = 30_000;
/** Objects in one question to a conversion webhook. */
export const CONVERSION_OBJECTS_MAX = 500;
/** Converted objects that are kept until whoever asked takes them, and their text. */
export const CONVERTED_ENTRIES_MAX = 2 * CONVERSION_OBJECTS_MAX;
export const CONVERTED_BYTES_MAX = 64 * 1024 * 1024;
/** How often work may find that one more conversion is needed. */
export const CONVERSION_ROUNDS_MAX = 64;
