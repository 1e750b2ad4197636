/** Autoscalers, disruption budgets, limits and quotas. */
import type {
  HorizontalPodAutoscaler,
  LimitRange,
  PodDisruptionBudget,
  PriorityClass,
  ResourceQuota,
} from '../../control/api/generated/types.ts';
import { labelsText, selectorOrNone } from '../../control/api/printers/printer.ts';
import { describing } from './description.ts';
import { annotationLines, labelLines, timeText } from './lines.ts';

interface Metric {
  readonly type?: string;
  readonly resource?: MetricPart;
  readonly containerResource?: MetricPart & { readonly container?: string };
  readonly pods?: MetricPart;
  readonly object?: MetricPart & { readonly describedObject?: { readonly kind?: string; readonly name?: string } };
  readonly external?: MetricPart;
}
interface MetricPart {
  readonly name?: string;
  readonly metric?: { readonly name?: string };
  readonly target?: Target;
  readonly current?: Target;
}
interface Target {
  readonly type?: string;
  readonly averageUtilization?: number;
  readonly averageValue?: string | number;
  readonly value?: string | number;
}

const UNKNOWN = '<unknown>';

function metricLine(metric: Metric, current: Metric | undefined): string {
  const part = metric.resource ?? metric.containerResource;
  if (part) {
    const now = (current?.resource ?? current?.containerResource)?.current;
    const container = metric.containerResource?.container;
    const where = container ? `of container "${container}" on pods` : 'on pods';
    if (part.target?.averageUtilization !== undefined) {
      const used = now?.averageUtilization === undefined ? UNKNOWN : `${now.averageUtilization}% (${now.averageValue})`;
      return `  resource ${part.name} ${where}  (as a percentage of request):\t${used} / ${part.target.averageUtilization}%`;
    }
    return `  resource ${part.name} ${where}:\t${now?.averageValue ?? UNKNOWN} / ${part.target?.averageValue}`;
  }
  const [kind, other, seen] = metric.pods
    ? ['on pods', metric.pods, current?.pods]
    : metric.object
      ? [
          `on ${metric.object.describedObject?.kind}/${metric.object.describedObject?.name} ${amountKind(metric.object)}`,
          metric.object,
          current?.object,
        ]
      : [amountKind(metric.external), metric.external, current?.external];
  const wanted = other?.target?.averageValue ?? other?.target?.value;
  const now = seen?.current?.averageValue ?? seen?.current?.value ?? UNKNOWN;
  return `  "${other?.metric?.name}" ${kind}:\t${now} / ${wanted}`;
}

const amountKind = (part: MetricPart | undefined): string =>
  part?.target?.averageValue === undefined ? '(target value)' : '(target average value)';

interface ScalingRules {
  readonly stabilizationWindowSeconds?: number;
  readonly selectPolicy?: string;
  readonly policies?: readonly { readonly type: string; readonly value: number; readonly periodSeconds: number }[];
}

function behaviorLines(behavior: { scaleUp?: ScalingRules; scaleDown?: ScalingRules } | undefined): string[] {
  if (!behavior) return [];
  const rules = (direction: string, { stabilizationWindowSeconds, selectPolicy, policies }: ScalingRules) => [
    `  Scale ${direction}:`,
    ...(stabilizationWindowSeconds === undefined
      ? []
      : [`    Stabilization Window: ${stabilizationWindowSeconds} seconds`]),
    ...(policies?.length
      ? [
          `    Select Policy: ${selectPolicy ?? 'Max'}`,
          '    Policies:',
          ...policies.map(
            ({ type, value, periodSeconds }) =>
              `      - Type: ${type}\tValue: ${value}\tPeriod: ${periodSeconds} seconds`,
          ),
        ]
      : []),
  ];
  return [
    'Behavior:',
    ...(behavior.scaleUp ? rules('Up', behavior.scaleUp) : []),
    ...(behavior.scaleDown ? rules('Down', behavior.scaleDown) : []),
  ];
}

