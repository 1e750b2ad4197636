/** Configuration, identity, leases, quotas and the like: short rows. */
import type {
  APIService,
  CertificateSigningRequest,
  ClusterRoleBinding,
  ComponentStatus,
  ConfigMap,
  Lease,
  PriorityClass,
  RbacV1Subject,
  ResourceQuota,
  RoleBinding,
  RuntimeClass,
  Secret,
  ServiceAccount,
} from '../generated/types.ts';
import type { KubernetesObject } from '../kind.ts';
import { humanDuration } from './human-duration.ts';
import { age, column, columns, NAME, nameOf, type Printer, printer, wide } from './printer.ts';

const countOf = (map: object | undefined | null): number => Object.keys(map ?? {}).length;

export const configMap: Printer = printer<ConfigMap>(columns(NAME, 'Data', 'Age'), (object, now) => [
  nameOf(object),
  countOf(object.data) + countOf(object.binaryData),
  age(object, now),
]);

export const secret: Printer = printer<Secret>(columns(NAME, 'Type', 'Data', 'Age'), (object, now) => [
  nameOf(object),
  object.type ?? '',
  countOf(object.data),
  age(object, now),
]);

export const serviceAccount: Printer = printer<ServiceAccount>(columns(NAME, 'Secrets', 'Age'), (object, now) => [
  nameOf(object),
  object.secrets?.length ?? 0,
  age(object, now),
]);

export const lease: Printer = printer<Lease>(columns(NAME, 'Holder', 'Age'), (object, now) => [
  nameOf(object),
  object.spec?.holderIdentity ?? '',
  age(object, now),
]);

export const resourceQuota: Printer = printer<ResourceQuota>(
  columns(NAME, 'Request', 'Limit', 'Age'),
  (object, now) => {
    const { hard = {}, used = {} } = object.status ?? {};
    const texts = (isLimit: boolean) =>
      Object.keys(hard)
        .filter(resource => resource.startsWith('limits.') === isLimit)
        .sort()
        .map(resource => `${resource}: ${used[resource] ?? 0}/${hard[resource]}`)
        .join(', ');
    return [nameOf(object), texts(false), texts(true), age(object, now)];
  },
);

/** Kinds of which only name and age are told, the latter as a date. */
export const createdAt: Printer = printer<KubernetesObject>(columns(NAME, column('Created At', 'date')), object => [
  nameOf(object),
  object.metadata?.creationTimestamp ?? '',
]);

const BINDING = columns(NAME, 'Role', 'Age', wide('Users'), wide('Groups'), wide('ServiceAccounts'));

const bindingRow = (object: RoleBinding | ClusterRoleBinding, now: number) => {
  const subjects = object.subjects ?? [];
  const names = (kind: string, nameOfSubject: (subject: RbacV1Subject) => string) =>
    subjects
      .filter(subject => subject.kind === kind)
      .map(nameOfSubject)
      .join(', ');
  return [
    nameOf(object),
    `${object.roleRef.kind}/${object.roleRef.name}`,
    age(object, now),
    names('User', subject => subject.name),
    names('Group', subject => subject.name),
    names('ServiceAccount', subject => `${subject.namespace ?? ''}/${subject.name}`),
  ];
};
export const roleBinding: Printer = printer<RoleBinding>(BINDING, bindingRow);
export const clusterRoleBinding: Printer = printer<ClusterRoleBinding>(BINDING, bindingRow);

export const priorityClass: Printer = printer<PriorityClass>(
  columns(NAME, column('Value', 'integer'), column('Global-Default', 'boolean'), 'Age', 'PreemptionPolicy'),
  (object, now) => [
    nameOf(object),
    object.value,
    object.globalDefault ?? false,
    age(object, now),
    object.preemptionPolicy ?? '',
  ],
);

export const runtimeClass: Printer = printer<RuntimeClass>(columns(NAME, 'Handler', 'Age'), (object, now) => [
  nameOf(object),
  object.handler,
  age(object, now),
]);

export const apiService: Printer = printer<APIService>(columns(NAME, 'Service', 'Available', 'Age'), (object, now) => {
  const target = object.spec?.service;
  const available = (object.status?.conditions ?? []).find(condition => condition.type === 'Available');
  const reason = available && available.status !== 'True' && available.reason ? ` (${available.reason})` : '';
  return [
    nameOf(object),
    target ? `${target.namespace ?? ''}/${target.name ?? ''}` : 'Local',
    `${available?.status ?? 'Unknown'}${reason}`,
    age(object, now),
  ];
});

export const certificateSigningRequest: Printer = printer<CertificateSigningRequest>(
  columns(NAME, 'Age', 'SignerName', 'Requestor', 'RequestedDuration', 'Condition'),
  (object, now) => [
    nameOf(object),
    age(object, now),
    object.spec.signerName || '<none>',
    object.spec.username ?? '',
    object.spec.expirationSeconds === undefined ? '<none>' : humanDuration(object.spec.expirationSeconds * 1000),
    requestCondition(object),
  ],
);

/** `Pending`, or `Approved` or `Denied`, then `Failed` or `Issued`. */
function requestCondition(request: CertificateSigningRequest): string {
  const has = (type: string) => (request.status?.conditions ?? []).some(condition => condition.type === type);
  const decision = has('Denied') ? 'Denied' : has('Approved') ? 'Approved' : 'Pending';
  return [decision, has('Failed') ? 'Failed' : '', request.status?.certificate ? 'Issued' : '']
    .filter(part => part !== '')
    .join(',');
}

export const componentStatus: Printer = printer<ComponentStatus>(
  columns(NAME, 'Status', 'Message', 'Error'),
  object => {
    const healthy = (object.conditions ?? []).find(condition => condition.type === 'Healthy');
    const status = healthy ? (healthy.status === 'True' ? 'Healthy' : 'Unhealthy') : 'Unknown';
    return [nameOf(object), status, healthy?.message ?? '', healthy?.error ?? ''];
  },
);
