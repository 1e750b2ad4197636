/** What `describe` says of each kind. Kinds that are not here are described by their fields. */

import type {
  ConfigMap,
  DaemonSet,
  Deployment,
  EndpointSlice,
  Endpoints,
  Job,
  Lease,
  Namespace,
  Node,
  Pod,
  ReplicaSet,
  ReplicationController,
  ResourceQuota,
  Secret,
  Service,
  ServiceAccount,
} from '../../control/api/generated/types.ts';
import { ageOf, humanDuration } from '../../control/api/printers/human-duration.ts';
import { nodeRoles } from '../../control/api/printers/nodes.ts';
import { podReason } from '../../control/api/printers/pods.ts';
import { labelsText, selectorOrNone } from '../../control/api/printers/printer.ts';
import type { JsonObject } from '../client/api.ts';
import { annotationLines, controllerLines, labelLines, mapLines, selectorLine, timeText } from './lines.ts';
import { containerLines, templateLines, tolerationLines, volumeLines } from './pod-template.ts';

/** What a description may need besides the object. */
export interface DescribeHelp {
  readonly now: number;
  /** Objects of another resource, by its name, with a label or field selector. */
  list<T>(resource: string, selection: { selector?: string; fieldSelector?: string; namespace?: string }): Promise<T[]>;
  /** All of a resource in a namespace; undefined if the server does not serve it. */
  maybeList<T>(resource: string, namespace: string): Promise<T[] | undefined>;
  /** Undefined if there is none. */
  get<T>(resource: string, name: string, namespace: string): Promise<T | undefined>;
}

export type Describe = (object: JsonObject, help: DescribeHelp) => Promise<string[]> | string[];

/** The object has been looked up by its kind, so its type is known. */
const describing =
  <T>(describe: (object: T, help: DescribeHelp) => Promise<string[]> | string[]): Describe =>
  (object, help) =>
    describe(object as T, help);

const YES: Readonly<Record<string, string>> = { True: 'True', False: 'False' };

