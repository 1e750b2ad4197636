/** When a Job is over. Pure. */
import type { Job, JobCondition } from '../api/generated/types.ts';

/** The condition that says so: Complete or Failed. */
export function finishedCondition(job: Job): JobCondition | undefined {
  return job.status?.conditions?.find(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  );
}

export const isJobFinished = (job: Job): boolean => finishedCondition(job) !== undefined;
