/** Validation of jobs. */
import type { Job, JobSpec, JobStatus, PodFailurePolicyRule, PodTemplateSpec } from '../generated/types.ts';
import { isEqual } from '../schema/equal.ts';
import { matchesLabelSelector } from '../selectors.ts';
import type { FieldError } from '../status.ts';
import {
  byRule,
  GO_NULL,
  IMMUTABLE,
  invalidText,
  invalidValue,
  invalidWithoutValue,
  notNegative,
  notSupported,
  oneOf,
  required,
} from './errors.ts';
import { goLabelSelector, goStringMap } from './go-text.ts';
import { qualifiedName } from './names.ts';
import { validatePodTemplate } from './pod-spec.ts';
import { validateLabelSelector } from './scheduling.ts';
import { nameWarnings, workloadWarnings } from './workloads.ts';

const INDEXED_PARALLELISM_MAX = 100_000;
const UID_LABEL = 'batch.kubernetes.io/controller-uid';
const TEMPLATE = 'spec.template';

export function validateJob(job: Job): FieldError[] {
  const { spec } = job;
  if (!spec) return [required('spec')];
  return [
    ...validateGeneratedSelector(job, spec),
    ...validateJobSpec(spec, 'spec'),
    ...validateLabelSelector(spec.selector, 'spec.selector'),
    ...validateSelected(spec),
  ];
}

/** Unless it is said otherwise, the selector is the one that was generated and no other. */
function validateGeneratedSelector({ metadata }: Job, { manualSelector, selector }: JobSpec): FieldError[] {
  if (manualSelector || !selector) return [];
  const expected = { matchLabels: { [UID_LABEL]: metadata?.uid ?? '' } };
  const old = { matchLabels: { 'controller-uid': metadata?.uid ?? '' } };
  if (isEqual(selector, expected) || isEqual(selector, old)) return [];
  return [invalidText('spec.selector', goLabelSelector(selector), '`selector` not auto-generated')];
}

function validateSelected({ selector, template }: JobSpec): FieldError[] {
  if (!selector) return [required('spec.selector')];
  const labels = template.metadata?.labels;
  return matchesLabelSelector(selector, labels ?? {})
    ? []
    : [invalidText(`${TEMPLATE}.metadata.labels`, goStringMap(labels), '`selector` does not match template `labels`')];
}

/** A job's spec without its selector; cron jobs have these too. */
export function validateJobSpec(spec: JobSpec, path: string): FieldError[] {
  const errors = [
    ...notNegative(`${path}.parallelism`, spec.parallelism),
    ...notNegative(`${path}.completions`, spec.completions),
    ...notNegative(`${path}.activeDeadlineSeconds`, spec.activeDeadlineSeconds),
    ...notNegative(`${path}.backoffLimit`, spec.backoffLimit),
    ...notNegative(`${path}.ttlSecondsAfterFinished`, spec.ttlSecondsAfterFinished),
    ...notNegative(`${path}.backoffLimitPerIndex`, spec.backoffLimitPerIndex),
    ...notNegative(`${path}.maxFailedIndexes`, spec.maxFailedIndexes),
  ];
  if (spec.managedBy !== undefined)
    errors.push(...byRule(`${path}.managedBy`, spec.managedBy, qualifiedName(spec.managedBy)));
  errors.push(...validateIndexing(spec, path));
  if (spec.podFailurePolicy) errors.push(...validateFailurePolicy(spec, path));
  if (spec.podReplacementPolicy !== undefined) {
    const allowed = spec.podFailurePolicy ? ['Failed'] : ['Failed', 'TerminatingOrFailed'];
    errors.push(...oneOf(`${path}.podReplacementPolicy`, spec.podReplacementPolicy, allowed));
  }
  return [...errors, ...validatePodTemplate(spec.template, `${path}.template`), ...validateRestartPolicy(spec, path)];
}

