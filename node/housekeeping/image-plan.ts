/**
 * Which images go, and when: k/k's image garbage collection (pkg/kubelet/images/image_gc_manager.go), for images that this
 * node pulled. Pure.
 */
import type { Supply } from '../eviction/signals.ts';
import { IMAGES_AGE_MS_MIN, IMAGES_HIGH_PERCENT, IMAGES_LOW_PERCENT } from './limits.ts';

export interface ImagePolicy {
  /** The share of the disk in percent at which images begin to go. */
  readonly highPercent: number;
  /** The share down to which they go then. */
  readonly lowPercent: number;
  readonly ageMsMin: number;
  /** An image that nobody used for so long goes whatever the disk holds; undefined is never. */
  readonly unusedMsMax?: number | undefined;
}

/** The settings make no sense. The process must not be started again with them. */
export class ImagePolicyError extends Error {
  override readonly name = 'ImagePolicyError';
  readonly code = 'NODE_IMAGE_POLICY';
  readonly exitCode = 3;
}

/** A kubelet's thresholds, where others are not given. Throws {@link ImagePolicyError}. */
export function imagePolicy(given: Partial<ImagePolicy> = {}): ImagePolicy {
  const policy: ImagePolicy = {
    highPercent: IMAGES_HIGH_PERCENT,
    lowPercent: IMAGES_LOW_PERCENT,
    ageMsMin: IMAGES_AGE_MS_MIN,
    ...given,
  };
  const { highPercent, lowPercent } = policy;
  if (lowPercent <= highPercent) return policy;
  throw new ImagePolicyError(
    `the low threshold of images, ${lowPercent} percent, cannot be higher than the high one, ${highPercent}`,
  );
}

export interface PulledImage {
  readonly id: string;
  /** The names by which it was pulled. */
  readonly references: readonly string[];
  readonly sizeBytes: number;
  readonly pulledAt: number;
  readonly lastUsedAt: number;
  readonly isUsed: boolean;
}

/** What has to become free so that the disk is down to the lower threshold; 0 while it is below the higher one. */
export function bytesToFree({ capacity, available }: Supply, { highPercent, lowPercent }: ImagePolicy): number {
  const left = Math.min(available, capacity);
  const usedPercent = 100 - Math.floor((left * 100) / capacity);
  if (usedPercent < highPercent) return 0;
  return Math.max(0, Math.floor((capacity * (100 - lowPercent)) / 100) - left);
}

/** Images that may go, the least recently used first. */
export function removableImages(images: readonly PulledImage[], policy: ImagePolicy, now: number): PulledImage[] {
  return images
    .filter(({ isUsed, pulledAt }) => !isUsed && now - pulledAt >= policy.ageMsMin)
    .toSorted((a, b) => a.lastUsedAt - b.lastUsedAt || a.pulledAt - b.pulledAt);
}

/** Those among them that were not used for too long. */
export function staleImages(removable: readonly PulledImage[], policy: ImagePolicy, now: number): PulledImage[] {
  const { unusedMsMax } = policy;
  return unusedMsMax === undefined ? [] : removable.filter(({ lastUsedAt }) => now - lastUsedAt > unusedMsMax);
}
