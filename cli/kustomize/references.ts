/** Fields that hold another object's name: they follow when it is renamed. */
import type { JsonObject } from '../client/api.ts';
import { changeField, isFor } from './fields.ts';
import type { FieldSpec } from './kustomization.ts';
import { identities, identityOf, isNamespaced, type Resource } from './resource.ts';

interface Referred {
  readonly group: string;
  readonly kind: string;
  readonly fields: readonly FieldSpec[];
}

const POD_SPECS: readonly FieldSpec[] = [
  { version: 'v1', kind: 'Pod', path: 'spec' },
  { version: 'v1', kind: 'PodTemplate', path: 'template/spec' },
  ...['Deployment', 'ReplicaSet', 'DaemonSet', 'StatefulSet'].map(kind => ({
    group: 'apps',
    kind,
    path: 'spec/template/spec',
  })),
  { version: 'v1', kind: 'ReplicationController', path: 'spec/template/spec' },
  { group: 'batch', kind: 'Job', path: 'spec/template/spec' },
  { group: 'batch', kind: 'CronJob', path: 'spec/jobTemplate/spec/template/spec' },
];
const inPods = (...paths: readonly string[]): FieldSpec[] =>
  POD_SPECS.flatMap(spec => paths.map(path => ({ ...spec, path: `${spec.path}/${path}` })));
const inContainers = (...paths: readonly string[]): FieldSpec[] =>
  inPods(...paths.flatMap(path => [`containers/${path}`, `initContainers/${path}`]));
const RULES: FieldSpec[] = ['Role', 'ClusterRole'].map(kind => ({
  group: 'rbac.authorization.k8s.io',
  kind,
  path: 'rules/resourceNames',
}));
const SCALED: FieldSpec[] = [
  { group: 'autoscaling', kind: 'HorizontalPodAutoscaler', path: 'spec/scaleTargetRef/name' },
];
const ingress = (...paths: readonly string[]): FieldSpec[] =>
  paths.map(path => ({ group: 'networking.k8s.io', kind: 'Ingress', path }));
const bindings = (path: string): FieldSpec[] =>
  ['RoleBinding', 'ClusterRoleBinding'].map(kind => ({ group: 'rbac.authorization.k8s.io', kind, path }));
const core = (kind: string, path: string): FieldSpec => ({ version: 'v1', kind, path });
const CSI_SECRETS = ['controllerPublish', 'controllerExpand', 'nodeStage', 'nodePublish', 'nodeExpand'];

const REFERRED: readonly Referred[] = [
  ...['Deployment', 'ReplicaSet', 'StatefulSet'].map(kind => ({ group: 'apps', kind, fields: SCALED })),
  { group: '', kind: 'ReplicationController', fields: SCALED },
  {
    group: '',
    kind: 'ConfigMap',
    fields: [
      ...inPods('volumes/configMap/name', 'volumes/projected/sources/configMap/name'),
      ...inContainers('env/valueFrom/configMapKeyRef/name', 'envFrom/configMapRef/name'),
      ...RULES,
    ],
  },
  {
    group: '',
    kind: 'Secret',
    fields: [
      ...inPods('volumes/secret/secretName', 'volumes/projected/sources/secret/name', 'imagePullSecrets/name'),
      ...inPods('volumes/csi/nodePublishSecretRef/name', 'volumes/iscsi/secretRef/name', 'volumes/rbd/secretRef/name'),
      ...inContainers('env/valueFrom/secretKeyRef/name', 'envFrom/secretRef/name'),
      ...ingress('spec/tls/secretName'),
      core('ServiceAccount', 'imagePullSecrets/name'),
      ...CSI_SECRETS.map(name => core('PersistentVolume', `spec/csi/${name}SecretRef/name`)),
      ...RULES,
    ],
  },
  {
    group: '',
    kind: 'Service',
    fields: [
      { group: 'apps', kind: 'StatefulSet', path: 'spec/serviceName' },
      ...ingress('spec/rules/http/paths/backend/service/name', 'spec/defaultBackend/service/name'),
      ...ingress('spec/rules/http/paths/backend/serviceName', 'spec/backend/serviceName'),
      { group: 'apiregistration.k8s.io', kind: 'APIService', path: 'spec/service/name' },
      ...['Validating', 'Mutating'].map(kind => ({
        group: 'admissionregistration.k8s.io',
        kind: `${kind}WebhookConfiguration`,
        path: 'webhooks/clientConfig/service/name',
      })),
      {
        group: 'apiextensions.k8s.io',
        kind: 'CustomResourceDefinition',
        path: 'spec/conversion/webhook/clientConfig/service/name',
      },
    ],
  },
  { group: 'rbac.authorization.k8s.io', kind: 'Role', fields: bindings('roleRef/name') },
  { group: 'rbac.authorization.k8s.io', kind: 'ClusterRole', fields: bindings('roleRef/name') },
  { group: '', kind: 'ServiceAccount', fields: [...bindings('subjects/name'), ...inPods('serviceAccountName')] },
  {
    group: '',
    kind: 'PersistentVolumeClaim',
    fields: [...inPods('volumes/persistentVolumeClaim/claimName'), core('PersistentVolume', 'spec/claimRef/name')],
  },
  { group: '', kind: 'PersistentVolume', fields: [core('PersistentVolumeClaim', 'spec/volumeName'), ...RULES] },
  {
    group: 'storage.k8s.io',
    kind: 'StorageClass',
    fields: [
      core('PersistentVolume', 'spec/storageClassName'),
      core('PersistentVolumeClaim', 'spec/storageClassName'),
      { group: 'apps', kind: 'StatefulSet', path: 'spec/volumeClaimTemplates/spec/storageClassName' },
    ],
  },
  { group: 'scheduling.k8s.io', kind: 'PriorityClass', fields: inPods('priorityClassName') },
];

