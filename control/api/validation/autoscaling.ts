/** Validation of horizontal pod autoscalers, in the form of autoscaling/v2. */
import type {
  AutoscalingV2CrossVersionObjectReference,
  AutoscalingV2HorizontalPodAutoscaler,
  HPAScalingPolicy,
  HPAScalingRules,
  MetricIdentifier,
  MetricSpec,
  MetricTarget,
} from '../generated/types.ts';
import { parseQuantity } from '../schema/quantity.ts';
import type { FieldError } from '../status.ts';
import { byRule, forbiddenField, invalidValue, notNegative, notSupported, oneOf, required } from './errors.ts';
import { pathSegment } from './names.ts';
import { validateSegment } from './references.ts';

const MIN_REPLICAS_LEAST = 1;
const STABILIZATION_SECONDS_MAX = 3_600;
const PERIOD_SECONDS_MAX = 1_800;
const METRIC_TYPES = ['ContainerResource', 'External', 'Object', 'Pods', 'Resource'];
const TARGET_TYPES = ['Utilization', 'Value', 'AverageValue'];

/** Where a metric of each type keeps what it says, in the order in which Kubernetes looks. */
const SOURCES = ['object', 'external', 'pods', 'resource', 'containerResource'] as const;
type Source = (typeof SOURCES)[number];
const SOURCE_OF: Readonly<Record<string, Source>> = {
  Object: 'object',
  External: 'external',
  Pods: 'pods',
  Resource: 'resource',
  ContainerResource: 'containerResource',
};

export function validateAutoscaler({ spec, status }: AutoscalingV2HorizontalPodAutoscaler): FieldError[] {
  const { minReplicas, maxReplicas = 0, scaleTargetRef, metrics = [], behavior } = spec ?? {};
  const errors: FieldError[] = [];
  if (minReplicas !== undefined && minReplicas < MIN_REPLICAS_LEAST) {
    const why = `must be greater than or equal to ${MIN_REPLICAS_LEAST}`;
    errors.push(invalidValue('spec.minReplicas', minReplicas, why));
  }
  if (maxReplicas < 1) errors.push(invalidValue('spec.maxReplicas', maxReplicas, 'must be greater than 0'));
  if (minReplicas !== undefined && maxReplicas < minReplicas) {
    errors.push(invalidValue('spec.maxReplicas', maxReplicas, 'must be greater than or equal to `minReplicas`'));
  }
  errors.push(
    ...validateReference(scaleTargetRef, 'spec.scaleTargetRef'),
    ...metrics.flatMap((metric, index) => validateMetric(metric, `spec.metrics[${index}]`)),
  );
  if (minReplicas === 0 && !metrics.some(({ type }) => type === 'Object' || type === 'External')) {
    const why = 'must specify at least one Object or External metric to support scaling to zero replicas';
    errors.push(forbiddenField('spec.metrics', why));
  }
  errors.push(
    ...validateRules(behavior?.scaleUp, 'spec.behavior.scaleUp'),
    ...validateRules(behavior?.scaleDown, 'spec.behavior.scaleDown'),
    ...notNegative('status.currentReplicas', status?.currentReplicas),
    ...notNegative('status.desiredReplicas', status?.desiredReplicas),
  );
  return errors;
}

function validateReference(
  reference: AutoscalingV2CrossVersionObjectReference | undefined,
  path: string,
): FieldError[] {
  return [
    ...validateSegment(`${path}.kind`, reference?.kind ?? ''),
    ...validateSegment(`${path}.name`, reference?.name ?? ''),
  ];
}

function validateMetric(metric: MetricSpec, path: string): FieldError[] {
  const { type } = metric;
  const errors: FieldError[] = [];
  if (type === '') errors.push(required(`${path}.type`, 'must specify a metric source type'));
  errors.push(...oneOf(`${path}.type`, type, METRIC_TYPES));
  const present = SOURCES.filter(source => metric[source] !== undefined);
  const [first] = present;
  if (first) errors.push(...validateSource(metric, first, `${path}.${first}`));
  const expected = SOURCE_OF[type];
  if (!expected) return [...errors, notSupported(`${path}.type`, type, METRIC_TYPES)];
  if (metric[expected] === undefined) {
    errors.push(required(`${path}.${expected}`, 'must populate information for the given metric source'));
  }
  if (present.length === 1) return errors;
  const others = present.filter(source => source !== expected);
  const why = 'must populate the given metric source only';
  return [...errors, ...others.map(source => forbiddenField(`${path}.${source}`, why))];
}

