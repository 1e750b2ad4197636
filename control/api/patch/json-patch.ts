/**
 * JSON patch (RFC 6902) as Kubernetes' API server applies it, which is laxer than the RFC in ways that clients rely on:
 * `replace` sets a key that is absent, a missing `value` is null, and a pointer's first segment is ignored.
 * Those are why this is not a library: none has them, and a bound on what `copy` adds is needed too.
 */
import { ApiError } from '../status.ts';
import { clone, equal, isObject, type JsonObject, own, setOwn } from './json.ts';
import { JSON_PATCH_COPIED_BYTES_MAX, JSON_PATCH_OPERATIONS_MAX } from './limits.ts';

/** One operation as it came over the wire: nothing about it is trusted. */
export interface JsonPatchOperation {
  readonly op?: unknown;
  readonly path?: unknown;
  readonly from?: unknown;
  readonly value?: unknown;
}

/**
 * Applies `operations` to a copy of `object`.
 * @throws ApiError 413 for too many operations, 422 Invalid when an operation cannot be applied or a test fails.
 */
export function jsonPatch(object: unknown, operations: readonly JsonPatchOperation[]): unknown {
  if (operations.length > JSON_PATCH_OPERATIONS_MAX) {
    throw new ApiError(
      'RequestEntityTooLarge',
      `Request entity too large: The allowed maximum operations in a JSON patch is ${JSON_PATCH_OPERATIONS_MAX}, got ${operations.length}`,
    );
  }
  const state: State = { document: clone(object), copiedBytes: 0 };
  for (const operation of operations) apply(state, operation);
  return state.document;
}

interface State {
  document: unknown;
  copiedBytes: number;
}

/** Any operation that cannot be applied is told in this one sentence. */
function rejected(): ApiError {
  return new ApiError('Invalid', 'the server rejected our request due to an error in our request', { details: {} });
}

function apply(state: State, operation: JsonPatchOperation): void {
  if (!isObject(operation)) throw rejected();
  const value = clone(operation.value ?? null);
  switch (operation.op) {
    case 'add':
      add(state, pointer(operation.path), value);
      break;
    case 'remove':
      remove(state, pointer(operation.path));
      break;
    case 'replace':
      replace(state, pointer(operation.path), value);
      break;
    case 'move': {
      const from = pointer(operation.from);
      const moved = read(state, from, 'must exist');
      remove(state, from);
      add(state, pointer(operation.path), moved);
      break;
    }
    case 'copy': {
      const copied = clone(read(state, pointer(operation.from), 'must exist'));
      state.copiedBytes += JSON.stringify(copied ?? null).length;
      if (state.copiedBytes > JSON_PATCH_COPIED_BYTES_MAX) throw rejected();
      add(state, pointer(operation.path), copied);
      break;
    }
    case 'test':
      if (!equal(read(state, pointer(operation.path), 'may be absent') ?? null, value)) throw rejected();
      break;
    default:
      throw rejected();
  }
}

/** The segments of a JSON pointer (RFC 6901); none for the whole document. */
function pointer(text: unknown): string[] {
  if (typeof text !== 'string') throw rejected();
  return text
    .split('/')
    .slice(1)
    .map(segment => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
}

type Container = JsonObject | unknown[];

/** The container that holds the last segment's value. */
function parentOf(state: State, segments: readonly string[]): Container {
  let current = state.document;
  for (const segment of segments.slice(0, -1)) {
    current = Array.isArray(current) ? current[existingIndex(current, segment)] : own(objectOrThrow(current), segment);
  }
  return Array.isArray(current) ? current : objectOrThrow(current);
}

function objectOrThrow(value: unknown): JsonObject {
  if (!isObject(value)) throw rejected();
  return value;
}

function read(state: State, segments: readonly string[], presence: 'must exist' | 'may be absent'): unknown {
  if (segments.length === 0) return state.document;
  const parent = parentOf(state, segments);
  const last = segments[segments.length - 1] ?? '';
  if (Array.isArray(parent)) return parent[existingIndex(parent, last)];
  if (presence === 'must exist' && !Object.hasOwn(parent, last)) throw rejected();
  return own(parent, last);
}

function add(state: State, segments: readonly string[], value: unknown): void {
  if (segments.length === 0) {
    state.document = value;
    return;
  }
  const parent = parentOf(state, segments);
  const last = segments[segments.length - 1] ?? '';
  if (!Array.isArray(parent)) {
    setOwn(parent, last, value);
    return;
  }
  const index = last === '-' ? parent.length : integer(last);
  if (index > parent.length) throw rejected();
  parent.splice(index, 0, value);
}

function remove(state: State, segments: readonly string[]): void {
  if (segments.length === 0) throw rejected();
  const parent = parentOf(state, segments);
  const last = segments[segments.length - 1] ?? '';
  if (Array.isArray(parent)) {
    parent.splice(existingIndex(parent, last), 1);
    return;
  }
  if (!Object.hasOwn(parent, last)) throw rejected();
  delete parent[last];
}

function replace(state: State, segments: readonly string[], value: unknown): void {
  if (segments.length === 0) {
    state.document = value;
    return;
  }
  const parent = parentOf(state, segments);
  const last = segments[segments.length - 1] ?? '';
  if (Array.isArray(parent)) parent[existingIndex(parent, last)] = value;
  else setOwn(parent, last, value);
}

function integer(segment: string): number {
  if (!/^(0|[1-9]\d{0,8})$/.test(segment)) throw rejected();
  return Number(segment);
}

function existingIndex(array: readonly unknown[], segment: string): number {
  const index = integer(segment);
  if (index >= array.length) throw rejected();
  return index;
}
