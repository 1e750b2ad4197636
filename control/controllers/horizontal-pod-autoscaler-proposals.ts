/** What each metric of an autoscaler asks for, or why it cannot be told, in Kubernetes' words (k/k horizontal.go). Pure. */
import type {
  LabelSelector,
  MetricSpec,
  MetricStatus,
  MetricTarget,
  MetricValueStatus,
  Pod,
} from '../api/generated/types.ts';
import { formatQuantity, milliValue, parseQuantity } from '../api/schema/quantity.ts';
import { goLabelSelector } from '../api/validation/go-text.ts';
import {
  isWithin,
  type Proposal,
  proposeForAverage,
  proposeForRatio,
  proposeForUtilization,
  type SampledPods,
  SampleError,
  type Samples,
  type Tolerances,
} from './horizontal-pod-autoscaler-samples.ts';

/** What the metrics APIs said: of each pod, or one amount in thousandths; or why they said nothing. */
export type Reading =
  | { readonly type: 'pods'; readonly samples: Samples }
  | { readonly type: 'amount'; readonly milliValue: number }
  | { readonly type: 'failure'; readonly message: string };

export interface MetricAsked {
  readonly spec: MetricSpec;
  readonly reading: Reading;
  readonly namespace: string;
  readonly pods: readonly Pod[];
  /** As the target's spec and status have them. */
  readonly specReplicas: number;
  readonly statusReplicas: number;
  readonly tolerances: Tolerances;
  readonly nowMs: number;
}

export type Answer =
  | { readonly replicas: number; readonly name: string; readonly status: MetricStatus }
  /** `message` is the condition's and the event's, `error` what the whole computation tells. */
  | { readonly reason: string; readonly message: string; readonly error: string };

/** Never throws. */
export function answerMetric(asked: MetricAsked): Answer {
  try {
    return ANSWERS[asked.spec.type]?.(asked) ?? unknownType(asked.spec.type);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { reason: error.reason, message: error.inner, error: error.message };
  }
}

function unknownType(type: string): Answer {
  const message = `unknown metric source type ${JSON.stringify(type)}`;
  return { reason: 'InvalidMetricSourceType', message, error: message };
}

const ANSWERS: Readonly<Record<string, (asked: MetricAsked) => Answer>> = {
  Resource: answerResource,
  ContainerResource: answerResource,
  Pods: answerPods,
  Object: answerObject,
  External: answerExternal,
};

/** Carries the two texts of a failure: what the condition says, and what the caller adds to it. */
class Failure extends Error {
  override readonly name = 'Failure';
  readonly reason: string;
  readonly inner: string;

  constructor(reason: string, inner: string, outer: string) {
    super(outer);
    this.reason = reason;
    this.inner = inner;
  }
}

interface Told {
  readonly reason: string;
  /** Stands before the failure in the text of the whole. */
  readonly prefix: string;
}

/** Runs a computation; what cannot be computed is told with `prefix` in the whole's text. */
function attempt<T>({ reason, prefix }: Told, compute: () => T): T {
  try {
    return compute();
  } catch (error) {
    if (!(error instanceof SampleError)) throw error;
    throw new Failure(reason, error.message, `${prefix}: ${error.message}`);
  }
}

function samplesOf(reading: Reading, prefix: string): Samples {
  if (reading.type === 'pods') return reading.samples;
  throw new SampleError(`${prefix}: ${reading.type === 'failure' ? reading.message : 'one amount for all pods'}`);
}

function amountOf(reading: Reading, tell: (why: string) => string): number {
  if (reading.type === 'amount') return reading.milliValue;
  throw new SampleError(tell(reading.type === 'failure' ? reading.message : 'amounts of pods'));
}

const sampledOf = (asked: MetricAsked, samples: Samples, resource?: string): SampledPods => ({
  samples,
  pods: asked.pods,
  resource,
  currentReplicas: asked.specReplicas,
  tolerances: asked.tolerances,
  nowMs: asked.nowMs,
});

const milliOf = (quantity: string | number): number => milliValue(parseQuantity(String(quantity)));
/** Thousandths as a quantity's text. */
export const milliText = (value: number): string =>
  formatQuantity({ unscaled: BigInt(Math.trunc(value)), scale: -3, format: 'DecimalSI', isBig: false });

function answerResource(asked: MetricAsked): Answer {
  const { spec } = asked;
  const isContainer = spec.type === 'ContainerResource';
  const {
    name = '',
    target,
    container,
  } = {
    container: undefined,
    ...(isContainer ? spec.containerResource : spec.resource),
  } as { name?: string; target?: MetricTarget; container?: string };
  const told: Told = {
    reason: isContainer ? 'FailedGetContainerResourceMetric' : 'FailedGetResourceMetric',
    prefix: `failed to get ${name} ${isContainer ? 'container' : 'resource'} metric value`,
  };
  const { proposal, label } = attempt(told, () => proposeResource(asked, { name, container, target }));
  const current: MetricValueStatus = {
    averageValue: milliText(proposal.averageMilliValue),
    ...(proposal.utilization !== undefined && { averageUtilization: proposal.utilization }),
  };
  const status: MetricStatus = isContainer
    ? { type: spec.type, containerResource: { name, container: container ?? '', current } }
    : { type: spec.type, resource: { name, current } };
  return { replicas: proposal.replicas, name: label, status };
}

