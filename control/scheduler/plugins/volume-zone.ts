/** A volume that says by its labels which zone it is in is used in that zone (k/k plugins/volumezone). */
import type { PersistentVolume } from '../../api/generated/types.ts';
import { differs } from '../cluster-events.ts';
import type { NodeInfo } from '../node-info.ts';
import { incurable, type SchedulerPlugin } from '../plugin.ts';
import { isOwnClaim } from '../pod-info.ts';

const ELSEWHERE = incurable('node(s) had no available volume zone');
/** Each under its present name and the one from before 1.17. */
const TOPOLOGY_LABELS: ReadonlyMap<string, string> = new Map([
  ['topology.kubernetes.io/zone', 'failure-domain.beta.kubernetes.io/zone'],
  ['topology.kubernetes.io/region', 'failure-domain.beta.kubernetes.io/region'],
]);

/** A label with the values that it may have. */
interface Demand {
  readonly label: string;
  readonly values: readonly string[];
}

export const volumeZone: SchedulerPlugin = {
  name: 'VolumeZone',
  filter(pod, { volumes }) {
    const demands = pod.claims.flatMap(name => {
      const claim = volumes.claims.get(`${pod.namespace}/${name}`);
      const volume = claim?.spec?.volumeName ? volumes.volumes.get(claim.spec.volumeName) : undefined;
      return volume ? demandsOf(volume) : [];
    });
    if (demands.length === 0) return undefined;
    return {
      refuse(node) {
        // A node that knows of no zones is taken to be in all.
        if (![...TOPOLOGY_LABELS.keys()].some(label => valueAt(node, label) !== undefined)) return undefined;
        const isMet = ({ label, values }: Demand) => values.includes(valueAt(node, label) ?? '');
        return demands.every(isMet) ? undefined : ELSEWHERE;
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

/** Several zones of one volume are written with two underscores between them. */
function demandsOf({ metadata }: PersistentVolume): Demand[] {
  const labels = metadata?.labels ?? {};
  return [...TOPOLOGY_LABELS].flatMap(([label, old]) => {
    const value = labels[label] ?? labels[old];
    return value === undefined ? [] : [{ label, values: value.split('__') }];
  });
}

const valueAt = ({ labels }: NodeInfo, label: string) => labels[label] ?? labels[TOPOLOGY_LABELS.get(label) ?? ''];
