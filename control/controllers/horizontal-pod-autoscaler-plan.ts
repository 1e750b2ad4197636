/** What an autoscaler does now: another size for its target, or why not, and its status (k/k horizontal.go). Pure. */
import type {
  AutoscalingV2HorizontalPodAutoscaler,
  AutoscalingV2HorizontalPodAutoscalerStatus,
  HorizontalPodAutoscalerCondition,
  MetricStatus,
  Pod,
} from '../api/generated/types.ts';
import { timestamp } from '../client/clock.ts';
import type { EventToRecord } from '../client/events.ts';
import { type Answer, answerMetric, type Reading } from './horizontal-pod-autoscaler-proposals.ts';
import { grant, longestWindowMs, remember, type ScaleHistory } from './horizontal-pod-autoscaler-rates.ts';
import type { Tolerances } from './horizontal-pod-autoscaler-samples.ts';
import { AUTOSCALER_TOLERANCE } from './limits.ts';

export type Autoscaler = AutoscalingV2HorizontalPodAutoscaler;
type Status = AutoscalingV2HorizontalPodAutoscalerStatus;

/** The target's scale subresource, in short. */
export interface TargetScale {
  readonly specReplicas: number;
  readonly statusReplicas: number;
  readonly selector: string;
}

export interface AutoscalerState {
  readonly autoscaler: Autoscaler;
  readonly target: TargetScale;
  /** What the target's selector selects. */
  readonly pods: readonly Pod[];
  /** All autoscalers whose targets' selectors select some of these pods; this one among them. */
  readonly rivals: readonly string[];
  /** What is wrong with the selector. */
  readonly selectorError: string | undefined;
  /** One for each metric, in their order; none unless {@link asksForMetrics}. */
  readonly readings: readonly Reading[];
  readonly history: ScaleHistory;
  readonly nowMs: number;
}

export interface Rescale {
  readonly replicas: number;
  readonly reason: string;
}
export interface AutoscalerPlan {
  readonly events: readonly EventToRecord[];
  /** As it is if the target's size is not changed; see {@link withRescale}. */
  readonly status: Status;
  readonly rescale: Rescale | undefined;
  readonly history: ScaleHistory;
}

/** True where the target's size lies within the limits, so that the metrics decide. */
export function asksForMetrics({ spec }: Autoscaler, { specReplicas }: TargetScale): boolean {
  const min = spec?.minReplicas ?? 1;
  return !(specReplicas === 0 && min !== 0) && specReplicas <= (spec?.maxReplicas ?? 0) && specReplicas >= min;
}

/** The target could not be read. */
export function planWithoutTarget(autoscaler: Autoscaler, why: string, nowMs: number): AutoscalerPlan {
  const message = `the HPA controller was unable to get the target's current scale: ${why}`;
  const conditions = new Conditions(autoscaler, nowMs).set('AbleToScale', 'False', {
    reason: 'FailedGetScale',
    message,
  });
  return {
    events: [warning('FailedGetScale', why)],
    status: { desiredReplicas: 0, ...autoscaler.status, conditions: conditions.list },
    rescale: undefined,
    history: { recommendations: [], changes: [] },
  };
}

/** Decides from present state and from what is remembered of the past. */
export function planAutoscaler(state: AutoscalerState): AutoscalerPlan {
  const { autoscaler, target, nowMs } = state;
  const { minReplicas: min = 1, maxReplicas: max = 0 } = autoscaler.spec ?? {};
  const conditions = new Conditions(autoscaler, nowMs).set('AbleToScale', 'True', {
    reason: 'SucceededGetScale',
    message: "the HPA controller was able to get the target's current scale",
  });
  if (asksForMetrics(autoscaler, target)) return planByMetrics(state, conditions);
  const current = target.specReplicas;
  const plan = { events: [], history: state.history, rescale: undefined };
  if (current === 0 && min !== 0) {
    conditions.set('ScalingActive', 'False', {
      reason: 'ScalingDisabled',
      message: 'scaling is disabled since the replica count of the target is zero',
    });
    return { ...plan, status: statusOf(state, conditions, { desired: 0, metrics: [] }) };
  }
  const isAbove = current > max;
  const rescale = {
    replicas: isAbove ? max : min,
    reason: `Current number of replicas ${isAbove ? 'above Spec.MaxReplicas' : 'below Spec.MinReplicas'}`,
  };
  return { ...plan, rescale, status: statusOf(state, conditions, { desired: lastDesired(autoscaler), metrics: [] }) };
}

