/** Binds claims to volumes, and looks after volumes whose claim has gone. What is done is decided in the plan. */
import {
  persistentvolumeclaims as claimsKind,
  storageclasses as classesKind,
  pods as podsKind,
  persistentvolumes as volumesKind,
} from '../api/generated/kinds.ts';
import type { PersistentVolume, PersistentVolumeClaim, Pod, StorageClass } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import { BIND_COMPLETED, classNameOf, hasAnnotation, leavesClassOpen } from '../api/volume-binding.ts';
import { formatKey, keyOf, parseKey } from '../client/keys.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { VOLUME_RESYNC_MS, VOLUME_WRITES_MAX } from './limits.ts';
import { findVolume } from './persistent-volume-match.ts';
import { type ClaimWorld, planClaim, planVolume, type VolumeStep, type VolumeWrite } from './persistent-volume-plan.ts';
import { CLAIM_INDEX, podsByClaim } from './pod-claims.ts';
import { RecentWrites } from './recent-writes.ts';

const CLAIM = 'claim:';
const VOLUME = 'volume:';
/** Volumes that nobody has, by their class: those that are taken are many, and no claim looks at them. */
const FREE_INDEX = 'freeOfClass';
/** Volumes by the claim that their claimRef names. */
const REFERENCE_INDEX = 'claimRef';
/** Claims that are not bound yet, by their class. */
const WAITING_INDEX = 'waitingForClass';

export function persistentVolumeController(context: ControllerContext): Controller {
  const { informers } = context;
  const queue = newQueue(context);
  const claims = informers.for<PersistentVolumeClaim>(claimsKind);
  const volumes = informers.for<PersistentVolume>(volumesKind);
  const classes = informers.for<StorageClass>(classesKind);
  const pods = informers.for<Pod>(podsKind);
  volumes.addIndex(FREE_INDEX, volume => (volume.spec?.claimRef ? [] : [classNameOf(volume)]));
  volumes.addIndex(REFERENCE_INDEX, volume => referenceKeys(volume));
  claims.addIndex(WAITING_INDEX, claim => (hasAnnotation(claim, BIND_COMPLETED) ? [] : [classNameOf(claim)]));
  pods.addIndex(CLAIM_INDEX, podsByClaim);

  const enqueueClaim = (claim: PersistentVolumeClaim) => queue.add(`${CLAIM}${keyOf(claim)}`);
  const enqueueVolume = (volume: PersistentVolume) => {
    queue.add(`${VOLUME}${keyOf(volume)}`);
    const taker = firstTaker(claims.byIndex(WAITING_INDEX, classNameOf(volume)), volume);
    if (taker) enqueueClaim(taker);
    for (const key of referenceKeys(volume)) queue.add(`${CLAIM}${key}`);
  };
  claims.addHandler({
    added: enqueueClaim,
    updated: enqueueClaim,
    deleted: claim => {
      for (const volume of volumes.byIndex(REFERENCE_INDEX, keyOf(claim))) queue.add(`${VOLUME}${keyOf(volume)}`);
    },
  });
  volumes.addHandler({ added: enqueueVolume, updated: enqueueVolume, deleted: enqueueVolume });
  const enqueueWaiting = ({ metadata }: StorageClass) => {
    for (const claim of claims.byIndex(WAITING_INDEX, metadata?.name ?? '')) enqueueClaim(claim);
    for (const claim of claims.byIndex(WAITING_INDEX, '')) if (leavesClassOpen(claim)) enqueueClaim(claim);
  };
  classes.addHandler({ added: enqueueWaiting, updated: enqueueWaiting });

  const binder = new Binder(context);
  return queueController(context, {
    name: 'persistentvolume-binder-controller',
    queue,
    // One at a time, so that two claims do not reach for the same volume.
    workers: 1,
    async reconcile(key) {
      const step = key.startsWith(CLAIM)
        ? await binder.run(() => binder.planClaim(key.slice(CLAIM.length)))
        : await binder.run(() => binder.planVolume(key.slice(VOLUME.length)));
      if (step.wakes !== undefined) queue.add(`${CLAIM}${step.wakes}`);
      return step.waits ? { afterMs: VOLUME_RESYNC_MS } : undefined;
    },
  });
}

