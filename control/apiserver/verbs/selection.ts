/** Which objects a list or a watch is about: namespace, labels, fields. */
import {
  type FieldRequirement,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
  requiredField,
} from '../../api/selectors.ts';
import type { CachedObject } from '../cache/cached-object.ts';
import type { ResourceRequest } from '../core.ts';
import { identityOfKey, listPrefix } from '../keys.ts';
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
  const byKey = fields.filter(isInKey);
  const byContent = fields.filter(requirement => !isInKey(requirement));
  return {
    prefix: listPrefix(kind, kind.namespaced && namespace ? namespace : ''),
    looksAtFields: fields.length > 0,
    isSelective: labels.length + fields.length > 0,
    matches(object) {
      if (labels.length > 0 && !matchesLabels(labels, object.labels)) return false;
      // Mostly the key says it, and then the object need not be read: a watch on one object is told of all of its kind.
      if (byKey.length > 0 && !agree(byKey, identityOfKey(kind, object.key))) return false;
      if (byContent.length === 0) return true;
      return agree(
        byContent,
        object.fields(kind, () => kind.selectableFields(parseAs(kind, object))),
      );
    },
  };
}

const isInKey = ({ field }: FieldRequirement): boolean => field === 'metadata.name' || field === 'metadata.namespace';

function agree(requirements: readonly FieldRequirement[], values: Readonly<Record<string, string>>): boolean {
  return requirements.every(({ field, value, isEqual }) => ((values[field] ?? '') === value) === isEqual);
}
