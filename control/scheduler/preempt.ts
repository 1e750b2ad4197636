/**
 * Whom to evict so that a pod of higher priority finds a place (k/k framework/preemption, plugins/defaultpreemption). Pure:
 * it plays through on copies what evictions would bring, and takes as few and as unimportant victims as it can.
 */
import type { PodDisruptionBudget } from '../api/generated/types.ts';
import { parseTime } from '../client/clock.ts';
import { isEmptySelector, matchesSelector } from '../client/labels.ts';
import { adjustAll, type NamedFilter, prepareFilters, refusalWithNominated } from './decide.ts';
import { type Diagnosis, explainPreemption } from './diagnosis.ts';
import type { NodeInfo } from './node-info.ts';
import { incurable, type Refusal } from './plugin.ts';
import type { PodInfo } from './pod-info.ts';
import type { PreemptionOptions, Profile } from './profile.ts';
import type { Snapshot } from './snapshot.ts';

export interface PreemptionContext {
  readonly diagnosis: Diagnosis;
  readonly budgets: readonly PodDisruptionBudget[];
  /** In [0, 1): where to begin. */
  readonly random: () => number;
  readonly nowMs: number;
}

export type Preemption =
  | { readonly kind: 'evict'; readonly node: string; readonly victims: readonly PodInfo[] }
  | {
      readonly kind: 'none';
      /** For the FailedScheduling event. */
      readonly message: string;
      /** True if a node that the pod was to have will not have it even so. */
      readonly losesNomination: boolean;
    };

interface Candidate {
  readonly node: string;
  /** The most important first; at least one. */
  readonly victims: readonly PodInfo[];
  /** Victims whose budgets do not allow it. */
  readonly violations: number;
}

const NO_VICTIMS = incurable('No preemption victims found for incoming pod');

export function planPreemption(
  pod: PodInfo,
  snapshot: Snapshot,
  profile: Profile,
  context: PreemptionContext,
): Preemption {
  const { preemption } = profile;
  if (!preemption) return { kind: 'none', message: '', losesNomination: false };
  const ineligible = whyIneligible(pod, snapshot, context.diagnosis);
  if (ineligible) return { kind: 'none', message: ineligible, losesNomination: false };
  const nodes = context.diagnosis.refused.filter((_, index) => context.diagnosis.refusals[index]?.isCurable);
  const tried: Refusal[] = [];
  const candidates: Candidate[] = [];
  // Most clusters have pods of one priority: then nobody need look at any node.
  if (!snapshot.hasLowerThan(pod.priority)) {
    const message = explainPreemption(
      nodes.map(() => NO_VICTIMS),
      snapshot.nodes.length,
    );
    return { kind: 'none', message, losesNomination: true };
  }
  const offset = Math.floor(context.random() * nodes.length);
  const prepared = prepareFilters(pod, snapshot, profile);
  const filters = 'filters' in prepared ? prepared.filters : [];
  const enough = candidatesToFind(nodes.length, preemption);
  for (let index = 0; index < nodes.length; index++) {
    const node = nodes[(offset + index) % nodes.length];
    if (!node) continue;
    const outcome = selectVictims(pod, node, { filters, snapshot, context });
    if ('reasons' in outcome) tried.push(outcome);
    else candidates.push(outcome);
    if (candidates.length >= enough && candidates.some(({ violations }) => violations === 0)) break;
  }
  const [best] = candidates.toSorted((a, b) => compareCandidates(a, b, context.nowMs));
  if (best) return { kind: 'evict', node: best.node, victims: best.victims };
  return { kind: 'none', message: explainPreemption(tried, snapshot.nodes.length), losesNomination: true };
}

function candidatesToFind(nodes: number, { candidatesPercent, candidatesMin }: PreemptionOptions): number {
  return Math.min(nodes, Math.max(candidatesMin, Math.floor((nodes * candidatesPercent) / 100)));
}

/** A pod whose victims are still on their way out waits for them, unless their node has become hopeless. */
function whyIneligible(pod: PodInfo, snapshot: Snapshot, diagnosis: Diagnosis): string | undefined {
  if (pod.pod.spec?.preemptionPolicy === 'Never') return 'not eligible due to preemptionPolicy=Never.';
  const nominated = snapshot.nominationOf(pod.uid) ?? pod.pod.status?.nominatedNodeName;
  const node = nominated ? snapshot.node(nominated) : undefined;
  if (!node) return undefined;
  const index = diagnosis.refused.indexOf(node);
  const refusal = index < 0 ? diagnosis.absent : diagnosis.refusals[index];
  if (refusal && !refusal.isCurable) return undefined;
  const isLeaving = [...node.pods.values()].some(other => other.priority < pod.priority && isPreempted(other));
  return isLeaving ? 'not eligible due to a terminating pod on the nominated node.' : undefined;
}

