/** What keeps pods running: deployments, replica sets, daemon sets, jobs. */
import type {
  CronJob,
  DaemonSet,
  Deployment,
  Job,
  PersistentVolumeClaim,
  Pod,
  ReplicaSet,
  ReplicationController,
  StatefulSet,
} from '../../control/api/generated/types.ts';
import { humanDuration } from '../../control/api/printers/human-duration.ts';
import { labelsText, selectorOrNone } from '../../control/api/printers/printer.ts';
import { type DescribeHelp, describing } from './description.ts';
import { annotationLines, controllerLines, labelLines, mapLines, selectorLine, timeText } from './lines.ts';
import { templateLines } from './pod-template.ts';

export const deployment = describing<Deployment>(async (object, help) => {
  const { metadata, spec, status } = object;
  const { updatedReplicas = 0, replicas = 0, availableReplicas = 0, unavailableReplicas = 0 } = status ?? {};
  const rolling = spec?.strategy?.rollingUpdate;
  const replicaSets = (
    await help.list<ReplicaSet>('replicasets.apps', {
      selector: selectorOrNone(spec?.selector),
      ...(metadata?.namespace && { namespace: metadata.namespace }),
    })
  ).filter(({ metadata: own }) => own?.ownerReferences?.some(owner => owner.uid === metadata?.uid));
  const revision = (replicaSet: ReplicaSet) =>
    Number(replicaSet.metadata?.annotations?.['deployment.kubernetes.io/revision'] ?? 0);
  const newest = [...replicaSets].sort((a, b) => revision(b) - revision(a))[0];
  const text = (replicaSet: ReplicaSet) =>
    `${replicaSet.metadata?.name} (${replicaSet.status?.replicas ?? 0}/${replicaSet.spec?.replicas ?? 0} replicas created)`;
  const old = replicaSets.filter(replicaSet => replicaSet !== newest).map(text);
  return [
    `Name:\t${metadata?.name}`,
    `Namespace:\t${metadata?.namespace}`,
    `CreationTimestamp:\t${timeText(metadata?.creationTimestamp)}`,
    ...labelLines(metadata?.labels),
    ...annotationLines(metadata),
    selectorLine(spec?.selector),
    `Replicas:\t${spec?.replicas ?? 0} desired | ${updatedReplicas} updated | ${replicas} total | ${availableReplicas} available | ${unavailableReplicas} unavailable`,
    `StrategyType:\t${spec?.strategy?.type ?? ''}`,
    `MinReadySeconds:\t${spec?.minReadySeconds ?? 0}`,
    ...(rolling
      ? [`RollingUpdateStrategy:\t${rolling.maxUnavailable} max unavailable, ${rolling.maxSurge} max surge`]
      : []),
    'Pod Template:',
    ...templateLines(spec?.template),
    ...conditionLines(status?.conditions),
    ...(newest ? [`OldReplicaSets:\t${old.join(', ') || '<none>'}`, `NewReplicaSet:\t${text(newest)}`] : []),
  ];
});

export const replicaSet = describing<ReplicaSet>(async (object, help) => {
  const { metadata, spec, status } = object;
  return [
    `Name:\t${metadata?.name}`,
    `Namespace:\t${metadata?.namespace}`,
    selectorLine(spec?.selector),
    ...labelLines(metadata?.labels),
    ...annotationLines(metadata),
    ...controllerLines(metadata),
    `Replicas:\t${status?.replicas ?? 0} current / ${spec?.replicas ?? 0} desired`,
    `Pods Status:\t${podCounts(await ownedPods(help, object, selectorOrNone(spec?.selector)))}`,
    'Pod Template:',
    ...templateLines(spec?.template),
    ...conditionLines(status?.conditions),
  ];
});

export const replicationController = describing<ReplicationController>(async (object, help) => {
  const { metadata, spec, status } = object;
  const selector = labelsText(spec?.selector);
  return [
    `Name:\t${metadata?.name}`,
    `Namespace:\t${metadata?.namespace}`,
    `Selector:\t${selector}`,
    ...labelLines(metadata?.labels),
    ...annotationLines(metadata),
    `Replicas:\t${status?.replicas ?? 0} current / ${spec?.replicas ?? 0} desired`,
    `Pods Status:\t${podCounts(await ownedPods(help, object, selector))}`,
    'Pod Template:',
    ...templateLines(spec?.template),
    ...conditionLines(status?.conditions),
  ];
});

