/** Which objects a list or a watch is about: namespace, labels, fields. */
import type { KindDeclaration, KubernetesObject } from '../../api/kind.ts';
import { matchesLabels, parseFieldSelector, parseLabelSelector, requiredField } from '../../api/selectors.ts';
import type { CachedObject } from '../cache/cached-object.ts';
import type { ResourceRequest } from '../core.ts';
import { listPrefix } from '../keys.ts';
import type { ListOptions } from './options.ts';
import { parseAs } from './representation.ts';

export interface Selection {
  /** Keys of the objects begin with it. */
  readonly prefix: string;
  /** True if not every object under the prefix is meant. */
  readonly isSelective: boolean;
  /** True if the values of fields are looked at, and so the objects in the version of the request. */
  readonly looksAtFields: boolean;
  readonly matches: (object: CachedObject) => boolean;
}

/** Reads the selectors. Throws 400. */
export function readSelection(
  { kind, info }: Pick<ResourceRequest, 'kind' | 'info'>,
  options: Pick<ListOptions, 'labelSelector' | 'fieldSelector'>,
): Selection {
  const labels = parseLabelSelector(options.labelSelector);
  const fields = parseFieldSelector(options.fieldSelector, kind);
  // A list over all namespaces that asks for one need not look at the others.
  const namespace = info.namespace || requiredField(fields, 'metadata.namespace');
  return {
    prefix: listPrefix(kind, kind.namespaced && namespace ? namespace : ''),
    looksAtFields: fields.length > 0,
    isSelective: labels.length + fields.length > 0,
    matches(object) {
      if (labels.length > 0 && !matchesLabels(labels, object.labels)) return false;
      if (fields.length === 0) return true;
      const values = object.fields(kind, () => fieldsOf(kind, parseAs(kind, object)));
      return fields.every(({ field, value, isEqual }) => ((values[field] ?? '') === value) === isEqual);
    },
  };
}

function fieldsOf(kind: KindDeclaration, object: KubernetesObject): Readonly<Record<string, string>> {
  return {
    ...kind.selectableFields(object),
    'metadata.name': object.metadata?.name ?? '',
    'metadata.namespace': object.metadata?.namespace ?? '',
  };
}