/** The status and the event after the target's scale was written, or was not. */
export function withRescale(
  state: Pick<AutoscalerState, 'autoscaler' | 'target' | 'nowMs'>,
  plan: AutoscalerPlan & { readonly rescale: Rescale },
  error: string | undefined,
): Pick<AutoscalerPlan, 'status' | 'history'> & { readonly event: EventToRecord } {
  const { replicas, reason } = plan.rescale;
  const { nowMs, target, autoscaler } = state;
  const conditions = new Conditions({ status: plan.status }, nowMs);
  const told = `New size: ${replicas}; reason: ${reason}`;
  if (error !== undefined) {
    const message = `the HPA controller was unable to update the target scale: ${error}`;
    conditions.set('AbleToScale', 'False', { reason: 'FailedUpdateScale', message });
    const event = warning('FailedRescale', `${told}; error: ${error}`);
    // What was wished for is told only once it is so.
    const status = { ...plan.status, desiredReplicas: lastDesired(autoscaler), conditions: conditions.list };
    return { event, history: plan.history, status };
  }
  const message = `the HPA controller was able to update the target scale to ${replicas}`;
  conditions.set('AbleToScale', 'True', { reason: 'SucceededRescale', message });
  const change = { change: replicas - target.specReplicas, atMs: nowMs };
  return {
    event: { type: 'Normal', reason: 'SuccessfulRescale', message: told },
    history: { ...plan.history, changes: [...plan.history.changes, change] },
    status: {
      ...plan.status,
      desiredReplicas: replicas,
      lastScaleTime: timestamp(nowMs),
      conditions: conditions.list,
    },
  };
}

const warning = (reason: string, message: string): EventToRecord => ({ type: 'Warning', reason, message });
const lastDesired = ({ status }: Autoscaler): number => status?.desiredReplicas ?? 0;

interface Verdict {
  /** Undefined: the metrics cannot tell. */
  readonly wanted: number | undefined;
  readonly metric: string;
  readonly metrics: readonly MetricStatus[];
  readonly error: string | undefined;
  readonly events: readonly EventToRecord[];
}

function planByMetrics(state: AutoscalerState, conditions: Conditions): AutoscalerPlan {
  const { autoscaler, target, nowMs } = state;
  const { minReplicas: min = 1, maxReplicas: max = 0, behavior } = autoscaler.spec ?? {};
  const { wanted, metric, metrics, error, events } = judgeMetrics(state, conditions);
  const current = target.specReplicas;
  if (wanted === undefined) {
    return {
      events: [...events, warning('FailedComputeMetricsReplicas', error ?? '')],
      status: statusOf(state, conditions, { desired: lastDesired(autoscaler), metrics }),
      rescale: undefined,
      history: state.history,
    };
  }
  const granted = grant({ current, wanted, min, max, behavior, history: state.history, nowMs });
  conditions.set('AbleToScale', granted.ableToScale.status, granted.ableToScale);
  conditions.set('ScalingLimited', granted.scalingLimited.status, granted.scalingLimited);
  const { replicas } = granted;
  const reason = wanted > current ? `${metric} above target` : wanted < current ? 'All metrics below target' : '';
  return {
    events,
    status: statusOf(state, conditions, { desired: replicas, metrics }),
    rescale: replicas === current ? undefined : { replicas, reason },
    history: remember(state.history, { replicas: wanted, atMs: nowMs }, longestWindowMs(behavior)),
  };
}