export const horizontalPodAutoscaler = describing<HorizontalPodAutoscaler>(({ metadata, spec, status }) => {
  // Both versions are shown alike; the older one knows the CPU alone.
  const own = (spec ?? {}) as {
    metrics?: Metric[];
    minReplicas?: number;
    maxReplicas?: number;
    targetCPUUtilizationPercentage?: number;
    scaleTargetRef?: { kind: string; name: string };
    behavior?: { scaleUp?: ScalingRules; scaleDown?: ScalingRules };
  };
  const seen = (status ?? {}) as {
    currentMetrics?: Metric[] | null;
    currentReplicas?: number;
    desiredReplicas?: number;
    conditions?: { type: string; status: string; reason?: string; message?: string }[];
  };
  const metrics =
    own.metrics ??
    (own.targetCPUUtilizationPercentage === undefined
      ? []
      : [{ resource: { name: 'cpu', target: { averageUtilization: own.targetCPUUtilizationPercentage } } }]);
  const { kind = '', name = '' } = own.scaleTargetRef ?? {};
  return [
    `Name:\t${metadata?.name}`,
    `Namespace:\t${metadata?.namespace}`,
    ...labelLines(metadata?.labels),
    ...annotationLines(metadata),
    `CreationTimestamp:\t${timeText(metadata?.creationTimestamp)}`,
    `Reference:\t${kind}/${name}`,
    'Metrics:\t( current / target )',
    ...metrics.map((metric, index) => metricLine(metric, seen.currentMetrics?.[index])),
    `Min replicas:\t${own.minReplicas ?? '<unset>'}`,
    `Max replicas:\t${own.maxReplicas ?? 0}`,
    ...behaviorLines(own.behavior),
    `${kind} pods:\t${seen.currentReplicas ?? 0} current / ${seen.desiredReplicas ?? 0} desired`,
    ...(seen.conditions?.length
      ? [
          'Conditions:',
          '  Type\tStatus\tReason\tMessage',
          '  ----\t------\t------\t-------',
          ...seen.conditions.map(
            condition =>
              `  ${condition.type}\t${condition.status}\t${condition.reason ?? ''}\t${condition.message ?? ''}`,
          ),
        ]
      : []),
  ];
});

export const podDisruptionBudget = describing<PodDisruptionBudget>(({ metadata, spec, status }) => [
  `Name:\t${metadata?.name}`,
  `Namespace:\t${metadata?.namespace}`,
  ...(spec?.minAvailable !== undefined ? [`Min available:\t${spec.minAvailable}`] : []),
  ...(spec?.maxUnavailable !== undefined ? [`Max unavailable:\t${spec.maxUnavailable}`] : []),
  `Selector:\t${spec?.selector ? selectorOrNone(spec.selector) : '<unset>'}`,
  'Status:',
  `    Allowed disruptions:\t${status?.disruptionsAllowed ?? 0}`,
  `    Current:\t${status?.currentHealthy ?? 0}`,
  `    Desired:\t${status?.desiredHealthy ?? 0}`,
  `    Total:\t${status?.expectedPods ?? 0}`,
]);

type Amounts = Readonly<Record<string, string | number>>;

export const limitRange = describing<LimitRange>(({ metadata, spec }) => [
  `Name:\t${metadata?.name}`,
  `Namespace:\t${metadata?.namespace}`,
  'Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio',
  '----\t--------\t---\t---\t---------------\t-------------\t-----------------------',
  ...limitLines(spec?.limits ?? []),
]);

/** The rows of limits, one a resource; also shown of a namespace. */
export function limitLines(limits: NonNullable<LimitRange['spec']>['limits']): string[] {
  return limits.flatMap(limit => {
    const parts = [limit.min, limit.max, limit.defaultRequest, limit.default, limit.maxLimitRequestRatio];
    const names = [...new Set(parts.flatMap(part => Object.keys(part ?? {})))].sort();
    return names.map(name => {
      const cells = parts.map(part => String((part as Amounts | undefined)?.[name] ?? '-'));
      return `${limit.type}\t${name}\t${cells.join('\t')}`;
    });
  });
}

const SCOPES: Readonly<Record<string, string>> = {
  Terminating:
    'Matches all pods that have an active deadline. These pods have a limited lifespan on a node before being actively terminated by the system.',
  NotTerminating:
    'Matches all pods that do not have an active deadline. These pods usually include long running pods whose container command is not expected to terminate.',
  BestEffort:
    'Matches all pods that do not have resource requirements set. These pods have a best effort quality of service.',
  NotBestEffort:
    'Matches all pods that have at least one resource requirement set. These pods have a burstable or guaranteed quality of service.',
};

/** Which pods a quota counts, and what that means. */
export function scopeLines(scopes: readonly string[] | undefined): string[] {
  if (!scopes?.length) return [];
  const ordered = [...scopes].sort();
  return [
    `Scopes:\t${ordered.join(', ')}`,
    ...ordered.flatMap(scope => (SCOPES[scope] === undefined ? [] : [` * ${SCOPES[scope]}`])),
  ];
}

export const resourceQuota = describing<ResourceQuota>(({ metadata, spec, status }) => {
  const hard = (status?.hard ?? {}) as Amounts;
  const used = (status?.used ?? {}) as Amounts;
  return [
    `Name:\t${metadata?.name}`,
    `Namespace:\t${metadata?.namespace}`,
    ...scopeLines(spec?.scopes),
    'Resource\tUsed\tHard',
    '--------\t----\t----',
    ...Object.keys(hard)
      .sort()
      .map(name => `${name}\t${used[name] ?? '0'}\t${hard[name]}`),
  ];
});

export const priorityClass = describing<PriorityClass>(object => [
  `Name:\t${object.metadata?.name}`,
  `Value:\t${object.value}`,
  `GlobalDefault:\t${object.globalDefault ?? false}`,
  `PreemptionPolicy:\t${object.preemptionPolicy ?? 'PreemptLowerPriority'}`,
  `Description:\t${object.description ?? ''}`,
  `Annotations:\t${labelsText(object.metadata?.annotations)}`,
]);
