/** Limits of what is cleared away. Where a kubelet has the same number, it is the same here. */

/** How often images are looked at (kubelet `ImageGCPeriod`). */
export const IMAGES_COLLECT_MS = 300_000;
/** Shares of the disk in percent: from the first on images go, until it is down to the second. */
export const IMAGES_HIGH_PERCENT = 85;
export const IMAGES_LOW_PERCENT = 80;
/** An image that came later than this stays: a pod may be about to use it. */
export const IMAGES_AGE_MS_MIN = 120_000;
/** Images that are kept in mind; of more, those pulled first are forgotten, and so stay. */
export const IMAGES_NOTED_MAX = 2_000;
