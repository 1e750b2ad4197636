/** Prefix, suffix and namespace of a kustomization. */
import { changeField, isFor } from './fields.ts';
import type { FieldSpec, Kustomization } from './kustomization.ts';
import { identityOf, isNamespaced, isObject, metadataOf, type Resource } from './resource.ts';

/** Their names mean something to others. */
const KEEP_THEIR_NAMES: readonly Omit<FieldSpec, 'path'>[] = [
  { group: 'apiextensions.k8s.io', kind: 'CustomResourceDefinition' },
  { group: 'apiregistration.k8s.io', kind: 'APIService' },
  { version: 'v1', kind: 'Namespace' },
];
/** Services elsewhere than in the metadata that are in the namespace. */
const NAMESPACES: readonly FieldSpec[] = [
  { version: 'v1', kind: 'Namespace', path: 'metadata/name', create: true },
  { group: 'apiregistration.k8s.io', kind: 'APIService', path: 'spec/service/namespace', create: true },
  {
    group: 'apiextensions.k8s.io',
    kind: 'CustomResourceDefinition',
    path: 'spec/conversion/webhook/clientConfig/service/namespace',
  },
];

/** Renames the objects; who they were is kept with them. */
export function rename(
  resources: readonly Resource[],
  { namespace, namePrefix, nameSuffix }: Pick<Kustomization, 'namespace' | 'namePrefix' | 'nameSuffix'>,
): void {
  for (const resource of resources) {
    const before = identityOf(resource.object);
    const metadata = metadataOf(resource.object);
    if (namespace !== '') {
      if (isNamespaced(before)) metadata.namespace = namespace;
      for (const spec of NAMESPACES) if (isFor(spec, before)) changeField(resource.object, spec, () => namespace);
      moveDefaultAccounts(resource, namespace);
    }
    const keepsName = KEEP_THEIR_NAMES.some(spec => isFor(spec, before));
    if (!keepsName && before.name !== '') metadata.name = `${namePrefix}${before.name}${nameSuffix}`;
    const now = identityOf(resource.object);
    if (now.name !== before.name || now.namespace !== before.namespace) resource.earlier.push(before);
  }
}

/** The account `default` is in every namespace: nobody's own object says where it went. */
function moveDefaultAccounts({ object }: Resource, namespace: string): void {
  if (!/^(?:Cluster)?RoleBinding$/.test(String(object.kind)) || !Array.isArray(object.subjects)) return;
  for (const subject of object.subjects.filter(isObject)) {
    if (subject.kind === 'ServiceAccount' && subject.name === 'default') subject.namespace = namespace;
  }
}
