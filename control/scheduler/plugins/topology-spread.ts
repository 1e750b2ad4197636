/**
 * Pods that are to be spread evenly over the domains of a topology: no domain may have (or had better have) more than
 * `maxSkew` of them above the emptiest (k/k plugins/podtopologyspread). Pods that say nothing are spread with those of the
 * same services and owner, loosely, over hosts and zones.
 */
import type { Node, Pod, TopologySpreadConstraint } from '../../api/generated/types.ts';
import { matchesRequiredNode } from '../../client/node-selectors.ts';
import { REPELLING_EFFECTS, untoleratedTaint } from '../../client/taints.ts';
import { differs } from '../cluster-events.ts';
import type { NodeInfo } from '../node-info.ts';
import { curable, incurable, type NodeFilter, type NodeScorer, type SchedulerPlugin } from '../plugin.ts';
import { bump, type Counts } from '../pod-counts.ts';
import type { PodInfo } from '../pod-info.ts';
import { type PodSelector, selects, spreadSelector } from '../pod-terms.ts';
import type { Snapshot } from '../snapshot.ts';

const UNEVEN = "node(s) didn't match pod topology spread constraints";
const TOO_MANY = curable(UNEVEN);
const NO_LABEL = incurable(`${UNEVEN} (missing required label)`);
const HOSTNAME = 'kubernetes.io/hostname';

/** For pods without constraints of their own. */
export type SpreadDefaults =
  | { readonly type: 'System' }
  | { readonly type: 'List'; readonly constraints: readonly TopologySpreadConstraint[] };

const SYSTEM_CONSTRAINTS: readonly TopologySpreadConstraint[] = [
  { topologyKey: HOSTNAME, whenUnsatisfiable: 'ScheduleAnyway', maxSkew: 3 },
  { topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'ScheduleAnyway', maxSkew: 5 },
];

export function topologySpread(defaults: SpreadDefaults = { type: 'System' }): SchedulerPlugin {
  return {
    name: 'PodTopologySpread',
    filter(pod, snapshot) {
      const spreads = spreadsOf(pod, snapshot, { defaults, action: 'DoNotSchedule' });
      return spreads.length > 0 ? new HardSpread(pod, spreads, snapshot) : undefined;
    },
    score(pod, snapshot, feasible) {
      const spreads = spreadsOf(pod, snapshot, { defaults, action: 'ScheduleAnyway' });
      if (spreads.length === 0) return undefined;
      // Nodes without a zone are still told apart as hosts by the system's defaults.
      const needsAllKeys = (pod.pod.spec?.topologySpreadConstraints ?? []).length > 0 || defaults.type !== 'System';
      return scorerFor(pod, { spreads, snapshot, feasible, needsAllKeys });
    },
    helpedBy: ['node', 'nodeRemoved', 'ownChange', 'podChanged', 'podPlaced', 'podRemoved'],
    mayHelp(event, pod, snapshot) {
      if (event.kind === 'node' && !event.changes.labels && !event.changes.taints) return false;
      const spreads = spreadsOf(pod, snapshot, { defaults, action: 'DoNotSchedule' });
      const isCounted = ({ selector }: Spread, other: PodInfo) => selects(selector, other, snapshot);
      switch (event.kind) {
        case 'podPlaced':
        case 'podRemoved':
          return spreads.some(spread => isCounted(spread, event.pod));
        case 'podChanged': {
          const isLeaving = event.pod.isTerminating !== event.old.isTerminating;
          return spreads.some(spread => {
            const isNow = isCounted(spread, event.pod);
            return isNow !== isCounted(spread, event.old) || (isNow && isLeaving);
          });
        }
        case 'ownChange':
          return (
            differs(event.pod, event.old, ({ labels }) => labels) ||
            (spreads.some(({ constraint }) => constraint.nodeTaintsPolicy === 'Honor') &&
              differs(event.pod, event.old, ({ pod: { spec } }) => spec?.tolerations))
          );
        // With a node its domain may go, and that may have been the emptiest.
        case 'nodeRemoved':
          return isOfAll(event.node, spreads);
        case 'node':
          return event.old ? movedFor(spreads, event.node, event.old) : isOfAll(event.node, spreads);
        default:
          return false;
      }
    },
  };
}

