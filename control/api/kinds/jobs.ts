/** Jobs. */
import * as kinds from '../generated/kinds.ts';
import type { Job, JobSpec } from '../generated/types.ts';
import { isEqual } from '../schema/equal.ts';
import { jobWarnings, validateJob, validateJobUpdate } from '../validation/job.ts';
import { declare, metadataOf, STATUS } from './declare.ts';
import { defaultPodTemplate } from './pod-defaults.ts';

const BACKOFF_LIMIT = 6;
const INT32_MAX = 2_147_483_647;

/** Longer names cannot be values of labels; validation says so of the template. */
const LABEL_LENGTH_MAX = 63;

/** Labels by which a job knows its pods, in the names of today and of before. */
const UID_LABELS = ['batch.kubernetes.io/controller-uid', 'controller-uid'] as const;
const NAME_LABELS = ['batch.kubernetes.io/job-name', 'job-name'] as const;

export const job = declare(kinds.jobs, {
  tracksGeneration: true,
  subresources: [STATUS],
  defaultPropagation: 'Orphan',
  podSpecOf: ({ spec }) => spec?.template?.spec,
  defaults(object) {
    if (object.spec) defaultJobSpec(object.spec);
    if (!object.metadata?.labels && object.spec?.template.metadata?.labels) {
      metadataOf(object).labels = { ...object.spec.template.metadata.labels };
    }
  },
  prepareForCreate(object) {
    const { spec } = object;
    if (!spec || spec.manualSelector) return;
    const { labels = {}, name = '' } = object.metadata ?? {};
    const isDefaulted = isEqual(labels, spec.template.metadata?.labels ?? {});
    generateSelector(object, spec);
    // Labels that came from the template follow it.
    if (isDefaulted && name.length <= LABEL_LENGTH_MAX)
      metadataOf(object).labels = { ...spec.template.metadata?.labels };
  },
  validate: validateJob,
  judgesWholeFirst: true,
  validateUpdate: validateJobUpdate,
  warnings: jobWarnings,
  selectableFieldNames: ['status.successful'],
  selectableFields: ({ status }) => ({ 'status.successful': String(status?.succeeded ?? 0) }),
});

/** Defaults of a job's spec, also inside cron jobs. */
export function defaultJobSpec(spec: JobSpec): void {
  // One of each where neither is said; with completions alone they run one after the other.
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1;
  spec.parallelism ??= 1;
  spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? BACKOFF_LIMIT : INT32_MAX;
  spec.completionMode ??= 'NonIndexed';
  spec.suspend ??= false;
  spec.manualSelector ??= false;
  spec.podReplacementPolicy ??= spec.podFailurePolicy ? 'Failed' : 'TerminatingOrFailed';
  defaultFailurePolicy(spec);
  defaultPodTemplate(spec.template);
}

/** A condition is asked to hold where nothing is said. Cron jobs' jobs have this default too. */
export function defaultFailurePolicy({ podFailurePolicy }: Pick<JobSpec, 'podFailurePolicy'>): void {
  for (const rule of podFailurePolicy?.rules ?? []) {
    for (const pattern of rule.onPodConditions ?? []) pattern.status ||= 'True';
  }
}

/** A job selects its pods by its uid; pods and job are labelled with it and with the job's name. */
function generateSelector(job: Job, spec: JobSpec): void {
  const metadata = metadataOf(job);
  const uid = metadata.uid ?? '';
  const name = metadata.name ?? '';
  const labels: Record<string, string> = { ...spec.template.metadata?.labels };
  for (const label of UID_LABELS) labels[label] = uid;
  for (const label of NAME_LABELS) labels[label] = name;
  spec.template.metadata = { ...spec.template.metadata, labels };
  spec.selector ??= {};
  spec.selector.matchLabels = { ...spec.selector.matchLabels, [UID_LABELS[0]]: uid };
}
