/** PATCH: JSON patch, merge patch, strategic merge patch, and the way to server-side apply. Conflicts are tried again unless the patch names a version. */
import type { KindDeclaration, KubernetesObject } from '../../api/kind.ts';
import { goText, type JsonObject } from '../../api/patch/json.ts';
import { decodePatch, JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH } from '../../api/patch/patch.ts';
import { readAs } from '../../api/schema/decode.ts';
import { DecodeError } from '../../api/schema/walk.ts';
import { ApiError } from '../../api/status.ts';
import type { Core, ResourceRequest } from '../core.ts';
import { mediaTypeOf, negotiate } from '../http/negotiate.ts';
import { apiVersionOf } from '../keys.ts';
import type { Exchange, Reply } from '../types.ts';
import { APPLY_PATCH, apply } from './apply.ts';
import { addWarnings } from './create.ts';
import { singleReply } from './get.ts';
import { type FieldValidation, readWriteOptions } from './options.ts';
import { refuseListForm } from './representation.ts';
import { changeObject, checkName } from './update.ts';

const PATCH_TYPES = new Set([JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH]);

/** A patch as it came: gives the changed object. */
export interface ReadPatch {
  apply(old: KubernetesObject): unknown;
  /** What messages show of it where a result cannot be read. */
  show(patched: unknown): string;
  /** Why a result cannot be read, as this kind of patch tells it. */
  explain(error: DecodeError): string;
}

/** Reads the body of a PATCH. Throws 400, 413, 415. */
export async function readPatch(
  { exchange }: Pick<ResourceRequest, 'exchange'>,
  definition: string | undefined,
): Promise<ReadPatch> {
  const mediaType = mediaTypeOf(exchange.headers['content-type']);
  if (!PATCH_TYPES.has(mediaType)) {
    throw new ApiError('UnsupportedMediaType', '415: Unsupported Media Type', { details: {} });
  }
  const text = new TextDecoder().decode(await exchange.readBody());
  const apply = decodePatch(mediaType, text, definition);
  const isStrategic = mediaType === STRATEGIC_MERGE_PATCH;
  return {
    apply: old => apply(old as JsonObject),
    show: patched => (isStrategic ? goText(JSON.parse(text)) : JSON.stringify(patched)),
    explain: error => (isStrategic ? (error.ofConverter ?? error.message) : error.message),
  };
}

export const isApply = ({ headers }: Exchange): boolean => mediaTypeOf(headers['content-type']) === APPLY_PATCH;

export async function patch(core: Core, request: ResourceRequest): Promise<Reply> {
  const { exchange, kind } = request;
  refuseListForm(negotiate(exchange.headers.accept), kind);
  if (isApply(exchange)) return apply(core, request);
  const read = await readPatch(request, kind.form ? undefined : kind.definition);
  const options = readWriteOptions(exchange.query, 'PatchOptions');
  const stored = await changeObject(core, request, {
    isDryRun: options.isDryRun,
    sharesNothing: true,
    change(old) {
      const { object, warnings } = decodePatched(kind, read, { old, fieldValidation: options.fieldValidation });
      addWarnings(exchange, warnings);
      checkName(request, object);
      return object;
    },
  });
  return singleReply(core, request, stored);
}

/** Applies a patch and reads the result as an object of the kind. Throws 422 where it is none. */
export function decodePatched(
  kind: KindDeclaration,
  read: ReadPatch,
  { old, fieldValidation }: { readonly old: KubernetesObject; readonly fieldValidation: FieldValidation },
): { object: KubernetesObject; warnings: readonly string[] } {
  const patched = read.apply(old);
  const refuse = (why: string) => notReadable(read.show(patched), why);
  const { apiVersion, kind: name } = (patched ?? {}) as KubernetesObject;
  if ((apiVersion ?? '') !== apiVersionOf(kind) || (name ?? '') !== kind.kind) {
    throw refuse(
      `no kind "${String(name)}" is registered for version "${String(apiVersion)}" in scheme "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"`,
    );
  }
  const complaints: string[] = [];
  let object: KubernetesObject;
  try {
    // The reader checks it against the kind's schema.
    const onUnknown = (path: string) => complaints.push(`unknown field "${path}"`);
    object = readAs(kind, patched, fieldValidation === 'Ignore' ? undefined : onUnknown) as KubernetesObject;
  } catch (error) {
    if (error instanceof DecodeError) throw refuse(read.explain(error));
    throw error;
  }
  if (fieldValidation === 'Strict' && complaints.length > 0) {
    throw refuse(`strict decoding error: ${complaints.join(', ')}`);
  }
  object.kind = kind.kind;
  object.apiVersion = apiVersionOf(kind);
  kind.defaults(object);
  return { object, warnings: fieldValidation === 'Warn' ? complaints : [] };
}

/** A patch whose result is no object of the kind: kube-apiserver names neither kind nor object here. */
function notReadable(shown: string, why: string): ApiError {
  const message = `Invalid value: ${JSON.stringify(shown)}: ${why}`;
  return new ApiError('Invalid', ` "" is invalid: patch: ${message}`, {
    details: { causes: [{ reason: 'FieldValueInvalid', message, field: 'patch' }] },
  });
}