const isPreempted = ({ pod, isTerminating }: PodInfo) =>
  isTerminating &&
  Boolean(
    pod.status?.conditions?.some(
      ({ type, status, reason }) =>
        type === 'DisruptionTarget' && status === 'True' && reason === 'PreemptionByScheduler',
    ),
  );

interface DryRun {
  readonly filters: readonly NamedFilter[];
  readonly snapshot: Snapshot;
  readonly context: PreemptionContext;
}

/** Removes all that are less important, then gives back whoever need not go: those with exhausted budgets first. */
function selectVictims(pod: PodInfo, node: NodeInfo, { filters, snapshot, context }: DryRun): Candidate | Refusal {
  const lower: PodInfo[] = [];
  for (const other of node.pods.values()) if (other.priority < pod.priority) lower.push(other);
  if (lower.length === 0) return NO_VICTIMS;
  const trial = node.copy();
  const take = (other: PodInfo) => {
    trial.removePod(other);
    adjustAll(filters, other, { node: trial, sign: -1 });
  };
  const giveBack = (other: PodInfo) => {
    trial.addPod(other);
    adjustAll(filters, other, { node: trial, sign: 1 });
  };
  for (const other of lower) take(other);
  const victims = new Set(lower);
  const refused = refusalWithNominated(pod, trial, { filters, snapshot });
  let violations = 0;
  if (!refused) {
    const byImportance = lower.toSorted((a, b) => compareImportance(a, b, context.nowMs));
    const { violating, others } = sortByBudgets(byImportance, context.budgets);
    for (const other of [...violating, ...others]) {
      giveBack(other);
      if (!refusalWithNominated(pod, trial, { filters, snapshot })) victims.delete(other);
      else {
        take(other);
        if (violating.includes(other)) violations++;
      }
    }
  }
  // The filters go on to the next node as they were.
  for (const other of victims) giveBack(other);
  if (refused) return refused;
  const chosen = [...victims].toSorted((a, b) => compareImportance(a, b, context.nowMs));
  return chosen.length > 0 ? { node: node.name, victims: chosen, violations } : NO_VICTIMS;
}

function startOf({ pod }: PodInfo, nowMs: number): number {
  return parseTime(pod.status?.startTime) ?? nowMs;
}

/** Below 0 if `a` is more important: of higher priority, or longer there. */
function compareImportance(a: PodInfo, b: PodInfo, nowMs: number): number {
  return b.priority - a.priority || startOf(a, nowMs) - startOf(b, nowMs);
}

/** Counts each pod against all budgets that cover it; those that one of them cannot bear are violating. */
function sortByBudgets(pods: readonly PodInfo[], budgets: readonly PodDisruptionBudget[]) {
  const left = budgets.map(({ status }) => status?.disruptionsAllowed ?? 0);
  const violating: PodInfo[] = [];
  const others: PodInfo[] = [];
  for (const pod of pods) {
    let isViolating = false;
    for (const [index, budget] of budgets.entries()) {
      if (!covers(budget, pod)) continue;
      const remaining = (left[index] ?? 0) - 1;
      left[index] = remaining;
      if (remaining < 0) isViolating = true;
    }
    (isViolating ? violating : others).push(pod);
  }
  return { violating, others };
}

/** A pod that is being disrupted already has been charged. */
function covers({ metadata, spec, status }: PodDisruptionBudget, { namespace, labels, name }: PodInfo): boolean {
  if (metadata?.namespace !== namespace || Object.keys(labels).length === 0) return false;
  if (isEmptySelector(spec?.selector) || !matchesSelector(spec?.selector, labels)) return false;
  return status?.disruptedPods?.[name] === undefined;
}

/** Below 0 if `a` does less harm. */
function compareCandidates(a: Candidate, b: Candidate, nowMs: number): number {
  return (
    a.violations - b.violations ||
    highestOf(a) - highestOf(b) ||
    sumOf(a) - sumOf(b) ||
    a.victims.length - b.victims.length ||
    earliestOf(b, nowMs) - earliestOf(a, nowMs)
  );
}

const highestOf = ({ victims }: Candidate) => victims[0]?.priority ?? 0;

/** Priorities are made positive, or many victims of a negative one would seem better than few. */
const sumOf = ({ victims }: Candidate) => victims.reduce((sum, { priority }) => sum + priority + 2 ** 31, 0);

/** When the first of the most important victims began. */
function earliestOf(candidate: Candidate, nowMs: number): number {
  const highest = highestOf(candidate);
  const starts = candidate.victims.filter(({ priority }) => priority === highest).map(each => startOf(each, nowMs));
  return Math.min(...starts);
}
