/**
 * Makes the volumes of a pod's claims true before the pod is bound: marks the volumes and claims in the API, and waits until
 * the volume controller has joined them, or the provisioner has made them.
 */
import { persistentvolumeclaims, persistentvolumes } from '../api/generated/kinds.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '../api/generated/types.ts';
import type { Client } from '../client/client.ts';
import type { Clock } from '../client/clock.ts';
import { VOLUME_BINDING_TIMEOUT_MS } from './limits.ts';
import type { NodeInfo } from './node-info.ts';
import { isReachable, type StaticBinding, type VolumePlan } from './volume-plan.ts';
import { BOUND_BY_CONTROLLER, isFullyBound, keyOfNamed, SELECTED_NODE, type VolumeCatalog } from './volumes.ts';

export interface VolumeBinderOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly catalog: VolumeCatalog;
}

/** Why a pod's volumes could not be had after all; the pod is tried anew. */
export class VolumeBindingError extends Error {
  readonly code = 'VOLUME_BINDING';

  constructor(why: string) {
    super(`binding volumes: ${why}`);
  }
}

interface Waiter {
  readonly check: () => boolean;
  readonly settle: PromiseWithResolvers<void>;
}

/** A plan that others reckon with already. */
export interface AssumedVolumes {
  readonly node: NodeInfo;
  readonly bindings: readonly StaticBinding[];
  readonly provisions: readonly PersistentVolumeClaim[];
}

export class VolumeBinder {
  readonly #options: VolumeBinderOptions;
  readonly #waiters = new Map<string, Waiter>();

  constructor(options: VolumeBinderOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => this.#giveUp('the scheduler stops'), { once: true });
  }

  /** Counts the plan's volumes as taken, from now on. */
  assume({ bindings, provisions }: VolumePlan, node: NodeInfo): AssumedVolumes {
    const { catalog } = this.#options;
    const assumed = {
      node,
      bindings: bindings.map(({ claim, volume }) => ({ claim, volume: reservedFor(volume, claim) })),
      provisions: provisions.map(claim => annotated(claim, SELECTED_NODE, node.name)),
    };
    for (const { volume } of assumed.bindings) catalog.volumes.assume(volume);
    for (const claim of assumed.provisions) catalog.claims.assume(claim);
    return assumed;
  }

  forget({ bindings, provisions }: AssumedVolumes): void {
    const { catalog } = this.#options;
    for (const { volume } of bindings) catalog.volumes.restore(keyOfNamed(volume));
    for (const claim of provisions) catalog.claims.restore(keyOfNamed(claim));
  }

  /**
   * Writes what was assumed and waits until all claims are bound. Rejects with {@link VolumeBindingError} or an `ApiError`;
   * what was written by then stays, and a later try goes on from there.
   */
  async bind(podUid: string, assumed: AssumedVolumes, timeoutMs = VOLUME_BINDING_TIMEOUT_MS): Promise<void> {
    const { client } = this.#options;
    for (const { volume } of assumed.bindings) await client.update(persistentvolumes, withFields(volume));
    for (const claim of assumed.provisions) await client.update(persistentvolumeclaims, withFields(claim));
    await this.#wait(podUid, timeoutMs, () => this.#isBound(assumed));
  }

  /** Claims or volumes have changed: whoever waits looks again. */
  changed(): void {
    for (const { check, settle } of [...this.#waiters.values()]) {
      try {
        if (check()) settle.resolve();
      } catch (error) {
        settle.reject(error);
      }
    }
  }

  /** The pod is gone. */
  cancel(podUid: string): void {
    this.#waiters.get(podUid)?.settle.reject(new VolumeBindingError('pod does not exist any more'));
  }

  async #wait(podUid: string, timeoutMs: number, check: () => boolean): Promise<void> {
    const { clock } = this.#options;
    const settle = Promise.withResolvers<void>();
    this.#waiters.set(podUid, { check, settle });
    const cancel = clock.setTimeout(
      () => settle.reject(new VolumeBindingError('context deadline exceeded')),
      timeoutMs,
    );
    try {
      this.changed();
      await settle.promise;
    } finally {
      cancel();
      this.#waiters.delete(podUid);
    }
  }

