/** `runAsNonRoot`, judged the way the kubelet does. Pure. */
import type { ContainerSpec } from './runtime.ts';

/** The part of an image's configuration that the judgement depends on. */
export interface ImageUser {
  /** `""`, `user`, `uid`, `user:group` … as in the image's configuration. */
  readonly user: string;
}

/**
 * Why a container that must not run as root may not be made; undefined if it may. A user given by name cannot be
 * judged without the image's password file, so it is refused.
 */
export function runAsNonRootViolation(spec: ContainerSpec, image: ImageUser): string | undefined {
  if (spec.security.runAsNonRoot !== true) return undefined;
  if (spec.security.user !== undefined) {
    return spec.security.user === 0 ? "container's runAsUser breaks non-root policy" : undefined;
  }
  const user = image.user.split(':')[0] ?? '';
  if (user === '' || user === '0' || user === 'root') {
    return 'container has runAsNonRoot and image will run as root';
  }
  if (!/^\d+$/.test(user)) {
    return `container has runAsNonRoot and image has non-numeric user (${user}), cannot verify user is non-root`;
  }
  return undefined;
}
