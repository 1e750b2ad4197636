/** Network policies, and the ranges and addresses of services. */
import type { IPAddress, NetworkPolicy, ServiceCIDR } from '../../control/api/generated/types.ts';
import { selectorOrNone } from '../../control/api/printers/printer.ts';
import { describing } from './description.ts';
import { annotationLines, indent, labelLines, timeText } from './lines.ts';

type Spec = NonNullable<NetworkPolicy['spec']>;
type Rule = NonNullable<Spec['ingress']>[number] & NonNullable<Spec['egress']>[number];
type Peer = NonNullable<Rule['from']>[number];

export const networkPolicy = describing<NetworkPolicy>(({ metadata, spec }) => {
  const types = spec?.policyTypes ?? [];
  const pods = spec?.podSelector;
  const isAll = !pods || (!pods.matchLabels && !pods.matchExpressions?.length);
  return [
    `Name:\t${metadata?.name}`,
    `Namespace:\t${metadata?.namespace}`,
    `Created on:\t${goTime(metadata?.creationTimestamp)}`,
    ...labelLines(metadata?.labels),
    ...annotationLines(metadata),
    'Spec:',
    `  PodSelector:     ${isAll ? '<none> (Allowing the specific traffic to all pods in this namespace)' : selectorOrNone(pods)}`,
    ...(types.includes('Ingress')
      ? ['  Allowing ingress traffic:', ...ruleLines(spec?.ingress as Rule[] | undefined, INGRESS)]
      : ['  Not affecting ingress traffic']),
    ...(types.includes('Egress')
      ? ['  Allowing egress traffic:', ...ruleLines(spec?.egress as Rule[] | undefined, EGRESS)]
      : ['  Not affecting egress traffic']),
    `  Policy Types: ${types.join(', ')}`,
  ];
});

/** A time as Go prints it. */
const goTime = (time: string | undefined): string =>
  time === undefined ? '<unset>' : time.replace('T', ' ').replace(/(?:\.\d+)?Z$/, ' +0000 UTC');

interface Direction {
  readonly word: 'From' | 'To';
  readonly name: string;
  readonly end: string;
}
const INGRESS: Direction = { word: 'From', name: 'ingress', end: 'source' };
const EGRESS: Direction = { word: 'To', name: 'egress', end: 'destination' };

function ruleLines(rules: readonly Rule[] | undefined, { word, name, end }: Direction): string[] {
  if (!rules?.length) return [`    <none> (Selected pods are isolated for ${name} connectivity)`];
  return rules.flatMap((rule, index) => {
    const peers = (word === 'From' ? rule.from : rule.to) ?? [];
    return [
      ...portLines(rule.ports),
      ...(peers.length === 0
        ? [`    ${word}: <any> (traffic not restricted by ${end})`]
        : peers.flatMap(peer => [`    ${word}:`, ...indent(peerLines(peer), '      ')])),
      ...(index < rules.length - 1 ? ['    ----------'] : []),
    ];
  });
}

function portLines(ports: Rule['ports']): string[] {
  if (!ports?.length) return ['    To Port: <any> (traffic allowed to all ports)'];
  return ports.map(({ port, endPort, protocol = 'TCP' }) =>
    endPort === undefined
      ? `    To Port: ${port ?? '<any>'}/${protocol}`
      : `    To Port Range: ${port}-${endPort}/${protocol}`,
  );
}

function peerLines({ ipBlock, namespaceSelector, podSelector }: Peer): string[] {
  if (ipBlock) {
    return ['IPBlock:', `  CIDR: ${ipBlock.cidr}`, `  Except: ${(ipBlock.except ?? []).join(', ')}`];
  }
  return [
    ...(namespaceSelector ? [`NamespaceSelector: ${selectorOrNone(namespaceSelector)}`] : []),
    ...(podSelector ? [`PodSelector: ${selectorOrNone(podSelector)}`] : []),
  ];
}

export const serviceCidr = describing<ServiceCIDR>(({ metadata, spec, status }) => [
  `Name:\t${metadata?.name}`,
  ...labelLines(metadata?.labels),
  ...annotationLines(metadata),
  `CIDRs:\t${(spec?.cidrs ?? []).join(', ')}`,
  ...(status?.conditions?.length
    ? [
        'Status:',
        'Conditions:',
        '  Type\tStatus\tLastTransitionTime\tReason\tMessage',
        '  ----\t------\t------------------\t------\t-------',
        ...status.conditions.map(
          ({ type, status: state, lastTransitionTime, reason, message }) =>
            `  ${type}\t${state}\t${timeText(lastTransitionTime)}\t${reason ?? ''}\t${message ?? ''}`,
        ),
      ]
    : []),
]);

export const ipAddress = describing<IPAddress>(({ metadata, spec }) => [
  `Name:\t${metadata?.name}`,
  ...labelLines(metadata?.labels),
  ...annotationLines(metadata),
  ...(spec?.parentRef
    ? [
        'Parent Reference:',
        `  Group:\t${spec.parentRef.group ?? ''}`,
        `  Resource:\t${spec.parentRef.resource ?? ''}`,
        `  Namespace:\t${spec.parentRef.namespace ?? ''}`,
        `  Name:\t${spec.parentRef.name ?? ''}`,
      ]
    : []),
]);
