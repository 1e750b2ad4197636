/** Reads the objects of `-f`: files, folders, standard input and URLs; YAML with several documents, JSON, and lists. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { sorted } from '../output/documents.ts';
import type { JsonObject } from './api.ts';
import { CommandError, failure } from './errors.ts';
import { jsonMistake, yamlMistake } from './parse-errors.ts';
import { manifestYaml, yaml } from './yaml.ts';

export interface Manifest {
  readonly object: JsonObject;
  /** The file, `STDIN` or the URL. */
  readonly source: string;
  /** Whether it stood in a list. */
  readonly isItem?: boolean;
}

/** Files that a folder is searched for. */
const EXTENSIONS = ['.json', '.yaml', '.yml'];

/** What is made of a document that is no object. */
export interface MistakeHandling {
  /**
   * Told of what is wrong with a file, whose other objects and the other files are still taken; without it, the first mistake
   * is thrown.
   */
  readonly onMistake?: (mistake: CommandError) => void;
  /**
   * True for commands that would have the server check the objects: a document that is none ends its file there. Others tell
   * that it cannot be decoded, and go on with the next one.
   */
  readonly isValidated?: boolean;
}

/**
 * All objects of the given sources, in order.
 * @throws CommandError for a source that is not there, and for what cannot be read or is no object if nobody is told of it.
 */
export async function readManifests(
  sources: readonly string[],
  { stdin, isRecursive, ...handling }: MistakeHandling & { readonly stdin: Readable; readonly isRecursive: boolean },
): Promise<Manifest[]> {
  const manifests: Manifest[] = [];
  const files: (() => Promise<SourceText>)[] = [];
  // Whether all is there is looked at before anything is read, as kubectl does.
  for (const source of sources) files.push(...sourcesOf(source, stdin, isRecursive));
  for (const read of files) {
    try {
      const { name, text } = await read();
      for (const manifest of manifestsIn(name, text, { ...handling, options: manifestYaml })) manifests.push(manifest);
    } catch (error) {
      if (!handling.onMistake || !(error instanceof CommandError)) throw error;
      handling.onMistake(error);
    }
  }
  return manifests;
}

interface SourceText {
  /** The file, `STDIN` or the URL. */
  readonly name: string;
  readonly text: string;
}

function sourcesOf(source: string, stdin: Readable, isRecursive: boolean): (() => Promise<SourceText>)[] {
  if (source === '-' || /^https?:\/\//.test(source)) return [() => readStream(source, stdin)];
  return filesOf(source, isRecursive).map(name => async () => ({ name, text: readText(name) }));
}

async function readStream(source: string, stdin: Readable): Promise<SourceText> {
  if (source === '-') {
    const chunks: Buffer[] = [];
    for await (const chunk of stdin) chunks.push(Buffer.from(chunk));
    return { name: 'STDIN', text: Buffer.concat(chunks).toString() };
  }
  const response = await fetch(source).catch(error => {
    throw failure(`unable to read URL "${source}": ${error instanceof Error ? error.message : error}`, error);
  });
  if (!response.ok)
    throw failure(
      `unable to read URL "${source}", server reported ${response.status} ${response.statusText}, status code=${response.status}`,
    );
  return { name: source, text: await response.text() };
}

function filesOf(path: string, isRecursive: boolean): string[] {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) throw failure(`the path "${path}" does not exist`);
  if (!stat.isDirectory()) return [path];
  const files = readdirSync(path, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(entry => {
      const full = join(path, entry.name);
      if (entry.isDirectory()) return isRecursive ? filesOf(full, true) : [];
      return EXTENSIONS.some(extension => entry.name.endsWith(extension)) ? [full] : [];
    });
  if (files.length === 0 && !isRecursive) {
    throw failure(`error reading [${path}]: recognized file extensions are [.json .yaml .yml]`);
  }
  return files;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw failure(`open ${path}: ${error instanceof Error && 'code' in error ? String(error.code) : error}`, error);
  }
}

/** The objects in a text, which came from `source`. @throws CommandError */
export function parseManifests(source: string, text: string, options = manifestYaml): Manifest[] {
  return [...manifestsIn(source, text, { options, isValidated: true })];
}

/**
 * The objects that a person left of a text, each with whether it stood in a list. What is no object of the API is told to
 * `onMistake`. @throws CommandError for a text that cannot be read
 */
export function parseEditedManifests(
  source: string,
  text: string,
  onMistake: (mistake: CommandError) => void,
): { object: JsonObject; isItem: boolean }[] {
  const found = manifestsIn(source, text, { options: manifestYaml, onMistake });
  return [...found].map(({ object, isItem = false }) => ({ object, isItem }));
}