const pod = describing<Pod>(object => {
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
      ? containerLines('Init Containers', spec.initContainers, status?.initContainerStatuses ?? [])
      : []),
    ...containerLines('Containers', spec?.containers ?? [], statuses),
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

const deployment = describing<Deployment>(async (object, help) => {
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

const replicaSet = describing<ReplicaSet>(async (object, help) => {
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

const replicationController = describing<ReplicationController>(async (object, help) => {
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

const daemonSet = describing<DaemonSet>(async (object, help) => {
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

const job = describing<Job>(object => {
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
    ...(startTime ? [`Start Time:\t${timeText(startTime)}`] : []),
    ...(completionTime ? [`Completed At:\t${timeText(completionTime)}`] : []),
    ...(startTime && completionTime
      ? [`Duration:\t${humanDuration(Date.parse(completionTime) - Date.parse(startTime))}`]
      : []),
    `Pods Statuses:\t${status?.active ?? 0} Active${status?.ready === undefined ? '' : ` (${status.ready} Ready)`} / ${status?.succeeded ?? 0} Succeeded / ${status?.failed ?? 0} Failed`,
    'Pod Template:',
    ...templateLines(spec?.template),
  ];
});

const service = describing<Service>(async (object, help) => {
  const { metadata, spec, status } = object;
  const namespace = metadata?.namespace ?? '';
  const slices = await help.list<EndpointSlice>('endpointslices.discovery.k8s.io', {
    selector: `kubernetes.io/service-name=${metadata?.name}`,
    namespace,
  });
  const endpoints = slices.length > 0 ? [] : [await help.get<Endpoints>('endpoints', metadata?.name ?? '', namespace)];
  const addressesOf = (portName: string | undefined): string => {
    const named = (ports: readonly { name?: string; port?: number }[] | undefined) =>
      (ports ?? []).filter(port => (port.name ?? '') === (portName ?? ''));
    const texts = [
      ...slices.flatMap(slice =>
        named(slice.ports).flatMap(({ port }) =>
          slice.endpoints
            .filter(({ conditions }) => conditions?.ready !== false)
            .flatMap(({ addresses }) => addresses.map(address => `${address}:${port}`)),
        ),
      ),
      ...endpoints.flatMap(entry =>
        (entry?.subsets ?? []).flatMap(subset =>
          named(subset.ports).flatMap(({ port }) => (subset.addresses ?? []).map(({ ip }) => `${ip}:${port}`)),
        ),
      ),
    ];
    return texts.length > 3
      ? `${texts.slice(0, 3).join(',')} + ${texts.length - 3} more...`
      : texts.join(',') || '<none>';
  };
  const ingress = (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip ?? hostname ?? '');
  return [
    `Name:\t${metadata?.name}`,
    `Namespace:\t${namespace}`,
    ...labelLines(metadata?.labels),
    ...annotationLines(metadata),
    `Selector:\t${labelsText(spec?.selector)}`,
    `Type:\t${spec?.type ?? ''}`,
    ...(spec?.ipFamilyPolicy ? [`IP Family Policy:\t${spec.ipFamilyPolicy}`] : []),
    ...(spec?.ipFamilies ? [`IP Families:\t${spec.ipFamilies.join(',')}`] : []),
    `IP:\t${spec?.clusterIP ?? ''}`,
    ...(spec?.clusterIPs ? [`IPs:\t${spec.clusterIPs.join(',')}`] : []),
    ...(spec?.externalIPs?.length ? [`External IPs:\t${spec.externalIPs.join(',')}`] : []),
    ...(spec?.externalName ? [`External Name:\t${spec.externalName}`] : []),
    ...(ingress.length > 0 ? [`LoadBalancer Ingress:\t${ingress.join(', ')}`] : []),
    ...(spec?.ports ?? []).flatMap(port => [
      `Port:\t${port.name ?? '<unset>'}\t${port.port}/${port.protocol ?? 'TCP'}`,
      `TargetPort:\t${port.targetPort ?? port.port}/${port.protocol ?? 'TCP'}`,
      ...(port.nodePort ? [`NodePort:\t${port.name ?? '<unset>'}\t${port.nodePort}/${port.protocol ?? 'TCP'}`] : []),
      `Endpoints:\t${addressesOf(port.name)}`,
    ]),
    `Session Affinity:\t${spec?.sessionAffinity ?? 'None'}`,
    ...(spec?.externalTrafficPolicy ? [`External Traffic Policy:\t${spec.externalTrafficPolicy}`] : []),
    ...(spec?.internalTrafficPolicy ? [`Internal Traffic Policy:\t${spec.internalTrafficPolicy}`] : []),
  ];
});

const namespace = describing<Namespace>(async (object, help) => {
  const name = object.metadata?.name ?? '';
  const quotas = await help.maybeList<ResourceQuota>('resourcequotas', name);
  const limits = await help.maybeList<JsonObject>('limitranges', name);
  return [
    `Name:\t${name}`,
    ...labelLines(object.metadata?.labels),
    ...annotationLines(object.metadata),
    `Status:\t${object.status?.phase ?? ''}`,
    ...(object.status?.conditions?.length
      ? [
          'Conditions:',
          '  Type\tStatus\tReason\tMessage',
          '  ----\t------\t------\t-------',
          ...object.status.conditions.map(
            ({ type, status, reason, message }) => `  ${type}\t${status}\t${reason ?? ''}\t${message ?? ''}`,
          ),
        ]
      : []),
    ...(quotas ? ['', ...quotaLines(quotas)] : []),
    ...(limits ? ['', limits.length === 0 ? 'No LimitRange resource.' : `LimitRanges:\t${limits.length}`] : []),
  ];
});

function quotaLines(quotas: readonly ResourceQuota[]): string[] {
  if (quotas.length === 0) return ['No resource quota.'];
  return [
    'Resource Quotas',
    ...quotas.flatMap(({ metadata, status }) => [
      `  Name:\t${metadata?.name}`,
      '  Resource\tUsed\tHard',
      '  --------\t---\t---',
      ...Object.entries(status?.hard ?? {})
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([resource, hard]) => `  ${resource}\t${status?.used?.[resource] ?? 0}\t${hard}`),
    ]),
  ];
}

const configMap = describing<ConfigMap>(object => [
  `Name:\t${object.metadata?.name}`,
  `Namespace:\t${object.metadata?.namespace}`,
  ...labelLines(object.metadata?.labels),
  ...annotationLines(object.metadata),
  '',
  'Data',
  '====',
  ...Object.entries(object.data ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([key, value]) => [`${key}:`, '----', ...value.split('\n'), '']),
  '',
  'BinaryData',
  '====',
  ...Object.entries(object.binaryData ?? {}).map(
    ([key, value]) => `${key}: ${Buffer.from(value, 'base64').length} bytes`,
  ),
  '',
]);

const secret = describing<Secret>(object => [
  `Name:\t${object.metadata?.name}`,
  `Namespace:\t${object.metadata?.namespace}`,
  ...labelLines(object.metadata?.labels),
  ...annotationLines(object.metadata),
  '',
  `Type:\t${object.type ?? ''}`,
  '',
  'Data',
  '====',
  ...Object.entries(object.data ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}:\t${Buffer.from(value, 'base64').length} bytes`),
]);

const serviceAccount = describing<ServiceAccount>(object => [
  `Name:\t${object.metadata?.name}`,
  `Namespace:\t${object.metadata?.namespace}`,
  ...labelLines(object.metadata?.labels),
  ...annotationLines(object.metadata),
  `Image pull secrets:\t${(object.imagePullSecrets ?? []).map(({ name }) => name).join(', ') || '<none>'}`,
  `Mountable secrets:\t${(object.secrets ?? []).map(({ name }) => name).join(', ') || '<none>'}`,
  'Tokens:\t<none>',
]);

const node = describing<Node>(async (object, help) => {
  const { metadata, spec, status } = object;
  const info = status?.nodeInfo;
  const name = metadata?.name ?? '';
  const [lease, pods] = await Promise.all([
    help.get<Lease>('leases.coordination.k8s.io', name, 'kube-node-lease'),
    help.list<Pod>('pods', { fieldSelector: `spec.nodeName=${name},status.phase!=Succeeded,status.phase!=Failed` }),
  ]);
  const taints = (spec?.taints ?? []).map(({ key, value, effect }) => `${key}${value ? `=${value}` : ''}:${effect}`);
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
    'Lease:',
    `  HolderIdentity:\t${lease?.spec?.holderIdentity ?? '<unset>'}`,
    `  AcquireTime:\t${timeText(lease?.spec?.acquireTime)}`,
    `  RenewTime:\t${timeText(lease?.spec?.renewTime)}`,
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
    `Non-terminated Pods:\t(${pods.length} in total)`,
    '  Namespace\tName\t\tAge',
    '  ---------\t----\t\t---',
    ...pods.map(
      each =>
        `  ${each.metadata?.namespace}\t${each.metadata?.name}\t\t${ageOf(each.metadata?.creationTimestamp, help.now)}`,
    ),
  ];
});

/** By group and kind. */
export const describers: Readonly<Record<string, Describe>> = {
  '/ConfigMap': configMap,
  '/Namespace': namespace,
  '/Node': node,
  '/Pod': pod,
  '/ReplicationController': replicationController,
  '/Secret': secret,
  '/Service': service,
  '/ServiceAccount': serviceAccount,
  'apps/DaemonSet': daemonSet,
  'apps/Deployment': deployment,
  'apps/ReplicaSet': replicaSet,
  'batch/Job': job,
};

/** Fields in the order of their names, `fooBar` as `Foo Bar`. */
export const describeGeneric: Describe = object => {
  const { metadata, kind, apiVersion, ...rest } = object;
  const {
    name,
    namespace: where,
    labels,
    annotations,
    managedFields: _hidden,
    ...more
  } = (metadata ?? {}) as JsonObject;
  return [
    `Name:\t${String(name ?? '')}`,
    `Namespace:\t${String(where ?? '')}`,
    ...labelLines(labels as Record<string, string> | undefined),
    ...annotationLines({ annotations: (annotations ?? {}) as Record<string, string> }),
    `API Version:\t${String(apiVersion ?? '')}`,
    `Kind:\t${String(kind ?? '')}`,
    'Metadata:',
    ...fieldLines(more, '  '),
    ...fieldLines(rest, ''),
  ];
};

function fieldLines(object: object, by: string): string[] {
  return Object.entries(object)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([key, value]): string[] => {
      const title = key.replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2').replace(/^./, first => first.toUpperCase());
      if (Array.isArray(value)) {
        return [
          `${by}${title}:`,
          ...value.flatMap(item =>
            typeof item === 'object' && item !== null ? fieldLines(item, `${by}  `) : [`${by}  ${String(item)}`],
          ),
        ];
      }
      if (typeof value === 'object' && value !== null) return [`${by}${title}:`, ...fieldLines(value, `${by}  `)];
      return [`${by}${title}:\t${String(value)}`];
    });
}
