/** Looks for a container's image and pulls it where the policy says so; tells of it in events. */
import { ImagePullError } from '../runtime/runtime.ts';
import type { Announcer } from './announce.ts';
import type { PodContext } from './context.ts';
import type { ImageRecord } from './record.ts';
import type { PullPolicy } from './step.ts';

export interface PullRequest {
  readonly container: string;
  readonly image: string;
  readonly policy: PullPolicy;
  /** Failures in a row before this one. */
  readonly failures: number;
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
  const fail = (reason: 'ErrImagePull' | 'ErrImageNeverPull' | 'InvalidImageName', message: string): ImageRecord => ({
    state: 'failed',
    image,
    reason,
    failure: { count: failures + 1, at: clock.now(), message },
    backingOff: false,
  });
  if (image === '') return fail('InvalidImageName', 'Failed to apply default image tag "": the container has no image');
  try {
    const present = policy === 'Always' ? undefined : await runtime.imageStatus(image);
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
    const why = error instanceof Error ? error.message : String(error);
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
  const { clock, runtime, pulls } = context;
  announcer.tell('Normal', 'Pulling', `Pulling image "${image}"`, container);
  const askedAt = clock.now();
  await pulls.run(async () => {
    signal.throwIfAborted();
    const startedAt = clock.now();
    const { sizeBytes } = await runtime.pullImage(image, { signal });
    const took = seconds(clock.now() - startedAt);
    const waited = seconds(clock.now() - askedAt);
    const message = `Successfully pulled image "${image}" in ${took} (${waited} including waiting). Image size: ${sizeBytes} bytes.`;
    announcer.tell('Normal', 'Pulled', message, container);
  });
}

/** `350ms`, `1.234s`: as Go prints short durations. */
function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)}ms` : `${Number((ms / 1000).toFixed(3))}s`;
}
