/**
 * From a request's body to an object of the API: text to value, the check that it is of the kind that the URL speaks of,
 * then the walker. Failures are {@link ApiError}s in Kubernetes' sentences.
 */

import { DEFINITION_TEXTS } from '../generated/definitions.ts';
import type { Kind, KubernetesObject } from '../kind.ts';
import { type ApiError, badRequest, invalid } from '../status.ts';
import { structOf } from './compile.ts';
import { definition } from './definitions.ts';
import { type Duplicates, JsonSyntaxError, parseJson, plainValue, RawNumber } from './json.ts';
import { DecodeError, walk } from './walk.ts';
import { parseYaml, YamlSyntaxError } from './yaml.ts';

/** What to do with unknown and duplicate fields: refuse, warn, or say nothing. The server's default is Warn. */
export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

export interface DecodeOptions {
  readonly fieldValidation?: FieldValidation;
  /** How `body` is written, where it is text. */
  readonly format?: 'json' | 'yaml';
}

/** A body: text, or a value that was decoded elsewhere (protobuf, a patch's result). */
export type Body = string | { readonly value: unknown };

export interface Decoded<T> {
  readonly object: T;
  /** Sentences for `Warning` headers. */
  readonly warnings: readonly string[];
}

/**
 * Decodes `body` as an object of `kind`. The answer is complete in the sense of Go: defaults of the schema are in, empty
 * values that Kubernetes would not write are out. Conditional defaults are the declaration's business.
 * Throws ApiError (BadRequest).
 */
export function decode<T extends KubernetesObject>(kind: Kind<T>, body: Body, options: DecodeOptions = {}): Decoded<T> {
  const { value, duplicates, complaints } = read(kind.kind, body, options.format ?? 'json');
  const sent = kind.form ? checkCustomKind(kind, value, body) : checkKind(kind, value, body);
  const mode = options.fieldValidation ?? 'Warn';
  const unknown: string[] = [];
  let object: Record<string, unknown>;
  try {
    object = readAs(kind, value ?? {}, mode === 'Ignore' ? undefined : path => unknown.push(path));
  } catch (error) {
    if (error instanceof DecodeError) throw cannotHandle(sent, kind, error.message);
    throw error;
  }
  // What has no text is the result of a patch, whose keys Go sorts.
  if (typeof body !== 'string' && !kind.form) unknown.sort();
  const found = kind.form
    ? [...(duplicates?.paths ?? []).map(duplicateField), ...unknown.map(unknownField)]
    : inOrder(unknown, duplicates);
  if (mode === 'Strict' && complaints.length + found.length > 0) {
    // go-yaml's own complaints come in one error of several lines.
    const yaml = complaints.length > 0 ? [`yaml: unmarshal errors:\n  ${complaints.join('\n  ')}`] : [];
    throw cannotHandle(sent, kind, `strict decoding error: ${[...yaml, ...found].join(', ')}`);
  }
  object.kind = kind.kind;
  object.apiVersion = apiVersionOf(kind);
  return { object: object as T, warnings: mode === 'Warn' ? [...complaints, ...found] : [] };
}

/**
 * Reads a value as an object of the kind, whether its schema is part of the program or came at run time. `onUnknown` is told
 * the paths of unknown fields. Throws {@link DecodeError}.
 */
export function readAs(kind: Kind, value: unknown, onUnknown?: (path: string) => void): Record<string, unknown> {
  if (kind.form) {
    const copy = plainValue(value) as Record<string, unknown>; // whoever calls has seen that it is an object
    return { ...kind.form.read(copy, onUnknown) };
  }
  return walk(structOf(kind.definition), value, {
    ...(onUnknown && { onComplaint: (_sentence: string, path: string) => onUnknown(path) }),
  });
}

const unknownField = (path: string) => `unknown field "${path}"`;
const duplicateField = (path: string) => `duplicate field "${path}"`;

