/** A pod's requests must fit into what the node has left; among nodes, some strategy tells which are better. */
import type { Node } from '../../api/generated/types.ts';
import { NodeInfo } from '../node-info.ts';
import { curable, type Refusal, type SchedulerPlugin } from '../plugin.ts';
import { isEmpty, type PodInfo, type Resources } from '../pod-info.ts';
import { type FitStrategy, LEAST_ALLOCATED, strategyScorer } from './resource-strategies.ts';

export interface FitOptions {
  readonly strategy: FitStrategy;
  /** Extended resources that others look after: by name, or by the group before the slash. */
  readonly ignoredResources: ReadonlySet<string>;
  readonly ignoredResourceGroups: ReadonlySet<string>;
}

export const DEFAULT_FIT: FitOptions = {
  strategy: LEAST_ALLOCATED,
  ignoredResources: new Set(),
  ignoredResourceGroups: new Set(),
};

export function nodeResourcesFit(options: FitOptions = DEFAULT_FIT): SchedulerPlugin {
  return {
    name: 'NodeResourcesFit',
    filter(pod) {
      const wanted = wantedBy(pod, options);
      if (isEmpty(wanted)) return { refuse: node => (node.pods.size < node.podsMax ? undefined : TOO_MANY) };
      return { refuse: node => (fits(wanted, node) ? undefined : refusalOf(wanted, node)) };
    },
    score: pod => strategyScorer(options.strategy, pod),
    helpedBy: ['node', 'podRemoved', 'podChanged', 'ownChange'],
    mayHelp(event, pod) {
      // Its place alone may be what was missing.
      if (event.kind === 'podRemoved') return true;
      if (event.kind === 'podChanged') return givesBack(event.old, event.pod, pod);
      if (event.kind === 'ownChange') return givesBack(event.old, event.pod, event.old);
      return (
        event.kind === 'node' && event.changes.allocatable && offersMore(event.node, event.old, wantedBy(pod, options))
      );
    },
  };
}

/** What the pod asks for, but for what others look after. */
function wantedBy({ requests }: PodInfo, options: FitOptions): Readonly<Resources> {
  const scalars = [...requests.scalars].filter(([name, amount]) => amount > 0 && !isIgnored(name, options));
  return { ...requests, scalars: new Map(scalars) };
}

const TOO_MANY_PODS = 'Too many pods';
const TOO_MANY = curable(TOO_MANY_PODS);

/** The question that is asked most: nothing is made for a yes. */
function fits({ cpu, memory, ephemeralStorage, scalars }: Readonly<Resources>, node: NodeInfo): boolean {
  const { allocatable, requested } = node;
  if (node.pods.size >= node.podsMax) return false;
  if (cpu > 0 && cpu > allocatable.cpu - requested.cpu) return false;
  if (memory > 0 && memory > allocatable.memory - requested.memory) return false;
  if (ephemeralStorage > 0 && ephemeralStorage > allocatable.ephemeralStorage - requested.ephemeralStorage)
    return false;
  for (const [name, amount] of scalars) if (amount > freeScalar(node, name)) return false;
  return true;
}

const freeScalar = ({ allocatable, requested }: NodeInfo, name: string) =>
  (allocatable.scalars.get(name) ?? 0) - (requested.scalars.get(name) ?? 0);

/** Refusals by their words: thousands of nodes refuse for the same few reasons. */
const refusals = new Map<string, Refusal>();
const REFUSALS_MAX = 1_000;

function refusalOf({ cpu, memory, ephemeralStorage, scalars }: Readonly<Resources>, node: NodeInfo): Refusal {
  const { allocatable, requested } = node;
  const reasons: string[] = [];
  if (node.pods.size >= node.podsMax) reasons.push(TOO_MANY_PODS);
  if (cpu > 0 && cpu > allocatable.cpu - requested.cpu) reasons.push('Insufficient cpu');
  if (memory > 0 && memory > allocatable.memory - requested.memory) reasons.push('Insufficient memory');
  if (ephemeralStorage > 0 && ephemeralStorage > allocatable.ephemeralStorage - requested.ephemeralStorage) {
    reasons.push('Insufficient ephemeral-storage');
  }
  for (const [name, amount] of scalars) if (amount > freeScalar(node, name)) reasons.push(`Insufficient ${name}`);
  const key = reasons.join();
  const known = refusals.get(key);
  if (known) return known;
  if (refusals.size >= REFUSALS_MAX) refusals.clear();
  const refusal = curable(...reasons);
  refusals.set(key, refusal);
  return refusal;
}

function isIgnored(name: string, { ignoredResources, ignoredResourceGroups }: FitOptions): boolean {
  const slash = name.indexOf('/');
  return ignoredResources.has(name) || (slash > 0 && ignoredResourceGroups.has(name.slice(0, slash)));
}

/** True if the change leaves more of something that is wanted. */
function givesBack(
  { requests: before }: PodInfo,
  { requests: after }: PodInfo,
  { requests: wanted }: PodInfo,
): boolean {
  return isMoreOf(wanted, before, after);
}

/** True if this would fit on the node alone, and there is more on it than there was. */
function offersMore(node: Node, old: Node | undefined, wanted: Readonly<Resources>): boolean {
  const now = roomOf(node);
  if (!fits(wanted, now)) return false;
  if (!old) return true;
  const then = roomOf(old);
  return now.podsMax > then.podsMax || isMoreOf(wanted, now.allocatable, then.allocatable);
}

/** Every waiting pod is measured by the same node. */
const rooms = new WeakMap<Node, NodeInfo>();

/** The node as it would be without pods. */
function roomOf(node: Node): NodeInfo {
  const known = rooms.get(node);
  if (known) return known;
  const info = new NodeInfo(node.metadata?.name ?? '');
  info.setNode(node);
  rooms.set(node, info);
  return info;
}

/** True if there is more in `a` than in `b` of something that is wanted. */
function isMoreOf(wanted: Readonly<Resources>, a: Readonly<Resources>, b: Readonly<Resources>): boolean {
  return (
    (wanted.cpu > 0 && a.cpu > b.cpu) ||
    (wanted.memory > 0 && a.memory > b.memory) ||
    (wanted.ephemeralStorage > 0 && a.ephemeralStorage > b.ephemeralStorage) ||
    [...wanted.scalars].some(([name, amount]) => amount > 0 && (a.scalars.get(name) ?? 0) > (b.scalars.get(name) ?? 0))
  );
}
