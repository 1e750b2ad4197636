/** `describe node`. */
import type { Lease, Node, Pod } from '../../control/api/generated/types.ts';
import { nodeRoles } from '../../control/api/printers/nodes.ts';
import { describing } from './description.ts';
import { annotationLines, labelLines, timeText } from './lines.ts';
import { nodeResourceLines } from './node-resources.ts';

export const node = describing<Node>(async (object, help) => {
  const { metadata, spec, status } = object;
  const info = status?.nodeInfo;
  const name = metadata?.name ?? '';
  const [lease, pods] = await Promise.all([
    help.get<Lease>('leases.coordination.k8s.io', name, 'kube-node-lease'),
    help.list<Pod>('pods', { fieldSelector: `spec.nodeName=${name},status.phase!=Succeeded,status.phase!=Failed` }),
  ]);
  const sortedTaints = (spec?.taints ?? []).toSorted((a, b) =>
    `${a.effect},${a.key}` < `${b.effect},${b.key}` ? -1 : 1,
  );
  const taints = sortedTaints.map(({ key, value, effect }) => `${key}${value ? `=${value}` : ''}:${effect}`);
  const amounts = (map: Readonly<Record<string, string | number>> | undefined) =>
    Object.entries(map ?? {})
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([resource, amount]) => `  ${resource}:\t${amount}`);
  return [
    `Name:\t${name}`,
    `Roles:\t${nodeRoles(object).join(',') || '<none>'}`,
    ...labelLines(metadata?.labels),
    ...annotationLines(metadata),
    `CreationTimestamp:\t${timeText(metadata?.creationTimestamp)}`,
    ...(taints.length > 0
      ? taints.map((taint, index) => `${index === 0 ? 'Taints:' : ''}\t${taint}`)
      : ['Taints:\t<none>']),
    `Unschedulable:\t${spec?.unschedulable ?? false}`,
    ...(lease
      ? [
          'Lease:',
          `  HolderIdentity:\t${lease.spec?.holderIdentity ?? '<unset>'}`,
          `  AcquireTime:\t${timeText(lease.spec?.acquireTime)}`,
          `  RenewTime:\t${timeText(lease.spec?.renewTime)}`,
        ]
      : [`Lease:\tFailed to get lease: leases.coordination.k8s.io ${JSON.stringify(name)} not found`]),
    ...(status?.conditions?.length
      ? [
          'Conditions:',
          '  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage',
          '  ----\t------\t-----------------\t------------------\t------\t-------',
          ...status.conditions.map(
            condition =>
              `  ${condition.type} \t${condition.status} \t${timeText(condition.lastHeartbeatTime)} \t${timeText(condition.lastTransitionTime)} \t${condition.reason ?? ''} \t${condition.message ?? ''}`,
          ),
        ]
      : []),
    'Addresses:',
    ...(status?.addresses ?? []).map(({ type, address }) => `  ${type}:\t${address}`),
    ...(status?.capacity ? ['Capacity:', ...amounts(status.capacity)] : []),
    ...(status?.allocatable ? ['Allocatable:', ...amounts(status.allocatable)] : []),
    'System Info:',
    `  Machine ID:\t${info?.machineID ?? ''}`,
    `  System UUID:\t${info?.systemUUID ?? ''}`,
    `  Boot ID:\t${info?.bootID ?? ''}`,
    `  Kernel Version:\t${info?.kernelVersion ?? ''}`,
    `  OS Image:\t${info?.osImage ?? ''}`,
    `  Operating System:\t${info?.operatingSystem ?? ''}`,
    `  Architecture:\t${info?.architecture ?? ''}`,
    `  Container Runtime Version:\t${info?.containerRuntimeVersion ?? ''}`,
    `  Kubelet Version:\t${info?.kubeletVersion ?? ''}`,
    `  Kube-Proxy Version:\t${info?.kubeProxyVersion ?? ''}`,
    ...(spec?.podCIDR ? [`PodCIDR:\t${spec.podCIDR}`] : []),
    ...(spec?.podCIDRs ? [`PodCIDRs:\t${spec.podCIDRs.join(',')}`] : []),
    ...(spec?.providerID ? [`ProviderID:\t${spec.providerID}`] : []),
    ...nodeResourceLines(object, pods, help.now),
  ];
});
