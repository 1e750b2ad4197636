/** What a mutating webhook's patch makes of an object. */
import type { KindDeclaration, KubernetesObject } from '../../../api/kind.ts';
import { isObject } from '../../../api/patch/json.ts';
import { type JsonPatchOperation, jsonPatch } from '../../../api/patch/json-patch.ts';
import { decode } from '../../../api/schema/decode.ts';
import { isEqual } from '../../../api/schema/equal.ts';
import { JsonSyntaxError, parseJson, plainValue } from '../../../api/schema/json.ts';
import { ApiError, internalError } from '../../../api/status.ts';

/** Reads the operations of a patch. Throws 500 for what is none. */
export function readOperations(patch: string): JsonPatchOperation[] {
  let value: unknown;
  try {
    value = plainValue(parseJson(patch).value);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw internalError(error);
  }
  if (value === null) return [];
  if (!Array.isArray(value)) {
    const type = isObject(value) ? 'object' : typeof value === 'boolean' ? 'bool' : typeof value;
    throw internalError(new Error(`json: cannot unmarshal ${type} into Go value of type jsonpatch.Patch`));
  }
  return value;
}

/**
 * Applies the operations and gives the object that came out, read and defaulted as one of the kind; undefined if it is the
 * same. Throws 500 for operations that do not apply, and for a result that is no such object.
 */
export function patched(
  kind: KindDeclaration,
  object: KubernetesObject,
  operations: readonly JsonPatchOperation[],
): KubernetesObject | undefined {
  const value = apply(object, operations);
  let result: KubernetesObject;
  try {
    result = decode(kind, { value }, { fieldValidation: 'Ignore' }).object;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    throw internalError(error);
  }
  kind.defaults(result);
  return isEqual(result, object) ? undefined : result;
}

/** The same for an object that is none of the resource's: whatever came out. */
export function patchedPart(object: KubernetesObject, operations: readonly JsonPatchOperation[]): KubernetesObject {
  return apply(object, operations) as KubernetesObject; // nobody but the one who sent it reads it
}

function apply(object: KubernetesObject, operations: readonly JsonPatchOperation[]): unknown {
  try {
    return jsonPatch(object, operations);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    throw internalError(new Error(whyRefused(object, operations)));
  }
}

/** The sentence about the first operation that does not apply, as json-patch tells it. */
function whyRefused(object: KubernetesObject, operations: readonly JsonPatchOperation[]): string {
  let state: unknown = object;
  for (const operation of operations) {
    try {
      state = jsonPatch(state, [operation]);
    } catch {
      return sentence(operation);
    }
  }
  return 'the patch does not apply';
}

function sentence({ op, path: given }: JsonPatchOperation): string {
  const path = typeof given === 'string' ? given : '';
  const key = path.slice(path.lastIndexOf('/') + 1);
  switch (op) {
    case 'remove':
      return `error in remove for path: '${path}': Unable to remove nonexistent key: ${key}: missing value`;
    case 'test':
      return `testing value ${path} failed: test failed`;
    case 'add':
    case 'replace':
    case 'move':
    case 'copy':
      return `${op} operation does not apply: doc is missing path: ${JSON.stringify(path)}: missing value`;
    default:
      return `Unexpected kind: ${typeof op === 'string' ? op : 'unknown'}`;
  }
}
