/** Cron jobs. */
import * as kinds from '../generated/kinds.ts';
import { cronJobWarnings, validateCronJob } from '../validation/cron-job.ts';
import { declare, STATUS } from './declare.ts';
import { defaultFailurePolicy } from './jobs.ts';
import { defaultPodTemplate } from './pod-defaults.ts';

const SUCCESSFUL_JOBS = 3;
const FAILED_JOBS = 1;

export const cronJob = declare(kinds.cronjobs, {
  tracksGeneration: true,
  subresources: [STATUS],
  podSpecOf: ({ spec }) => spec?.jobTemplate?.spec?.template?.spec,
  defaults({ spec }) {
    if (!spec) return;
    spec.concurrencyPolicy ||= 'Allow';
    spec.suspend ??= false;
    spec.successfulJobsHistoryLimit ??= SUCCESSFUL_JOBS;
    spec.failedJobsHistoryLimit ??= FAILED_JOBS;
    // The jobs get their other defaults when they are made.
    if (spec.jobTemplate?.spec) defaultFailurePolicy(spec.jobTemplate.spec);
    defaultPodTemplate(spec.jobTemplate?.spec?.template);
  },
  validate: validateCronJob,
  warnings: cronJobWarnings,
});
