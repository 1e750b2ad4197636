/**
 * Validation of a job's status: who else than our controller works on jobs (`managedBy`) keeps to the order in which a job ends,
 * too. A rule is looked at only when something changes that it speaks of, so that what was wrong before holds nobody up (k/k
 * pkg/registry/batch/job getStatusValidationOptions, pkg/apis/batch/validation).
 */
import type { Job, JobStatus } from '../generated/types.ts';
import { isEqual } from '../schema/equal.ts';
import type { FieldError } from '../status.ts';
import { duplicateValue, invalidValue, invalidWithoutValue, notNegative, required } from './errors.ts';
import { checkIndexes, overlapOf } from './job-indexes.ts';

const CONDITIONS = 'status.conditions';

export function validateJobStatus(job: Job, old: Job): FieldError[] {
  const change = changeOf(job, old);
  return [
    ...validateCounts(change.now),
    ...validateEnd(change),
    ...validateIndexFields(job, change),
    ...validatePodsOfEnd(change),
    ...validateSuccessCriteria(job, change),
    ...validateStaying(job, change),
  ];
}

interface Change {
  readonly now: JobStatus;
  readonly before: JobStatus;
  /** Whether the condition is true now. */
  readonly is: (type: string) => boolean;
  readonly was: (type: string) => boolean;
  /** Whether one of these conditions became true or stopped being so. */
  readonly turned: (...types: string[]) => boolean;
  readonly changed: (...fields: (keyof JobStatus)[]) => boolean;
  readonly isFinished: boolean;
  readonly turnedFinished: boolean;
}

function changeOf({ status: now = {} }: Job, { status: before = {} }: Job): Change {
  const has = ({ conditions }: JobStatus, type: string) =>
    (conditions ?? []).some(condition => condition.type === type && condition.status === 'True');
  const is = (type: string) => has(now, type);
  const was = (type: string) => has(before, type);
  const isFinished = is('Complete') || is('Failed');
  return {
    now,
    before,
    is,
    was,
    turned: (...types) => types.some(type => is(type) !== was(type)),
    changed: (...fields) => fields.some(field => !isEqual(now[field], before[field])),
    isFinished,
    turnedFinished: isFinished !== (was('Complete') || was('Failed')),
  };
}

function validateCounts(status: JobStatus): FieldError[] {
  const errors = (['active', 'succeeded', 'failed', 'ready', 'terminating'] as const).flatMap(field =>
    notNegative(`status.${field}`, status[field]),
  );
  const seen = new Set<string>();
  for (const list of ['succeeded', 'failed'] as const) {
    for (const [index, uid] of (status.uncountedTerminatedPods?.[list] ?? []).entries()) {
      const field = `status.uncountedTerminatedPods.${list}[${index}]`;
      if (uid === '') errors.push(invalidValue(field, uid, 'must not be empty'));
      else if (seen.has(uid)) errors.push(duplicateValue(field, uid));
      seen.add(uid);
    }
  }
  return errors;
}

/** A job ends in steps: first it is said that it will, and why; when its pods are gone, that it has. */
function validateEnd({ now, is, turned, changed }: Change): FieldError[] {
  const errors: FieldError[] = [];
  const refuse = (why: string) => errors.push(invalidWithoutValue(CONDITIONS, why));
  const { startTime, completionTime } = now;
  if (turned('Complete', 'Failed') && is('Complete') && is('Failed')) {
    refuse('cannot set Complete=True and Failed=true conditions');
  }
  if (turned('Complete', 'FailureTarget') && is('Complete') && is('FailureTarget')) {
    refuse('cannot set Complete=True and FailureTarget=true conditions');
  }
  if (turned('Complete') || changed('completionTime')) {
    if (completionTime && !is('Complete')) {
      const why = 'cannot set completionTime when there is no Complete=True condition';
      errors.push(invalidValue('status.completionTime', completionTime, why));
    }
    if (!completionTime && is('Complete')) {
      errors.push(required('status.completionTime', 'completionTime is required for Complete jobs'));
    }
  }
  if (changed('startTime', 'completionTime') && startTime && completionTime && isBefore(completionTime, startTime)) {
    const why = 'completionTime cannot be set before startTime';
    errors.push(invalidValue('status.completionTime', completionTime, why));
  }
  for (const [end, announcement] of [
    ['Failed', 'FailureTarget'],
    ['Complete', 'SuccessCriteriaMet'],
  ] as const) {
    if (turned(end) && is(end) && !is(announcement)) {
      refuse(`cannot set ${end}=True condition without the ${announcement}=true condition`);
    }
  }
  return errors;
}

const isBefore = (time: string, other: string) => Date.parse(time) < Date.parse(other);

