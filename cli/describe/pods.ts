/** `describe pod`. */
import type { Pod, SeccompProfile } from '../../control/api/generated/types.ts';
import { ageOf } from '../../control/api/printers/human-duration.ts';
import { describing } from './description.ts';
import { annotationLines, controllerLines, labelLines, mapLines, timeText } from './lines.ts';
import { containerLines, spreadLines, tolerationLines, volumeLines } from './pod-template.ts';

const YES: Readonly<Record<string, string>> = { True: 'True', False: 'False' };

export const pod = describing<Pod>((object, { now }) => {
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
    ...podStatusLines(object, now),
    ...(status?.reason ? [`Reason:\t${status.reason}`] : []),
    ...(status?.message ? [`Message:\t${status.message}`] : []),
    ...seccompLines(spec?.securityContext?.seccompProfile),
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
    ...spreadLines(spec),
  ];
});

function podStatusLines({ metadata, status }: Pod, now: number): string[] {
  const hasEnded = status?.phase === 'Failed' || status?.phase === 'Succeeded';
  if (!metadata?.deletionTimestamp || hasEnded) return [`Status:\t${status?.phase ?? ''}`];
  return [
    `Status:\tTerminating (lasts ${ageOf(metadata.deletionTimestamp, now)})`,
    `Termination Grace Period:\t${metadata.deletionGracePeriodSeconds ?? 0}s`,
  ];
}

function seccompLines(profile: SeccompProfile | undefined): string[] {
  if (!profile) return [];
  const { type, localhostProfile } = profile;
  return [
    `SeccompProfile:\t${type}`,
    ...(type === 'Localhost' ? [`LocalhostProfile:\t${localhostProfile ?? ''}`] : []),
  ];
}
