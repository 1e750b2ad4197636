/** Chooses a node for a pod, or says why there is none. Pure: equal input gives an equal answer. */
import { type Diagnosis, NO_NODES } from './diagnosis.ts';
import { NODES_SEARCHED_MIN, NODES_SEARCHED_PERCENT_MIN } from './limits.ts';
import type { NodeInfo } from './node-info.ts';
import { incurable, isPodRefusal, type NodeFilter, type Refusal } from './plugin.ts';
import type { PodInfo } from './pod-info.ts';
import type { Profile } from './profile.ts';
import type { Snapshot } from './snapshot.ts';

export type Decision =
  | { readonly kind: 'place'; readonly node: string; readonly searched: number }
  | { readonly kind: 'refuse'; readonly diagnosis: Diagnosis };

/** A plugin's filter for one pod. */
export interface NamedFilter {
  readonly name: string;
  readonly filter: NodeFilter;
  /** Noted by {@link refusalBy}: most decisions never ask who it was, so nothing is made for each of thousands of nodes. */
  hasRefused: boolean;
}

/** `random` in [0, 1) chooses among equals. */
export function decide(pod: PodInfo, snapshot: Snapshot, profile: Profile, random: () => number = first): Decision {
  if (snapshot.nodes.length === 0) return { kind: 'refuse', diagnosis: NO_NODES };
  const prepared = prepareFilters(pod, snapshot, profile);
  if ('diagnosis' in prepared) return { kind: 'refuse', diagnosis: prepared.diagnosis };
  const { filters, nodeNames, limiting } = prepared;
  const nominated = nominatedNode(pod, snapshot, filters);
  if (nominated) return { kind: 'place', node: nominated.name, searched: 0 };
  const found = search(pod, snapshot, { filters, nodeNames, profile });
  const { feasible, searched } = found;
  const [only] = feasible;
  if (!only) {
    const absent = nodeNames && incurable(`node(s) didn't satisfy plugin(s) [${limiting.join(' ')}]`);
    const { refused, refusals, plugins } = found;
    for (const name of limiting) plugins.add(name);
    return { kind: 'refuse', diagnosis: { refused, refusals, absent, podRefusal: undefined, plugins } };
  }
  const node = feasible.length === 1 ? only : best(pod, { feasible, snapshot, profile, random });
  return { kind: 'place', node: node.name, searched };
}

const first = () => 0;

interface Prepared {
  readonly filters: readonly NamedFilter[];
  /** The only nodes that come into question, and the plugins that say so. */
  readonly nodeNames: ReadonlySet<string> | undefined;
  readonly limiting: readonly string[];
}

/** Asks every plugin about the pod; one that refuses it outright ends the matter. */
export function prepareFilters(
  pod: PodInfo,
  snapshot: Snapshot,
  { filterPlugins }: Profile,
): Prepared | { readonly diagnosis: Diagnosis } {
  const filters: NamedFilter[] = [];
  const limiting: string[] = [];
  let nodeNames: ReadonlySet<string> | undefined;
  for (const { name, filter: prepare } of filterPlugins) {
    const filter = prepare?.(pod, snapshot);
    if (!filter) continue;
    if (isPodRefusal(filter)) {
      const absent = incurable(filter.refusal);
      const plugins = new Set([name]);
      return { diagnosis: { refused: [], refusals: [], absent, podRefusal: filter.refusal, plugins } };
    }
    filters.push({ name, filter, hasRefused: false });
    if (!filter.nodeNames) continue;
    nodeNames = nodeNames ? common(nodeNames, filter.nodeNames) : filter.nodeNames;
    limiting.push(name);
  }
  return { filters, nodeNames, limiting };
}

const common = (a: ReadonlySet<string>, b: ReadonlySet<string>) => new Set([...a].filter(name => b.has(name)));

/** The first plugin that refuses speaks for the node. */
export function refusalBy(filters: readonly NamedFilter[], node: NodeInfo): Refusal | undefined {
  for (const named of filters) {
    const refusal = named.filter.refuse(node);
    if (!refusal) continue;
    named.hasRefused = true;
    return refusal;
  }
  return undefined;
}

interface Asked {
  readonly filters: readonly NamedFilter[];
  readonly snapshot: Snapshot;
}

/**
 * Asks twice where others of no lower priority are to come: they may take what the pod needs, or be what it needs, and
 * neither is sure until they run (k/k RunFilterPluginsWithNominatedPods).
 */
