/** `--overrides` of what makes objects: what is to be different in them. */
import { type JsonPatchOperation, jsonPatch } from '../../control/api/patch/json-patch.ts';
import { mergePatch } from '../../control/api/patch/merge-patch.ts';
import { strategicMergePatch } from '../../control/api/patch/strategic-merge-patch.ts';
import type { JsonObject } from '../client/api.ts';
import type { Resource } from '../client/discovery.ts';
import { failure } from '../client/errors.ts';
import { definitionOf } from './apply-patch.ts';

export interface OverrideFlags {
  readonly overrides?: string;
  readonly overrideType?: string;
}

/**
 * The object with what `--overrides` says, in the way that `--override-type` says.
 * @throws CommandError for what is no JSON, and for a way that does not exist
 */
export function overridden(
  object: JsonObject,
  resource: Resource,
  { overrides, overrideType = 'merge' }: OverrideFlags,
): JsonObject {
  if (overrides === undefined) return object;
  const changes = parsed(overrides);
  const definition = definitionOf(resource);
  switch (overrideType) {
    case 'merge':
      return mergePatch(object, changes) as JsonObject;
    case 'strategic':
      return (definition === undefined
        ? mergePatch(object, changes)
        : strategicMergePatch(object, changes as JsonObject, definition)) as unknown as JsonObject;
    case 'json':
      return jsonPatch(object, changes as JsonPatchOperation[]) as JsonObject;
    default:
      throw failure(`invalid override type: ${overrideType}`);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw failure('Invalid JSON Patch', error);
  }
}