interface ResourceAsked {
  readonly name: string;
  readonly container: string | undefined;
  readonly target: MetricTarget | undefined;
}

function proposeResource(
  asked: MetricAsked,
  { name, container, target }: ResourceAsked,
): { readonly proposal: Proposal; readonly label: string } {
  const kind = container === undefined ? 'resource' : 'container resource';
  const compute = <T>(what: string, run: (sampled: SampledPods) => T): T => {
    try {
      return run(sampledOf(asked, samplesOf(asked.reading, `unable to get metrics for resource ${name}`), name));
    } catch (error) {
      if (!(error instanceof SampleError)) throw error;
      throw new SampleError(`failed to get ${name} ${what}: ${error.message}`);
    }
  };
  if (target?.averageValue !== undefined) {
    const goal = milliOf(target.averageValue);
    return { proposal: compute('usage', sampled => proposeForAverage(sampled, goal)), label: `${name} ${kind}` };
  }
  if (target?.averageUtilization === undefined) {
    const what = 'neither an average utilization target nor an average value (usage) target was set';
    throw new SampleError(`invalid resource metric source: ${what}`);
  }
  const targetPercent = target.averageUtilization;
  return {
    proposal: compute('utilization', sampled => proposeForUtilization(sampled, { targetPercent, container })),
    label: `${name} ${kind} utilization (percentage of request)`,
  };
}

function answerPods(asked: MetricAsked): Answer {
  const { metric = { name: '' }, target } = asked.spec.pods ?? {};
  const told = { reason: 'FailedGetPodsMetric', prefix: 'failed to get pods metric value' };
  const proposal = attempt(told, () => {
    const samples = samplesOf(asked.reading, `unable to get metric ${metric.name}`);
    return proposeForAverage(sampledOf(asked, samples), milliOf(target?.averageValue ?? 0));
  });
  const current = { averageValue: milliText(proposal.averageMilliValue) };
  return {
    replicas: proposal.replicas,
    name: `pods metric ${metric.name}`,
    status: { type: 'Pods', pods: { metric, current } },
  };
}

interface SharedAmount {
  readonly replicas: number;
  readonly current: MetricValueStatus;
}

/** One amount for all replicas together: compared as a whole, or by the share of each replica. */
function proposeShared(asked: MetricAsked, target: MetricTarget, amount: number): SharedAmount {
  const { specReplicas, statusReplicas, tolerances, pods } = asked;
  if (target.averageValue === undefined) {
    const ratio = amount / milliOf(target.value ?? 0);
    const replicas = proposeForRatio(ratio, { currentReplicas: specReplicas, pods, tolerances });
    return { replicas, current: { value: milliText(amount) } };
  }
  const goal = milliOf(target.averageValue);
  const ratio = amount / (goal * statusReplicas);
  const replicas = isWithin(tolerances, ratio) ? statusReplicas : Math.ceil(amount / goal);
  const each = statusReplicas === 0 ? 0 : Math.ceil(amount / statusReplicas);
  return { replicas, current: { averageValue: milliText(each) } };
}

function answerObject(asked: MetricAsked): Answer {
  const { metric = { name: '' }, target, describedObject } = asked.spec.object ?? {};
  const object = describedObject ?? { kind: '', name: '' };
  const reason = 'FailedGetObjectMetric';
  const prefix = 'failed to get object metric value';
  if (target?.value === undefined && target?.averageValue === undefined) {
    const why = 'invalid object metric source: neither a value target nor an average value target was set';
    throw new Failure(reason, why, `${prefix}: ${why}`);
  }
  const byAverage = target.averageValue !== undefined;
  const told = { reason, prefix: byAverage ? `${prefix}: failed to get ${metric.name} object metric` : prefix };
  const { replicas, current } = attempt(told, () => {
    const tell = (why: string) =>
      `unable to get metric ${metric.name}: ${object.kind} on ${asked.namespace} ${object.name}/${why}`;
    return proposeShared(asked, target, amountOf(asked.reading, tell));
  });
  return {
    replicas,
    name: byAverage
      ? `external metric ${metric.name}(${selectorText(metric.selector)})`
      : `${object.kind} metric ${metric.name}`,
    status: { type: 'Object', object: { describedObject: object, metric, current } },
  };
}

function answerExternal(asked: MetricAsked): Answer {
  const { metric = { name: '' }, target } = asked.spec.external ?? {};
  const { name, selector } = metric;
  const reason = 'FailedGetExternalMetric';
  const prefix = `failed to get ${name} external metric value`;
  if (target?.value === undefined && target?.averageValue === undefined) {
    const why = 'invalid external metric source: neither a value target nor an average value target was set';
    throw new Failure(reason, why, `${prefix}: ${why}`);
  }
  const how = target.averageValue === undefined ? `external metric ${name}` : `${name} external metric`;
  const { replicas, current } = attempt({ reason, prefix: `${prefix}: failed to get ${how}` }, () => {
    const tell = (why: string) =>
      `unable to get external metric ${asked.namespace}/${name}/${selectorText(selector)}: ${why}`;
    return proposeShared(asked, target, amountOf(asked.reading, tell));
  });
  return {
    replicas,
    name: `external metric ${name}(${selectorText(selector)})`,
    status: { type: 'External', external: { metric, current } },
  };
}

/** As Go prints a pointer that may be nil. */
const selectorText = (selector: LabelSelector | undefined): string => (selector ? goLabelSelector(selector) : 'nil');
