/**
 * Has drivers enlarge the file systems of volumes that somebody enlarged before (CSI's NodeExpandVolume): when a pod gets the
 * volume, and, for a pod that has it, from time to time. Where a driver does not know the call, nothing is read or done.
 */
import {
  type Client,
  type EventRecorder,
  hasReason,
  isBoundTo,
  type PersistentVolumeClaim,
  type Pod,
  persistentvolumeclaims,
  persistentvolumes,
  type Quantity,
} from '../../api.ts';
import { type Clock, timeText } from '../../clock.ts';
import type { Logger } from '../../logger.ts';
import { quantityValue } from '../../pods/quantity.ts';
import type { FoundVolume } from '../claims.ts';
import { VolumeError } from '../content.ts';
import { CsiError } from './driver.ts';
import type { DriverCalls } from './driver-calls.ts';
import {
  type ClaimPatch,
  type Expansion,
  failedPatch,
  finishedPatch,
  planExpansion,
  progressPatch,
  type Refusal,
  refusalOf,
} from './expansion-plan.ts';
import { nodeCapability } from './messages.ts';
import { nodeCalls } from './services.ts';
import { type CsiVolume, capabilityOf, isStagedBy, pathsOf } from './volume.ts';

export interface CsiExpansionOptions {
  readonly nodeName: string;
  readonly kubeletDir: string;
  readonly client: Client;
  readonly calls: DriverCalls;
  readonly recorder: EventRecorder;
  readonly clock: Clock;
  readonly logger: Logger;
  /** False once the pod's volume at that path was taken back. */
  readonly isPublished: (podUid: string, path: string) => Promise<boolean | undefined>;
}

/** What is remembered of a pod's volume. */
interface Known {
  /** Its size on this node, as far as this agent has seen to it. */
  size?: Quantity;
  /** The driver cannot give it this size while it is used. */
  inUseSize?: Quantity;
  hasFailed?: boolean;
}

export class CsiExpansion {
  readonly #options: CsiExpansionOptions;
  /** By pod and volume; no longer than the pod is here. */
  readonly #known = new Map<string, Known>();
  readonly #running = new Map<string, Promise<void>>();

  constructor(options: CsiExpansionOptions) {
    this.#options = options;
  }