const isOfAll = ({ metadata }: Node, spreads: readonly Spread[]) =>
  spreads.every(({ constraint }) => metadata?.labels?.[constraint.topologyKey] !== undefined);

/** True if the node came into the domains, left them, went to others of them, or repels other pods than before. */
function movedFor(spreads: readonly Spread[], node: Node, old: Node): boolean {
  const isIn = isOfAll(node, spreads);
  if (isIn !== isOfAll(old, spreads)) return true;
  return (
    isIn &&
    differs(node, old, ({ metadata, spec }) => [
      spec?.taints,
      spreads.map(({ constraint }) => metadata?.labels?.[constraint.topologyKey]),
    ])
  );
}

/** A constraint with the pods that it counts. */
interface Spread {
  readonly constraint: TopologySpreadConstraint;
  readonly selector: PodSelector;
}

interface Choice {
  readonly defaults: SpreadDefaults;
  readonly action: 'DoNotSchedule' | 'ScheduleAnyway';
}

type ByAction = Readonly<Record<Choice['action'], readonly Spread[]>>;

/** A pod that sleeps is asked again at every event: what it says itself is read once. */
const ownSpreads = new WeakMap<PodInfo, ByAction>();

function spreadsOf(info: PodInfo, snapshot: Snapshot, { defaults, action }: Choice): readonly Spread[] {
  const { pod } = info;
  const own = pod.spec?.topologySpreadConstraints ?? [];
  if (own.length > 0) return ownSpreadsOf(info, own)[action];
  const all = defaults.type === 'System' ? SYSTEM_CONSTRAINTS : defaults.constraints;
  const wanted = all.filter(({ whenUnsatisfiable }) => whenUnsatisfiable === action);
  if (wanted.length === 0) return [];
  const labelSelector = snapshot.workloads.selectorOf(pod);
  return labelSelector ? wanted.map(constraint => toSpread(pod, { ...constraint, labelSelector })) : [];
}

function ownSpreadsOf(info: PodInfo, own: readonly TopologySpreadConstraint[]): ByAction {
  const known = ownSpreads.get(info);
  if (known) return known;
  const spreadsFor = (action: Choice['action']) =>
    own.filter(({ whenUnsatisfiable }) => whenUnsatisfiable === action).map(each => toSpread(info.pod, each));
  const found = { DoNotSchedule: spreadsFor('DoNotSchedule'), ScheduleAnyway: spreadsFor('ScheduleAnyway') };
  ownSpreads.set(info, found);
  return found;
}

const toSpread = (pod: Pod, constraint: TopologySpreadConstraint): Spread => ({
  constraint,
  selector: spreadSelector(pod, constraint),
});

/** Nodes where the pod could not run say nothing about how even its pods are. */
function countsNode({ spec }: Pod, { nodeAffinityPolicy, nodeTaintsPolicy }: TopologySpreadConstraint, node: Node) {
  if (nodeAffinityPolicy !== 'Ignore' && !matchesRequiredNode(spec, node)) return false;
  if (nodeTaintsPolicy !== 'Honor') return true;
  return untoleratedTaint(node.spec?.taints ?? [], spec?.tolerations ?? [], REPELLING_EFFECTS) === undefined;
}

/** True if every node that has one of the labels counts for all constraints: then the cluster's own counts will do. */
function isSimple(pod: PodInfo, spreads: readonly Spread[], snapshot: Snapshot): boolean {
  return (
    countEverywhere(pod, spreads, snapshot) &&
    snapshot.topologies(spreads.map(({ constraint }) => constraint.topologyKey)).isUniform
  );
}

/** True if {@link countsNode} holds for all nodes and constraints. */
function countEverywhere({ pod }: PodInfo, spreads: readonly Spread[], snapshot: Snapshot): boolean {
  const { spec } = pod;
  const mayRunAnywhere =
    !spec?.nodeSelector && !spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const isCountedAnywhere = ({ nodeAffinityPolicy, nodeTaintsPolicy }: TopologySpreadConstraint) =>
    (mayRunAnywhere || nodeAffinityPolicy === 'Ignore') && (nodeTaintsPolicy !== 'Honor' || !snapshot.hasTaints);
  return spreads.every(({ constraint }) => isCountedAnywhere(constraint));
}

