/**
 * autoscaling/v1 knows one metric, the CPU's share. Everything else that autoscaling/v2 has is carried in annotations, so
 * that an object may be read and written in either version without losing anything (Kubernetes'
 * pkg/apis/autoscaling/v1/conversion.go).
 */
import type {
  AutoscalingV2HorizontalPodAutoscaler,
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerBehavior,
  HorizontalPodAutoscalerCondition,
  HPAScalingRules,
  MetricIdentifier,
  MetricSpec,
  MetricStatus,
} from '../generated/types.ts';
import { metadataOf } from './declare.ts';

const METRICS = 'autoscaling.alpha.kubernetes.io/metrics';
const CURRENT_METRICS = 'autoscaling.alpha.kubernetes.io/current-metrics';
const CONDITIONS = 'autoscaling.alpha.kubernetes.io/conditions';
const BEHAVIOR = 'autoscaling.alpha.kubernetes.io/behavior';
const ALL = [METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR];

type Tree = { readonly [key: string]: unknown };

/** What an annotation holds; undefined if it is not there or no list or object. */
function read<T extends object>(object: HorizontalPodAutoscaler, key: string): T | undefined {
  const text = object.metadata?.annotations?.[key];
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as T) : undefined;
  } catch {
    return undefined;
  }
}

const readList = <T>(object: HorizontalPodAutoscaler, key: string): readonly T[] => {
  const list = read<object>(object, key);
  return Array.isArray(list) ? (list as T[]) : [];
};

const isCpuShare = ({ type, resource }: MetricSpec): boolean =>
  type === 'Resource' && resource?.name === 'cpu' && resource.target.averageUtilization !== undefined;

/** The rules as Go writes structs that have no names for JSON. */
function behaviorText({ scaleUp, scaleDown }: HorizontalPodAutoscalerBehavior): string {
  const rules = (given: HPAScalingRules | undefined) =>
    given && {
      StabilizationWindowSeconds: given.stabilizationWindowSeconds ?? null,
      SelectPolicy: given.selectPolicy ?? null,
      Policies: given.policies?.map(({ type, value, periodSeconds }) => ({
        Type: type,
        Value: value,
        PeriodSeconds: periodSeconds,
      })),
      Tolerance: given.tolerance ?? null,
    };
  return JSON.stringify({ ScaleUp: rules(scaleUp) ?? null, ScaleDown: rules(scaleDown) ?? null });
}

/** Go reads names in whatever case they come. */
function readBehavior(object: HorizontalPodAutoscaler): HorizontalPodAutoscalerBehavior | undefined {
  const given = read<Tree>(object, BEHAVIOR);
  return given && (withSmallNames(given) as HorizontalPodAutoscalerBehavior);
}

function withSmallNames(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withSmallNames);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, entry]) => entry !== null);
  return Object.fromEntries(entries.map(([key, entry]) => [keyOf(key), withSmallNames(entry)]));
}

/** The same object in autoscaling/v2. Changes nothing of what it is given. */
export function toV2(object: HorizontalPodAutoscaler): AutoscalingV2HorizontalPodAutoscaler {
  const { spec, status, metadata } = object;
  const { targetCPUUtilizationPercentage: percent, ...sameSpec } = spec ?? {};
  const { currentCPUUtilizationPercentage: _percent, ...sameStatus } = status ?? {};
  const metrics: MetricSpec[] = readList<Tree>(object, METRICS).map(metric => metricToV2(metric, 'target'));
  if (percent !== undefined) {
    const target = { type: 'Utilization', averageUtilization: percent };
    metrics.push({ type: 'Resource', resource: { name: 'cpu', target } });
  }
  const currentMetrics = readList<Tree>(object, CURRENT_METRICS).map(metric => statusToV2(metric));
  const behavior = readBehavior(object);
  const conditions = readList<HorizontalPodAutoscalerCondition>(object, CONDITIONS);
  const annotations = Object.entries(metadata?.annotations ?? {}).filter(([key]) => !ALL.includes(key));
  const { annotations: _annotations, ...sameMetadata } = metadata ?? {};
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: {
      ...sameMetadata,
      ...(annotations.length > 0 && { annotations: Object.fromEntries(annotations) }),
    },
    spec: {
      ...(sameSpec as { maxReplicas: number; scaleTargetRef: { kind: string; name: string } }),
      ...(metrics.length > 0 && { metrics }),
      ...(behavior && { behavior }),
    },
    status: {
      desiredReplicas: 0,
      ...sameStatus,
      ...(currentMetrics.length > 0 && { currentMetrics }),
      ...(conditions.length > 0 && { conditions: [...conditions] }),
    },
  };
}