export const daemonSet = describing<DaemonSet>(async (object, help) => {
  const { metadata, spec, status } = object;
  return [
    `Name:\t${metadata?.name}`,
    `Namespace:\t${metadata?.namespace}`,
    selectorLine(spec?.selector),
    `Node-Selector:\t${labelsText(spec?.template.spec?.nodeSelector)}`,
    ...labelLines(metadata?.labels),
    ...annotationLines(metadata),
    `Desired Number of Nodes Scheduled: ${status?.desiredNumberScheduled ?? 0}`,
    `Current Number of Nodes Scheduled: ${status?.currentNumberScheduled ?? 0}`,
    `Number of Nodes Scheduled with Up-to-date Pods: ${status?.updatedNumberScheduled ?? 0}`,
    `Number of Nodes Scheduled with Available Pods: ${status?.numberAvailable ?? 0}`,
    `Number of Nodes Misscheduled: ${status?.numberMisscheduled ?? 0}`,
    `Pods Status:\t${podCounts(await ownedPods(help, object, selectorOrNone(spec?.selector)))}`,
    'Pod Template:',
    ...templateLines(spec?.template),
  ];
});

export const job = describing<Job>(object => {
  const { metadata, spec, status } = object;
  const { startTime, completionTime } = status ?? {};
  return [
    `Name:\t${metadata?.name}`,
    `Namespace:\t${metadata?.namespace}`,
    selectorLine(spec?.selector),
    ...labelLines(metadata?.labels),
    ...annotationLines(metadata),
    ...controllerLines(metadata),
    `Parallelism:\t${spec?.parallelism ?? '<unset>'}`,
    `Completions:\t${spec?.completions ?? '<unset>'}`,
    `Completion Mode:\t${spec?.completionMode ?? 'NonIndexed'}`,
    `Suspend:\t${spec?.suspend ?? false}`,
    `Backoff Limit:\t${spec?.backoffLimit ?? 6}`,
    ...(spec?.ttlSecondsAfterFinished === undefined
      ? []
      : [`TTL Seconds After Finished:\t${spec.ttlSecondsAfterFinished}`]),
    ...(startTime ? [`Start Time:\t${timeText(startTime)}`] : []),
    ...(completionTime ? [`Completed At:\t${timeText(completionTime)}`] : []),
    ...(startTime && completionTime
      ? [`Duration:\t${humanDuration(Date.parse(completionTime) - Date.parse(startTime))}`]
      : []),
    ...(spec?.activeDeadlineSeconds === undefined ? [] : [`Active Deadline Seconds:\t${spec.activeDeadlineSeconds}s`]),
    `Pods Statuses:\t${status?.active ?? 0} Active${status?.ready === undefined ? '' : ` (${status.ready} Ready)`} / ${status?.succeeded ?? 0} Succeeded / ${status?.failed ?? 0} Failed`,
    ...(spec?.completionMode === 'Indexed' ? [`Completed Indexes:\t${indexesText(status?.completedIndexes)}`] : []),
    'Pod Template:',
    ...templateLines(spec?.template),
  ];
});

/** How much of a list of indexes is shown. */
const INDEXES_LENGTH_MAX = 50;

function indexesText(indexes: string | undefined): string {
  if (!indexes) return '<none>';
  if (indexes.length <= INDEXES_LENGTH_MAX) return indexes;
  const end = indexes.lastIndexOf(',', INDEXES_LENGTH_MAX);
  return `${indexes.slice(0, Math.max(0, end) + 1)}...`;
}

function podCounts(pods: readonly Pod[]): string {
  const count = (phase: string) => pods.filter(({ status }) => status?.phase === phase).length;
  return `${count('Running')} Running / ${count('Pending')} Waiting / ${count('Succeeded')} Succeeded / ${count('Failed')} Failed`;
}

async function ownedPods(
  help: DescribeHelp,
  object: { metadata?: { uid?: string; namespace?: string } },
  selector: string,
): Promise<Pod[]> {
  const pods = await help.list<Pod>('pods', {
    selector,
    ...(object.metadata?.namespace && { namespace: object.metadata.namespace }),
  });
  return pods.filter(({ metadata }) =>
    metadata?.ownerReferences?.some(owner => owner.uid === object.metadata?.uid && owner.controller),
  );
}

