/**
 * Volumes that only one pod, or only one pod a node, may have: claims with ReadWriteOncePod, and the disks that pods name
 * without a claim (k/k plugins/volumerestrictions).
 */
import type { Pod, Volume } from '../../api/generated/types.ts';
import { curable, type NodeFilter, type SchedulerPlugin } from '../plugin.ts';
import { isOwnClaim, type PodInfo } from '../pod-info.ts';
import type { Snapshot } from '../snapshot.ts';

const DISK_TAKEN = curable('node(s) had no available disk');
const CLAIM_TAKEN = curable(
  'node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode',
);

export const volumeRestrictions: SchedulerPlugin = {
  name: 'VolumeRestrictions',
  filter(pod, snapshot) {
    const missing = pod.claims.find(name => !snapshot.volumes.claims.get(`${pod.namespace}/${name}`));
    const disks = disksOf(pod.pod);
    const exclusive = missing === undefined ? exclusiveClaims(pod, snapshot) : [];
    if (disks.length === 0 && exclusive.length === 0) return undefined;
    return new Restrictions({ pod, disks, exclusive, snapshot });
  },
  helpedBy: ['claim', 'node', 'podRemoved'],
  mayHelp(event, pod) {
    if (event.kind === 'claim') return isOwnClaim(pod, event.claim);
    if (event.kind === 'node') return event.old === undefined;
    return event.kind === 'podRemoved' && (sharesClaim(pod, event.pod) || sharesDisk(pod, event.pod));
  },
};

const sharesClaim = (pod: PodInfo, other: PodInfo) =>
  other.namespace === pod.namespace && other.claims.some(name => pod.claims.includes(name));

function sharesDisk({ pod }: PodInfo, { pod: other }: PodInfo): boolean {
  const disks = disksOf(pod);
  return disks.length > 0 && disksOf(other).some(taken => disks.some(wanted => collide(taken, wanted)));
}

function exclusiveClaims(pod: PodInfo, { volumes }: Snapshot): string[] {
  return pod.claims.filter(name =>
    volumes.claims.get(`${pod.namespace}/${name}`)?.spec?.accessModes?.includes('ReadWriteOncePod'),
  );
}

interface Parts {
  readonly pod: PodInfo;
  readonly disks: readonly Disk[];
  readonly exclusive: readonly string[];
  readonly snapshot: Snapshot;
}

class Restrictions implements NodeFilter {
  readonly #parts: Parts;
  /** How often others use the pod's exclusive claims, wherever they are. */
  #conflicts: number;

  constructor(parts: Parts) {
    this.#parts = parts;
    const { pod, exclusive, snapshot } = parts;
    this.#conflicts = exclusive.reduce((sum, name) => sum + snapshot.claimUsers(`${pod.namespace}/${name}`), 0);
  }

  refuse(node: { readonly pods: ReadonlyMap<string, PodInfo> }) {
    const { disks } = this.#parts;
    if (disks.length > 0) {
      for (const { pod } of node.pods.values()) {
        if (pod.spec?.volumes?.length && disksOf(pod).some(taken => disks.some(wanted => collide(taken, wanted)))) {
          return DISK_TAKEN;
        }
      }
    }
    return this.#conflicts > 0 ? CLAIM_TAKEN : undefined;
  }

  adjust(other: PodInfo, _node: unknown, sign: 1 | -1): void {
    const { pod, exclusive } = this.#parts;
    if (other.namespace !== pod.namespace) return;
    this.#conflicts += sign * other.claims.filter(name => exclusive.includes(name)).length;
  }
}

/** A disk that is named in a pod itself. */
interface Disk {
  /** What tells it from others of its sort; RBD images are known by any of their monitors. */
  readonly ids: readonly string[];
  readonly readOnly: boolean;
  /** False: not even two readers may have it. */
  readonly mayShareReading: boolean;
}

function disksOf({ spec }: Pod): readonly Disk[] {
  return (spec?.volumes ?? []).flatMap(diskOf);
}

function diskOf({ gcePersistentDisk, awsElasticBlockStore, rbd, iscsi }: Volume): Disk[] {
  if (gcePersistentDisk) {
    const { pdName, readOnly = false } = gcePersistentDisk;
    return [{ ids: [`gce/${pdName}`], readOnly, mayShareReading: true }];
  }
  if (awsElasticBlockStore) {
    return [{ ids: [`aws/${awsElasticBlockStore.volumeID}`], readOnly: false, mayShareReading: false }];
  }
  if (iscsi) return [{ ids: [`iscsi/${iscsi.iqn}`], readOnly: iscsi.readOnly ?? false, mayShareReading: true }];
  if (!rbd) return [];
  const ids = rbd.monitors.map(monitor => `rbd/${monitor}/${rbd.pool ?? 'rbd'}/${rbd.image}`);
  return [{ ids, readOnly: rbd.readOnly ?? false, mayShareReading: true }];
}

function collide(a: Disk, b: Disk): boolean {
  if (!a.ids.some(id => b.ids.includes(id))) return false;
  return !(a.mayShareReading && a.readOnly && b.readOnly);
}
