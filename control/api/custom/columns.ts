/** The table of a custom resource: its definition's columns (apiextensions-apiserver pkg/registry/customresource/tableconvertor). */
import type { CustomResourceColumnDefinition } from '../generated/types.ts';
import type { Cell, Column, KubernetesObject } from '../kind.ts';
import { ageOf } from '../printers/human-duration.ts';
import { NAME, nameOf, type Printer } from '../printers/printer.ts';
import { type JsonPath, JsonPathError, parseJsonPath } from './json-path.ts';

const AGE: CustomResourceColumnDefinition = {
  name: 'Age',
  type: 'date',
  description:
    'CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata',
  jsonPath: '.metadata.creationTimestamp',
};

/** The printer of one version. A definition without columns shows the age. */
export function customPrinter(definitions: readonly CustomResourceColumnDefinition[]): Printer {
  const shown = definitions.length > 0 ? definitions : [AGE];
  const paths = readPaths(shown);
  // As in Kubernetes, a table of which one column cannot be read has only the name.
  if (!paths) return { columns: [NAME], row: object => ({ cells: [nameOf(object)] }) };
  return {
    columns: [NAME, ...shown.map(columnOf)],
    row: (object, now) => ({
      cells: [nameOf(object), ...shown.map(({ type }, index) => cellOf(type, paths[index]?.(object) ?? [], now))],
    }),
  };
}

function readPaths(definitions: readonly CustomResourceColumnDefinition[]): JsonPath[] | undefined {
  try {
    return definitions.map(({ jsonPath }) => parseJsonPath(jsonPath));
  } catch (error) {
    if (error instanceof JsonPathError) return undefined;
    throw error;
  }
}

function columnOf(definition: CustomResourceColumnDefinition): Column {
  const { name, type, format = '', description = '', priority = 0, jsonPath } = definition;
  return {
    name,
    type: type as Column['type'], // validation lets no other type pass
    format,
    description: description || `Custom resource definition column (in JSONPath format): ${jsonPath}`,
    priority,
  };
}

/** The first value counts: a column is one cell. */
function cellOf(type: string, values: readonly unknown[], now: number): Cell {
  if (values.length === 0) return null;
  const [value] = values;
  if (type === 'string') return textOf(value);
  switch (type) {
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null;
    case 'number':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'date':
      return typeof value === 'string' ? dateCell(value, now) : null;
    default:
      return null;
  }
}

/** As Go's templates print it. */
function textOf(value: unknown): string {
  if (value === null || value === undefined) return '<no value>';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;

function dateCell(text: string, now: number): string {
  if (text === '' || text === 'null') return '<unknown>';
  return RFC3339.test(text) && !Number.isNaN(Date.parse(text)) ? ageOf(text, now) : '<invalid>';
}

/** The values of the fields by which objects of a version may be selected, by the path without its first dot. */
export function selectableValues(
  paths: readonly (readonly [name: string, path: JsonPath])[],
  object: KubernetesObject,
) {
  return Object.fromEntries(
    paths.map(([name, path]) => {
      const [value] = path(object);
      return [name, value === undefined || value === null ? '' : textOf(value)];
    }),
  );
}
