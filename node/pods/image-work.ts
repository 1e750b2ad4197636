/** Brings the images that a pod needs, of containers and of volumes: work that only begins here, and goes on beside others. */
import type { Pod } from '../api.ts';
import { Announcer } from './announce.ts';
import type { PodContext } from './context.ts';
import { ensureImage } from './image-puller.ts';
import type { ImageRecord, PodRecord } from './record.ts';
import { containersThatMount } from './record.ts';
import type { Action } from './step.ts';
import { type PodWork, textOf } from './work.ts';

type Of<T extends Action['type']> = Extract<Action, { type: T }>;

export interface ImageWorkOptions {
  readonly context: PodContext;
  readonly record: PodRecord;
  readonly work: PodWork;
}

export class ImageWork {
  readonly #context: PodContext;
  readonly #record: PodRecord;
  readonly #work: PodWork;

  constructor({ context, record, work }: ImageWorkOptions) {
    this.#context = context;
    this.#record = record;
    this.#work = work;
  }

  ensure(pod: Pod, { container, image, policy }: Of<'ensureImage'>): void {
    const failures = begin(this.#record.images, container, image);
    this.#work.job(container, async signal => {
      const request = { container, waiting: [container], image, policy, failures, secrets: secretsOf(pod), signal };
      this.#record.images.set(container, await ensureImage(this.#context, this.#announcer(pod), request));
    });
  }

  backOff(pod: Pod, { container }: Of<'backOffImage'>): void {
    this.#backOff(this.#record.images, container, { announcer: this.#announcer(pod), container, waiting: [container] });
  }

  /** Brings the image, and makes its files the volume. One that an earlier agent made needs neither. */
  ensureVolume(pod: Pod, { volume, image, policy }: Of<'ensureImageVolume'>): void {
    const { volumeImages } = this.#record;
    const failures = begin(volumeImages, volume, image);
    // No container has such a name.
    this.#work.job(`volume/${volume}`, async signal => {
      const { volumes, clock } = this.#context;
      const podUid = pod.metadata?.uid ?? '';
      try {
        volumes.images.check(volume);
        if (!(await volumes.images.isMounted(podUid, volume))) {
          const waiting = containersThatMount(pod, volume);
          const request = { waiting, image, policy, failures, secrets: secretsOf(pod), signal };
          const result = await ensureImage(this.#context, this.#announcer(pod), request);
          if (result.state !== 'present') {
            volumeImages.set(volume, result);
            return;
          }
          await volumes.images.mount({ podUid, name: volume, reference: image, signal });
        }
        volumeImages.set(volume, { state: 'present', image });
      } catch (error) {
        const message = `MountVolume.SetUp failed for volume "${volume}" : ${textOf(error)}`;
        if (!signal.aborted) this.#announcer(pod).tell('Warning', 'FailedMount', message);
        const failure = { count: failures + 1, at: clock.now(), message };
        volumeImages.set(volume, {
          ...{ state: 'failed', image, reason: 'ImageVolumeMountFailed', failure, backingOff: false },
        });
      }
    });
  }

  backOffVolume(pod: Pod, { volume }: Of<'backOffImageVolume'>): void {
    const waiting = containersThatMount(pod, volume);
    this.#backOff(this.#record.volumeImages, volume, { announcer: this.#announcer(pod), waiting });
  }

  #backOff(
    records: Map<string, ImageRecord>,
    name: string,
    to: { readonly announcer: Announcer; readonly container?: string; readonly waiting: readonly string[] },
  ): void {
    const known = records.get(name);
    if (known?.state !== 'failed') return;
    records.set(name, { ...known, backingOff: true });
    to.announcer.tell('Normal', 'BackOff', `Back-off pulling image "${known.image}"`, to.container);
    for (const one of to.waiting) to.announcer.tell('Warning', 'Failed', 'Error: ImagePullBackOff', one);
  }

  #announcer(pod: Pod): Announcer {
    return new Announcer(this.#context.recorder, pod);
  }
}

/** Notes that the image is on its way. Gives how often in a row that failed. */
function begin(records: Map<string, ImageRecord>, name: string, image: string): number {
  const known = records.get(name);
  const failures = known?.state === 'failed' && known.image === image ? known.failure.count : 0;
  records.set(name, { state: 'pulling', image, failures });
  return failures;
}

function secretsOf({ metadata, spec }: Pod) {
  const names = (spec?.imagePullSecrets ?? []).flatMap(({ name }) => name ?? []);
  return { namespace: metadata?.namespace ?? '', names };
}
