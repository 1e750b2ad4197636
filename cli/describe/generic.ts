/** Kinds without a description of their own are described by their fields. */
import type { JsonObject } from '../client/api.ts';
import type { Describe } from './description.ts';
import { annotationLines, labelLines } from './lines.ts';

/** Fields in the order of their names, `fooBar` as `Foo Bar`. */
export const describeGeneric: Describe = object => {
  const { metadata, apiVersion, ...rest } = object;
  const {
    name,
    namespace: where,
    labels,
    annotations,
    managedFields: _hidden,
    ...more
  } = (metadata ?? {}) as JsonObject;
  return [
    `Name:\t${String(name ?? '')}`,
    `Namespace:\t${String(where ?? '')}`,
    ...labelLines(labels as Record<string, string> | undefined),
    ...annotationLines({ annotations: (annotations ?? {}) as Record<string, string> }),
    `API Version:\t${String(apiVersion ?? '')}`,
    ...fieldLines({ ...rest, metadata: more }, ''),
  ];
};

/** Words that are written in capitals. */
const ACRONYMS = ['API', 'URL', 'UID', 'OSB', 'GUID'];

/** `fooBar` as `Foo Bar`; a name with other signs than letters stays as it is. */
function titleOf(key: string): string {
  if (/[^\p{L}-]/u.test(key)) return key;
  return key
    .replaceAll(/([a-z])([A-Z])/g, '$1 $2')
    .replaceAll(/([A-Z])([A-Z][a-z])/g, '$1 $2')
    .split(' ')
    .map(word =>
      ACRONYMS.includes(word.toUpperCase()) ? word.toUpperCase() : word.replace(/^./, first => first.toUpperCase()),
    )
    .join(' ');
}

function fieldLines(object: object, by: string): string[] {
  return Object.entries(object)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([key, value]): string[] => {
      const title = titleOf(key);
      if (Array.isArray(value)) {
        return [
          `${by}${title}:`,
          ...value.flatMap(item =>
            typeof item === 'object' && item !== null ? fieldLines(item, `${by}  `) : [`${by}  ${String(item)}`],
          ),
        ];
      }
      if (typeof value === 'object' && value !== null) return [`${by}${title}:`, ...fieldLines(value, `${by}  `)];
      return [`${by}${title}:\t${value === null ? '<nil>' : String(value)}`];
    });
}
