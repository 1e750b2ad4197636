/** Provides claims of the local class with volumes, lets those go whose claims have gone, and makes the class itself. */
import {
  persistentvolumeclaims as claimsKind,
  storageclasses as classesKind,
  nodes as nodesKind,
  pods as podsKind,
  persistentvolumes as volumesKind,
} from '../api/generated/kinds.ts';
import type { Node, PersistentVolume, PersistentVolumeClaim, Pod, StorageClass } from '../api/generated/types.ts';
import { LOCAL_CLASS, LOCAL_FOLDER, LOCAL_PROVISIONER } from '../api/local-volumes.ts';
import { hasReason } from '../api/status.ts';
import { defaultClassOf } from '../api/volume-binding.ts';
import { keyOf } from '../client/keys.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { VOLUME_WRITES_MAX } from './limits.ts';
import { type LocalStep, type LocalWorld, localClass, planLocalClaim, planLocalVolume } from './local-volume-plan.ts';
import { CLAIM_INDEX, podsByClaim } from './pod-claims.ts';
import { RecentWrites } from './recent-writes.ts';

const CLAIM = 'claim:';
const VOLUME = 'volume:';
const CLASS = 'class';

export function localVolumeController(context: ControllerContext): Controller {
  const { client, informers } = context;
  const queue = newQueue(context);
  const claims = informers.for<PersistentVolumeClaim>(claimsKind);
  const volumes = informers.for<PersistentVolume>(volumesKind);
  const classes = informers.for<StorageClass>(classesKind);
  const nodes = informers.for<Node>(nodesKind);
  const enqueueClaim = (claim: PersistentVolumeClaim) => queue.add(`${CLAIM}${keyOf(claim)}`);
  const enqueueVolume = (volume: PersistentVolume) => queue.add(`${VOLUME}${keyOf(volume)}`);
  claims.addHandler({ added: enqueueClaim, updated: enqueueClaim });
  volumes.addHandler({ added: enqueueVolume, updated: enqueueVolume });
  const pods = informers.for<Pod>(podsKind);
  pods.addIndex(CLAIM_INDEX, podsByClaim);
  const lookAtPod = (pod: Pod) => {
    if (pod.spec?.nodeName)
      for (const key of podsByClaim(pod)) if (isOpen(claims.get(key))) queue.add(`${CLAIM}${key}`);
  };
  pods.addHandler({ added: lookAtPod, updated: lookAtPod });
  const lookAtNode = ({ metadata }: Node) => {
    if (metadata?.annotations?.[LOCAL_FOLDER] !== undefined) queue.add(CLASS);
  };
  nodes.addHandler({
    added: lookAtNode,
    updated: lookAtNode,
    deleted: () => {
      for (const volume of volumes.list()) if (volume.metadata?.deletionTimestamp) enqueueVolume(volume);
    },
  });
  const lookAtClass = ({ provisioner }: StorageClass) => {
    if (provisioner === LOCAL_PROVISIONER) for (const claim of claims.list()) enqueueClaim(claim);
  };
  classes.addHandler({ added: lookAtClass, updated: lookAtClass });

  const provisioner = new LocalProvisioner(context);
  /** Whoever removes the class is not given it again before another master leads. */
  let isClassMade = false;
  const makeClass = async () => {
    if (isClassMade) return;
    if (!classes.get(LOCAL_CLASS)) {
      const isDefault = defaultClassOf(classes.list()) === undefined;
      await ignoring('AlreadyExists', () => client.create(classesKind, localClass(isDefault)));
    }
    isClassMade = true;
  };
  const releaseVolume = async (name: string) => {
    const volume = volumes.get(name);
    const step = volume && planLocalVolume(volume, nodes.list());
    if (step?.type === 'delete') {
      const uid = volume?.metadata?.uid;
      await ignoring('NotFound', () => client.delete(volumesKind, { name }, { ...(uid && { uid }) }));
    }
    if (step?.type === 'abandon') await ignoring('NotFound', () => client.update(volumesKind, step.volume));
  };
  return queueController(context, {
    name: 'local-volume-provisioner',
    queue,
    async reconcile(key) {
      if (key === CLASS) await makeClass();
      else if (key.startsWith(CLAIM)) await provisioner.provide(key.slice(CLAIM.length));
      else await releaseVolume(key.slice(VOLUME.length));
      return undefined;
    },
  });
}

const isOpen = (claim: PersistentVolumeClaim | undefined) => claim !== undefined && !claim.spec?.volumeName;

class LocalProvisioner {
  readonly #context: ControllerContext;
  readonly #recorder;
  readonly #claims: RecentWrites<PersistentVolumeClaim>;
  readonly #world: LocalWorld;
  readonly #volumes: RecentWrites<PersistentVolume>;

  constructor(context: ControllerContext) {
    this.#context = context;
    const { informers } = context;
    this.#recorder = context.recorder(LOCAL_PROVISIONER);
    this.#claims = new RecentWrites(informers.for<PersistentVolumeClaim>(claimsKind));
    this.#volumes = new RecentWrites(informers.for<PersistentVolume>(volumesKind));
    const classes = informers.for<StorageClass>(classesKind);
    const nodes = informers.for<Node>(nodesKind);
    const pods = informers.for<Pod>(podsKind);
    this.#world = {
      storageClass: name => classes.get(name),
      node: name => nodes.get(name),
      volume: name => this.#volumes.get(name),
      nodeOfUser: claim =>
        pods
          .byIndex(CLAIM_INDEX, keyOf(claim))
          .map(({ spec }) => spec?.nodeName)
          .find(Boolean),
    };
  }

  /** Takes a claim's steps one after the other, until there is none or one that somebody else has to go on from. */
  async provide(key: string): Promise<void> {
    for (let count = 0; count < VOLUME_WRITES_MAX; count++) {
      const claim = this.#claims.get(key);
      const step = claim && planLocalClaim(claim, this.#world);
      if (!claim || !step) return;
      const goesOn = await this.#perform(claim, step);
      if (!goesOn) return;
    }
  }

  async #perform(claim: PersistentVolumeClaim, step: LocalStep): Promise<boolean> {
    const { client } = this.#context;
    switch (step.type) {
      case 'create': {
        await ignoring('AlreadyExists', () => client.create(volumesKind, step.volume));
        const message = `Successfully provisioned volume ${step.volume.metadata?.name}`;
        this.#recorder.record(claim, { type: 'Normal', reason: 'ProvisioningSucceeded', message });
        return false;
      }
      case 'refuse':
        this.#recorder.record(claim, step.event);
        return false;
      case 'reschedule':
        this.#recorder.record(claim, step.event);
        this.#claims.note(await client.update(claimsKind, step.claim));
        return false;
      case 'resizeVolume':
        this.#volumes.note(await client.update(volumesKind, step.volume));
        return true;
      case 'resizeStatus':
        this.#claims.note(await client.update(claimsKind, step.claim, { subresource: 'status' }));
        this.#recorder.record(claim, step.event);
        return true;
    }
  }
}

async function ignoring(reason: 'NotFound' | 'AlreadyExists', work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!hasReason(error, reason)) throw error;
  }
}