/** An object of autoscaling/v2 in autoscaling/v1. */
export function fromV2(object: AutoscalingV2HorizontalPodAutoscaler): HorizontalPodAutoscaler {
  const { spec, status, metadata } = object;
  const { metrics = [], behavior, ...sameSpec } = spec ?? { maxReplicas: 0, scaleTargetRef: { kind: '', name: '' } };
  const { currentMetrics, conditions = [], ...sameStatus } = status ?? { desiredReplicas: 0 };
  const percent = metrics.find(isCpuShare)?.resource?.target.averageUtilization;
  const others = metrics.filter(metric => !isCpuShare(metric));
  const currentPercent = (currentMetrics ?? []).find(
    ({ type, resource }) => type === 'Resource' && resource?.name === 'cpu',
  )?.resource?.current.averageUtilization;
  const more: Record<string, string> = {};
  if (others.length > 0) more[METRICS] = JSON.stringify(others.map(metric => metricToV1(metric, 'target')));
  if (currentMetrics && currentMetrics.length > 0) {
    more[CURRENT_METRICS] = JSON.stringify(currentMetrics.map(metric => metricToV1(metric, 'current')));
  }
  if (conditions.length > 0) more[CONDITIONS] = JSON.stringify(conditions);
  if (behavior) more[BEHAVIOR] = behaviorText(behavior);
  const annotations = { ...metadata?.annotations, ...more };
  return {
    apiVersion: 'autoscaling/v1',
    kind: 'HorizontalPodAutoscaler',
    metadata: { ...metadata, ...(Object.keys(annotations).length > 0 && { annotations }) },
    spec: { ...sameSpec, ...(percent !== undefined && { targetCPUUtilizationPercentage: percent }) },
    status: {
      ...sameStatus,
      currentReplicas: sameStatus.currentReplicas ?? 0,
      ...(currentPercent !== undefined && { currentCPUUtilizationPercentage: currentPercent }),
    },
  };
}

/** Conditions and current metrics are of the status: a write of the rest does not change them. */
export function keepStatusAnnotations(object: HorizontalPodAutoscaler, old: HorizontalPodAutoscaler): void {
  const metadata = metadataOf(object);
  const annotations = { ...metadata.annotations };
  for (const key of [CURRENT_METRICS, CONDITIONS]) {
    const before = old.metadata?.annotations?.[key];
    if (before === undefined) delete annotations[key];
    else annotations[key] = before;
  }
  if (Object.keys(annotations).length > 0) metadata.annotations = annotations;
  else delete metadata.annotations;
}

const keyOf = (type: string): string => type.charAt(0).toLowerCase() + type.slice(1);

type Side = 'target' | 'current';
const capital = (side: Side, name: string): string => side + name.charAt(0).toUpperCase() + name.slice(1);
const defined = (tree: Tree): Tree =>
  Object.fromEntries(Object.entries(tree).filter(([, value]) => value !== undefined));

/**
 * A metric as autoscaling/v1's annotations have it: `targetAverageValue` stands beside the name of the metric, where v2
 * has `metric` and `target`.
 */
function metricToV1(metric: MetricSpec | MetricStatus, side: Side): Tree {
  const { type } = metric;
  const source = (metric as unknown as Tree)[keyOf(type)] as Tree | undefined;
  const values = (source?.[side] ?? {}) as Tree;
  const identifier = source?.metric as MetricIdentifier | undefined;
  const isObject = type === 'Object';
  const selectorName = type === 'External' ? 'metricSelector' : 'selector';
  return {
    type,
    [keyOf(type)]: defined({
      target: isObject ? source?.describedObject : undefined,
      name: source?.name,
      container: source?.container,
      metricName: identifier?.name,
      [selectorName]: identifier?.selector,
      [capital(side, 'value')]: values.value ?? (isObject ? '0' : undefined),
      [isObject ? 'averageValue' : capital(side, 'averageValue')]: values.averageValue,
      [capital(side, 'averageUtilization')]: values.averageUtilization,
    }),
  };
}

/** The type of target that the values which are there make. */
function targetType(values: Tree): string {
  if (values.averageUtilization !== undefined) return 'Utilization';
  return values.averageValue !== undefined ? 'AverageValue' : 'Value';
}

function partsOf(metric: Tree, side: Side): { type: string; source: Tree } {
  const type = typeof metric.type === 'string' ? metric.type : '';
  const given = metric[keyOf(type)];
  if (typeof given !== 'object' || given === null) return { type, source: {} };
  const source = given as Tree;
  const isObject = type === 'Object';
  const averageValue = source[isObject ? 'averageValue' : capital(side, 'averageValue')];
  const value = source[capital(side, 'value')];
  const values = defined({
    // An object's value is always written; beside an average it means nothing.
    value: isObject && averageValue !== undefined ? undefined : value,
    averageValue,
    averageUtilization: source[capital(side, 'averageUtilization')],
  });
  const metricName = source.metricName;
  const selector = source[type === 'External' ? 'metricSelector' : 'selector'];
  return {
    type,
    source: defined({
      describedObject: isObject ? source.target : undefined,
      name: source.name,
      container: source.container,
      metric: metricName === undefined ? undefined : defined({ name: metricName, selector }),
      [side]: side === 'target' ? { type: targetType(values), ...values } : values,
    }),
  };
}

// The types are what validation looks into next; annotations may hold anything.
function metricToV2(metric: Tree, side: Side): MetricSpec {
  const { type, source } = partsOf(metric, side);
  return { type, ...(Object.keys(source).length > 0 && { [keyOf(type)]: source }) } as MetricSpec;
}

function statusToV2(metric: Tree): MetricStatus {
  const { type, source } = partsOf(metric, 'current');
  return { type, ...(Object.keys(source).length > 0 && { [keyOf(type)]: source }) } as MetricStatus;
}
