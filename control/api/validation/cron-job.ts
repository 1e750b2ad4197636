/** Validation of cron jobs. */
import { scheduleError } from '../cron/schedule.ts';
import { isTimeZone } from '../cron/zones.ts';
import type { CronJob } from '../generated/types.ts';
import { isEqual } from '../schema/equal.ts';
import type { FieldError } from '../status.ts';
import { invalidValue, notNegative, oneOf, required } from './errors.ts';
import { validateJobSpec } from './job.ts';
import { validateLabels } from './metadata.ts';
import { podSpecWarnings } from './pod-warnings.ts';
import { nameWarnings } from './workloads.ts';

/** A job's name is longer by the time of its run, and must fit a label. */
const NAME_LENGTH_MAX = 52;

export function validateCronJob(object: CronJob): FieldError[] {
  const { spec, metadata } = object;
  const name = metadata?.name ?? '';
  return [
    ...validateSchedule(spec?.schedule ?? ''),
    ...notNegative('spec.startingDeadlineSeconds', spec?.startingDeadlineSeconds),
    ...validateTimeZone(spec?.timeZone),
    ...oneOf('spec.concurrencyPolicy', spec?.concurrencyPolicy ?? '', ['Allow', 'Forbid', 'Replace']),
    ...validateLabels(spec?.jobTemplate.metadata?.labels, 'spec.jobTemplate.metadata.labels'),
    ...(spec?.jobTemplate.spec ? validateJobTemplate(object) : []),
    ...notNegative('spec.successfulJobsHistoryLimit', spec?.successfulJobsHistoryLimit),
    ...notNegative('spec.failedJobsHistoryLimit', spec?.failedJobsHistoryLimit),
    ...(name.length > NAME_LENGTH_MAX
      ? [invalidValue('metadata.name', name, `must be no more than ${NAME_LENGTH_MAX} characters`)]
      : []),
  ];
}

/** The job's own defaults are not written into the template; they are no mistakes either. */
function validateJobTemplate({ spec }: CronJob): FieldError[] {
  if (!spec?.jobTemplate.spec) return [];
  return validateJobSpec({ completionMode: 'NonIndexed', ...spec.jobTemplate.spec }, 'spec.jobTemplate.spec');
}

function validateSchedule(schedule: string): FieldError[] {
  const field = 'spec.schedule';
  if (schedule === '') return [required(field)];
  const why = scheduleError(schedule, isTimeZone);
  if (why !== undefined) return [invalidValue(field, schedule, why)];
  if (!schedule.includes('TZ')) return [];
  return [invalidValue(field, schedule, 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead')];
}

function validateTimeZone(zone: string | undefined): FieldError[] {
  if (zone === undefined) return [];
  const refuse = (why: string) => [invalidValue('spec.timeZone', zone, why)];
  if (zone === '') return refuse('timeZone must be nil or non-empty string');
  if (zone.toLowerCase() === 'local') {
    return refuse('timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones');
  }
  return isTimeZone(zone) ? [] : refuse(`unknown time zone ${zone}`);
}

export function cronJobWarnings(object: CronJob, old: CronJob | undefined): string[] {
  const template = object.spec?.jobTemplate.spec?.template;
  const warnings = nameWarnings(object, old);
  if (!template?.spec || (old && isEqual(template, old.spec?.jobTemplate.spec?.template))) return warnings;
  return [...warnings, ...podSpecWarnings(template.spec, 'spec.jobTemplate.spec.template.spec')];
}
