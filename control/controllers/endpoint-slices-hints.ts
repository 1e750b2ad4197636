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

/** How the spread of one family's endpoints came out. */
export interface HintWord {
  readonly addressType: string;
  /** Undefined if they are spread. */
  readonly refusal: string | undefined;
}

export interface HintPlanner {
  assign(endpoints: readonly Endpoint[], addressType: string): Hints;
  /** After the assignments: what there is to tell of each family; none where nothing is spread by CPUs. */
  words(): readonly HintWord[];
}

const NONE: Hints = new Map();

/** True if the zones of nodes decide about the Service's endpoints. The older annotation has the last word where both stand. */
export function usesTopology({ metadata }: Service): boolean {
  const mode = metadata?.annotations?.[MODE_BEFORE] ?? metadata?.annotations?.[MODE];
  return mode === 'Auto' || mode === 'auto';
}

export function planHints(service: Service, nodes: Pick<Cache<Node>, 'list'>): HintPlanner {
  if (!usesTopology(service)) {
    const isClose = service.spec?.trafficDistribution === 'PreferClose';
    return { assign: endpoints => (isClose ? ownZones(endpoints) : NONE), words: () => [] };
  }
  const said: HintWord[] = [];
  return {
    assign: (endpoints, addressType) => {
      const spread = spreadByCpu(endpoints, nodes.list());
      said.push({ addressType, refusal: typeof spread === 'string' ? spread : undefined });
      return typeof spread === 'string' ? NONE : spread;
    },
    words: () => said,
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

const NODES_UNFIT = 'Insufficient Node information: allocatable CPU or zone not specified on one or more nodes';

/** The share of the cluster's CPUs that each zone has; a sentence if that cannot be said. One zone alone has none to share with. */
export function cpuShares(nodes: readonly Node[]): ReadonlyMap<string, number> | string {
  const cpus = new Map<string, number>();
  for (const node of nodes) {
    const labels = node.metadata?.labels ?? {};
    if (!isNodeReady(node) || EXCLUDED.some(name => name in labels)) continue;
    const cpu = parseQuantity(node.status?.allocatable?.cpu);
    const zone = labels[ZONE];
    if (!zone || !(cpu > 0)) return NODES_UNFIT;
    cpus.set(zone, (cpus.get(zone) ?? 0) + cpu);
  }
  if (cpus.size < 2) return NODES_UNFIT;
  const total = [...cpus.values()].reduce((a, b) => a + b, 0);
  return new Map([...cpus].map(([zone, cpu]) => [zone, cpu / total]));
}

/** Every endpoint serves its own zone, but for those that a zone with too many has to give to one with too few. */
function spreadByCpu(all: readonly Endpoint[], nodes: readonly Node[]): Hints | string {
  const shares = cpuShares(nodes);
  if (typeof shares === 'string') return shares;
  const endpoints = all.filter(isReady).toSorted((a, b) => (uidOf(a) < uidOf(b) ? -1 : 1));
  const counts = `(${endpoints.length} endpoints, ${shares.size} zones)`;
  if (endpoints.length < shares.size) return `Insufficient number of endpoints ${counts}`;
  const wanted = wantedOf(shares, endpoints.length);
  if (!wanted) {
    return `Unable to allocate minimum required endpoints to each zone without exceeding overload threshold ${counts}`;
  }
  if (endpoints.some(({ zone }) => !zone)) return 'One or more endpoints do not have a zone specified';
  const moves = planMoves(wanted, endpoints);
  return new Map(
    endpoints.map(endpoint => [uidOf(endpoint), moves.get(endpoint.zone ?? '')?.shift() ?? endpoint.zone ?? '']),
  );
}

/** How many endpoints each zone should have, in fractions; undefined if some endpoint would have to do too much. */
function wantedOf(shares: ReadonlyMap<string, number>, count: number): ReadonlyMap<string, number> | undefined {
  const least = (share: number) => Math.ceil((share * count) / (1 + OVERLOAD_SHARE));
  const needed = [...shares.values()].reduce((sum, share) => sum + least(share), 0);
  if (needed > count) return undefined;
  return new Map([...shares].map(([zone, share]) => [zone, Math.max(share * count, least(share))]));
}

/**
 * To which zones each zone gives endpoints, one entry an endpoint (k/k topologycache: getGivingAndReceivingZones). Half of one
 * too many or too few is no reason to send anybody's traffic elsewhere.
 */
function planMoves(wanted: ReadonlyMap<string, number>, endpoints: readonly Endpoint[]): ReadonlyMap<string, string[]> {
  const spare = new Map([...wanted].map(([zone, count]) => [zone, -count]));
  for (const { zone = '' } of endpoints) {
    const before = spare.get(zone);
    if (before !== undefined) spare.set(zone, before + 1);
  }
  const moves = new Map<string, string[]>();
  for (let moved = 0; moved < endpoints.length; moved++) {
    const zones = [...spare].toSorted((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
    const [giver, given = 0] = zones[0] ?? [''];
    const [taker, room = 0] = zones.toSorted((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1))[0] ?? [''];
    if (given < 0.5 || -room < 0.5 || (given < 1 && -room < 1)) break;
    moves.set(giver, [...(moves.get(giver) ?? []), taker]);
    spare.set(giver, given - 1).set(taker, room + 1);
  }
  return moves;
}