/** Sentences about unknown and duplicate fields, as they stand in the text. */
function inOrder(unknown: readonly string[], duplicates: Duplicates | undefined): string[] {
  if (!duplicates) return unknown.map(unknownField);
  const placeOf = (path: string) => duplicates.places.get(path) ?? 0;
  return [
    ...unknown.map(path => ({ text: unknownField(path), place: placeOf(path) })),
    ...duplicates.paths.map(path => ({ text: duplicateField(path), place: placeOf(path) })),
  ]
    .sort((a, b) => a.place - b.place)
    .map(({ text }) => text);
}

/**
 * Decodes a value that has no kind of its own, such as DeleteOptions, by its schema's name. `what` names it in messages.
 * Throws ApiError (BadRequest).
 */
export function decodeAs<T>(definitionName: string, value: unknown, what: string): T {
  try {
    return walk(structOf(definitionName), value) as T;
  } catch (error) {
    if (error instanceof DecodeError) throw badRequest(`${what}: ${error.message}`);
    throw error;
  }
}

/**
 * Brings an object that was changed in place back into the form in which Kubernetes would write it.
 * Throws {@link DecodeError} if a value has a wrong type: a mistake of the caller.
 */
export function canonical<T extends KubernetesObject>(kind: Kind<T>, object: T): T {
  return walk(structOf(kind.definition), object) as T;
}

export const apiVersionOf = ({ group, version }: { readonly group: string; readonly version: string }): string =>
  group === '' ? version : `${group}/${version}`;

interface Read {
  readonly value: unknown;
  readonly duplicates?: Duplicates;
  /** What the YAML reader itself complained of. */
  readonly complaints: readonly string[];
}

function read(kindName: string, body: Body, format: 'json' | 'yaml'): Read {
  if (typeof body !== 'string') return { value: body.value, complaints: [] };
  try {
    if (format === 'yaml') {
      const { value, duplicates } = parseYaml(body);
      return { value, complaints: duplicates };
    }
    const { value, duplicates } = parseJson(body);
    return { value, ...(duplicates && { duplicates }), complaints: [] };
  } catch (error) {
    if (error instanceof YamlSyntaxError) throw unrecognized(kindName, error.message, body);
    if (error instanceof JsonSyntaxError) {
      throw unrecognized(kindName, `couldn't get version/kind; json parse error: ${error.message}`, body);
    }
    throw error;
  }
}

/** How much of a body a message shows. */
const SUMMARY_BYTES_MAX = 30;

/** The beginning of a body: as text if it is a JSON object, else in hexadecimal. */
function summary(body: string): string {
  if (body === '') return '<empty>';
  const bytes = new TextEncoder().encode(body);
  const shown = bytes.subarray(0, SUMMARY_BYTES_MAX);
  const text = body.startsWith('{')
    ? new TextDecoder().decode(shown)
    : Array.from(shown, byte => byte.toString(16).padStart(2, '0')).join('');
  return bytes.length > SUMMARY_BYTES_MAX ? `${text} ...` : text;
}

function unrecognized(kindName: string, why: string, body: Body): ApiError {
  const shown = summary(typeof body === 'string' ? body : (JSON.stringify(body.value) ?? ''));
  return badRequest(`the object provided is unrecognized (must be of type ${kindName}): ${why} (${shown})`);
}

interface SentKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

function cannotHandle(sent: SentKind, expected: Kind, why: string): ApiError {
  return badRequest(`${sent.kind} in version "${sent.version}" cannot be handled as a ${expected.kind}: ${why}`);
}

const TYPE_META =
  'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';

