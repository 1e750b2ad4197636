/** Chooses a node for a pod, or says why there is none. Pure: equal input gives an equal answer. */
import { NODES_SEARCHED_MIN, NODES_SEARCHED_PERCENT_MIN, SCORE_MAX } from './limits.ts';
import type { Refusal, SchedulerPlugin } from './plugin.ts';
import type { Profile } from './profile.ts';
import type { NodeInfo, PodInfo, Snapshot } from './snapshot.ts';

export type Decision =
  | { readonly kind: 'place'; readonly node: string; readonly searched: number }
  | {
      readonly kind: 'refuse';
      /** The FailedScheduling event's sentence. */
      readonly message: string;
      /** Names of the plugins that refused some node. */
      readonly plugins: ReadonlySet<string>;
    };

/** A plugin with what it prepared for this pod. */
interface Step {
  readonly plugin: SchedulerPlugin;
  readonly prepared: unknown;
}

export function decide(pod: PodInfo, snapshot: Snapshot, profile: Profile): Decision {
  if (snapshot.nodes.length === 0) {
    return { kind: 'refuse', message: 'no nodes available to schedule pods', plugins: new Set(['NodeName']) };
  }
  const steps = profile.plugins.map(plugin => ({ plugin, prepared: plugin.prepare?.(pod, snapshot) }));
  const { feasible, refusals, plugins, searched } = filterNodes(pod, snapshot, steps);
  if (feasible.length === 0) return { kind: 'refuse', message: explain(pod, refusals), plugins };
  return { kind: 'place', node: best(pod, feasible, steps).name, searched };
}

/** How many feasible nodes are enough; all of them in clusters of ordinary size. */
export function nodesToFind(nodes: number): number {
  if (nodes < NODES_SEARCHED_MIN) return nodes;
  const percent = Math.max(NODES_SEARCHED_PERCENT_MIN, 50 - Math.floor(nodes / 125));
  return Math.max(NODES_SEARCHED_MIN, Math.floor((nodes * percent) / 100));
}

function filterNodes(pod: PodInfo, { nodes, offset }: Snapshot, steps: readonly Step[]) {
  const feasible: NodeInfo[] = [];
  const refusals: Refusal[] = [];
  const plugins = new Set<string>();
  const enough = nodesToFind(nodes.length);
  let searched = 0;
  for (; searched < nodes.length && feasible.length < enough; searched++) {
    const node = nodes[(offset + searched) % nodes.length];
    if (!node) continue;
    const refused = refuse(pod, node, steps);
    if (!refused) feasible.push(node);
    else {
      refusals.push(refused.refusal);
      plugins.add(refused.plugin);
    }
  }
  return { feasible, refusals, plugins, searched };
}

/** The first plugin that refuses speaks for the node. */
function refuse(pod: PodInfo, node: NodeInfo, steps: readonly Step[]) {
  for (const { plugin, prepared } of steps) {
    const refusal = plugin.filter?.(pod, node, prepared);
    if (refusal) return { refusal, plugin: plugin.name };
  }
  return undefined;
}

/** The highest weighted sum of scores; among equals the first in search order. */
function best(pod: PodInfo, nodes: readonly NodeInfo[], steps: readonly Step[]): NodeInfo {
  const totals = new Float64Array(nodes.length);
  for (const { plugin, prepared } of nodes.length > 1 ? steps : []) {
    if (!plugin.score) continue;
    const raw = nodes.map(node => plugin.score?.(pod, node, prepared) ?? 0);
    const bounds = { low: Math.min(...raw), high: Math.max(...raw) };
    for (const [index, value] of raw.entries()) {
      totals[index] = (totals[index] ?? 0) + Math.floor(ranked(value, bounds, plugin.ranks)) * (plugin.weight ?? 1);
    }
  }
  let winner = 0;
  for (let index = 1; index < nodes.length; index++) if ((totals[index] ?? 0) > (totals[winner] ?? 0)) winner = index;
  // filterNodes found at least one.
  return nodes[winner] as NodeInfo;
}

function ranked(
  value: number,
  { low, high }: { readonly low: number; readonly high: number },
  ranks: SchedulerPlugin['ranks'],
): number {
  if (ranks === 'range') return high === low ? 0 : ((value - low) / (high - low)) * SCORE_MAX;
  if (ranks === 'highest') return high === 0 ? 0 : (value / high) * SCORE_MAX;
  if (ranks === 'lowest') return high === 0 ? SCORE_MAX : SCORE_MAX - (value / high) * SCORE_MAX;
  return value;
}

/** kube-scheduler's words: how many nodes each reason struck, and what preemption would have brought. */
function explain({ pod }: PodInfo, refusals: readonly Refusal[]): string {
  const cluster = `0/${refusals.length} nodes are available`;
  const why = tally(refusals.flatMap(({ reasons }) => reasons));
  const cure =
    pod.spec?.preemptionPolicy === 'Never'
      ? 'not eligible due to preemptionPolicy=Never.'
      : `${cluster}: ${tally(refusals.map(({ isCurable }) => (isCurable ? NO_VICTIMS : NOT_HELPFUL)))}.`;
  return `${cluster}: ${why}. preemption: ${cure}`;
}

const NO_VICTIMS = 'No preemption victims found for incoming pod';
const NOT_HELPFUL = 'Preemption is not helpful for scheduling';

function tally(reasons: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts]
    .map(([reason, count]) => `${count} ${reason}`)
    .toSorted(bytewise)
    .join(', ');
}

const bytewise = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