/** Gives what it has read before it throws. */
function* manifestsIn(
  source: string,
  text: string,
  { options, ...handling }: MistakeHandling & { readonly options: typeof manifestYaml },
): Generator<Manifest> {
  const json = parsedJson(text);
  if (json) {
    for (const value of json) yield* objectsOf(value, source, handling);
    return;
  }
  // YAML 1.1, as Kubernetes reads it: `yes` is true, `0o7` is text.
  for (const document of yaml().parseAllDocuments(text, options)) {
    const [error] = document.errors;
    if (error) {
      const mistake = jsonMistakeOf(text) ?? `error converting YAML to JSON: ${yamlMistake(error, text)}`;
      throw failure(`error parsing ${source}: ${mistake}`, error);
    }
    const value = contentOf(document, source);
    if (value === null || value === undefined) continue;
    yield* objectsOf(value, source, handling);
  }
}

/** @throws CommandError for a reference to what is not there, or too many of them. */
function contentOf(document: { toJS(options: { maxAliasCount: number }): unknown }, source: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 1000 });
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    const anchor = /^Unresolved alias .*: (\S+)$/.exec(error.message)?.[1];
    const text = anchor === undefined ? error.message : `unknown anchor '${anchor}' referenced`;
    throw failure(`error parsing ${source}: error converting YAML to JSON: yaml: ${text}`, error);
  }
}

/** What is wrong with a text that looks like JSON, as JSON; undefined for one that does not. */
function jsonMistakeOf(text: string): string | undefined {
  if (!/^\s*\{/.test(text)) return undefined;
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return error instanceof SyntaxError ? jsonMistake(error, text) : undefined;
  }
}

/**
 * JSON is read as such: a key that comes twice is no mistake there, values may follow each other, and no YAML parser need be
 * loaded. Undefined for what is not JSON.
 */
function parsedJson(text: string): unknown[] | undefined {
  if (!/^\s*[{[]/.test(text)) return undefined;
  try {
    return jsonTexts(text).map(part => JSON.parse(part));
  } catch {
    return undefined;
  }
}

/** The values that stand one behind the other. */
function jsonTexts(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  let isText = false;
  for (let index = 0; index < text.length; index++) {
    const sign = text[index];
    if (isText) {
      if (sign === '\\') index++;
      else if (sign === '"') isText = false;
      continue;
    }
    if (sign === '"') isText = true;
    else if (sign === '{' || sign === '[') depth++;
    else if ((sign === '}' || sign === ']') && --depth === 0) {
      parts.push(text.slice(start, index + 1));
      start = index + 1;
    }
  }
  const rest = text.slice(start);
  return rest.trim() === '' ? parts : [...parts, rest];
}

/** A value of JSON in the words of Go. */
function jsonKind(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

function* objectsOf(value: unknown, source: string, handling: MistakeHandling): Generator<Manifest> {
  const isChecked = handling.isValidated || !handling.onMistake;
  if (!isChecked && (typeof value !== 'object' || Array.isArray(value))) {
    throw failure(
      `unable to decode "${source}": json: cannot unmarshal ${jsonKind(value)} into Go value of type unstructured.detector`,
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw failure(
      `error validating "${source}": error validating data: invalid object to validate; if you choose to ignore these errors, turn validation off with --validate=false`,
    );
  }
  const object = value as JsonObject; // just checked
  if (typeof object.kind === 'string' && object.kind.endsWith('List') && Array.isArray(object.items)) {
    for (const item of object.items) {
      for (const manifest of objectsOf(item, source, handling)) yield { ...manifest, isItem: true };
    }
    return;
  }
  const missing = ['apiVersion', 'kind'].filter(key => typeof object[key] !== 'string' || object[key] === '');
  if (missing.length > 0 && handling.onMistake && !handling.isValidated) {
    const what = missing.includes('kind') ? 'Kind' : 'apiVersion';
    const body = JSON.stringify(sorted(object));
    handling.onMistake(failure(`unable to decode "${source}": Object '${what}' is missing in '${body}'`));
    return;
  }
  if (missing.length > 0) {
    const all = missing.map(key => `${key} not set`).join(', ');
    throw failure(
      `error validating "${source}": error validating data: ${missing.length > 1 ? `[${all}]` : all}; if you choose to ignore these errors, turn validation off with --validate=false`,
    );
  }
  // In the order of their names, as Go writes maps: warnings of the server come in that order.
  yield { object: sorted(object) as JsonObject, source };
}
