/**
 * Which zone's clients an endpoint is meant for. `trafficDistribution: PreferClose` keeps traffic in the zone where it begins
 * (KEP-4444); the annotation `topology-mode: Auto` spreads endpoints over zones in proportion to their CPUs, so that none is
 * overloaded, or does nothing where that cannot be (KEP-2433). Pure but for the nodes that it is handed.
 */
import type { Endpoint, Node, Service } from '../api/generated/types.ts';
import type { Cache } from '../client/informer.ts';
import { parseQuantity } from '../client/quantities.ts';
import { isNodeReady } from './node-plan.ts';

const MODE = 'service.kubernetes.io/topology-mode';
const MODE_BEFORE = 'service.kubernetes.io/topology-aware-hints';
const ZONE = 'topology.kubernetes.io/zone';
/** Nodes whose pods are not what Services are for. */
const EXCLUDED = ['node-role.kubernetes.io/control-plane', 'node-role.kubernetes.io/master'];
/** By how much an endpoint may have more to do than with an even spread (k/k topologycache: overloadThreshold). */
const OVERLOAD_SHARE = 0.2;

/** For each endpoint, by UID of its pod, the zone whose clients it is for. */
export type Hints = ReadonlyMap<string, string>;

export interface HintPlanner {
  assign(endpoints: readonly Endpoint[], addressType: string): Hints;
  /** After the assignment: what there is to tell of it; undefined where nothing is spread by CPUs. */
  word(): string | undefined;
}

const NONE: Hints = new Map();

/** True if the zones of nodes decide about the Service's endpoints. */
export function usesTopology({ metadata }: Service): boolean {
  const mode = metadata?.annotations?.[MODE] ?? metadata?.annotations?.[MODE_BEFORE];
  return mode === 'Auto' || mode === 'auto';
}

export function planHints(service: Service, nodes: Pick<Cache<Node>, 'list'>): HintPlanner {
  if (!usesTopology(service)) {
    const isClose = service.spec?.trafficDistribution === 'PreferClose';
    return { assign: endpoints => (isClose ? ownZones(endpoints) : NONE), word: () => undefined };
  }
  let said: string | undefined;
  return {
    assign: (endpoints, addressType) => {
      const spread = spreadByCpu(endpoints, nodes.list());
      said ??= `${typeof spread === 'string' ? spread : 'Topology Aware Hints has been enabled'}, addressType: ${addressType}`;
      return typeof spread === 'string' ? NONE : spread;
    },
    word: () => said,
  };
}

const isReady = ({ conditions }: Endpoint) => conditions?.ready === true;
const uidOf = ({ targetRef }: Endpoint) => targetRef?.uid ?? '';

function ownZones(endpoints: readonly Endpoint[]): Hints {
  return new Map(
    endpoints.flatMap(endpoint =>
      isReady(endpoint) && endpoint.zone ? [[uidOf(endpoint), endpoint.zone] as const] : [],
    ),
  );
}

/** The share of the cluster's CPUs that each zone has; a sentence if that cannot be said. */
export function cpuShares(nodes: readonly Node[]): ReadonlyMap<string, number> | string {
  const cpus = new Map<string, number>();
  for (const node of nodes) {
    const labels = node.metadata?.labels ?? {};
    if (!isNodeReady(node) || EXCLUDED.some(name => name in labels)) continue;
    const cpu = parseQuantity(node.status?.allocatable?.cpu);
    const zone = labels[ZONE];
    if (!zone || !(cpu > 0)) {
      return 'Insufficient Node information: allocatable CPU or zone not specified on one or more nodes';
    }
    cpus.set(zone, (cpus.get(zone) ?? 0) + cpu);
  }
  if (cpus.size < 2) return 'Nodes only ready in one zone';
  const total = [...cpus.values()].reduce((a, b) => a + b, 0);
  return new Map([...cpus].map(([zone, cpu]) => [zone, cpu / total]));
}

function spreadByCpu(all: readonly Endpoint[], nodes: readonly Node[]): Hints | string {
  const shares = cpuShares(nodes);
  if (typeof shares === 'string') return shares;
  const endpoints = all.filter(isReady).toSorted((a, b) => (uidOf(a) < uidOf(b) ? -1 : 1));
  if (endpoints.some(({ zone }) => !zone)) return 'One or more endpoints do not have a zone specified';
  if (endpoints.length < shares.size) return 'Insufficient number of endpoints';
  const targets = targetsOf(shares, endpoints.length);
  if (targets === undefined) return 'Minimum allocation required by the service exceeds overload threshold';
  const hints = new Map<string, string>();
  const spare: Endpoint[] = [];
  for (const endpoint of endpoints) {
    const zone = endpoint.zone ?? '';
    const room = targets.get(zone) ?? 0;
    if (room > 0) {
      targets.set(zone, room - 1);
      hints.set(uidOf(endpoint), zone);
    } else spare.push(endpoint);
  }
  for (const [zone, room] of targets) {
    for (const endpoint of spare.splice(0, room)) hints.set(uidOf(endpoint), zone);
  }
  return hints;
}

/** How many endpoints each zone gets; undefined if some endpoint would have to do too much. */
function targetsOf(shares: ReadonlyMap<string, number>, count: number): Map<string, number> | undefined {
  const least = (share: number) => Math.ceil((share * count) / (1 + OVERLOAD_SHARE));
  const targets = new Map([...shares].map(([zone, share]) => [zone, least(share)]));
  let left = count - [...targets.values()].reduce((a, b) => a + b, 0);
  if (left < 0) return undefined;
  // The rest goes where most is missing.
  const missing = ([zone, share]: readonly [string, number]) => share * count - (targets.get(zone) ?? 0);
  while (left-- > 0) {
    const [zone] = [...shares].toSorted((a, b) => missing(b) - missing(a) || (a[0] < b[0] ? -1 : 1))[0] ?? [''];
    targets.set(zone, (targets.get(zone) ?? 0) + 1);
  }
  return targets;
}
