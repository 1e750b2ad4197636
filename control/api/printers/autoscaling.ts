/** Horizontal pod autoscalers of both versions: v1 keeps all metrics but the CPU's in annotations. */
import type {
  AutoscalingV2HorizontalPodAutoscaler,
  CrossVersionObjectReference,
  HorizontalPodAutoscaler,
} from '../generated/types.ts';
import type { Cell } from '../kind.ts';
import { age, columns, NAME, nameOf, type Printer, printer } from './printer.ts';

const COLUMNS = columns(NAME, 'Reference', 'Targets', 'MinPods', 'MaxPods', 'Replicas', 'Age');

/** How many metrics the TARGETS cell names. */
const SHOWN_MAX = 2;

/** One metric, whichever version it comes from. */
interface Metric {
  /** `cpu` and such, for metrics of pods' resources. */
  readonly resource: string | undefined;
  readonly value: string | undefined;
  readonly averageValue: string | undefined;
  readonly averageUtilization: number | undefined;
  /** Told behind the target: `(avg)`. */
  readonly isAverage: boolean;
}

interface ScalerFacts {
  readonly target: CrossVersionObjectReference | undefined;
  readonly minReplicas: number | undefined;
  readonly maxReplicas: number;
  readonly currentReplicas: number;
  readonly wanted: readonly Metric[];
  readonly current: readonly (Metric | undefined)[];
}

export const horizontalPodAutoscaler: Printer = printer<AutoscalingV2HorizontalPodAutoscaler>(
  COLUMNS,
  (object, now) => [
    nameOf(object),
    ...cells({
      target: object.spec?.scaleTargetRef,
      minReplicas: object.spec?.minReplicas,
      maxReplicas: object.spec?.maxReplicas ?? 0,
      currentReplicas: object.status?.currentReplicas ?? 0,
      wanted: (object.spec?.metrics ?? []).map(metric => metricOf(metric, 'target')),
      current: (object.status?.currentMetrics ?? []).map(metric => metricOf(metric, 'current')),
    }),
    age(object, now),
  ],
);

const METRICS = 'autoscaling.alpha.kubernetes.io/metrics';
const CURRENT_METRICS = 'autoscaling.alpha.kubernetes.io/current-metrics';

export const horizontalPodAutoscalerV1: Printer = printer<HorizontalPodAutoscaler>(COLUMNS, (object, now) => {
  const annotations = object.metadata?.annotations;
  const utilization = object.spec?.targetCPUUtilizationPercentage;
  const cpu: Metric[] =
    utilization === undefined
      ? []
      : [
          {
            resource: 'cpu',
            value: undefined,
            averageValue: undefined,
            averageUtilization: utilization,
            isAverage: false,
          },
        ];
  return [
    nameOf(object),
    ...cells({
      target: object.spec?.scaleTargetRef,
      minReplicas: object.spec?.minReplicas,
      maxReplicas: object.spec?.maxReplicas ?? 0,
      currentReplicas: object.status?.currentReplicas ?? 0,
      wanted: [...annotatedMetrics(annotations?.[METRICS], 'target'), ...cpu],
      current: annotatedMetrics(annotations?.[CURRENT_METRICS], 'current'),
    }),
    age(object, now),
  ];
});

function cells(facts: ScalerFacts): Cell[] {
  return [
    `${facts.target?.kind ?? ''}/${facts.target?.name ?? ''}`,
    targetsText(facts),
    facts.minReplicas === undefined ? '<unset>' : String(facts.minReplicas),
    facts.maxReplicas,
    facts.currentReplicas,
  ];
}

function targetsText({ wanted, current }: ScalerFacts): string {
  if (wanted.length === 0) return '<none>';
  const shown = wanted.slice(0, SHOWN_MAX).map((metric, index) => metricText(metric, current[index]));
  const more = wanted.length - shown.length;
  return more > 0 ? `${shown.join(', ')} + ${more} more...` : shown.join(', ');
}

function metricText(wanted: Metric, current: Metric | undefined): string {
  const prefix = wanted.resource ? `${wanted.resource}: ` : '';
  if (wanted.averageValue !== undefined) {
    const now = current?.averageValue ?? '<unknown>';
    return `${prefix}${now}/${wanted.averageValue}${wanted.isAverage ? ' (avg)' : ''}`;
  }
  if (wanted.resource) {
    const percent = (value: number | undefined, none: string) => (value === undefined ? none : `${value}%`);
    return `${prefix}${percent(current?.averageUtilization, '<unknown>')}/${percent(wanted.averageUtilization, '<auto>')}`;
  }
  return `${current?.value ?? '<unknown>'}/${wanted.value ?? '<auto>'}`;
}

type JsonObject = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null;
const textOf = (value: unknown) => (value === undefined ? undefined : String(value));
const numberOf = (value: unknown) => (typeof value === 'number' ? value : undefined);

/** The part of a metric that its type names: `Resource` → `resource`. */
function sourceOf(metric: object): { readonly type: string; readonly source: JsonObject } {
  const type = 'type' in metric ? String(metric.type) : '';
  const source: unknown = Reflect.get(metric, type.charAt(0).toLowerCase() + type.slice(1));
  return { type, source: isObject(source) ? source : {} };
}

function describe(type: string, source: JsonObject): Pick<Metric, 'resource' | 'isAverage'> {
  const isResource = type === 'Resource' || type === 'ContainerResource';
  return {
    resource: isResource ? String(source.name) : undefined,
    isAverage: type === 'Object' || type === 'External',
  };
}

/** A metric of autoscaling/v2: what it says is under `target` or `current`. */
function metricOf(metric: object, side: 'target' | 'current'): Metric {
  const { type, source } = sourceOf(metric);
  const said = source[side];
  const values = isObject(said) ? said : {};
  return {
    ...describe(type, source),
    value: textOf(values.value),
    averageValue: textOf(values.averageValue),
    averageUtilization: numberOf(values.averageUtilization),
  };
}

/** Metrics of autoscaling/v1's annotations: `targetAverageValue`, `currentValue` and so on. Broken text counts as none. */
function annotatedMetrics(text: string | undefined, side: 'target' | 'current'): Metric[] {
  let list: unknown;
  try {
    list = JSON.parse(text ?? '[]');
  } catch {
    return [];
  }
  return (Array.isArray(list) ? list : []).filter(isObject).map(metric => {
    const { type, source } = sourceOf(metric);
    return {
      ...describe(type, source),
      value: textOf(source[`${side}Value`]),
      averageValue: textOf(source[`${side}AverageValue`]),
      averageUtilization: numberOf(source[`${side}AverageUtilization`]),
    };
  });
}
