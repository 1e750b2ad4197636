/** How pods are reached: services, endpoints and endpoint slices. */
import type { EndpointSlice, Endpoints, Service } from '../../control/api/generated/types.ts';
import { labelsText } from '../../control/api/printers/printer.ts';
import { describing } from './description.ts';
import { annotationLines, labelLines } from './lines.ts';

export const service = describing<Service>(async (object, help) => {
  const { metadata, spec, status } = object;
  const namespace = metadata?.namespace ?? '';
  const slices = await help.list<EndpointSlice>('endpointslices.discovery.k8s.io', {
    selector: `kubernetes.io/service-name=${metadata?.name}`,
    namespace,
  });
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
    ];
    return texts.length > 3
      ? `${texts.slice(0, 3).join(',')} + ${texts.length - 3} more...`
      : slices.length === 0
        ? '<none>'
        : texts.join(',');
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
    `IP Families:\t${spec?.ipFamilies?.join(',') || '<none>'}`,
    `IP:\t${spec?.clusterIP ?? ''}`,
    `IPs:\t${spec?.clusterIPs?.join(',') || '<none>'}`,
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
    ...(spec?.healthCheckNodePort ? [`HealthCheck NodePort:\t${spec.healthCheckNodePort}`] : []),
    ...(spec?.loadBalancerSourceRanges?.length
      ? [`LoadBalancer Source Ranges:\t${spec.loadBalancerSourceRanges.join(',')}`]
      : []),
  ];
});

export const endpoints = describing<Endpoints>(({ metadata, subsets }) => [
  `Name:\t${metadata?.name}`,
  `Namespace:\t${metadata?.namespace}`,
  ...labelLines(metadata?.labels),
  ...annotationLines(metadata),
  'Subsets:',
  ...(subsets ?? []).flatMap(subset => {
    const ips = (addresses: typeof subset.addresses) => (addresses ?? []).map(({ ip }) => ip).join(',') || '<none>';
    return [
      `  Addresses:\t${ips(subset.addresses)}`,
      `  NotReadyAddresses:\t${ips(subset.notReadyAddresses)}`,
      ...(subset.ports?.length
        ? [
            '  Ports:',
            '    Name\tPort\tProtocol',
            '    ----\t----\t--------',
            ...subset.ports.map(
              ({ name, port, protocol }) => `    ${name || '<unset>'}\t${port}\t${protocol ?? 'TCP'}`,
            ),
          ]
        : []),
      '',
    ];
  }),
]);

export const endpointSlice = describing<EndpointSlice>(({ metadata, addressType, ports, endpoints: targets }) => [
  `Name:\t${metadata?.name}`,
  `Namespace:\t${metadata?.namespace}`,
  ...labelLines(metadata?.labels),
  ...annotationLines(metadata),
  `AddressType:\t${addressType}`,
  ...(ports?.length
    ? [
        'Ports:',
        '  Name\tPort\tProtocol',
        '  ----\t----\t--------',
        ...ports.map(
          ({ name, port, protocol }) => `  ${name || '<unset>'}\t${port ?? '<unset>'}\t${protocol ?? '<unset>'}`,
        ),
      ]
    : ['Ports: <unset>']),
  ...(targets?.length
    ? [
        'Endpoints:',
        ...targets.flatMap(({ addresses, conditions, hostname, targetRef, nodeName, zone }) => [
          `  - Addresses:\t${addresses.join(',')}`,
          '    Conditions:',
          `      Ready:\t${conditions?.ready ?? '<unset>'}`,
          `    Hostname:\t${hostname ?? '<unset>'}`,
          ...(targetRef ? [`    TargetRef:\t${targetRef.kind}/${targetRef.name}`] : []),
          `    NodeName:\t${nodeName ?? '<unset>'}`,
          `    Zone:\t${zone ?? '<unset>'}`,
        ]),
      ]
    : ['Endpoints: <none>']),
]);