/** Of the claims that wait, the first that could have the volume: it is enough to wake that one. */
function firstTaker(
  claims: readonly PersistentVolumeClaim[],
  volume: PersistentVolume,
): PersistentVolumeClaim | undefined {
  if (volume.spec?.claimRef || volume.status?.phase !== 'Available') return undefined;
  return claims.find(claim => !claim.spec?.volumeName && findVolume(claim, [volume], false));
}

function referenceKeys({ spec }: PersistentVolume): string[] {
  const { namespace, name } = spec?.claimRef ?? {};
  return namespace && name ? [formatKey({ namespace, name })] : [];
}

const IDLE: VolumeStep = {};

/** Plans from the newest state that is known, and performs the writes. */
class Binder {
  readonly #context: ControllerContext;
  readonly #claims: RecentWrites<PersistentVolumeClaim>;
  readonly #volumes: RecentWrites<PersistentVolume>;
  readonly #recorder;
  readonly #world: ClaimWorld;

  constructor(context: ControllerContext) {
    this.#context = context;
    const { informers } = context;
    this.#recorder = context.recorder('persistentvolume-controller');
    this.#claims = new RecentWrites(informers.for<PersistentVolumeClaim>(claimsKind));
    const cache = informers.for<PersistentVolume>(volumesKind);
    this.#volumes = new RecentWrites(cache);
    const classes = informers.for<StorageClass>(classesKind);
    const pods = informers.for<Pod>(podsKind);
    this.#world = {
      volume: name => this.#volumes.get(name),
      candidates: claim => {
        const free = cache.byIndex(FREE_INDEX, classNameOf(claim));
        const byReference = cache.byIndex(REFERENCE_INDEX, keyOf(claim));
        return [...new Set([...free, ...byReference])].map(volume => this.#volumes.newest(volume));
      },
      classes: () => classes.list(),
      podsWaitingFor: claim =>
        pods
          .byIndex(CLAIM_INDEX, keyOf(claim))
          .filter(({ metadata, spec, status }) => !metadata?.deletionTimestamp && !spec?.nodeName && !isOver(status))
          .map(({ metadata }) => metadata?.name ?? ''),
    };
  }

  planClaim(key: string): VolumeStep {
    const claim = this.#claims.get(key);
    return claim ? planClaim(claim, this.#world) : IDLE;
  }

  async planVolume(name: string): Promise<VolumeStep> {
    const volume = this.#volumes.get(name);
    return volume ? planVolume(volume, await this.#claimOf(volume)) : IDLE;
  }

  /** Takes steps until there is nothing to write; gives the last one. */
  async run(plan: () => VolumeStep | Promise<VolumeStep>): Promise<VolumeStep> {
    for (let writes = 0; ; writes++) {
      const step = await plan();
      if (step.write && writes >= VOLUME_WRITES_MAX) return { waits: true };
      if (step.write && !(await this.#write(step.write))) return IDLE;
      for (const { about, event } of step.events ?? []) this.#recorder.record(about, event);
      if (!step.write) return step;
    }
  }

  /** False if the object has gone. */
  async #write({ type, object }: VolumeWrite): Promise<boolean> {
    const { client } = this.#context;
    try {
      if (type === 'volume') this.#volumes.note(await client.update(volumesKind, object));
      if (type === 'claim') this.#claims.note(await client.update(claimsKind, object));
      const status = { subresource: 'status' };
      if (type === 'volumeStatus') this.#volumes.note(await client.update(volumesKind, object, status));
      if (type === 'claimStatus') this.#claims.note(await client.update(claimsKind, object, status));
      return true;
    } catch (error) {
      if (hasReason(error, 'NotFound')) return false;
      throw error;
    }
  }

  /** Before a volume is given up, the API itself is asked: a cache that lags must not cost anybody his data. */
  async #claimOf({ spec, status }: PersistentVolume): Promise<PersistentVolumeClaim | undefined> {
    const { namespace, name = '', uid } = spec?.claimRef ?? {};
    if (!uid) return undefined;
    const key = formatKey({ ...(namespace !== undefined && { namespace }), name });
    const cached = this.#claims.get(key);
    if (cached?.metadata?.uid === uid) return cached;
    if (!cached && (status?.phase === 'Released' || status?.phase === 'Failed')) return undefined;
    try {
      return await this.#context.client.get(claimsKind, parseKey(key));
    } catch (error) {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }
}

const isOver = (status: Pod['status']) => status?.phase === 'Succeeded' || status?.phase === 'Failed';
