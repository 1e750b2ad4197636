/** How fast and how far an autoscaler may go: stabilisation windows, policies, least and most (k/k horizontal.go). Pure. */
import type { HorizontalPodAutoscalerBehavior, HPAScalingPolicy, HPAScalingRules } from '../api/generated/types.ts';
import { DOWNSCALE_WINDOW_MS, SCALE_UP_FACTOR, SCALE_UP_REPLICAS_MIN } from './limits.ts';

export interface Recommendation {
  readonly replicas: number;
  readonly atMs: number;
}
/** Replicas that were added, or removed if below zero. */
export interface ScaleChange {
  readonly change: number;
  readonly atMs: number;
}
/** What an autoscaler remembers. Kept in memory only, as in Kubernetes: a new leader begins with an empty one. */
export interface ScaleHistory {
  readonly recommendations: readonly Recommendation[];
  readonly changes: readonly ScaleChange[];
}
export const EMPTY_HISTORY: ScaleHistory = { recommendations: [], changes: [] };

export interface Wish {
  readonly current: number;
  readonly wanted: number;
  readonly min: number;
  readonly max: number;
  readonly behavior: HorizontalPodAutoscalerBehavior | undefined;
  readonly history: ScaleHistory;
  readonly nowMs: number;
}
export interface Told {
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}
export interface Granted {
  readonly replicas: number;
  readonly ableToScale: Told;
  readonly scalingLimited: Told;
}

const LOWER = 'recent recommendations were lower than current one, applying the lowest recent recommendation';
const HIGHER = 'recent recommendations were higher than current one, applying the highest recent recommendation';
const READY: Told = { status: 'True', reason: 'ReadyForNewScale', message: 'recommended size matches current size' };
const IN_RANGE = { reason: 'DesiredWithinRange', message: 'the desired count is within the acceptable range' };
const TOO_MANY = {
  reason: 'TooManyReplicas',
  message: 'the desired replica count is more than the maximum replica count',
};
const TOO_FEW = {
  reason: 'TooFewReplicas',
  message: 'the desired replica count is less than the minimum replica count',
};
const TOO_FAST_UP = {
  reason: 'ScaleUpLimit',
  message: 'the desired replica count is increasing faster than the maximum scale rate',
};
const TOO_FAST_DOWN = {
  reason: 'ScaleDownLimit',
  message: 'the desired replica count is decreasing faster than the maximum scale rate',
};

/** What may be done now of what the metrics ask for. */
export function grant(wish: Wish): Granted {
  const stable = stabilize(wish);
  const isUp = wish.wanted >= wish.current;
  const ableToScale: Told =
    stable === wish.wanted
      ? READY
      : {
          status: 'True',
          reason: wish.behavior && isUp ? 'ScaleUpStabilized' : 'ScaleDownStabilized',
          message: wish.behavior && isUp ? LOWER : HIGHER,
        };
  const { replicas, reason, message } = limit({ ...wish, wanted: stable });
  const scalingLimited: Told = { status: replicas === stable ? 'False' : 'True', reason, message };
  return { replicas, ableToScale, scalingLimited };
}

/** The history with one more recommendation, and without what no window reaches any more. */
export function remember(history: ScaleHistory, recommendation: Recommendation, windowMs: number): ScaleHistory {
  const afterMs = recommendation.atMs - windowMs;
  return {
    recommendations: [...history.recommendations.filter(({ atMs }) => atMs > afterMs), recommendation],
    changes: history.changes.filter(({ atMs }) => atMs > afterMs),
  };
}

/** How far back anything in the rules looks. */
export function longestWindowMs(behavior: HorizontalPodAutoscalerBehavior | undefined): number {
  const rules = [behavior?.scaleUp, behavior?.scaleDown];
  const seconds = rules.flatMap(each => [
    each?.stabilizationWindowSeconds ?? 0,
    ...(each?.policies ?? []).map(({ periodSeconds }) => periodSeconds),
  ]);
  return Math.max(DOWNSCALE_WINDOW_MS, ...seconds.map(each => each * 1000));
}