/** Notes for every reference among the resources whom it means, where that is not known yet. */
export function noteReferences(resources: readonly Resource[]): void {
  forEachReference(resources, (name, { key, candidates, owner, referrer }) => {
    if (!referrer.refersTo.has(key)) {
      const meant = meantBy(name, { owner, referrer, candidates });
      if (meant) referrer.refersTo.set(key, meant);
    }
    return name;
  });
}

/** Gives every reference the name that the object has now. Whoever is gone is still called as he was. */
export function followReferences(resources: readonly Resource[]): void {
  const left = new Set(resources);
  forEachReference(resources, (name, { key, owner, referrer }) => {
    const meant = referrer.refersTo.get(key);
    if (meant === undefined || !left.has(meant)) return name;
    const now = identityOf(meant.object);
    if (typeof owner.namespace === 'string' && now.namespace !== '') owner.namespace = now.namespace;
    return now.name;
  });
}

interface Reference {
  /** The same for all references of one object to another. */
  readonly key: string;
  readonly owner: JsonObject;
  readonly referrer: Resource;
  /** All of the kind that is meant. */
  readonly candidates: readonly Resource[];
}

function forEachReference(resources: readonly Resource[], visit: (name: string, reference: Reference) => string): void {
  for (const { group, kind, fields } of REFERRED) {
    const candidates = resources.filter(({ object }) => object.kind === kind && identityOf(object).group === group);
    if (candidates.length === 0) continue;
    for (const referrer of resources) {
      const identity = identityOf(referrer.object);
      for (const spec of fields) {
        if (!isFor(spec, identity)) continue;
        changeField(referrer.object, spec, (value, owner) => {
          if (!speaksOf(kind, owner)) return value;
          const next = (name: unknown) => {
            if (typeof name !== 'string') return name;
            const key = [group, kind, owner.namespace ?? '', name].join('/');
            return visit(name, { key, owner, referrer, candidates });
          };
          return Array.isArray(value) ? value.map(next) : next(value);
        });
      }
    }
  }
}

/** References that say the kind: `roleRef`, `scaleTargetRef`, `subjects`. */
function speaksOf(kind: string, owner: JsonObject): boolean {
  return !('kind' in owner && 'name' in owner) || owner.kind === kind;
}

/** Undefined if nobody, or more than one, is or was called so where the referrer looks. */
function meantBy(name: string, { owner, referrer, candidates }: Omit<Reference, 'key'>): Resource | undefined {
  const saysNamespace = typeof owner.namespace === 'string';
  const here = saysNamespace ? [String(owner.namespace)] : identities(referrer).map(({ namespace }) => namespace);
  const isAnywhere = !saysNamespace && !isNamespaced(identityOf(referrer.object));
  const isReachable = (candidate: Resource) =>
    isAnywhere ||
    !isNamespaced(identityOf(candidate.object)) ||
    identities(candidate).some(({ namespace }) => here.some(one => (one || 'default') === (namespace || 'default')));
  // One that is called so now is meant before one that was.
  for (const namesOf of [({ object }: Resource) => [identityOf(object)], ({ earlier }: Resource) => earlier]) {
    const [one, another] = candidates.filter(
      candidate => namesOf(candidate).some(identity => identity.name === name) && isReachable(candidate),
    );
    if (one !== undefined && another === undefined) return one;
  }
  return undefined;
}
