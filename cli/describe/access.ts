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

interface SimpleRule {
  readonly verbs: string[];
  readonly groups: readonly string[];
  readonly resources: readonly string[];
  readonly names: readonly string[];
  readonly paths: readonly string[];
}

/** One rule for each resource (and name) with all its verbs, and one for each path and verb. */
function simpleRules(rules: readonly PolicyRule[]): SimpleRule[] {
  const byResource = new Map<string, SimpleRule>();
  const ofPaths: SimpleRule[] = [];
  for (const rule of rules) {
    for (const path of rule.nonResourceURLs ?? []) {
      for (const verb of rule.verbs)
        ofPaths.push({ verbs: [verb], groups: [], resources: [], names: [], paths: [path] });
    }
    for (const group of rule.apiGroups ?? []) {
      for (const resource of rule.resources ?? []) {
        for (const names of rule.resourceNames?.length ? rule.resourceNames.map(name => [name]) : [[]]) {
          const key = JSON.stringify([group, resource, names]);
          const known = byResource.get(key) ?? { verbs: [], groups: [group], resources: [resource], names, paths: [] };
          byResource.set(key, known);
          for (const verb of rule.verbs) if (!known.verbs.includes(verb)) known.verbs.push(verb);
        }
      }
    }
  }
  return [...byResource.values(), ...ofPaths];
}

/** One row a resource or path, in the order of the text in which Go writes a rule: by verbs first. */
export function ruleRows(rules: readonly PolicyRule[] | undefined): string[][] {
  const textOf = ({ verbs, groups, resources, names, paths }: SimpleRule) =>
    [verbs, groups, resources, names, paths].map(inBrackets).join(',');
  return simpleRules(rules ?? [])
    .map(rule => ({ rule, text: textOf(rule) }))
    .sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0))
    .map(({ rule: { verbs, groups, resources, names, paths } }) => {
      const [name = '', sub] = (resources[0] ?? '').split('/');
      const group = groups[0] ?? '';
      const shown = `${name}${group ? `.${group}` : ''}${sub ? `/${sub}` : ''}`;
      return [shown, inBrackets(paths), inBrackets(names), inBrackets(verbs)];
    });
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