/** What a JSON value is called by Go. */
function jsonWord(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (value instanceof RawNumber) return 'number';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

/** Checks that the body is of the expected kind; a body that names none is taken for it. */
function checkKind(expected: Kind, value: unknown, body: Body): SentKind {
  const refuse = (why: string) => unrecognized(expected.kind, why, body);
  const parseError = (why: string) =>
    refuse(`couldn't get version/kind; json parse error: json: cannot unmarshal ${why}`);
  if (value !== null && (typeof value !== 'object' || Array.isArray(value) || value instanceof RawNumber)) {
    throw parseError(`${jsonWord(value)} into Go value of type ${TYPE_META}`);
  }
  const { apiVersion = '', kind = '' } = (value ?? {}) as { apiVersion?: unknown; kind?: unknown };
  if (typeof apiVersion !== 'string' && apiVersion !== null) {
    throw parseError(`${jsonWord(apiVersion)} into Go struct field .apiVersion of type string`);
  }
  if (typeof kind !== 'string' && kind !== null) {
    throw parseError(`${jsonWord(kind)} into Go struct field .kind of type string`);
  }
  const slashes = (apiVersion ?? '').split('/');
  if (slashes.length > 2) throw refuse(`unexpected GroupVersion string: ${apiVersion}`);
  const sent: SentKind = {
    group: !apiVersion ? expected.group : slashes.length === 2 ? (slashes[0] ?? '') : '',
    version: !apiVersion ? expected.version : (slashes.at(-1) ?? ''),
    kind: kind || expected.kind,
  };
  if (sent.kind === expected.kind && sent.group === expected.group) {
    if (sent.version === expected.version) return sent;
    if (isKnown(sent)) {
      throw badRequest(
        `the API version in the data (${apiVersionOf(sent)}) does not match the expected API version (${apiVersionOf(expected)})`,
      );
    }
  }
  if (!isKnown(sent)) {
    throw cannotHandle(
      sent,
      expected,
      `no kind "${sent.kind}" is registered for version "${apiVersionOf(sent)}" in scheme "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"`,
    );
  }
  const internal = expected.group === '' ? 'core' : (expected.group.split('.')[0] ?? '');
  throw cannotHandle(
    sent,
    expected,
    `converting (${sent.version}.${sent.kind}) to (${internal}.${expected.kind}): unknown conversion`,
  );
}

/** Checks that a custom resource names its kind and the version of the URL. Throws 400, 422. */
function checkCustomKind(expected: Kind, value: unknown, body: Body): SentKind {
  const text = typeof body === 'string' ? body : JSON.stringify(body.value);
  const refuse = (why: string) => unrecognized(expected.kind, why, body);
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof RawNumber) {
    throw refuse(
      `json: cannot unmarshal ${value === null ? 'null' : jsonWord(value)} into Go value of type ${TYPE_META}`,
    );
  }
  const { apiVersion, kind } = value as { apiVersion?: unknown; kind?: unknown };
  if (typeof kind !== 'string' || kind === '') throw refuse(`Object 'Kind' is missing in '${text}'`);
  const version = typeof apiVersion === 'string' ? apiVersion : '';
  const wanted = apiVersionOf(expected);
  if (version !== wanted) {
    throw badRequest(`the API version in the data (${version}) does not match the expected API version (${wanted})`);
  }
  if (kind === expected.kind) return { group: expected.group, version: expected.version, kind };
  const { name } = ((value as { metadata?: unknown }).metadata ?? {}) as { name?: unknown };
  throw invalid({ group: expected.group, kind }, typeof name === 'string' ? name : '', [
    {
      type: 'FieldValueInvalid',
      field: 'kind',
      message: `Invalid value: ${JSON.stringify(kind)}: must be ${expected.kind}`,
    },
  ]);
}

/** Versions of kinds that Kubernetes 1.33 still reads though it has no schema for them. */
const READ_ONLY_VERSIONS = /^(?:apps\/v1beta[12]|extensions\/v1beta1|policy\/v1beta1|batch\/v1beta1)$/;

let known: ReadonlySet<string> | undefined;

/** True if Kubernetes knows the kind in that version. Only mistakes lead here, so the table is made when first needed. */
function isKnown({ group, version, kind }: SentKind): boolean {
  known ??= new Set(
    Object.keys(DEFINITION_TEXTS).flatMap(name =>
      (definition(name)['x-kubernetes-group-version-kind'] ?? []).map(gvk => `${gvk.group}/${gvk.version}/${gvk.kind}`),
    ),
  );
  if (known.has(`${group}/${version}/${kind}`) || (group === '' && version === 'v1' && kind === 'List')) return true;
  return (
    READ_ONLY_VERSIONS.test(`${group}/${version}`) && known.has(`${group === 'extensions' ? 'apps' : group}/v1/${kind}`)
  );
}
