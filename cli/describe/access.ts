/** Roles and bindings, and ingresses. */
import type {
  ClusterRole,
  ClusterRoleBinding,
  Ingress,
  PolicyRule,
  Role,
  RoleBinding,
} from '../../control/api/generated/types.ts';
import { describing } from './description.ts';
import { annotationLines, labelLines } from './lines.ts';

const inBrackets = (list: readonly string[] | undefined): string => `[${(list ?? []).join(' ')}]`;

/** One row a resource or path, in order. */
export function ruleRows(rules: readonly PolicyRule[] | undefined): string[][] {
  const rows = (rules ?? []).flatMap(rule => {
    const names = inBrackets(rule.resourceNames);
    const verbs = inBrackets(rule.verbs);
    const groups = rule.apiGroups ?? [''];
    const resources = (rule.resources ?? []).flatMap(resource =>
      groups.map(group => {
        const [name = '', sub] = resource.split('/');
        return [`${name}${group ? `.${group}` : ''}${sub ? `/${sub}` : ''}`, '[]', names, verbs];
      }),
    );
    const paths = (rule.nonResourceURLs ?? []).map(path => ['', `[${path}]`, names, verbs]);
    return [...resources, ...paths];
  });
  return rows.sort(([a = ''], [b = '']) => (a < b ? -1 : a > b ? 1 : 0));
}

const roleLines = ({ metadata, rules }: Role | ClusterRole): string[] => [
  `Name:\t${metadata?.name}`,
  ...labelLines(metadata?.labels),
  ...annotationLines(metadata),
  'PolicyRule:',
  '  Resources\tNon-Resource URLs\tResource Names\tVerbs',
  '  ---------\t-----------------\t--------------\t-----',
  ...ruleRows(rules ?? undefined).map(row => `  ${row.join('\t')}`),
];

export const role = describing<Role>(roleLines);
export const clusterRole = describing<ClusterRole>(roleLines);

const bindingLines = ({ metadata, roleRef, subjects }: RoleBinding | ClusterRoleBinding): string[] => [
  `Name:\t${metadata?.name}`,
  ...labelLines(metadata?.labels),
  ...annotationLines(metadata),
  'Role:',
  `  Kind:\t${roleRef.kind}`,
  `  Name:\t${roleRef.name}`,
  'Subjects:',
  '  Kind\tName\tNamespace',
  '  ----\t----\t---------',
  ...(subjects ?? []).map(({ kind, name, namespace }) => `  ${kind}\t${name}\t${namespace ?? ''}`),
];

export const roleBinding = describing<RoleBinding>(bindingLines);
export const clusterRoleBinding = describing<ClusterRoleBinding>(bindingLines);

type Backend = NonNullable<NonNullable<Ingress['spec']>['defaultBackend']>;

const backendText = ({ service, resource }: Backend): string =>
  service
    ? `${service.name}:${service.port?.number ?? service.port?.name ?? ''}`
    : `${resource?.kind}/${resource?.name}`;

export const ingress = describing<Ingress>(({ metadata, spec, status }) => [
  `Name:\t${metadata?.name}`,
  ...labelLines(metadata?.labels),
  `Namespace:\t${metadata?.namespace}`,
  `Address:\t${(status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip ?? hostname ?? '').join(',')}`,
  `Ingress Class:\t${spec?.ingressClassName ?? '<none>'}`,
  `Default backend:\t${spec?.defaultBackend ? backendText(spec.defaultBackend) : '<default>'}`,
  ...(spec?.tls?.length
    ? [
        'TLS:',
        ...spec.tls.map(({ secretName, hosts }) =>
          secretName
            ? `  ${secretName} terminates ${(hosts ?? []).join(',')}`
            : `  SNI routes ${(hosts ?? []).join(',')}`,
        ),
      ]
    : []),
  'Rules:',
  '  Host\tPath\tBackends',
  '  ----\t----\t--------',
  ...(spec?.rules ?? []).flatMap(({ host, http }) => [
    `  ${host ?? '*'}\t`,
    ...(http?.paths ?? []).map(({ path, backend }) => `  \t${path ?? ''} \t${backendText(backend)}`),
  ]),
  ...annotationLines(metadata),
]);