/** The nodes that count for a constraint with their domains, and how many domains that are. */
interface Reach {
  readonly nodes: ReadonlyMap<string, string>;
  readonly size: number;
}

/** For each constraint; pods that are alike in all that matters here need not look at the nodes again. */
function reachOf({ pod }: PodInfo, spreads: readonly Spread[], snapshot: Snapshot): readonly Reach[] {
  const { nodeSelector, affinity, tolerations } = pod.spec ?? {};
  const constraints = spreads.map(({ constraint }) => constraint);
  const policies = constraints.map(each => [each.topologyKey, each.nodeAffinityPolicy, each.nodeTaintsPolicy]);
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const mindsTaints = constraints.some(({ nodeTaintsPolicy }) => nodeTaintsPolicy === 'Honor');
  const key = JSON.stringify(['spread', policies, nodeSelector, required, mindsTaints && tolerations]);
  return snapshot.remembered(key, () => {
    // A node that lacks one of the labels is in no domain of the others either.
    const isOfAllKeys = ({ labels }: NodeInfo) =>
      constraints.every(({ topologyKey }) => labels[topologyKey] !== undefined);
    const nodes = snapshot.nodes.filter(isOfAllKeys);
    return constraints.map(constraint => {
      const counted = nodes.filter(({ node }) => countsNode(pod, constraint, node));
      const placed = counted.map(({ name, labels }) => [name, labels[constraint.topologyKey] ?? ''] as const);
      return { nodes: new Map(placed), size: new Set(placed.map(([, domain]) => domain)).size };
    });
  });
}

interface Counted extends Spread {
  /** Pods that count, by domain; a domain without any is not in it. */
  readonly domains: Counts;
  /** How many domains may take the pod. */
  readonly size: number;
  /** The only nodes that count; undefined for all that are in a domain. */
  readonly nodes: Reach['nodes'] | undefined;
  /** What is tried out on top. */
  readonly more: Map<string, number>;
  /** In the emptiest domain; undefined until it is asked for again. */
  fewest: number | undefined;
  /** 1 if the pod itself counts. */
  readonly self: number;
}

class HardSpread implements NodeFilter {
  readonly #snapshot: Snapshot;
  readonly #counted: readonly Counted[];

