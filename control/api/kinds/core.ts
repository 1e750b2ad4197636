/** Kinds of the core group that hold data: Namespace, ConfigMap, Secret, ServiceAccount, Endpoints, ComponentStatus. */
import * as kinds from '../generated/kinds.ts';
import type { Endpoints } from '../generated/types.ts';
import { textToBase64 } from '../schema/base64.ts';
import {
  secretWarnings,
  validateConfigMap,
  validateConfigMapUpdate,
  validateEndpoints,
  validateNamespace,
  validateSecret,
  validateSecretUpdate,
} from '../validation/data.ts';
import { labelName, subdomainName } from '../validation/names.ts';
import { declare, STATUS } from './declare.ts';

/** The label with a namespace's own name. */
export const NAMESPACE_NAME_LABEL = 'kubernetes.io/metadata.name';

export const namespace = declare(kinds.namespaces, {
  verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
  subresources: [{ name: 'finalize', verbs: ['update'] }, STATUS],
  nameRule: labelName,
  defaults(object) {
    const name = object.metadata?.name;
    if (!name) return;
    object.metadata = { ...object.metadata, labels: { ...object.metadata?.labels, [NAMESPACE_NAME_LABEL]: name } };
  },
  prepareForCreate(object) {
    object.status = { phase: 'Active' };
    const finalizers = object.spec?.finalizers ?? [];
    if (!finalizers.includes('kubernetes')) object.spec = { ...object.spec, finalizers: [...finalizers, 'kubernetes'] };
  },
  prepareForUpdate(object, old, { subresource }) {
    // Only the finalize subresource takes finalizers of the spec away.
    if (subresource === '')
      object.spec = { ...object.spec, ...(old.spec?.finalizers && { finalizers: old.spec.finalizers }) };
  },
  validate: validateNamespace,
  selectableFieldNames: ['status.phase'],
  selectableFields: object => ({ 'status.phase': object.status?.phase ?? '' }),
});

export const configMap = declare(kinds.configmaps, {
  validate: validateConfigMap,
  validateUpdate: validateConfigMapUpdate,
});

export const secret = declare(kinds.secrets, {
  // Before anything looks at who owns which fields: nobody owns `stringData`.
  defaults(object) {
    mergeStringData(object);
    object.type ||= 'Opaque';
  },
  prepareForUpdate(object, old) {
    // An old client that knows no type means the type that is.
    object.type ||= old.type ?? 'Opaque';
  },
  validate: validateSecret,
  validateUpdate: validateSecretUpdate,
  warnings: secretWarnings,
  selectableFieldNames: ['type'],
  selectableFields: object => ({ type: object.type ?? '' }),
});

/** `stringData` is written only: its entries become entries of `data`. */
function mergeStringData(secret: { data?: Record<string, string>; stringData?: Record<string, string> }): void {
  if (secret.stringData) {
    const encoded = Object.entries(secret.stringData).map(([key, text]) => [key, textToBase64(text)]);
    secret.data = { ...secret.data, ...Object.fromEntries(encoded) };
  }
  delete secret.stringData;
}

export const serviceAccount = declare(kinds.serviceaccounts, {
  subresources: [
    {
      name: 'token',
      verbs: ['create'],
      responseKind: { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' },
    },
  ],
  nameRule: subdomainName,
});

const ENDPOINTS_DEPRECATED = 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice';

export const endpoints = declare(kinds.endpoints, {
  allowCreateOnUpdate: true,
  defaults(object: Endpoints) {
    for (const subset of object.subsets ?? []) for (const port of subset.ports ?? []) port.protocol ||= 'TCP';
  },
  validate: validateEndpoints,
  deprecation: ENDPOINTS_DEPRECATED,
});

/** How parts of the cluster are, as far as the API server sees it: made up when asked for, never stored. */
export const componentStatus = declare(kinds.componentstatuses, {
  verbs: ['get', 'list'],
  deprecation: 'v1 ComponentStatus is deprecated in v1.19+',
});
