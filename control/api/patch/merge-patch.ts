/** JSON merge patch (RFC 7396). */
import { clone, isObject, own, setOwn } from './json.ts';

/** The result of applying `patch` to `object`; neither is changed, nor shared with the result. */
export function mergePatch(object: unknown, patch: unknown): unknown {
  return merged(clone(object), clone(patch));
}

function merged(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result = isObject(target) ? target : {};
  for (const key of Object.keys(patch)) {
    const value = own(patch, key);
    if (value === null) delete result[key];
    else setOwn(result, key, merged(own(result, key), value));
  }
  return result;
}
