/**
 * Makes the VolumeAttachments of CSI volumes that pods need on their nodes, and deletes them when nobody does any more and the
 * node has let go: the drivers' external attachers do what they say. Whether and when is decided in attach-detach-plan.ts.
 */
import {
  volumeattachments as attachmentsKind,
  persistentvolumeclaims as claimsKind,
  csidrivers as driversKind,
  nodes as nodesKind,
  pods as podsKind,
  persistentvolumes as volumesKind,
} from '../api/generated/kinds.ts';
import type {
  CSIDriver,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  VolumeAttachment,
} from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import { isBoundTo } from '../api/volume-binding.ts';
import { holdsVolumes, multiAttachMessage, planAttachment } from './attach-detach-plan.ts';
import { AwakeClock } from './awake-clock.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { byNodeName, NODE_INDEX } from './node-lifecycle.ts';
import { CLAIM_INDEX, claimsOf, podsByClaim } from './pod-claims.ts';

const VOLUME_INDEX = 'volume';
const volumeNameOf = ({ spec }: VolumeAttachment) => spec.source.persistentVolumeName ?? '';

export function attachDetachController(context: ControllerContext): Controller {
  const { client, clock, informers, signal } = context;
  const awake = new AwakeClock(clock);
  const recorder = context.recorder('attachdetach-controller');
  const queue = newQueue(context);
  const pods = informers.for<Pod>(podsKind);
  const claims = informers.for<PersistentVolumeClaim>(claimsKind);
  const volumes = informers.for<PersistentVolume>(volumesKind);
  const nodes = informers.for<Node>(nodesKind);
  const drivers = informers.for<CSIDriver>(driversKind);
  const attachments = informers.for<VolumeAttachment>(attachmentsKind);
  pods.addIndex(CLAIM_INDEX, podsByClaim);
  pods.addIndex(NODE_INDEX, byNodeName);
  attachments.addIndex(VOLUME_INDEX, attachment => [volumeNameOf(attachment)]);
  attachments.addIndex(NODE_INDEX, ({ spec }) => [spec.nodeName]);
  /** Since when nobody has needed a volume on a node that may still have it, by key. */
  const unneededSinceMs = new Map<string, number>();
  /** Pods, by UID, that were told of a volume that another node has, by key. */
  const told = new Map<string, ReadonlySet<string>>();

  const keyFor = (nodeName: string, volumeName: string) => `${nodeName}/${volumeName}`;
  const usersOf = (volume: PersistentVolume): readonly Pod[] => {
    const { namespace = '', name = '' } = volume.spec?.claimRef ?? {};
    const claim = claims.get(`${namespace}/${name}`);
    if (!claim || claim.spec?.volumeName !== volume.metadata?.name || !isBoundTo(volume, claim)) return [];
    return pods
      .byIndex(CLAIM_INDEX, `${namespace}/${name}`)
      .filter(pod => pod.spec?.nodeName !== undefined && holdsVolumes(pod));
  };
  const enqueueVolume = (volume: PersistentVolume | undefined) => {
    if (!volume?.spec?.csi) return;
    const name = volume.metadata?.name ?? '';
    for (const { spec } of usersOf(volume)) queue.add(keyFor(spec?.nodeName ?? '', name));
    for (const { spec } of attachments.byIndex(VOLUME_INDEX, name)) queue.add(keyFor(spec.nodeName, name));
  };
  const enqueueClaim = (claim: PersistentVolumeClaim | undefined) =>
    enqueueVolume(volumes.get(claim?.spec?.volumeName ?? ''));
  const enqueuePod = (pod: Pod) => {
    if (!pod.spec?.nodeName) return;
    for (const name of claimsOf(pod)) enqueueClaim(claims.get(`${pod.metadata?.namespace}/${name}`));
  };
  const enqueueNode = (node: Node) => {
    const name = node.metadata?.name ?? '';
    for (const attachment of attachments.byIndex(NODE_INDEX, name)) queue.add(keyFor(name, volumeNameOf(attachment)));
  };
  pods.addHandler({
    added: enqueuePod,
    updated: (pod, old) => {
      if (pod.spec?.nodeName !== old.spec?.nodeName || holdsVolumes(pod) !== holdsVolumes(old)) enqueuePod(pod);
    },
    deleted: enqueuePod,
  });
  claims.addHandler({
    added: enqueueClaim,
    updated: (claim, old) => {
      if (claim.spec?.volumeName !== old.spec?.volumeName) enqueueClaim(claim);
    },
    deleted: enqueueClaim,
  });
  volumes.addHandler({
    added: enqueueVolume,
    updated: (volume, old) => {
      if (volume.spec?.claimRef?.uid !== old.spec?.claimRef?.uid) enqueueVolume(volume);
    },
  });
  const enqueueDriver = ({ metadata }: CSIDriver) => {
    for (const volume of volumes.list()) if (volume.spec?.csi?.driver === metadata?.name) enqueueVolume(volume);
  };
  drivers.addHandler({ added: enqueueDriver, updated: enqueueDriver, deleted: enqueueDriver });
  const hold = ({ spec, status }: Node) =>
    JSON.stringify([
      status?.volumesInUse,
      spec?.taints,
      status?.conditions?.find(({ type }) => type === 'Ready')?.status,
    ]);
  nodes.addHandler({
    added: node => {
      enqueueNode(node);
      for (const pod of pods.byIndex(NODE_INDEX, node.metadata?.name ?? '')) enqueuePod(pod);
    },
    updated: (node, old) => {
      if (hold(node) !== hold(old)) enqueueNode(node);
    },
    deleted: enqueueNode,
  });
  attachments.addHandler({
    added: attachment => queue.add(keyFor(attachment.spec.nodeName, volumeNameOf(attachment))),
    updated: (attachment, old) => {
      tellOutcome(attachment, old);
      if (attachment.metadata?.deletionTimestamp !== old.metadata?.deletionTimestamp)
        queue.add(keyFor(attachment.spec.nodeName, volumeNameOf(attachment)));
    },
    // Whoever waits for the volume elsewhere may have it now.
    deleted: attachment => enqueueVolume(volumes.get(volumeNameOf(attachment))),
  });

  const usersAt = (volume: PersistentVolume, nodeName: string) =>
    usersOf(volume).filter(({ spec }) => spec?.nodeName === nodeName);

  const tellOutcome = ({ spec, status }: VolumeAttachment, old: VolumeAttachment) => {
    const name = spec.source.persistentVolumeName ?? '';
    const volume = volumes.get(name);
    if (!volume) return;
    const tell = (type: 'Normal' | 'Warning', reason: string, message: string) => {
      for (const pod of usersAt(volume, spec.nodeName)) recorder.record(pod, { type, reason, message });
    };
    const error = status?.attachError;
    if (status?.attached && !old.status?.attached)
      tell('Normal', 'SuccessfulAttachVolume', `AttachVolume.Attach succeeded for volume "${name}" `);
    else if (error && !status?.attached && error.time !== old.status?.attachError?.time)
      tell('Warning', 'FailedAttachVolume', `AttachVolume.Attach failed for volume "${name}" : ${error.message ?? ''}`);
  };

  /** Each pod that waits is told once. */
  const tellRefused = (
    key: string,
    volume: PersistentVolume,
    waiting: readonly Pod[],
    nodeNames: readonly string[],
  ) => {
    const others = usersOf(volume).filter(({ spec }) => nodeNames.includes(spec?.nodeName ?? ''));
    const before = told.get(key);
    for (const pod of waiting) {
      if (before?.has(pod.metadata?.uid ?? '')) continue;
      const message = multiAttachMessage(volume.metadata?.name ?? '', pod.metadata?.namespace ?? '', others);
      recorder.record(pod, { type: 'Warning', reason: 'FailedAttachVolume', message });
    }
    told.set(key, new Set(waiting.map(({ metadata }) => metadata?.uid ?? '')));
  };

  const reconcile = async (key: string) => {
    const slash = key.indexOf('/');
    const [nodeName, volumeName] = [key.slice(0, slash), key.slice(slash + 1)];
    const volume = volumes.get(volumeName);
    if (!volume) return forget(key);
    const users = usersAt(volume, nodeName);
    const since = users.length > 0 ? awake.now() : (unneededSinceMs.get(key) ?? awake.now());
    const view = {
      ...{ volume, nodeName, users, node: nodes.get(nodeName) },
      driver: drivers.get(volume.spec?.csi?.driver ?? ''),
      attachments: attachments.byIndex(VOLUME_INDEX, volumeName),
      unneededMs: awake.now() - since,
    };
    const plan = planAttachment(view);
    if (plan.type === 'refuse') return tellRefused(key, volume, users, plan.nodeNames);
    if (plan.type === 'wait') {
      unneededSinceMs.set(key, since);
      return { afterMs: plan.afterMs };
    }
    forget(key);
    if (plan.type === 'attach') await attach(plan.attachment);
    if (plan.type !== 'detach') return undefined;
    // The node may have begun to mount it for a pod of which this cache has not heard: its own word is the latest.
    const node = await orUndefined(() => client.get(nodesKind, { name: nodeName }));
    const again = planAttachment({ ...view, node });
    if (again.type === 'detach') await detach(again.attachment);
    return undefined;
  };
  const forget = (key: string): undefined => {
    unneededSinceMs.delete(key);
    told.delete(key);
  };

  const attach = async (attachment: VolumeAttachment) => {
    try {
      await client.create(attachmentsKind, attachment);
    } catch (error) {
      if (!hasReason(error, 'AlreadyExists')) throw error;
    }
  };
  const detach = async ({ metadata }: VolumeAttachment) => {
    const uid = metadata?.uid;
    await orUndefined(() => client.delete(attachmentsKind, { name: metadata?.name ?? '' }, { ...(uid && { uid }) }));
  };

  const controller = queueController(context, {
    name: 'attachdetach-controller',
    queue,
    reconcile: async key => (await reconcile(key)) ?? undefined,
  });
  return {
    name: controller.name,
    run: async () => {
      await Promise.all([controller.run(), awake.run(signal)]);
    },
  };
}

async function orUndefined<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (hasReason(error, 'NotFound')) return undefined;
    throw error;
  }
}