  #giveUp(why: string): void {
    for (const { settle } of this.#waiters.values()) settle.reject(new VolumeBindingError(why));
  }

  /** True if all is done, false if it may still come; throws if it will not. */
  #isBound({ node, bindings, provisions }: AssumedVolumes): boolean {
    const { catalog } = this.#options;
    for (const { claim, volume } of bindings) {
      const seen = catalog.volumes.seen(keyOfNamed(volume));
      if (!seen)
        throw new VolumeBindingError(
          `failed to check binding: could not find v1.PersistentVolume "${keyOfNamed(volume)}"`,
        );
      const ownClaim = catalog.claims.seen(keyOfNamed(claim));
      if (!ownClaim)
        throw new VolumeBindingError(
          `failed to check binding: could not find v1.PersistentVolumeClaim "${keyOfNamed(claim)}"`,
        );
      const isOld = seen.metadata?.resourceVersion === volume.metadata?.resourceVersion;
      if (!isOld && !seen.spec?.claimRef?.uid) {
        throw new VolumeBindingError(`ClaimRef got reset for pv "${keyOfNamed(volume)}"`);
      }
      if (!isFullyBound(ownClaim)) return false;
      if (!isReachable(seen, node)) {
        throw new VolumeBindingError(
          `pv "${keyOfNamed(volume)}" node affinity doesn't match node "${node.name}": no matching NodeSelectorTerms`,
        );
      }
    }
    for (const claim of provisions) {
      const seen = catalog.claims.seen(keyOfNamed(claim));
      if (!seen)
        throw new VolumeBindingError(
          `failed to check binding: could not find v1.PersistentVolumeClaim "${keyOfNamed(claim)}"`,
        );
      // Not yet what was written here: the watch lags.
      if (seen.metadata?.resourceVersion === claim.metadata?.resourceVersion) return false;
      if (!isFullyBound(seen)) {
        // A provisioner that cannot do it takes the annotation away, so that another node may be chosen.
        if (seen.metadata?.annotations?.[SELECTED_NODE] !== node.name) {
          throw new VolumeBindingError(`provisioning failed for PVC "${claim.metadata?.name ?? ''}"`);
        }
        return false;
      }
      const volume = catalog.volumes.seen(seen.spec?.volumeName ?? '');
      if (volume && !isReachable(volume, node)) {
        throw new VolumeBindingError(
          `pv "${keyOfNamed(volume)}" node affinity doesn't match node "${node.name}": no matching NodeSelectorTerms`,
        );
      }
    }
    return true;
  }
}

/** The volume with the claim's name on it (k/k GetBindVolumeToClaim). */
function reservedFor(volume: PersistentVolume, { metadata }: PersistentVolumeClaim): PersistentVolume {
  const { uid, name, namespace, resourceVersion } = metadata ?? {};
  const isNew = !volume.spec?.claimRef;
  const claimRef = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    ...(namespace && { namespace }),
    ...(name && { name }),
    ...(uid && { uid }),
    ...(resourceVersion && { resourceVersion }),
  };
  const reserved = { ...volume, spec: { ...volume.spec, claimRef } };
  // One that was reserved by hand stays so when its claim goes.
  return isNew ? annotated(reserved, BOUND_BY_CONTROLLER, 'yes') : reserved;
}

function annotated<T extends PersistentVolume | PersistentVolumeClaim>(object: T, key: string, value: string): T {
  return {
    ...object,
    metadata: { ...object.metadata, annotations: { ...object.metadata?.annotations, [key]: value } },
  };
}

/** A copy that the client may send; what the cache holds is frozen. */
const withFields = <T extends object>(object: T): T => structuredClone(object);
