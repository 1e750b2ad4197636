/** Environment variables of containers. */
import type {
  EnvFromSource,
  EnvVar,
  EnvVarSource,
  ObjectFieldSelector,
  ResourceFieldSelector,
} from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { byRule, invalidValue, notSupported, required } from './errors.ts';
import { configMapKey, dns1123Subdomain, qualifiedName, relaxedEnvName } from './names.ts';

/** Fields of a pod that an environment variable may show. */
const ENV_FIELDS = new Set([
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
]);
const ENV_FIELD_LIST = [...ENV_FIELDS];

/** Fields of a pod that a file of a downward API volume may show. */
const VOLUME_FIELDS = new Set([
  'metadata.name',
  'metadata.namespace',
  'metadata.labels',
  'metadata.annotations',
  'metadata.uid',
]);

/** Every field that a reference may name at all. */
const KNOWN_FIELDS = new Set([
  ...ENV_FIELDS,
  ...VOLUME_FIELDS,
  'spec.restartPolicy',
  'spec.schedulerName',
  'spec.hostNetwork',
  'status.phase',
]);

const RESOURCES = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
];

/** A reference to a field of the pod. */
export function validateFieldRef(reference: ObjectFieldSelector, path: string, use: 'env' | 'volume'): FieldError[] {
  const { apiVersion = '', fieldPath } = reference;
  if (apiVersion === '') return [required(`${path}.apiVersion`)];
  if (fieldPath === '') return [required(`${path}.fieldPath`)];
  const subscript = /^(metadata\.(?:labels|annotations))\['(.*)'\]$/.exec(fieldPath);
  if (subscript) {
    return byRule(path, subscript[2] ?? '', qualifiedName((subscript[2] ?? '').toLowerCase()));
  }
  if (!KNOWN_FIELDS.has(fieldPath)) {
    return [
      invalidValue(
        `${path}.fieldPath`,
        fieldPath,
        `error converting fieldPath: field label not supported: ${fieldPath}`,
      ),
    ];
  }
  const allowed = use === 'env' ? ENV_FIELDS : VOLUME_FIELDS;
  if (allowed.has(fieldPath)) return [];
  return [
    notSupported(
      `${path}.fieldPath`,
      fieldPath,
      use === 'env' ? [...ENV_FIELD_LIST].sort() : [...VOLUME_FIELDS].sort(),
    ),
  ];
}

/** A reference to a resource of a container. In a volume the container must be named. */
export function validateResourceFieldRef(
  { containerName = '', resource }: ResourceFieldSelector,
  path: string,
  isVolume: boolean,
): FieldError[] {
  if (isVolume && containerName === '') return [required(`${path}.containerName`)];
  if (resource === '') return [required(`${path}.resource`)];
  return RESOURCES.includes(resource) || /^(?:limits|requests)\.hugepages-/.test(resource)
    ? []
    : [notSupported(`${path}.resource`, resource, RESOURCES)];
}

function validateKey(key: string, path: string): FieldError[] {
  return key === '' ? [required(`${path}.key`)] : byRule(`${path}.key`, key, configMapKey(key));
}

function validateSource(variable: EnvVar, source: EnvVarSource, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = source;
  const count = [fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef].filter(Boolean).length;
  if (fieldRef) errors.push(...validateFieldRef(fieldRef, `${path}.fieldRef`, 'env'));
  if (resourceFieldRef) errors.push(...validateResourceFieldRef(resourceFieldRef, `${path}.resourceFieldRef`, false));
  if (configMapKeyRef) errors.push(...validateKey(configMapKeyRef.key, `${path}.configMapKeyRef`));
  if (secretKeyRef) errors.push(...validateKey(secretKeyRef.key, `${path}.secretKeyRef`));
  if (count === 0) {
    errors.push(
      invalidValue(
        path,
        '',
        'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`',
      ),
    );
  }
  if (variable.value) errors.push(invalidValue(path, '', 'may not be specified when `value` is not empty'));
  else if (count > 1) errors.push(invalidValue(path, '', 'may not have more than one field specified at a time'));
  return errors;
}

/** The list `env`. */
export function validateEnv(env: readonly EnvVar[] | undefined, path: string): FieldError[] {
  return (env ?? []).flatMap((variable, index) => {
    const field = `${path}[${index}]`;
    const name = variable.name
      ? byRule(`${field}.name`, variable.name, relaxedEnvName(variable.name))
      : [required(`${field}.name`)];
    return variable.valueFrom ? [...name, ...validateSource(variable, variable.valueFrom, `${field}.valueFrom`)] : name;
  });
}

/** The list `envFrom`. */
export function validateEnvFrom(sources: readonly EnvFromSource[] | undefined, path: string): FieldError[] {
  return (sources ?? []).flatMap(({ prefix, configMapRef, secretRef }, index) => {
    const field = `${path}[${index}]`;
    const errors = prefix ? byRule(`${field}.prefix`, prefix, relaxedEnvName(prefix)) : [];
    for (const [name, reference] of [
      ['configMapRef', configMapRef],
      ['secretRef', secretRef],
    ] as const) {
      if (!reference) continue;
      if (reference.name)
        errors.push(...byRule(`${field}.${name}.name`, reference.name, dns1123Subdomain(reference.name)));
      else errors.push(required(`${field}.${name}.name`));
    }
    // Kubernetes names the list here, not the entry.
    if (!configMapRef && !secretRef) {
      errors.push(invalidValue(path, '', 'must specify one of: `configMapRef` or `secretRef`'));
    }
    if (configMapRef && secretRef) {
      errors.push(invalidValue(path, '', 'may not have more than one field specified at a time'));
    }
    return errors;
  });
}
