/** What a pod's images need next: part of its step (`step.ts`). Pure. */
import type { Container, EphemeralContainer } from '../api.ts';
import { PULL_BACK_OFF_MS, PULL_BACK_OFF_MS_MAX } from '../limits.ts';
import { retryDelayMs } from './back-off.ts';
import type { ImageRecord, PodInput } from './record.ts';
import type { Action, PullPolicy, Step } from './step.ts';

type AnyContainer = Container | EphemeralContainer;

/** What the pod's image volumes need before the container; one that fails holds up only who mounts it (k/k: getImageVolumes). */
export function stepImageVolumes({ pod, record, now }: PodInput, { volumeMounts }: AnyContainer): Step | undefined {
  for (const { name: volume, image: source } of pod.spec?.volumes ?? []) {
    if (!source) continue;
    const image = source.reference ?? '';
    const known = record.volumeImages.get(volume);
    const policy = pullPolicyOf({ name: volume, image, imagePullPolicy: source.pullPolicy ?? '' });
    const ensure: Step = { action: { type: 'ensureImageVolume', volume, image, policy } };
    if (!known) return ensure;
    if (known.state === 'pulling') return {};
    if (known.state === 'failed' && volumeMounts?.some(({ name }) => name === volume))
      return stepFailedImage(known, now, { ensure, backOff: { type: 'backOffImageVolume', volume } });
  }
  return undefined;
}

/** After a failure: that the pod backs off is told once, then it is tried again in its time. */
export function stepFailedImage(
  known: ImageRecord & { readonly state: 'failed' },
  now: number,
  { ensure, backOff }: { readonly ensure: Step; readonly backOff: Action },
): Step {
  if (!known.backingOff && known.reason === 'ErrImagePull') return { action: backOff };
  const at = known.failure.at + retryDelayMs(known.failure.count, PULL_BACK_OFF_MS, PULL_BACK_OFF_MS_MAX);
  return now < at ? { wakeAt: at } : ensure;
}

/** The policy, or what Kubernetes takes where the object has none: `:latest` or no tag is always pulled. */
export function pullPolicyOf({ imagePullPolicy, image = '' }: AnyContainer): PullPolicy {
  if (imagePullPolicy === 'Always' || imagePullPolicy === 'Never' || imagePullPolicy === 'IfNotPresent')
    return imagePullPolicy;
  const lastPart = image.slice(image.lastIndexOf('/') + 1);
  return image.includes('@') || (lastPart.includes(':') && !lastPart.endsWith(':latest')) ? 'IfNotPresent' : 'Always';
}
