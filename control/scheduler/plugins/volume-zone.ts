/** A volume that says by its labels which zone it is in is used in that zone (k/k plugins/volumezone). */
import type { PersistentVolume } from '../../api/generated/types.ts';
import { differs } from '../cluster-events.ts';
import type { NodeInfo } from '../node-info.ts';
import { incurable, type SchedulerPlugin } from '../plugin.ts';
import { isOwnClaim } from '../pod-info.ts';

const ELSEWHERE = incurable('node(s) had no available volume zone');
/** The names from before 1.17, with those of today. */
const NEW_NAMES: ReadonlyMap<string, string> = new Map([
  ['failure-domain.beta.kubernetes.io/zone', 'topology.kubernetes.io/zone'],
  ['failure-domain.beta.kubernetes.io/region', 'topology.kubernetes.io/region'],
]);
const LABELS: readonly string[] = [...NEW_NAMES.keys(), ...NEW_NAMES.values()];

/** A label with the values that it may have. */
interface Demand {
  readonly label: string;
  readonly values: readonly string[];
}

export const volumeZone: SchedulerPlugin = {
  name: 'VolumeZone',
  filter(pod, { volumes }) {
    const demands: Demand[] = [];
    for (const claim of pod.claims) {
      const name = volumes.claims.get(`${pod.namespace}/${claim}`)?.spec?.volumeName;
      if (!name) continue;
      const volume = volumes.volumes.get(name);
      if (!volume) return { refusal: `persistentvolume "${name}" not found` };
      demands.push(...demandsOf(volume));
    }
    if (demands.length === 0) return undefined;
    return {
      refuse({ labels }) {
        // A node that knows of no zones is taken to be in all.
        if (!LABELS.some(label => labels[label] !== undefined)) return undefined;
        return demands.every(demand => isMet(demand, labels)) ? undefined : ELSEWHERE;
      },
    };
  },
  helpedBy: ['node', 'claim', 'volume', 'storageClass'],
  mayHelp(event, pod) {
    if (event.kind === 'node') return event.changes.labels;
    if (event.kind === 'volume') return differs(event.volume, event.old, demandsOf);
    if (event.kind === 'claim') return isOwnClaim(pod, event.claim);
    return event.kind === 'storageClass' && event.old === undefined;
  },
};

/** Several zones of one volume are written with two underscores between them; a label that names an empty one says nothing. */
function demandsOf({ metadata }: PersistentVolume): Demand[] {
  return LABELS.flatMap(label => {
    const values = metadata?.labels?.[label]?.split('__').map(value => value.trim()) ?? [];
    return values.length === 0 || values.includes('') ? [] : [{ label, values }];
  });
}

/** Nodes may have the new name of a label of which the volume has the old one, but not the other way round. */
function isMet({ label, values }: Demand, labels: NodeInfo['labels']): boolean {
  const value = labels[label] ?? labels[NEW_NAMES.get(label) ?? ''];
  return value !== undefined && values.includes(value);
}