/** Keeps to what was recommended all through the window: no more than the least of it up, no less than the most of it down. */
function stabilize({ current, wanted, behavior, history, nowMs }: Wish): number {
  const within = (windowMs: number) =>
    history.recommendations.filter(({ atMs }) => atMs > nowMs - windowMs).map(({ replicas }) => replicas);
  const downWindowMs = windowOf(behavior?.scaleDown) ?? DOWNSCALE_WINDOW_MS;
  const highest = Math.max(wanted, ...within(downWindowMs));
  if (!behavior) return highest;
  const lowest = Math.min(wanted, ...within(windowOf(behavior.scaleUp) ?? 0));
  return Math.min(Math.max(current, lowest), highest);
}

const windowOf = (rules: HPAScalingRules | undefined): number | undefined =>
  rules?.stabilizationWindowSeconds === undefined ? undefined : rules.stabilizationWindowSeconds * 1000;

interface Limited {
  readonly replicas: number;
  readonly reason: string;
  readonly message: string;
}

function limit(wish: Wish): Limited {
  if (!wish.behavior) return limitByDefault(wish);
  const { current, wanted, min, max } = wish;
  if (wanted > current) {
    const rate = Math.max(current, upLimit(wish, wish.behavior.scaleUp));
    const most = Math.min(max, rate);
    if (wanted > most) return { replicas: most, ...(max > rate ? TOO_FAST_UP : TOO_MANY) };
  }
  if (wanted < current) {
    const rate = Math.min(current, downLimit(wish, wish.behavior.scaleDown));
    const least = Math.max(min, rate);
    if (wanted < least) return { replicas: least, ...(min < rate ? TOO_FAST_DOWN : TOO_FEW) };
  }
  return { replicas: wanted, ...IN_RANGE };
}

/** Without rules: never more than twice what is there at once, so that a wrong measurement cannot fill the cluster. */
function limitByDefault({ current, wanted, min, max }: Wish): Limited {
  const rate = Math.max(SCALE_UP_FACTOR * current, SCALE_UP_REPLICAS_MIN);
  if (wanted < min) return { replicas: min, ...TOO_FEW };
  const most = Math.min(max, rate);
  if (wanted > most) return { replicas: most, ...(max > rate ? TOO_FAST_UP : TOO_MANY) };
  return { replicas: wanted, ...IN_RANGE };
}

function upLimit(wish: Wish, rules: HPAScalingRules | undefined): number {
  if (rules?.selectPolicy === 'Disabled') return wish.current;
  const proposals = (rules?.policies ?? []).map(policy => {
    const before = replicasBefore(wish, policy);
    // Rounded up: a few percent of few replicas are still one more.
    return policy.type === 'Pods' ? before + policy.value : Math.ceil(before * (1 + policy.value / 100));
  });
  return rules?.selectPolicy === 'Min' ? Math.min(...proposals) : Math.max(...proposals);
}

function downLimit(wish: Wish, rules: HPAScalingRules | undefined): number {
  if (rules?.selectPolicy === 'Disabled') return wish.current;
  const proposals = (rules?.policies ?? []).map(policy => {
    const before = replicasBefore(wish, policy);
    return policy.type === 'Pods' ? before - policy.value : Math.trunc(before * (1 - policy.value / 100));
  });
  // The smallest change down is the one that leaves most.
  return rules?.selectPolicy === 'Min' ? Math.max(...proposals) : Math.min(...proposals);
}

/** How many replicas there were when the policy's period began, by what this autoscaler has done since. */
function replicasBefore({ current, history, nowMs }: Wish, { periodSeconds }: HPAScalingPolicy): number {
  const afterMs = nowMs - periodSeconds * 1000;
  return history.changes.filter(({ atMs }) => atMs > afterMs).reduce((count, { change }) => count - change, current);
}
