/** Values that are copied from a field of one object into fields of others. */
import type { JsonObject } from '../client/api.ts';
import { failure } from '../client/errors.ts';
import { kustomizeYaml, yaml } from '../client/yaml.ts';
import { fileOf, type Root } from './files.ts';
import type { PieceOptions, Replacement, ReplacementTarget } from './kustomization.ts';
import { isMeant, isObject, type Resource } from './resource.ts';

/** @throws CommandError if the source is not one object's field, or a target has no such field. */
export function replace(resources: readonly Resource[], entry: Replacement, root: Root): void {
  for (const replacement of entry.path === undefined ? [entry] : readReplacements(entry.path, root)) {
    const value = sourceOf(resources, replacement);
    if (!replacement.targets?.length) throw failure('must specify a source and at least one target of a replacement');
    for (const target of replacement.targets) replaceIn(resources, target, value);
  }
}

function readReplacements(path: string, root: Root): readonly Replacement[] {
  const value: unknown = yaml().parse(fileOf(path, root).toString(), kustomizeYaml);
  return (Array.isArray(value) ? value : [value]) as readonly Replacement[]; // each is checked as it is used
}

function sourceOf(resources: readonly Resource[], { source, sourceValue }: Replacement): unknown {
  if (sourceValue !== undefined) return sourceValue;
  if (source === undefined) throw failure('must specify a source and at least one target of a replacement');
  const { fieldPath = 'metadata.name', options, ...target } = source;
  const meant = resources.filter(resource => isMeant(resource, target));
  const [one, another] = meant;
  const described = Object.entries(target)
    .map(([key, value]) => `${key}=${value}`)
    .join(', ');
  if (!one) throw failure(`nothing selected by ${described}`);
  if (another) throw failure(`multiple matches for selector ${described}`);
  let found: unknown;
  changeAt(one.object, segmentsOf(fieldPath), false, value => {
    found ??= value;
    return value;
  });
  if (found === undefined) throw failure(`fieldPath \`${fieldPath}\` is missing for replacement source ${described}`);
  return pieceOf(found, options);
}

function pieceOf(value: unknown, options: PieceOptions | undefined): unknown {
  checkEncoding(options);
  if (!options?.delimiter) return value;
  const piece = String(value).split(options.delimiter)[options.index ?? 0];
  if (piece === undefined) throw failure(`options.index ${options.index} is out of bounds for value ${value}`);
  return piece;
}

/** An encoding that were passed over would put a plain value where an encoded one is expected. */
function checkEncoding(options: PieceOptions | undefined): void {
  if (options?.encoding) throw failure(`replacements with the encoding ${options.encoding} are not known here`);
}

function replaceIn(resources: readonly Resource[], target: ReplacementTarget, value: unknown): void {
  const { select, reject = [], fieldPaths = ['metadata.name'], options = {} } = target;
  if (select === undefined) throw failure('target must specify resources to select');
  checkEncoding(options);
  for (const resource of resources) {
    if (!isMeant(resource, select) || reject.some(one => isMeant(resource, one))) continue;
    for (const path of fieldPaths) {
      let isFound = false;
      changeAt(resource.object, segmentsOf(path), options.create ?? false, now => {
        isFound = true;
        const next = placed(now, value, options);
        return /^metadata\.(?:labels|annotations)\./.test(path) ? String(next) : next;
      });
      if (!isFound) throw failure(`unable to find field ${JSON.stringify(path)} in replacement target`);
    }
  }
}

/** The value in the place of a piece, or before (index below 0) or behind all of them. */
function placed(now: unknown, value: unknown, { delimiter, index = 0 }: PieceOptions): unknown {
  if (!delimiter) return value;
  const pieces = String(now ?? '').split(delimiter);
  if (index < 0) pieces.unshift(String(value));
  else if (index >= pieces.length) pieces.push(String(value));
  else pieces[index] = String(value);
  return pieces.join(delimiter);
}

/** Fields are parted by dots; a dot in brackets, or behind a backslash, parts nothing. */
function segmentsOf(path: string): string[] {
  const parts = path.match(/(?:\[[^\]]*\]|\\.|[^.\\[])+/g) ?? [];
  return parts.map(part => part.replaceAll('\\.', '.'));
}

function changeAt(
  node: unknown,
  [first, ...rest]: readonly string[],
  create: boolean,
  change: (value: unknown) => unknown,
): void {
  if (first === undefined) return;
  const step = (owner: JsonObject | unknown[], key: string | number) => {
    const map = owner as Record<string | number, unknown>; // lists are asked by their index
    if (rest.length === 0) map[key] = change(map[key]);
    else {
      if (create && (map[key] === undefined || map[key] === null)) map[key] = rest[0]?.startsWith('[') ? [] : {};
      changeAt(map[key], rest, create, change);
    }
  };
  if (Array.isArray(node)) {
    for (const index of indexesOf(node, first, create)) step(node, index);
    return;
  }
  if (!isObject(node)) return;
  if (first === '*') for (const key of Object.keys(node)) step(node, key);
  else if (create || Object.hasOwn(node, first)) step(node, first);
}

function indexesOf(list: unknown[], segment: string, create: boolean): number[] {
  if (segment === '*') return [...list.keys()];
  if (/^\d+$/.test(segment)) return Number(segment) < list.length ? [Number(segment)] : [];
  const [, key = '', value = ''] = /^\[([^=]+)=(.*)\]$/.exec(segment) ?? [];
  if (key === '') return [];
  const found = [...list.keys()].filter(index => {
    const item = list[index];
    return isObject(item) && String(item[key]) === value;
  });
  if (found.length === 0 && create) return [list.push({ [key]: value }) - 1];
  return found;
}
