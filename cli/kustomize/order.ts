/** The order in which objects are written: that of the kustomization, or one in which they can be made. */
import { identityOf, type Resource } from './resource.ts';

const FIRST = [
  ...['Namespace', 'ResourceQuota', 'StorageClass', 'CustomResourceDefinition', 'ServiceAccount', 'PodSecurityPolicy'],
  ...['Role', 'ClusterRole', 'RoleBinding', 'ClusterRoleBinding', 'ConfigMap', 'Secret', 'Endpoints', 'Service'],
  ...['LimitRange', 'PriorityClass', 'PersistentVolume', 'PersistentVolumeClaim', 'Deployment', 'StatefulSet'],
  ...['CronJob', 'PodDisruptionBudget'],
];
const LAST = ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'];

/** What others need first; webhooks last; what is in neither list by group, version, kind, namespace and name. */
export function inOrder(resources: readonly Resource[]): Resource[] {
  const placeOf = (kind: string) => {
    if (LAST.includes(kind)) return 1 + LAST.indexOf(kind);
    return FIRST.includes(kind) ? FIRST.indexOf(kind) - FIRST.length : 0;
  };
  const keyOf = (resource: Resource) => {
    const { group, version, kind, namespace, name } = identityOf(resource.object);
    return { resource, place: placeOf(kind), text: [group || '~G', version, kind, namespace || '~X', name].join('\0') };
  };
  return resources
    .map(keyOf)
    .sort((a, b) => a.place - b.place || (a.text < b.text ? -1 : a.text > b.text ? 1 : 0))
    .map(({ resource }) => resource);
}