export function refusalWithNominated(pod: PodInfo, node: NodeInfo, { filters, snapshot }: Asked): Refusal | undefined {
  const all = snapshot.nominatedOn(node.name);
  const expected = all && [...all.values()].filter(({ uid, priority }) => uid !== pod.uid && priority >= pod.priority);
  if (!expected || expected.length === 0) return refusalBy(filters, node);
  const fuller = node.copy();
  for (const other of expected) {
    fuller.addPod(other);
    adjustAll(filters, other, { node, sign: 1 });
  }
  const refused = refusalBy(filters, fuller);
  for (const other of expected) adjustAll(filters, other, { node, sign: -1 });
  return refused ?? refusalBy(filters, node);
}

export function adjustAll(
  filters: readonly NamedFilter[],
  other: PodInfo,
  { node, sign }: { readonly node: NodeInfo; readonly sign: 1 | -1 },
): void {
  for (const { filter } of filters) filter.adjust?.(other, node, sign);
}

/** The node that victims made room on, if it will do now. */
function nominatedNode(pod: PodInfo, snapshot: Snapshot, filters: readonly NamedFilter[]): NodeInfo | undefined {
  const name = snapshot.nominationOf(pod.uid) ?? pod.pod.status?.nominatedNodeName;
  const node = name ? snapshot.node(name) : undefined;
  return node && !refusalWithNominated(pod, node, { filters, snapshot }) ? node : undefined;
}

/** How many feasible nodes are enough; all of them in clusters of ordinary size. */
export function nodesToFind(nodes: number, percentage = 0): number {
  if (nodes < NODES_SEARCHED_MIN) return nodes;
  const percent = percentage || Math.max(NODES_SEARCHED_PERCENT_MIN, 50 - Math.floor(nodes / 125));
  return Math.max(NODES_SEARCHED_MIN, Math.floor((nodes * percent) / 100));
}

interface Search {
  readonly filters: readonly NamedFilter[];
  readonly nodeNames: ReadonlySet<string> | undefined;
  readonly profile: Profile;
}

function search(pod: PodInfo, snapshot: Snapshot, { filters, nodeNames, profile }: Search) {
  const nodes = nodeNames ? existing(nodeNames, snapshot) : snapshot.nodes;
  const feasible: NodeInfo[] = [];
  const refused: NodeInfo[] = [];
  const refusals: Refusal[] = [];
  const asked = { filters, snapshot };
  for (const each of filters) each.hasRefused = false;
  const enough = profile.scorePlugins.length > 0 ? nodesToFind(nodes.length, profile.percentageOfNodesToScore) : 1;
  let searched = 0;
  for (; searched < nodes.length && feasible.length < enough; searched++) {
    const node = nodes[(snapshot.offset + searched) % nodes.length];
    if (!node) continue;
    const refusal = refusalWithNominated(pod, node, asked);
    if (!refusal) feasible.push(node);
    else {
      refused.push(node);
      refusals.push(refusal);
    }
  }
  const plugins = new Set(filters.filter(({ hasRefused }) => hasRefused).map(({ name }) => name));
  return { feasible, refused, refusals, plugins, searched };
}

function existing(names: ReadonlySet<string>, snapshot: Snapshot): readonly NodeInfo[] {
  return [...names].flatMap(name => snapshot.node(name) ?? []);
}

interface Contest {
  readonly feasible: readonly NodeInfo[];
  readonly snapshot: Snapshot;
  readonly profile: Profile;
  readonly random: () => number;
}

/** The highest weighted sum of scores; among equals chance decides. */
function best(pod: PodInfo, { feasible, snapshot, profile, random }: Contest): NodeInfo {
  const totals = new Float64Array(feasible.length);
  const scores = new Float64Array(feasible.length);
  for (const { plugin, weight } of profile.scorePlugins) {
    const scorer = plugin.score?.(pod, snapshot, feasible);
    if (!scorer) continue;
    for (let index = 0; index < feasible.length; index++) {
      const node = feasible[index];
      if (node) scores[index] = scorer.score(node, index);
    }
    scorer.normalize?.(scores);
    for (let index = 0; index < totals.length; index++) {
      totals[index] = (totals[index] ?? 0) + (scores[index] ?? 0) * weight;
    }
  }
  return feasible[winnerOf(totals, random)] as NodeInfo; // There are at least two.
}

/** Each of n equals wins with the chance of 1 in n, in one pass. */
function winnerOf(totals: Float64Array, random: () => number): number {
  let winner = 0;
  let equals = 1;
  for (let index = 1; index < totals.length; index++) {
    const total = totals[index] ?? 0;
    const highest = totals[winner] ?? 0;
    if (total > highest) {
      winner = index;
      equals = 1;
    } else if (total === highest) {
      equals++;
      if (random() * equals >= equals - 1) winner = index;
    }
  }
  return winner;
}
