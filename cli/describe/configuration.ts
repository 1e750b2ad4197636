/** Namespaces and what is kept in them for pods: config maps, secrets, service accounts. */
import type { ConfigMap, Namespace, ResourceQuota, Secret, ServiceAccount } from '../../control/api/generated/types.ts';
import type { JsonObject } from '../client/api.ts';
import { describing } from './description.ts';
import { annotationLines, labelLines } from './lines.ts';

export const namespace = describing<Namespace>(async (object, help) => {
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

export const serviceAccount = describing<ServiceAccount>(object => [
  `Name:\t${object.metadata?.name}`,
  `Namespace:\t${object.metadata?.namespace}`,
  ...labelLines(object.metadata?.labels),
  ...annotationLines(object.metadata),
  `Image pull secrets:\t${(object.imagePullSecrets ?? []).map(({ name }) => name).join(', ') || '<none>'}`,
  `Mountable secrets:\t${(object.secrets ?? []).map(({ name }) => name).join(', ') || '<none>'}`,
  'Tokens:\t<none>',
]);