function validateIndexing(spec: JobSpec, path: string): FieldError[] {
  const { completionMode = '', completions, parallelism = 0, backoffLimitPerIndex, maxFailedIndexes } = spec;
  const errors = oneOf(`${path}.completionMode`, completionMode, ['NonIndexed', 'Indexed']);
  if (completionMode === 'Indexed') {
    if (completions === undefined) errors.push(required(`${path}.completions`, 'when completion mode is Indexed'));
    if (parallelism > INDEXED_PARALLELISM_MAX) {
      errors.push(
        invalidValue(
          `${path}.parallelism`,
          parallelism,
          `must be less than or equal to ${INDEXED_PARALLELISM_MAX} when completion mode is Indexed`,
        ),
      );
    }
    if (maxFailedIndexes !== undefined) {
      if (completions !== undefined && maxFailedIndexes > completions) {
        errors.push(
          invalidValue(`${path}.maxFailedIndexes`, maxFailedIndexes, 'must be less than or equal to completions'),
        );
      }
      if (backoffLimitPerIndex === undefined) {
        errors.push(required(`${path}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified'));
      }
    }
    return errors;
  }
  const refuse = (field: string, value: unknown) =>
    errors.push(invalidValue(`${path}.${field}`, value, 'requires indexed completion mode'));
  if (completionMode !== 'NonIndexed') return errors;
  if (backoffLimitPerIndex !== undefined) refuse('backoffLimitPerIndex', backoffLimitPerIndex);
  if (maxFailedIndexes !== undefined) refuse('maxFailedIndexes', maxFailedIndexes);
  if (spec.successPolicy) refuse('successPolicy', spec.successPolicy);
  return errors;
}

const ACTIONS = ['Count', 'FailIndex', 'FailJob', 'Ignore'];

function validateFailurePolicy(spec: JobSpec, path: string): FieldError[] {
  const names = new Set(
    [...(spec.template.spec?.containers ?? []), ...(spec.template.spec?.initContainers ?? [])].map(({ name }) => name),
  );
  return (spec.podFailurePolicy?.rules ?? []).flatMap((rule, index) =>
    validateFailureRule(rule, `${path}.podFailurePolicy.rules[${index}]`, { names, spec }),
  );
}

function validateFailureRule(
  { action, onExitCodes, onPodConditions }: PodFailurePolicyRule,
  path: string,
  { names, spec }: { readonly names: ReadonlySet<string>; readonly spec: JobSpec },
): FieldError[] {
  const errors: FieldError[] = [];
  if (action === '') errors.push(required(`${path}.action`, 'valid values: "Count", "FailIndex", "FailJob", "Ignore"'));
  else errors.push(...oneOf(`${path}.action`, action, ACTIONS));
  if (action === 'FailIndex' && spec.backoffLimitPerIndex === undefined) {
    errors.push(invalidValue(`${path}.action`, action, 'requires the backoffLimitPerIndex to be set'));
  }
  if (onExitCodes) {
    const { operator, containerName } = onExitCodes;
    // The field may come as null.
    const values = onExitCodes.values ?? [];
    const field = `${path}.onExitCodes`;
    errors.push(...oneOf(`${field}.operator`, operator, ['In', 'NotIn']));
    if (containerName !== undefined && !names.has(containerName)) {
      errors.push(
        invalidValue(
          `${field}.containerName`,
          containerName,
          'must be one of the container or initContainer names in the pod template',
        ),
      );
    }
    if (values.length === 0) errors.push(invalidValue(`${field}.values`, values, 'at least one value is required'));
    for (const [index, value] of values.entries()) {
      if (operator === 'In' && value === 0) {
        errors.push(invalidValue(`${field}.values[${index}]`, value, 'must not be 0 for the In operator'));
      }
    }
  }
  for (const [index, { status }] of (onPodConditions ?? []).entries()) {
    errors.push(...oneOf(`${path}.onPodConditions[${index}].status`, status, ['False', 'True', 'Unknown']));
  }
  const count = (onExitCodes ? 1 : 0) + (onPodConditions?.length ? 1 : 0);
  if (count === 0) {
    errors.push(invalidWithoutValue(path, 'specifying one of OnExitCodes and OnPodConditions is required'));
  }
  if (count > 1) {
    errors.push(invalidWithoutValue(path, 'specifying both OnExitCodes and OnPodConditions is not supported'));
  }
  return errors;
}

/** Pods of a job end: they may be restarted after failure, but not for ever. */
function validateRestartPolicy(spec: JobSpec, path: string): FieldError[] {
  const field = `${path}.template.spec.restartPolicy`;
  const { restartPolicy = '' } = spec.template.spec ?? {};
  if (restartPolicy === '' || restartPolicy === 'Always') {
    return [required(field, 'valid values: "OnFailure", "Never"')];
  }
  if (restartPolicy !== 'OnFailure' && restartPolicy !== 'Never') {
    return [notSupported(field, restartPolicy, ['OnFailure', 'Never'])];
  }
  return spec.podFailurePolicy && restartPolicy !== 'Never'
    ? [invalidValue(field, restartPolicy, 'only "Never" is supported when podFailurePolicy is specified')]
    : [];
}

/** What of a job stays as it was created. */
export function validateJobUpdate(job: Job, old: Job, subresource: string): FieldError[] {
  if (subresource === 'status') return validateFinish(job.status ?? {}, old.status ?? {});
  const { spec, status } = job;
  if (!spec || !old.spec) return [];
  // The spec is judged once with the job and once with its change.
  const errors = [...validateJobSpec(spec, 'spec'), ...validateSelected(spec)];
  errors.push(...validateCompletionsUpdate(spec, old.spec));
  if (!isEqual(spec.selector, old.spec.selector)) {
    errors.push(invalidText('spec.selector', spec.selector ? goLabelSelector(spec.selector) : GO_NULL, IMMUTABLE));
  }
  const mayReschedule = old.spec.suspend === true && !(old.status?.startTime ?? status?.startTime);
  const before = mayReschedule ? withScheduling(old.spec.template, spec.template) : old.spec.template;
  if (!isEqual(spec.template, before)) errors.push(invalidValue(TEMPLATE, spec.template, IMMUTABLE));
  for (const field of [
    'completionMode',
    'podFailurePolicy',
    'backoffLimitPerIndex',
    'managedBy',
    'successPolicy',
  ] as const) {
    if (!isEqual(spec[field], old.spec[field]))
      errors.push(invalidValue(`spec.${field}`, spec[field] ?? null, IMMUTABLE));
  }
  return errors;
}

/** An indexed job grows and shrinks by both its numbers together; its size may not become unknown, which is told elsewhere. */
function validateCompletionsUpdate({ completions, completionMode, parallelism }: JobSpec, old: JobSpec): FieldError[] {
  if (completions === old.completions) return [];
  const field = 'spec.completions';
  if (completionMode !== 'Indexed') return [invalidValue(field, completions ?? null, IMMUTABLE)];
  if (completions === undefined || completions === parallelism) return [];
  return [invalidValue(field, completions, 'can only be modified in tandem with spec.parallelism')];
}

/** A job ends in steps: first it is said that it will, and why; when its pods are gone, that it has. */
function validateFinish(status: JobStatus, old: JobStatus): FieldError[] {
  const isTrue = ({ conditions }: JobStatus, type: string): boolean =>
    (conditions ?? []).some(condition => condition.type === type && condition.status === 'True');
  const errors: FieldError[] = [];
  const isNow = (type: string): boolean => isTrue(status, type) && !isTrue(old, type);
  if (isNow('Complete') && !status.completionTime) {
    errors.push(required('status.completionTime', 'completionTime is required for Complete jobs'));
  }
  for (const [end, announcement] of [
    ['Complete', 'SuccessCriteriaMet'],
    ['Failed', 'FailureTarget'],
  ] as const) {
    if (isNow(end) && !isTrue(status, announcement)) {
      const why = `cannot set ${end}=True condition without the ${announcement}=true condition`;
      errors.push(invalidWithoutValue('status.conditions', why));
    }
  }
  if ((isNow('Complete') || isNow('Failed')) && !status.startTime) {
    errors.push(required('status.startTime', 'startTime is required for finished job'));
  }
  return errors;
}

/** The old template with the new one's wishes of where to run: those may change until the job starts. */
function withScheduling(old: PodTemplateSpec, now: PodTemplateSpec): PodTemplateSpec {
  const { nodeSelector, tolerations, schedulingGates, affinity } = now.spec ?? {};
  const {
    nodeSelector: _selector,
    tolerations: _tolerations,
    schedulingGates: _gates,
    affinity: oldAffinity,
    ...rest
  } = old.spec ?? { containers: [] };
  const { nodeAffinity: _nodeAffinity, ...otherAffinity } = oldAffinity ?? {};
  const merged = { ...otherAffinity, ...(affinity?.nodeAffinity && { nodeAffinity: affinity.nodeAffinity }) };
  const { labels, annotations } = now.metadata ?? {};
  const { labels: _labels, annotations: _annotations, ...metadata } = old.metadata ?? {};
  return {
    ...old,
    metadata: { ...metadata, ...(labels && { labels }), ...(annotations && { annotations }) },
    spec: {
      ...rest,
      ...(nodeSelector && { nodeSelector }),
      ...(tolerations && { tolerations }),
      ...(schedulingGates && { schedulingGates }),
      ...((affinity || Object.keys(merged).length > 0) && { affinity: merged }),
    },
  };
}

export function jobWarnings(job: Job, old: Job | undefined): string[] {
  return [...nameWarnings(job, old), ...workloadWarnings(job, old)];
}