  /** For a pod that is about to get the volume. Throws {@link VolumeError} if it has to be enlarged first, and cannot be. */
  async expandBefore(pod: Pod, csi: CsiVolume, found: FoundVolume): Promise<void> {
    if (!this.#canExpand(csi)) return;
    await this.#options.calls.inTurn(csi, () => this.#expand(pod, csi, found));
  }

  /**
   * For a pod that has the volume. It goes on in the background, one at a time for each volume; what fails is told in events of the
   * pod.
   */
  follow(pod: Pod, csi: CsiVolume, claimName: string): void {
    const key = keyOf(pod, csi);
    if (this.#running.has(key) || this.#options.calls.signal.aborted || !this.#canExpand(csi)) return;
    const work = this.#follow(pod, csi, claimName)
      .catch((error: unknown) => {
        this.#options.logger.warn({ error, pod: pod.metadata?.name, volume: csi.name }, 'volume not enlarged');
        const message = `NodeExpandVolume.NodeExpandVolume failed for volume "${csi.name}" : ${textOf(error)}`;
        if (error instanceof VolumeError)
          this.#tell(pod, undefined, { type: 'Warning', reason: 'VolumeResizeFailed', message });
      })
      .finally(() => this.#running.delete(key));
    this.#running.set(key, work);
  }

  /** The pod is gone. */
  forget(podUid: string): void {
    for (const key of this.#known.keys()) if (key.startsWith(`${podUid}/`)) this.#known.delete(key);
  }

  /** Resolves when nothing is under way any more; to be called when calls were ended. */
  async close(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  #canExpand({ driver, lifecycle }: CsiVolume): boolean {
    const known = this.#options.calls.find(driver);
    return lifecycle === 'Persistent' && known?.capabilities.has(nodeCapability.expandVolume) === true;
  }

  async #follow(pod: Pod, csi: CsiVolume, name: string): Promise<void> {
    const { client, calls, isPublished } = this.#options;
    await calls.inTurn(csi, async () => {
      const claim = await client.get(persistentvolumeclaims, { namespace: pod.metadata?.namespace ?? '', name });
      const volume = await client.get(persistentvolumes, { name: csi.name });
      if (claim.spec?.volumeName !== csi.name || !isBoundTo(volume, claim)) return;
      // The pod may have ended meanwhile.
      if (await isPublished(pod.metadata?.uid ?? '', this.#paths(pod, csi).targetPath))
        await this.#expand(pod, csi, { claim, volume });
    });
  }

  async #expand(pod: Pod, csi: CsiVolume, { claim, volume }: FoundVolume): Promise<void> {
    const known = this.#known.get(keyOf(pod, csi)) ?? {};
    this.#known.set(keyOf(pod, csi), known);
    const plan = planExpansion(claim, volume, known.size);
    if (!plan) {
      known.size ??= volume.spec?.capacity?.storage ?? '0';
      return;
    }
    if (known.inUseSize === plan.size) return;
    if (csi.readOnly) {
      const message = `MountVolume.NodeExpandVolume failed for volume "${csi.name}" requested read-only file system`;
      if (known.size !== plan.size)
        this.#tell(pod, claim, { type: 'Warning', reason: 'FileSystemResizeFailed', message });
      known.size = plan.size;
      return;
    }
    await this.#perform(pod, csi, { claim, plan, known });
  }

  async #perform(
    pod: Pod,
    csi: CsiVolume,
    { claim: read, plan, known }: { claim: PersistentVolumeClaim; plan: Expansion; known: Known },
  ): Promise<void> {
    const claim = plan.tells === 'all' ? await this.#patch(read, progressPatch(read)) : read;
    try {
      await this.#call(pod, csi, plan);
    } catch (error) {
      const refusal = refusalOf(error instanceof CsiError ? error.grpcCode : undefined);
      const message = `Expander.NodeExpand failed to expand the volume : ${textOf(error)}`;
      if (plan.tells !== 'end') await this.#tellFailure(claim, { refusal, message, plan, known });
      if (refusal === 'in use') {
        known.inUseSize = plan.size;
        this.#options.logger.warn({ volume: csi.name, reason: message }, 'volume not enlarged while it is used');
        return;
      }
      throw new VolumeError(csi.name, message, { cause: error, operation: 'MountVolume.NodeExpandVolume' });
    }
    known.size = plan.size;
    known.hasFailed = false;
    const message = `MountVolume.NodeExpandVolume succeeded for volume "${csi.name}" ${this.#options.nodeName}`;
    this.#tell(pod, claim, { type: 'Normal', reason: 'FileSystemResizeSuccessful', message });
    if (plan.tells !== 'nothing') await this.#patch(claim, finishedPatch(claim, plan.size));
  }

  async #call(pod: Pod, csi: CsiVolume, { size }: Expansion): Promise<void> {
    const { calls } = this.#options;
    const driver = calls.driver(csi.driver);
    const { targetPath, stagingPath } = this.#paths(pod, csi);
    await calls.call(driver, nodeCalls.expand, {
      volumeId: csi.handle,
      volumePath: targetPath,
      ...(isStagedBy(driver, csi) && { stagingTargetPath: stagingPath }),
      capacityRange: { requiredBytes: Math.ceil(quantityValue(size) ?? 0) },
      volumeCapability: capabilityOf(csi, driver.capabilities, undefined),
      secrets: await calls.secrets(csi, csi.expandSecret),
    });
  }

  async #tellFailure(
    claim: PersistentVolumeClaim,
    failure: { readonly refusal: Refusal; readonly message: string; readonly plan: Expansion; readonly known: Known },
  ): Promise<void> {
    const { refusal, message, plan, known } = failure;
    if (refusal === 'uncertain') return;
    // The size that failed is not even wanted any more: whoever enlarges volumes may begin anew.
    const isObsolete = known.hasFailed === true && claim.spec?.resources?.requests?.storage !== plan.size;
    known.hasFailed = true;
    await this.#patch(
      claim,
      failedPatch(claim, {
        message: `failed to expand pvc with ${message}`,
        isInfeasible: refusal === 'infeasible' || isObsolete,
        at: timeText(this.#options.clock.now()),
      }),
    ).catch((error: unknown) => {
      // The driver's own words matter more; it is tried again, and told again.
      this.#options.logger.warn({ error, claim: claim.metadata?.name }, 'a claim was not told of a failed expansion');
    });
  }

  /** Throws {@link VolumeError} where the claim has changed meanwhile, or the API is away: it is tried again. */
  async #patch(claim: PersistentVolumeClaim, body: ClaimPatch): Promise<PersistentVolumeClaim> {
    const { namespace = '', name = '' } = claim.metadata ?? {};
    const patch = { type: 'application/merge-patch+json' as const, body };
    const options = { subresource: 'status' };
    try {
      return await this.#options.client.patch(persistentvolumeclaims, { namespace, name }, patch, options);
    } catch (error) {
      const why = hasReason(error, 'Conflict') ? 'it has changed meanwhile' : textOf(error);
      const message = `the status of PVC ${namespace}/${name} was not written: ${why}`;
      throw new VolumeError(claim.spec?.volumeName ?? '', message, {
        cause: error,
        operation: 'MountVolume.NodeExpandVolume',
      });
    }
  }

  #tell(
    pod: Pod,
    claim: PersistentVolumeClaim | undefined,
    event: { readonly type: 'Normal' | 'Warning'; readonly reason: string; readonly message: string },
  ): void {
    const { recorder } = this.#options;
    recorder.record({ apiVersion: 'v1', kind: 'Pod', ...pod }, event);
    if (claim) recorder.record({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', ...claim }, event);
  }

  #paths(pod: Pod, csi: CsiVolume) {
    return pathsOf(csi, { kubeletDir: this.#options.kubeletDir, podUid: pod.metadata?.uid ?? '' });
  }
}

const keyOf = ({ metadata }: Pod, { name }: CsiVolume) => `${metadata?.uid ?? ''}/${name}`;
const textOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
