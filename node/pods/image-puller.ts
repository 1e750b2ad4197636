/** Looks for a container's image and pulls it where the policy says so; tells of it in events. */
import { credentialsOf } from '../images/registry/credentials.ts';
import { isImageReference } from '../runtime/image-reference.ts';
import { ImagePullError, type ImageStatus, type RegistryCredentials } from '../runtime/runtime.ts';
import type { Announcer } from './announce.ts';
import type { PodContext } from './context.ts';
import type { ImageReason, ImageRecord } from './record.ts';
import type { PullPolicy } from './step.ts';
import { textOf } from './work.ts';

export interface PullRequest {
  readonly container: string;
  readonly image: string;
  readonly policy: PullPolicy;
  /** Failures in a row before this one. */
  readonly failures: number;
  /** The pod's pull secrets. */
  readonly secrets: { readonly namespace: string; readonly names: readonly string[] };
  readonly signal: AbortSignal;
}

/** Resolves with what became of it. Never rejects. */
export async function ensureImage(
  context: PodContext,
  announcer: Announcer,
  request: PullRequest,
): Promise<ImageRecord> {
  const { container, image, policy, failures } = request;
  const { clock, runtime } = context;
  const fail = (reason: ImageReason, message: string): ImageRecord => ({
    state: 'failed',
    image,
    reason,
    failure: { count: failures + 1, at: clock.now(), message },
    backingOff: false,
  });
  if (image === '') return fail('InvalidImageName', 'Failed to apply default image tag "": the container has no image');
  if (!isImageReference(image)) {
    const message = `Failed to apply default image tag "${image}": couldn't parse image name "${image}": invalid reference format`;
    announcer.tell('Warning', 'InspectFailed', message, container);
    announcer.tell('Warning', 'Failed', 'Error: InvalidImageName', container);
    return fail('InvalidImageName', message);
  }
  let present: ImageStatus | undefined;
  try {
    present = policy === 'Always' ? undefined : await runtime.imageStatus(image);
  } catch (error) {
    const message = `Failed to inspect image "${image}": ${textOf(error)}`;
    announcer.tell('Warning', 'InspectFailed', message, container);
    announcer.tell('Warning', 'Failed', 'Error: ImageInspectError', container);
    return fail('ImageInspectError', message);
  }
  try {
    if (present) {
      announcer.tell('Normal', 'Pulled', `Container image "${image}" already present on machine`, container);
      return { state: 'present', image };
    }
    if (policy === 'Never') {
      const message = `Container image "${image}" is not present with pull policy of Never`;
      announcer.tell('Warning', 'ErrImageNeverPull', message, container);
      announcer.tell('Warning', 'Failed', 'Error: ErrImageNeverPull', container);
      return fail('ErrImageNeverPull', message);
    }
    await pull(context, announcer, request);
    return { state: 'present', image };
  } catch (error) {
    const why = textOf(error);
    if (!(error instanceof ImagePullError)) context.logger.warn({ error, image }, 'the runtime failed at a pull');
    if (!request.signal.aborted) {
      announcer.tell('Warning', 'Failed', `Failed to pull image "${image}": ${why}`, container);
      announcer.tell('Warning', 'Failed', 'Error: ErrImagePull', container);
    }
    return fail('ErrImagePull', why);
  }
}

async function pull(context: PodContext, announcer: Announcer, request: PullRequest): Promise<void> {
  const { container, image, signal } = request;
  const credentials = await credentialsFor(context, announcer, request);
  const { clock, images, pulls } = context;
  announcer.tell('Normal', 'Pulling', `Pulling image "${image}"`, container);
  const askedAt = clock.now();
  await pulls.run(async () => {
    signal.throwIfAborted();
    const startedAt = clock.now();
    const { sizeBytes } = await images.pull(image, { signal, credentials });
    const took = seconds(clock.now() - startedAt);
    const waited = seconds(clock.now() - askedAt);
    const message = `Successfully pulled image "${image}" in ${took} (${waited} including waiting). Image size: ${sizeBytes} bytes.`;
    announcer.tell('Normal', 'Pulled', message, container);
  });
}

/** What the pod's secrets say of registries. One that is not there may not be needed: the pull tells. */
async function credentialsFor(
  context: PodContext,
  announcer: Announcer,
  { container, secrets: { namespace, names } }: PullRequest,
): Promise<readonly RegistryCredentials[]> {
  const missing: string[] = [];
  const found = await Promise.all(
    names.map(async name => {
      const secret = await context.sources.secret(namespace, name).catch(() => undefined);
      if (secret === undefined) missing.push(name);
      return credentialsOf(secret?.data);
    }),
  );
  if (missing.length > 0) {
    const message = `Unable to retrieve some image pull secrets (${missing.join(', ')}); attempting to pull the image may not succeed.`;
    announcer.tell('Warning', 'FailedToRetrieveImagePullSecret', message, container);
  }
  return found.flat();
}

/** `350ms`, `1.234s`: as Go prints short durations. */
function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)}ms` : `${Number((ms / 1000).toFixed(3))}s`;
}