/** Nothing of a job that has ended is under way any more. */
function validatePodsOfEnd({ now, changed, isFinished, turnedFinished }: Change): FieldError[] {
  const errors: FieldError[] = [];
  const isJudged = (...fields: (keyof JobStatus)[]) => isFinished && (turnedFinished || changed(...fields));
  const { active = 0, ready, terminating = 0, uncountedTerminatedPods: uncounted } = now;
  if (isJudged('active') && active > 0) {
    errors.push(invalidValue('status.active', active, 'active>0 is invalid for finished job'));
  }
  if (isJudged('startTime') && !now.startTime) {
    errors.push(required('status.startTime', 'startTime is required for finished job'));
  }
  if (
    isJudged('uncountedTerminatedPods') &&
    (uncounted?.failed?.length ?? 0) + (uncounted?.succeeded?.length ?? 0) > 0
  ) {
    const why = 'uncountedTerminatedPods needs to be empty for finished job';
    errors.push(invalidValue('status.uncountedTerminatedPods', uncounted, why));
  }
  if (isJudged('terminating') && terminating > 0) {
    errors.push(invalidValue('status.terminating', terminating, 'terminating>0 is invalid for finished job'));
  }
  if (changed('active', 'ready') && ready !== undefined && ready > active) {
    errors.push(invalidValue('status.ready', ready, 'cannot set more ready pods than active'));
  }
  return errors;
}

function validateIndexFields({ spec }: Job, { now, changed }: Change): FieldError[] {
  const errors: FieldError[] = [];
  const { completedIndexes = '', failedIndexes } = now;
  const { completions, completionMode, backoffLimitPerIndex } = spec ?? {};
  const isLimited = backoffLimitPerIndex !== undefined;
  const check = (field: 'completedIndexes' | 'failedIndexes', text: string) => {
    const { why } = checkIndexes(text, completions ?? 0);
    if (why !== undefined) errors.push(invalidValue(`status.${field}`, text, `error parsing ${field}: ${why}`));
  };
  if (changed('completedIndexes')) {
    if (completions !== undefined) check('completedIndexes', completedIndexes);
    if (completedIndexes !== '' && completionMode !== 'Indexed') {
      const why = 'cannot set non-empty completedIndexes when non-indexed completion mode';
      errors.push(invalidValue('status.completedIndexes', completedIndexes, why));
    }
  }
  if (failedIndexes === undefined) return errors;
  if (changed('failedIndexes')) {
    if (completions !== undefined && isLimited) check('failedIndexes', failedIndexes);
    if (!isLimited) {
      const why = 'cannot set non-null failedIndexes when backoffLimitPerIndex is null';
      errors.push(invalidValue('status.failedIndexes', failedIndexes, why));
    }
  }
  if (changed('completedIndexes', 'failedIndexes') && completions !== undefined) {
    const index = overlapOf(completedIndexes, failedIndexes, completions);
    if (index !== undefined) {
      const why = `failedIndexes and completedIndexes overlap at index: ${index}`;
      errors.push(invalidValue('status.failedIndexes', failedIndexes, why));
    }
  }
  return errors;
}

function validateSuccessCriteria({ spec }: Job, { is }: Change): FieldError[] {
  const isMet = is('SuccessCriteriaMet');
  const errors: FieldError[] = [];
  for (const end of ['Failed', 'FailureTarget']) {
    if (isMet && is(end)) {
      errors.push(invalidWithoutValue(CONDITIONS, `cannot set SuccessCriteriaMet=True and ${end}=true conditions`));
    }
  }
  if (spec?.successPolicy && !isMet && is('Complete')) {
    const why = 'cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True';
    errors.push(invalidWithoutValue(CONDITIONS, why));
  }
  return errors;
}

/** What was said stays said, and what was counted is counted. */
function validateStaying({ spec }: Job, { now, before, is, was, changed }: Change): FieldError[] {
  const errors: FieldError[] = [];
  const refuse = (why: string) => errors.push(invalidWithoutValue(CONDITIONS, why));
  for (const type of ['Failed', 'Complete', 'FailureTarget']) {
    if (was(type) && !is(type)) refuse(`cannot disable the terminal ${type}=True condition`);
  }
  const fewer = (field: 'failed' | 'succeeded') => {
    const count = now[field] ?? 0;
    if (count >= (before[field] ?? 0)) return;
    errors.push(invalidValue(`status.${field}`, count, `cannot decrease the ${field} counter`));
  };
  fewer('failed');
  // An indexed job may be made smaller, and with it what of it has succeeded.
  const mayShrink = spec?.completionMode === 'Indexed' && spec.completions === spec.parallelism;
  if (!mayShrink) fewer('succeeded');
  if (now.completionTime && before.completionTime && changed('completionTime')) {
    errors.push(invalidValue('status.completionTime', now.completionTime, 'completionTime cannot be mutated'));
  }
  if (before.startTime && changed('startTime') && !spec?.suspend) {
    errors.push(required('status.startTime', 'startTime cannot be removed for unsuspended job'));
  }
  if (was('SuccessCriteriaMet') && !is('SuccessCriteriaMet')) {
    refuse('cannot disable the SuccessCriteriaMet=True condition');
  }
  if (was('Complete') && !was('SuccessCriteriaMet') && is('SuccessCriteriaMet')) {
    refuse('cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions');
  }
  return errors;
}