/** The largest size that a metric asks for. A metric that cannot be read stops the way down, not the way up. */
function judgeMetrics(state: AutoscalerState, conditions: Conditions): Verdict {
  const refusal = judgeSelector(state);
  if (refusal) {
    const { reason, message, condition = reason, told = message } = refusal;
    conditions.set('ScalingActive', 'False', { reason: condition, message: told });
    return { wanted: undefined, metric: '', metrics: [], error: message, events: [warning(reason, message)] };
  }
  const answers = answerAll(state);
  const failures = answers.filter(answer => 'error' in answer);
  const metrics = answers.map(answer => ('error' in answer ? { type: '' } : answer.status));
  const events = failures.map(({ reason, message }) => warning(reason, message));
  const [first] = failures;
  const error =
    first && `invalid metrics (${failures.length} invalid out of ${answers.length}), first error is: ${first.error}`;
  const best = answers.reduce<Extract<Answer, { replicas: number }> | undefined>(
    (most, answer) =>
      'error' in answer || (most && answer.replicas <= most.replicas && most.replicas !== 0) ? most : answer,
    undefined,
  );
  if (!best || (first && best.replicas < state.target.specReplicas)) {
    const message = `the HPA was unable to compute the replica count: ${first?.message}`;
    conditions.set('ScalingActive', 'False', { reason: first?.reason ?? '', message });
    return { wanted: undefined, metric: '', metrics, error, events };
  }
  const message = `the HPA was able to successfully calculate a replica count from ${best.name}`;
  conditions.set('ScalingActive', 'True', { reason: 'ValidMetricFound', message });
  return { wanted: best.replicas, metric: best.name, metrics, error, events };
}

interface Refusal {
  readonly reason: string;
  readonly message: string;
  /** The condition's own words, where they differ from the event's. */
  readonly condition?: string;
  readonly told?: string;
}

function judgeSelector({ target, selectorError, rivals }: AutoscalerState): Refusal | undefined {
  if (target.selector === '') {
    const told = "the HPA target's scale is missing a selector";
    return { reason: 'SelectorRequired', message: 'selector is required', condition: 'InvalidSelector', told };
  }
  if (selectorError !== undefined) {
    const message = `couldn't convert selector into a corresponding internal selector object: ${selectorError}`;
    return { reason: 'InvalidSelector', message };
  }
  if (rivals.length <= 1) return undefined;
  const message = `pods by selector ${target.selector} are controlled by multiple HPAs: [${rivals.join(' ')}]`;
  return { reason: 'AmbiguousSelector', message };
}

function answerAll({ autoscaler, target, pods, readings, nowMs }: AutoscalerState): readonly Answer[] {
  const { specReplicas, statusReplicas } = target;
  const namespace = autoscaler.metadata?.namespace ?? '';
  const { behavior, metrics = [] } = autoscaler.spec ?? {};
  const toleranceOf = (text: string | number | undefined) =>
    text === undefined ? AUTOSCALER_TOLERANCE : Number.parseFloat(String(text)) || 0;
  const tolerances: Tolerances = {
    up: toleranceOf(behavior?.scaleUp?.tolerance),
    down: toleranceOf(behavior?.scaleDown?.tolerance),
  };
  return metrics.map((spec, index) => {
    const reading: Reading = readings[index] ?? { type: 'failure', message: 'not read' };
    return answerMetric({ spec, reading, namespace, pods, specReplicas, statusReplicas, tolerances, nowMs });
  });
}

function statusOf(
  { autoscaler, target }: AutoscalerState,
  conditions: Conditions,
  { desired, metrics }: { readonly desired: number; readonly metrics: readonly MetricStatus[] },
): Status {
  const { lastScaleTime } = autoscaler.status ?? {};
  return {
    ...(target.specReplicas > 0 && { currentReplicas: target.specReplicas }),
    desiredReplicas: desired,
    ...(lastScaleTime !== undefined && { lastScaleTime }),
    ...(metrics.length > 0 && { currentMetrics: [...metrics] }),
    conditions: conditions.list,
  };
}

/** The conditions while they are worked out; a transition is a change of status. */
class Conditions {
  #list: readonly HorizontalPodAutoscalerCondition[];
  readonly #nowMs: number;

  constructor({ status }: Pick<Autoscaler, 'status'>, nowMs: number) {
    this.#list = status?.conditions ?? [];
    this.#nowMs = nowMs;
  }

  get list(): HorizontalPodAutoscalerCondition[] {
    return [...this.#list];
  }

  set(type: string, status: 'True' | 'False', { reason, message }: { reason: string; message: string }): this {
    const old = this.#list.find(condition => condition.type === type);
    const lastTransitionTime = old?.status === status ? old.lastTransitionTime : timestamp(this.#nowMs);
    const next = { type, status, reason, message, ...(lastTransitionTime && { lastTransitionTime }) };
    this.#list = old ? this.#list.map(each => (each === old ? next : each)) : [...this.#list, next];
    return this;
  }
}
