/** Which objects a list or a watch is about: namespace, labels, fields. */
import type { KubernetesObject } from '../../api/kind.ts';
import { badRequest } from '../../api/status.ts';
import type { CachedObject } from '../cache/cached-object.ts';
import type { ResourceRequest } from '../core.ts';
import { fromStored, listPrefix } from '../keys.ts';
import type { ListOptions } from './options.ts';

export interface Selection {
  /** Keys of the objects begin with it. */
  readonly prefix: string;
  /** True if not every object under the prefix is meant. */
  readonly isSelective: boolean;
  readonly matches: (object: CachedObject) => boolean;
}

type Requirement = (values: Readonly<Record<string, string>>) => boolean;

export function readSelection(
  { kind, info }: ResourceRequest,
  options: Pick<ListOptions, 'labelSelector' | 'fieldSelector'>,
): Selection {
  const labels = options.labelSelector
    .split(/,(?![^(]*\))/)
    .filter(Boolean)
    .map(parseRequirement);
  const known = new Set([
    'metadata.name',
    ...(kind.namespaced ? ['metadata.namespace'] : []),
    ...kind.selectableFieldNames,
  ]);
  const fields = options.fieldSelector
    .split(',')
    .filter(Boolean)
    .map(text => {
      const [, name = '', op, value = ''] = /^([^=!]+)(==|=|!=)(.*)$/.exec(text) ?? [];
      if (!op) throw badRequest(`invalid selector: '${text}'; can't understand '${text}'`);
      if (!known.has(name)) throw badRequest(`field label not supported: ${name}`);
      return ((values: Readonly<Record<string, string>>) =>
        ((values[name] ?? '') === value) === (op !== '!=')) as Requirement;
    });
  const name = `${kind.group}/${kind.version}`;
  const read = (stored: KubernetesObject) => {
    const object = fromStored(kind, stored);
    return {
      'metadata.name': object.metadata?.name ?? '',
      'metadata.namespace': object.metadata?.namespace ?? '',
      ...kind.selectableFields(object),
    };
  };
  return {
    prefix: listPrefix(kind, kind.namespaced ? info.namespace : ''),
    isSelective: labels.length + fields.length > 0,
    matches: object =>
      labels.every(matches => matches(object.labels)) &&
      (fields.length === 0 || fields.every(matches => matches(object.fields(name, read)))),
  };
}

function parseRequirement(text: string): Requirement {
  const set = /^\s*([^\s!=]+)\s+(in|notin)\s+\(([^)]*)\)\s*$/.exec(text);
  if (set) {
    const values = new Set((set[3] ?? '').split(',').map(value => value.trim()));
    return labels => values.has(labels[set[1] ?? ''] ?? '\0') === (set[2] === 'in');
  }
  const equality = /^\s*([^\s!=]+)\s*(==|=|!=)\s*(\S*)\s*$/.exec(text);
  if (equality) return labels => (labels[equality[1] ?? ''] === equality[3]) === (equality[2] !== '!=');
  const absent = /^\s*!\s*(\S+)\s*$/.exec(text);
  if (absent) return labels => !((absent[1] ?? '') in labels);
  return labels => text.trim() in labels;
}
