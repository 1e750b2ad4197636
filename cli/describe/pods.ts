/** `describe pod`. */
import type { Pod } from '../../control/api/generated/types.ts';
import { podReason } from '../../control/api/printers/pods.ts';
import { describing } from './description.ts';
import { annotationLines, controllerLines, labelLines, mapLines, timeText } from './lines.ts';
import { containerLines, tolerationLines, volumeLines } from './pod-template.ts';

const YES: Readonly<Record<string, string>> = { True: 'True', False: 'False' };

export const pod = describing<Pod>(object => {
  const { metadata, spec, status } = object;
  const statuses = status?.containerStatuses ?? [];
  return [
    `Name:\t${metadata?.name}`,
    `Namespace:\t${metadata?.namespace}`,
    `Priority:\t${spec?.priority ?? 0}`,
    ...(spec?.priorityClassName ? [`Priority Class Name:\t${spec.priorityClassName}`] : []),
    ...(spec?.runtimeClassName ? [`Runtime Class Name:\t${spec.runtimeClassName}`] : []),
    `Service Account:\t${spec?.serviceAccountName ?? ''}`,
    `Node:\t${spec?.nodeName ? `${spec.nodeName}/${status?.hostIP ?? ''}` : '<none>'}`,
    ...(status?.startTime ? [`Start Time:\t${timeText(status.startTime)}`] : []),
    ...labelLines(metadata?.labels),
    ...annotationLines(metadata),
    ...podStatusLines(object),
    ...(status?.reason ? [`Reason:\t${status.reason}`] : []),
    ...(status?.message ? [`Message:\t${status.message}`] : []),
    `IP:\t${status?.podIP ?? ''}`,
    ...(status?.podIPs?.length ? ['IPs:', ...status.podIPs.map(({ ip }) => `  IP:\t${ip}`)] : ['IPs:\t<none>']),
    ...controllerLines(metadata),
    ...(status?.nominatedNodeName ? [`NominatedNodeName:\t${status.nominatedNodeName}`] : []),
    ...(spec?.initContainers?.length
      ? containerLines('Init Containers', spec.initContainers, status?.initContainerStatuses ?? [], metadata)
      : []),
    ...containerLines('Containers', spec?.containers ?? [], statuses, metadata),
    ...(status?.conditions?.length
      ? [
          'Conditions:',
          '  Type\tStatus',
          ...status.conditions.map(({ type, status }) => `  ${type} \t${YES[status] ?? status} `),
        ]
      : []),
    ...volumeLines(spec?.volumes),
    ...(status?.qosClass ? [`QoS Class:\t${status.qosClass}`] : []),
    ...mapLines('Node-Selectors', spec?.nodeSelector, '='),
    ...tolerationLines(spec),
  ];
});

function podStatusLines(object: Pod): string[] {
  const { metadata, status } = object;
  if (!metadata?.deletionTimestamp) return [`Status:\t${status?.reason ? podReason(object) : (status?.phase ?? '')}`];
  return [
    `Status:\tTerminating (lasts <invalid>)`,
    `Termination Grace Period:\t${metadata.deletionGracePeriodSeconds ?? 0}s`,
  ];
}