function validateSource(metric: MetricSpec, source: Source, path: string): FieldError[] {
  const { object, external, pods, resource, containerResource } = metric;
  switch (source) {
    case 'object':
      return [
        ...validateReference(object?.describedObject, `${path}.describedObject`),
        ...validateIdentifier(object?.metric, `${path}.metric`),
        ...validateTarget(object?.target, `${path}.target`),
        ...(hasNeither(object?.target)
          ? [required(`${path}.target.averageValue`, 'must set either a target value or averageValue')]
          : []),
      ];
    case 'external':
      return [
        ...validateIdentifier(external?.metric, `${path}.metric`),
        ...validateTarget(external?.target, `${path}.target`),
        ...(hasNeither(external?.target)
          ? [required(`${path}.target.averageValue`, 'must set either a target value for metric or a per-pod target')]
          : []),
        ...(external?.target.value !== undefined && external.target.averageValue !== undefined
          ? [forbiddenField(`${path}.target.value`, 'may not set both a target value for metric and a per-pod target')]
          : []),
      ];
    case 'pods':
      return [
        ...validateIdentifier(pods?.metric, `${path}.metric`),
        ...validateTarget(pods?.target, `${path}.target`),
        ...(isPositive(pods?.target.averageValue)
          ? []
          : [required(`${path}.target.averageValue`, 'must specify a positive target averageValue')]),
      ];
    case 'resource':
      return [...validateResourceName(resource?.name, path), ...validateResourceTarget(resource?.target, path)];
    case 'containerResource':
      return [
        ...validateResourceName(containerResource?.name, path),
        ...(containerResource?.container ? [] : [required(`${path}.container`, 'must specify a container')]),
        ...validateResourceTarget(containerResource?.target, path),
      ];
  }
}

const hasNeither = (target: MetricTarget | undefined): boolean =>
  target?.value === undefined && target?.averageValue === undefined;

const isPositive = (value: string | number | undefined): boolean =>
  value !== undefined && parseQuantity(String(value)).unscaled > 0n;

const validateResourceName = (name: string | undefined, path: string): FieldError[] =>
  name ? [] : [required(`${path}.name`, 'must specify a resource name')];

function validateIdentifier(metric: MetricIdentifier | undefined, path: string): FieldError[] {
  const { name = '' } = metric ?? {};
  if (name === '') return [required(`${path}.name`, 'must specify a metric name')];
  return byRule(`${path}.name`, name, pathSegment(name));
}

/** A share of what was requested, or an amount: one of them. */
function validateResourceTarget(target: MetricTarget | undefined, path: string): FieldError[] {
  const errors = validateTarget(target, `${path}.target`);
  const hasShare = target?.averageUtilization !== undefined;
  const hasAmount = target?.averageValue !== undefined;
  if (!hasShare && !hasAmount) {
    const why = 'must set either a target raw value or a target utilization';
    errors.push(required(`${path}.target.averageUtilization`, why));
  }
  if (hasShare && hasAmount) {
    const why = 'may not set both a target raw value and a target utilization';
    errors.push(forbiddenField(`${path}.target.averageValue`, why));
  }
  return errors;
}

function validateTarget(target: MetricTarget | undefined, path: string): FieldError[] {
  const { type = '', value, averageValue, averageUtilization } = target ?? {};
  const errors: FieldError[] = [];
  if (type === '') errors.push(required(`${path}.type`, 'must specify a metric target type'));
  if (!TARGET_TYPES.includes(type)) {
    errors.push(invalidValue(`${path}.type`, type, 'must be either Utilization, Value, or AverageValue'));
  }
  if (value !== undefined && !isPositive(value)) {
    errors.push(invalidValue(`${path}.value`, String(value), 'must be positive'));
  }
  if (averageValue !== undefined && !isPositive(averageValue)) {
    errors.push(invalidValue(`${path}.averageValue`, String(averageValue), 'must be positive'));
  }
  if (averageUtilization !== undefined && averageUtilization < 1) {
    errors.push(invalidValue(`${path}.averageUtilization`, averageUtilization, 'must be greater than 0'));
  }
  return errors;
}

function validateRules(rules: HPAScalingRules | undefined, path: string): FieldError[] {
  if (!rules) return [];
  const { stabilizationWindowSeconds: windowSeconds = 0, selectPolicy, policies = [] } = rules;
  const errors: FieldError[] = [];
  const refuse = (why: string) => invalidValue(`${path}.stabilizationWindowSeconds`, windowSeconds, why);
  if (windowSeconds < 0) errors.push(refuse('must be greater than or equal to zero'));
  if (windowSeconds > STABILIZATION_SECONDS_MAX) {
    errors.push(refuse(`must be less than or equal to ${STABILIZATION_SECONDS_MAX}`));
  }
  if (selectPolicy !== undefined) {
    errors.push(...oneOf(`${path}.selectPolicy`, selectPolicy, ['Disabled', 'Max', 'Min']));
  }
  if (policies.length === 0) errors.push(required(`${path}.policies`, 'must specify at least one Policy'));
  return [...errors, ...policies.flatMap((policy, index) => validatePolicy(policy, `${path}.policies[${index}]`))];
}

function validatePolicy({ type, value, periodSeconds }: HPAScalingPolicy, path: string): FieldError[] {
  const errors = oneOf(`${path}.type`, type, ['Percent', 'Pods']);
  if (value <= 0) errors.push(invalidValue(`${path}.value`, value, 'must be greater than zero'));
  const refuse = (why: string) => invalidValue(`${path}.periodSeconds`, periodSeconds, why);
  if (periodSeconds <= 0) errors.push(refuse('must be greater than zero'));
  if (periodSeconds > PERIOD_SECONDS_MAX) errors.push(refuse(`must be less than or equal to ${PERIOD_SECONDS_MAX}`));
  return errors;
}
