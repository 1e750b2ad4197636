/** Namespaces and what is kept in them for pods: config maps, secrets, service accounts. */
import type {
  ConfigMap,
  LimitRange,
  Namespace,
  ResourceQuota,
  Secret,
  ServiceAccount,
} from '../../control/api/generated/types.ts';
import { describing } from './description.ts';
import { annotationLines, labelLines } from './lines.ts';
import { limitLines, scopeLines } from './policy.ts';

export const namespace = describing<Namespace>(async (object, help) => {
  const name = object.metadata?.name ?? '';
  const quotas = await help.maybeList<ResourceQuota>('resourcequotas', name);
  const limits = await help.maybeList<LimitRange>('limitranges', name);
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
    ...(limits ? ['', ...limitRangeLines(limits)] : []),
  ];
});

function limitRangeLines(ranges: readonly LimitRange[]): string[] {
  if (ranges.length === 0) return ['No LimitRange resource.'];
  return [
    'Resource Limits',
    ' Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio',
    ' ----\t--------\t---\t---\t---------------\t-------------\t-----------------------',
    ...ranges.flatMap(({ spec }) => limitLines(spec?.limits ?? []).map(line => ` ${line}`)),
  ];
}

function quotaLines(quotas: readonly ResourceQuota[]): string[] {
  if (quotas.length === 0) return ['No resource quota.'];
  return [
    'Resource Quotas',
    ...quotas.flatMap(({ metadata, spec, status }) => [
      `  Name:\t${metadata?.name}`,
      ...scopeLines(spec?.scopes).map(line => `  ${line.trim()}`),
      '  Resource\tUsed\tHard',
      '  --------\t---\t---',
      ...Object.entries(status?.hard ?? {})
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([resource, hard]) => `  ${resource}\t${status?.used?.[resource] ?? 0}\t${hard}`),
    ]),
  ];
}

export const configMap = describing<ConfigMap>(object => [
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

export const secret = describing<Secret>(object => [
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

export const serviceAccount = describing<ServiceAccount>(async (object, help) => {
  const namespace = object.metadata?.namespace ?? '';
  const secrets = await help.maybeList<Secret>('secrets', namespace);
  const isMissing = (name: string) => !secrets?.some(({ metadata }) => metadata?.name === name);
  const nameLines = (title: string, names: readonly (string | undefined)[] | undefined) =>
    names?.length
      ? names.map(
          (name = '', index) =>
            `${index === 0 ? `${title}:` : NO_TITLE}\t${name}${isMissing(name) ? ' (not found)' : ''}`,
        )
      : [`${title}:\t<none>`];
  const tokens = (secrets ?? []).filter(
    ({ type, metadata }) =>
      type === 'kubernetes.io/service-account-token' &&
      metadata?.annotations?.['kubernetes.io/service-account.name'] === object.metadata?.name,
  );
  return [
    `Name:\t${object.metadata?.name}`,
    `Namespace:\t${object.metadata?.namespace}`,
    ...labelLines(object.metadata?.labels),
    ...annotationLines(object.metadata),
    ...nameLines(
      'Image pull secrets',
      object.imagePullSecrets?.map(({ name }) => name),
    ),
    ...nameLines(
      'Mountable secrets',
      object.secrets?.map(({ name }) => name),
    ),
    ...nameLines(
      'Tokens',
      tokens.map(({ metadata }) => metadata?.name),
    ),
  ];
});

/** As wide as the titles above it. */
const NO_TITLE = ' '.repeat(19);
