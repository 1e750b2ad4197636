/** Controllers of pods. */
import type {
  ControllerRevision,
  CronJob,
  DaemonSet,
  Deployment,
  Job,
  PodDisruptionBudget,
  ReplicaSet,
  ReplicationController,
  StatefulSet,
} from '../generated/types.ts';
import { ageOf, humanDuration } from './human-duration.ts';
import {
  age,
  CONTAINERS_AND_IMAGES,
  column,
  columns,
  containersAndImages,
  labelsText,
  NAME,
  nameOf,
  type Printer,
  printer,
  selectorOrNone,
  selectorText,
  wide,
} from './printer.ts';

const COUNTS = [column('Desired', 'integer'), column('Current', 'integer'), column('Ready', 'integer')] as const;
const WIDE = [...CONTAINERS_AND_IMAGES, wide('Selector')] as const;

export const deployment: Printer = printer<Deployment>(
  columns(NAME, 'Ready', 'Up-to-date', 'Available', 'Age', ...WIDE),
  (object, now) => [
    nameOf(object),
    `${object.status?.readyReplicas ?? 0}/${object.spec?.replicas ?? 0}`,
    object.status?.updatedReplicas ?? 0,
    object.status?.availableReplicas ?? 0,
    age(object, now),
    ...containersAndImages(object.spec?.template.spec),
    selectorText(object.spec?.selector),
  ],
);

export const replicaSet: Printer = printer<ReplicaSet>(columns(NAME, ...COUNTS, 'Age', ...WIDE), (object, now) => [
  nameOf(object),
  object.spec?.replicas ?? 0,
  object.status?.replicas ?? 0,
  object.status?.readyReplicas ?? 0,
  age(object, now),
  ...containersAndImages(object.spec?.template?.spec),
  selectorOrNone(object.spec?.selector),
]);

export const replicationController: Printer = printer<ReplicationController>(
  columns(NAME, ...COUNTS, 'Age', ...WIDE),
  (object, now) => [
    nameOf(object),
    object.spec?.replicas ?? 0,
    object.status?.replicas ?? 0,
    object.status?.readyReplicas ?? 0,
    age(object, now),
    ...containersAndImages(object.spec?.template?.spec),
    labelsText(object.spec?.selector),
  ],
);

export const statefulSet: Printer = printer<StatefulSet>(
  columns(NAME, 'Ready', 'Age', ...CONTAINERS_AND_IMAGES),
  (object, now) => [
    nameOf(object),
    `${object.status?.readyReplicas ?? 0}/${object.spec?.replicas ?? 0}`,
    age(object, now),
    ...containersAndImages(object.spec?.template.spec),
  ],
);

export const daemonSet: Printer = printer<DaemonSet>(
  columns(
    NAME,
    ...COUNTS,
    column('Up-to-date', 'integer'),
    column('Available', 'integer'),
    'Node Selector',
    'Age',
    ...WIDE,
  ),
  (object, now) => [
    nameOf(object),
    object.status?.desiredNumberScheduled ?? 0,
    object.status?.currentNumberScheduled ?? 0,
    object.status?.numberReady ?? 0,
    object.status?.updatedNumberScheduled ?? 0,
    object.status?.numberAvailable ?? 0,
    labelsText(object.spec?.template.spec?.nodeSelector),
    age(object, now),
    ...containersAndImages(object.spec?.template.spec),
    selectorOrNone(object.spec?.selector),
  ],
);

export const job: Printer = printer<Job>(
  columns(NAME, 'Status', 'Completions', 'Duration', 'Age', ...WIDE),
  (object, now) => [
    nameOf(object),
    jobStatus(object),
    jobCompletions(object),
    jobDuration(object, now),
    age(object, now),
    ...containersAndImages(object.spec?.template.spec),
    selectorOrNone(object.spec?.selector),
  ],
);

function jobStatus(job: Job): string {
  const has = (type: string) =>
    (job.status?.conditions ?? []).some(condition => condition.type === type && condition.status === 'True');
  if (has('Complete')) return 'Complete';
  if (has('Failed')) return 'Failed';
  if (job.metadata?.deletionTimestamp) return 'Terminating';
  if (has('Suspended')) return 'Suspended';
  return has('FailureTarget') ? 'FailureTarget' : 'Running';
}

function jobCompletions(job: Job): string {
  const succeeded = job.status?.succeeded ?? 0;
  if (job.spec?.completions !== undefined) return `${succeeded}/${job.spec.completions}`;
  const parallelism = job.spec?.parallelism ?? 0;
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

function jobDuration(job: Job, now: number): string {
  const { startTime, completionTime } = job.status ?? {};
  if (!startTime) return '';
  return humanDuration((completionTime ? Date.parse(completionTime) : now) - Date.parse(startTime));
}

export const cronJob: Printer = printer<CronJob>(
  columns(
    NAME,
    'Schedule',
    'Timezone',
    column('Suspend', 'boolean'),
    column('Active', 'integer'),
    'Last Schedule',
    'Age',
    ...WIDE,
  ),
  (object, now) => [
    nameOf(object),
    object.spec?.schedule ?? '',
    object.spec?.timeZone ?? '<none>',
    object.spec?.suspend === undefined ? '<unset>' : object.spec.suspend ? 'True' : 'False',
    object.status?.active?.length ?? 0,
    object.status?.lastScheduleTime ? ageOf(object.status.lastScheduleTime, now) : '<none>',
    age(object, now),
    ...containersAndImages(object.spec?.jobTemplate.spec?.template.spec),
    selectorOrNone(object.spec?.jobTemplate.spec?.selector),
  ],
);

export const controllerRevision: Printer = printer<ControllerRevision>(
  columns(NAME, 'Controller', 'Revision', 'Age'),
  (object, now) => [nameOf(object), controllerOf(object), object.revision, age(object, now)],
);

/** `statefulset.apps/name` of the owner that controls the object. */
function controllerOf(object: ControllerRevision): string {
  const owner = (object.metadata?.ownerReferences ?? []).find(reference => reference.controller);
  if (!owner) return '<none>';
  const group = owner.apiVersion.includes('/') ? `.${owner.apiVersion.split('/')[0]}` : '';
  return `${owner.kind.toLowerCase()}${group}/${owner.name}`;
}

export const podDisruptionBudget: Printer = printer<PodDisruptionBudget>(
  columns(NAME, 'Min Available', 'Max Unavailable', column('Allowed Disruptions', 'integer'), 'Age'),
  (object, now) => [
    nameOf(object),
    String(object.spec?.minAvailable ?? 'N/A'),
    String(object.spec?.maxUnavailable ?? 'N/A'),
    object.status?.disruptionsAllowed ?? 0,
    age(object, now),
  ],
);