  constructor(pod: PodInfo, spreads: readonly Spread[], snapshot: Snapshot) {
    this.#snapshot = snapshot;
    const reach = isSimple(pod, spreads, snapshot) ? undefined : reachOf(pod, spreads, snapshot);
    const { sizes } = snapshot.topologies(spreads.map(({ constraint }) => constraint.topologyKey));
    this.#counted = spreads.map((spread, index) => ({
      ...spread,
      domains: domainsOf(spread, snapshot, reach?.[index]?.nodes),
      size: (reach ? reach[index]?.size : sizes[index]) ?? 0,
      nodes: reach?.[index]?.nodes,
      more: new Map(),
      fewest: undefined,
      self: selects(spread.selector, pod, snapshot) ? 1 : 0,
    }));
  }

  refuse(node: NodeInfo) {
    for (const counted of this.#counted) {
      const { constraint, domains, more, self } = counted;
      const domain = node.labels[constraint.topologyKey];
      if (domain === undefined) return NO_LABEL;
      counted.fewest ??= fewestOf(counted);
      const count = (domains.get(domain) ?? 0) + (more.get(domain) ?? 0);
      if (count + self - counted.fewest > constraint.maxSkew) return TOO_MANY;
    }
    return undefined;
  }

  adjust(other: PodInfo, node: NodeInfo, sign: 1 | -1): void {
    if (other.isTerminating) return;
    for (const counted of this.#counted) {
      const domain = node.labels[counted.constraint.topologyKey];
      if (domain === undefined || counted.nodes?.has(node.name) === false) continue;
      if (!selects(counted.selector, other, this.#snapshot)) continue;
      bump(counted.more, domain, sign);
      counted.fewest = undefined;
    }
  }
}

/** How many pods there are in each domain: the cluster's own counts, or those of the nodes that count. */
function domainsOf({ constraint, selector }: Spread, snapshot: Snapshot, nodes: Reach['nodes'] | undefined): Counts {
  const { topologyKey } = constraint;
  if (!nodes) return snapshot.domainCounts(selector, topologyKey);
  const domains = new Map<string, number>();
  for (const [name, count] of snapshot.podCounts(selector)) {
    const domain = nodes.get(name);
    if (domain !== undefined) bump(domains, domain, count);
  }
  return domains;
}

function fewestOf({ constraint, domains, size, more }: Counted): number {
  if (size < (constraint.minDomains ?? 1)) return 0;
  let fewest = Number.POSITIVE_INFINITY;
  let occupied = domains.size;
  for (const [domain, count] of domains) {
    const total = more.size > 0 ? count + (more.get(domain) ?? 0) : count;
    if (total < fewest) fewest = total;
  }
  for (const [domain, count] of more) {
    if (domains.has(domain)) continue;
    occupied++;
    if (count < fewest) fewest = count;
  }
  return occupied < size ? 0 : fewest;
}

interface Scoring {
  readonly spreads: readonly Spread[];
  readonly snapshot: Snapshot;
  readonly feasible: readonly NodeInfo[];
  readonly needsAllKeys: boolean;
}

/** How many of the pods a node's domain has already, weighed so that many small domains count as much as few large ones. */
function scorerFor(info: PodInfo, { spreads, snapshot, feasible, needsAllKeys }: Scoring): NodeScorer {
  const { pod } = info;
  const isPlain = needsAllKeys ? isSimple(info, spreads, snapshot) : countEverywhere(info, spreads, snapshot);
  const isIgnored = ({ labels }: NodeInfo) =>
    needsAllKeys && spreads.some(({ constraint }) => labels[constraint.topologyKey] === undefined);
  const ignored = needsAllKeys ? feasible.map(isIgnored) : undefined;
  const counted = ignored ? feasible.filter((_, index) => !ignored[index]) : feasible;
  const parts = spreads.map(({ constraint, selector }) => {
    const counts = snapshot.podCounts(selector);
    const { topologyKey, maxSkew } = constraint;
    if (topologyKey === HOSTNAME) {
      const weight = Math.log(counted.length + 2);
      return { topologyKey, maxSkew, weight, countAt: ({ name }: NodeInfo) => counts.get(name) ?? 0 };
    }
    if (isPlain) {
      const weight = Math.log(new Set(counted.map(({ labels }) => labels[topologyKey] ?? '')).size + 2);
      const kept = snapshot.domainCounts(selector, topologyKey);
      return {
        topologyKey,
        maxSkew,
        weight,
        countAt: (node: NodeInfo) => kept.get(node.labels[topologyKey] ?? '') ?? 0,
      };
    }
    const domains = new Map<string, number>(counted.map(({ labels }) => [labels[topologyKey] ?? '', 0]));
    for (const [name, count] of counts) {
      const node = snapshot.node(name);
      if (!node || isIgnored(node) || !countsNode(pod, constraint, node.node)) continue;
      const domain = node.labels[topologyKey] ?? '';
      const known = domains.get(domain);
      if (known !== undefined) domains.set(domain, known + count);
    }
    const weight = Math.log(domains.size + 2);
    return {
      topologyKey,
      maxSkew,
      weight,
      countAt: (node: NodeInfo) => domains.get(node.labels[topologyKey] ?? '') ?? 0,
    };
  });
  return {
    score(node, index) {
      if (ignored?.[index]) return 0;
      let score = 0;
      for (const { topologyKey, maxSkew, weight, countAt } of parts) {
        if (node.labels[topologyKey] !== undefined) score += countAt(node) * weight + (maxSkew - 1);
      }
      return Math.round(score);
    },
    normalize: scores => favourFew(scores, ignored),
  };
}

/** The fewest get the most; nodes outside of all domains get nothing. */
function favourFew(scores: Float64Array, ignored: readonly boolean[] | undefined): void {
  let low = Number.POSITIVE_INFINITY;
  let high = 0;
  for (let index = 0; index < scores.length; index++) {
    if (ignored?.[index]) continue;
    const score = scores[index] ?? 0;
    if (score < low) low = score;
    if (score > high) high = score;
  }
  for (let index = 0; index < scores.length; index++) {
    if (ignored?.[index]) scores[index] = 0;
    else scores[index] = high === 0 ? 100 : Math.floor((100 * (high + low - (scores[index] ?? 0))) / high);
  }
}