const conditionLines = (
  conditions: readonly { type: string; status: string; reason?: string }[] | undefined,
): string[] =>
  conditions?.length
    ? [
        'Conditions:',
        '  Type\tStatus\tReason',
        '  ----\t------\t------',
        ...conditions.map(({ type, status, reason }) => `  ${type} \t${status}\t${reason ?? ''}`),
      ]
    : [];

export const statefulSet = describing<StatefulSet>(async (object, help) => {
  const { metadata, spec, status } = object;
  const rolling = spec?.updateStrategy?.rollingUpdate;
  return [
    `Name:\t${metadata?.name}`,
    `Namespace:\t${metadata?.namespace}`,
    `CreationTimestamp:\t${timeText(metadata?.creationTimestamp)}`,
    selectorLine(spec?.selector),
    ...labelLines(metadata?.labels),
    ...annotationLines(metadata),
    `Replicas:\t${spec?.replicas ?? 0} desired | ${status?.replicas ?? 0} total`,
    `Update Strategy:\t${spec?.updateStrategy?.type ?? ''}`,
    ...(rolling?.partition === undefined ? [] : [`  Partition:\t${rolling.partition}`]),
    ...(rolling?.maxUnavailable === undefined ? [] : [`  MaxUnavailable:\t${rolling.maxUnavailable}`]),
    `Pods Status:\t${podCounts(await ownedPods(help, object, selectorOrNone(spec?.selector)))}`,
    'Pod Template:',
    ...templateLines(spec?.template),
    ...claimLines(spec?.volumeClaimTemplates),
  ];
});

function claimLines(claims: readonly PersistentVolumeClaim[] | undefined): string[] {
  if (!claims?.length) return ['Volume Claims:\t<none>'];
  return [
    'Volume Claims:',
    ...claims.flatMap(({ metadata, spec }) => [
      `  Name:\t${metadata?.name}`,
      `  StorageClass:\t${spec?.storageClassName ?? ''}`,
      ...labelLines(metadata?.labels).map(line => `  ${line}`),
      ...mapLines('Annotations', metadata?.annotations, '=').map(line => `  ${line}`),
      `  Capacity:\t${spec?.resources?.requests?.storage ?? '<default>'}`,
      `  Access Modes:\t[${(spec?.accessModes ?? []).join(' ')}]`,
    ]),
  ];
}

export const cronJob = describing<CronJob>(({ metadata, spec, status }) => {
  const job = spec?.jobTemplate?.spec;
  const active = (status?.active ?? []).map(({ name }) => name ?? '');
  return [
    `Name:\t${metadata?.name}`,
    `Namespace:\t${metadata?.namespace}`,
    ...labelLines(metadata?.labels),
    ...annotationLines(metadata),
    `Schedule:\t${spec?.schedule ?? ''}`,
    `Concurrency Policy:\t${spec?.concurrencyPolicy ?? ''}`,
    `Suspend:\t${spec?.suspend === undefined ? '<unset>' : spec.suspend ? 'True' : 'False'}`,
    `Successful Job History Limit:\t${spec?.successfulJobsHistoryLimit ?? '<unset>'}`,
    `Failed Job History Limit:\t${spec?.failedJobsHistoryLimit ?? '<unset>'}`,
    `Starting Deadline Seconds:\t${spec?.startingDeadlineSeconds === undefined ? '<unset>' : `${spec.startingDeadlineSeconds}s`}`,
    job?.selector ? selectorLine(job.selector) : 'Selector:\t<unset>',
    `Parallelism:\t${job?.parallelism ?? '<unset>'}`,
    `Completions:\t${job?.completions ?? '<unset>'}`,
    ...(job?.activeDeadlineSeconds === undefined ? [] : [`Active Deadline Seconds:\t${job.activeDeadlineSeconds}s`]),
    'Pod Template:',
    ...templateLines(job?.template),
    `Last Schedule Time:\t${timeText(status?.lastScheduleTime)}`,
    `Active Jobs:\t${active.join(', ') || '<none>'}`,
  ];
});
