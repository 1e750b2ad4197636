/** Prints objects as `-o` says: yaml, json, name, jsonpath, go-template, custom-columns. Tables are the server's, see `get`. */
import { readFileSync } from 'node:fs';
import type { JsonObject } from '../client/api.ts';
import { kindWithGroup, type Resource } from '../client/discovery.ts';
import { failure } from '../client/errors.ts';
import { jsonText, yamlText } from './documents.ts';
import { GoTemplate } from './go-template.ts';
import { JsonPath, relaxed } from './jsonpath.ts';
import { TableWriter } from './tables.ts';

export interface PrintedObject {
  readonly resource: Resource;
  readonly object: JsonObject;
}

/** What is to be printed: a list, or the one object that was asked for by name. */
export interface PrintedResult {
  readonly objects: readonly PrintedObject[];
  readonly isList: boolean;
}

export type ObjectPrinter = (result: PrintedResult) => string;

/** The formats of what is no list of a table's. */
export const PLAIN_FORMATS =
  'go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,name,template,templatefile,yaml';
const FORMATS =
  'custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,name,template,templatefile,wide,yaml';

/**
 * The printer for an output format; its text ends with a newline where kubectl's does.
 * @param options `isStrict`: a key that a JSONPath names and that is missing is an error.
 * @throws CommandError for a format that does not exist.
 */
export function objectPrinter(
  format: string,
  options: { readonly hasHeaders?: boolean; readonly allowed?: string; readonly isStrict?: boolean } = {},
): ObjectPrinter {
  const separator = format.indexOf('=');
  const name = separator < 0 ? format : format.slice(0, separator);
  const argument = separator < 0 ? '' : format.slice(separator + 1);
  const { allowed = FORMATS } = options;
  switch (allowed.split(',').includes(name) ? name : undefined) {
    case 'json':
      return result => `${jsonText(documentOf(result))}\n`;
    case 'yaml':
      return result => `${yamlText(documentOf(result))}\n`;
    case 'name':
      return ({ objects }) =>
        objects.map(({ resource, object }) => `${kindWithGroup(resource)}/${nameOf(object)}\n`).join('');
    case 'jsonpath':
    case 'jsonpath-file': {
      const template = new JsonPath(argumentOf(name, argument, 'template'));
      return result => template.render(documentOf(result), options.isStrict);
    }
    case 'jsonpath-as-json': {
      const template = new JsonPath(argumentOf(name, argument, 'template'));
      return result => `${jsonText(template.find(documentOf(result)))}\n`;
    }
    case 'go-template':
    case 'go-template-file':
    case 'template':
    case 'templatefile': {
      const template = new GoTemplate(argumentOf(name, argument, 'template'));
      return result => template.render(documentOf(result));
    }
    case 'custom-columns':
      return customColumns(columnsOf(argumentOf(name, argument, 'custom-columns')), options.hasHeaders ?? true);
    case 'custom-columns-file':
      return customColumns(columnsOfFile(argumentOf(name, argument, 'custom-columns')), options.hasHeaders ?? true);
    default:
      throw failure(
        `unable to match a printer suitable for the output format "${format}", allowed formats are: ${allowed}`,
      );
  }
}

function argumentOf(format: string, argument: string, what: string): string {
  if (argument === '') throw failure(`${what} format specified but no ${what.replace('-', ' ')} given`);
  if (!format.endsWith('file')) return argument;
  try {
    return readFileSync(argument, 'utf8');
  } catch (error) {
    throw failure(`error reading --template ${argument}, open ${argument}: no such file or directory`, error);
  }
}

const nameOf = (object: JsonObject) => String((object.metadata as { name?: string } | undefined)?.name ?? '');

function documentOf({ objects, isList }: PrintedResult): unknown {
  if (!isList && objects[0]) return objects[0].object;
  return {
    apiVersion: 'v1',
    kind: 'List',
    metadata: { resourceVersion: '' },
    items: objects.map(({ object }) => object),
  };
}

/** A value as Go prints any: maps and lists in square brackets, with blanks between. */
function goText(value: unknown): string {
  if (value === null || value === undefined) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`;
  if (typeof value !== 'object') return String(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[${entries.map(([key, field]) => `${key}:${goText(field)}`).join(' ')}]`;
}

const columnText = (value: unknown): string => (value === null ? '<none>' : goText(value));

/** `NAME:.metadata.name,IMAGE:.spec.containers[*].image` */
function columnsOf(specification: string): readonly Column[] {
  return specification
    .trim()
    .split(',')
    .map(column => {
      const [header = '', ...path] = column.split(':');
      if (path.length === 0) {
        throw failure(`unexpected custom-columns spec: ${column}, expected <header>:<json-path-expr>`);
      }
      return { header, path: new JsonPath(relaxed(path.join(':'))) };
    });
}

/** A line of headers, and under them a line of paths. */
function columnsOfFile(text: string): readonly Column[] {
  const [headers = [], paths = []] = text.split('\n').map(line => line.trim().split(/\s+/));
  if (headers.length !== paths.length) {
    throw failure(`number of headers (${headers.length}) and field specifications (${paths.length}) don't match`);
  }
  return headers.map((header, index) => ({ header, path: new JsonPath(relaxed(paths[index] ?? '')) }));
}

interface Column {
  readonly header: string;
  readonly path: JsonPath;
}

function customColumns(columns: readonly Column[], hasHeaders: boolean): ObjectPrinter {
  return ({ objects }) => {
    const rows = objects.map(({ object }) =>
      columns.map(({ path }) => path.find(object).map(columnText).join(',') || '<none>'),
    );
    const lines: string[] = [];
    new TableWriter(line => lines.push(`${line}\n`)).print(
      hasHeaders ? [columns.map(({ header }) => header), ...rows] : rows,
    );
    return lines.join('');
  };
}
