/**
 * A PATCH request's body, decoded and applied by its media type. JSON patch, merge patch and strategic merge patch live in
 * files of their own beside this one.
 */
import { ApiError } from '../status.ts';
import { isObject, type JsonObject } from './json.ts';
import { type JsonPatchOperation, jsonPatch } from './json-patch.ts';
import { mergePatch } from './merge-patch.ts';
import { strategicMergePatch } from './strategic-merge-patch.ts';

export const JSON_PATCH = 'application/json-patch+json';
export const MERGE_PATCH = 'application/merge-patch+json';
export const STRATEGIC_MERGE_PATCH = 'application/strategic-merge-patch+json';

/** Not decoded here; the types that custom resources take are told with it. */
const APPLY_PATCH = 'application/apply-patch+yaml';

/** The media types of {@link decodePatch}, in the order in which Kubernetes lists them. */
export const PATCH_TYPES = [JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH] as const;

/** A decoded patch: gives the patched copy of an object. It may be applied again when a write met a conflict. */
export type DecodedPatch = (object: JsonObject) => unknown;

/**
 * Decodes a patch.
 * @param mediaType Without parameters.
 * @param definition The kind's schema name; undefined for custom resources, which know no strategic merge.
 * @throws ApiError 415 for another media type, 400 for a body that is no such patch. What the result throws:
 * see {@link jsonPatch} and {@link strategicMergePatch}.
 */
export function decodePatch(mediaType: string, body: string, definition: string | undefined): DecodedPatch {
  switch (mediaType) {
    case JSON_PATCH: {
      const operations = parse(body, 'error decoding patch: ');
      if (!Array.isArray(operations)) {
        throw unexpectedType('error decoding patch: ', operations, '[]handlers.jsonPatchOp');
      }
      return object => jsonPatch(object, operations as JsonPatchOperation[]); // each is checked when applied
    }
    case MERGE_PATCH: {
      const patch = parseObject(body, 'error decoding patch: ');
      return object => mergePatch(object, patch);
    }
    case STRATEGIC_MERGE_PATCH: {
      if (definition === undefined) break;
      const patch = parseObject(body, '');
      return object => strategicMergePatch(object, patch, definition);
    }
  }
  const accepted = definition === undefined ? [JSON_PATCH, MERGE_PATCH, APPLY_PATCH] : PATCH_TYPES;
  throw new ApiError(
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
  );
}

function parseObject(body: string, prefix: string): JsonObject {
  const value = parse(body, prefix);
  if (!isObject(value)) throw unexpectedType(prefix, value, 'map[string]interface {}');
  return value;
}

function parse(body: string, prefix: string): unknown {
  try {
    return JSON.parse(body);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // V8 tells where it stopped, except at the very end.
    const position = /at position (\d+)/.exec(message)?.[1];
    const isCutShort = position === undefined || Number(position) >= body.length;
    throw new ApiError('BadRequest', `${prefix}${isCutShort ? 'unexpected end of JSON input' : message}`, {
      cause: error,
    });
  }
}

function unexpectedType(prefix: string, value: unknown, wanted: string): ApiError {
  const type = Array.isArray(value)
    ? 'array'
    : isObject(value)
      ? 'object'
      : typeof value === 'boolean'
        ? 'bool'
        : typeof value;
  return new ApiError('BadRequest', `${prefix}json: cannot unmarshal ${type} into Go value of type ${wanted}`);
}
