/** A driver can attach only so many volumes to a node: CSINode says how many (k/k plugins/nodevolumelimits). */
import type { CSINode } from '../../api/generated/types.ts';
import type { NodeInfo } from '../node-info.ts';
import { curable, type SchedulerPlugin } from '../plugin.ts';
import { isOwnClaim, type PodInfo } from '../pod-info.ts';
import type { VolumeCatalog } from '../volumes.ts';

const TOO_MANY = curable('node(s) exceed max volume count');

export const nodeVolumeLimits: SchedulerPlugin = {
  name: 'NodeVolumeLimits',
  filter(pod, { volumes }) {
    const wanted = volumesOf(pod, volumes);
    if (wanted.size === 0) return undefined;
    return { refuse: node => (hasRoom(wanted, node, volumes) ? undefined : TOO_MANY) };
  },
  helpedBy: ['csiNode', 'node', 'podRemoved', 'claim', 'attachmentRemoved'],
  mayHelp(event, pod) {
    switch (event.kind) {
      case 'csiNode':
        return event.old === undefined || limitsOf(event.csiNode) !== limitsOf(event.old);
      case 'node':
        return event.old === undefined;
      case 'podRemoved':
        return event.pod.claims.length > 0;
      case 'claim':
        return event.old === undefined && isOwnClaim(pod, event.claim);
      default:
        return event.kind === 'attachmentRemoved';
    }
  },
};

/** A node without any driver has none, and not an empty list. */
const driversOf = ({ spec }: CSINode): CSINode['spec']['drivers'] => spec.drivers ?? [];

const limitsOf = (csiNode: CSINode) =>
  JSON.stringify(driversOf(csiNode).map(({ name, allocatable }) => [name, allocatable]));

/** Drivers by volume. */
type Attachable = ReadonlyMap<string, string>;

function volumesOf(pod: PodInfo, catalog: VolumeCatalog): Attachable {
  const found = new Map<string, string>();
  for (const name of pod.claims) {
    const claim = catalog.claims.get(`${pod.namespace}/${name}`);
    if (!claim) continue;
    const volume = claim.spec?.volumeName ? catalog.volumes.get(claim.spec.volumeName) : undefined;
    const csi = volume?.spec?.csi;
    if (csi) found.set(`${csi.driver}/${csi.volumeHandle}`, csi.driver);
    else if (!volume) {
      // A volume that is still to be made, or has gone, counts for whoever makes such.
      const driver = catalog.classOf(claim)?.provisioner;
      if (driver) found.set(`${driver}/claim/${pod.namespace}/${name}`, driver);
    }
  }
  return found;
}

function hasRoom(wanted: Attachable, node: NodeInfo, catalog: VolumeCatalog): boolean {
  const csiNode = catalog.csiNodes.get(node.name);
  if (!csiNode) return true;
  const limits = new Map(driversOf(csiNode).map(({ name, allocatable }) => [name, allocatable?.count]));
  if (![...wanted.values()].some(driver => limits.get(driver) !== undefined)) return true;
  const attached = attachedTo(node, catalog);
  const counts = new Map<string, number>();
  for (const driver of attached.values()) counts.set(driver, (counts.get(driver) ?? 0) + 1);
  for (const [volume, driver] of wanted) {
    if (attached.has(volume)) continue;
    const count = (counts.get(driver) ?? 0) + 1;
    counts.set(driver, count);
    const limit = limits.get(driver);
    if (limit !== undefined && count > limit) return false;
  }
  return true;
}

/** What the node's pods use, and what is attached though no pod uses it any more. */
function attachedTo(node: NodeInfo, catalog: VolumeCatalog): Map<string, string> {
  const attached = new Map<string, string>();
  for (const pod of node.pods.values()) {
    if (pod.claims.length === 0) continue;
    for (const [volume, driver] of volumesOf(pod, catalog)) attached.set(volume, driver);
  }
  for (const { spec } of catalog.attachments.of(node.name)) {
    if (!spec.source.persistentVolumeName) continue;
    const csi = catalog.volumes.get(spec.source.persistentVolumeName)?.spec?.csi;
    if (csi) attached.set(`${csi.driver}/${csi.volumeHandle}`, csi.driver);
  }
  return attached;
}
