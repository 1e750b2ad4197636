/** Validation of jobs. */
import type { Job, JobSpec, PodTemplateSpec } from '../generated/types.ts';
import { isEqual } from '../schema/equal.ts';
import { matchesLabelSelector } from '../selectors.ts';
import type { FieldError } from '../status.ts';
import {
  GO_NULL,
  IMMUTABLE,
  invalidText,
  invalidValue,
  notNegative,
  notSupported,
  oneOf,
  required,
  tooLongValue,
} from './errors.ts';
import { goLabelSelector, goStringMap } from './go-text.ts';
import { validateDomainPath } from './ingress.ts';
import { validateFailurePolicy, validateSuccessPolicy } from './job-policies.ts';
import { validateJobStatus } from './job-status.ts';
import { dns1123Label } from './names.ts';
import { validatePodTemplate } from './pod-spec.ts';
import { validateLabelSelector } from './scheduling.ts';
import { nameWarnings, workloadWarnings } from './workloads.ts';

const INDEXED_PARALLELISM_MAX = 100_000;
const FAILED_INDEXES_MAX = 100_000;
/** With more completions than this, and limits by index, fewer pods may run and fewer indexes fail. */
const MANY_COMPLETIONS = 100_000;
const MANY_PARALLELISM_MAX = 10_000;
const MANY_FAILED_INDEXES_MAX = 10_000;
const MANAGER_BYTES_MAX = 63;
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
    ...validateHostNames(job, spec),
  ];
}

/** Pods of an indexed job have its name and their index as host names. */
function validateHostNames({ metadata }: Job, { completionMode, completions = 0 }: JobSpec): FieldError[] {
  if (completionMode !== 'Indexed' || completions <= 0) return [];
  const name = metadata?.name ?? '';
  const last = `${name}-${completions - 1}`;
  if (dns1123Label(last).length === 0) return [];
  return [invalidValue('metadata.name', name, `will not able to create pod with invalid DNS label: ${last}`)];
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
  if (spec.maxFailedIndexes !== undefined && spec.backoffLimitPerIndex === undefined) {
    errors.push(required(`${path}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified'));
  }
  if (spec.managedBy !== undefined) errors.push(...validateManager(spec.managedBy, `${path}.managedBy`));
  errors.push(...validateIndexing(spec, path));
  if (spec.podFailurePolicy) errors.push(...validateFailurePolicy(spec, path));
  if (spec.successPolicy) {
    const why = 'requires indexed completion mode';
    if (spec.completionMode === 'Indexed') errors.push(...validateSuccessPolicy(spec, path));
    else errors.push(invalidValue(`${path}.successPolicy`, spec.successPolicy, why));
  }
  if (spec.podReplacementPolicy !== undefined) {
    const allowed = spec.podFailurePolicy ? ['Failed'] : ['Failed', 'TerminatingOrFailed'];
    errors.push(...oneOf(`${path}.podReplacementPolicy`, spec.podReplacementPolicy, allowed));
  }
  return [...errors, ...validatePodTemplate(spec.template, `${path}.template`), ...validateRestartPolicy(spec, path)];
}

const validateManager = (name: string, field: string): FieldError[] => [
  ...validateDomainPath(field, name),
  ...(Buffer.byteLength(name) > MANAGER_BYTES_MAX ? [tooLongValue(field, MANAGER_BYTES_MAX)] : []),
];

/** What only jobs with indexes may say, and how much of it. */
function validateIndexing(spec: JobSpec, path: string): FieldError[] {
  const { completionMode = '', completions, parallelism = 0, backoffLimitPerIndex, maxFailedIndexes } = spec;
  const errors = oneOf(`${path}.completionMode`, completionMode, ['NonIndexed', 'Indexed']);
  const refuse = (field: string, value: unknown, why: string) =>
    errors.push(invalidValue(`${path}.${field}`, value, why));
  const atMost = (field: string, value: number, most: number, when = '') => {
    if (value > most) refuse(field, value, `must be less than or equal to ${most}${when}`);
  };
  if (completionMode === 'NonIndexed') {
    const why = 'requires indexed completion mode';
    if (backoffLimitPerIndex !== undefined) refuse('backoffLimitPerIndex', backoffLimitPerIndex, why);
    if (maxFailedIndexes !== undefined) refuse('maxFailedIndexes', maxFailedIndexes, why);
  }
  if (completionMode !== 'Indexed') return errors;
  if (completions === undefined) errors.push(required(`${path}.completions`, 'when completion mode is Indexed'));
  atMost('parallelism', parallelism, INDEXED_PARALLELISM_MAX, ' when completion mode is Indexed');
  if (maxFailedIndexes !== undefined) {
    if (completions !== undefined && maxFailedIndexes > completions) {
      refuse('maxFailedIndexes', maxFailedIndexes, 'must be less than or equal to completions');
    }
    atMost('maxFailedIndexes', maxFailedIndexes, FAILED_INDEXES_MAX);
  }
  // What failed and what is to be tried again is kept by index: of many, not all may fail.
  if (completions === undefined || completions <= MANY_COMPLETIONS || backoffLimitPerIndex === undefined) return errors;
  if (maxFailedIndexes === undefined) {
    const why = `must be specified when completions is above ${MANY_COMPLETIONS}`;
    errors.push(required(`${path}.maxFailedIndexes`, why));
  }
  const when = ` when completions are above ${MANY_COMPLETIONS} and used with backoff limit per index`;
  atMost('parallelism', parallelism, MANY_PARALLELISM_MAX, when);
  atMost('maxFailedIndexes', maxFailedIndexes ?? 0, MANY_FAILED_INDEXES_MAX, when);
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
  if (subresource === 'status') return validateJobStatus(job, old);
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
