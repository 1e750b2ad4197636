/** Answers in the forms that clients know: JSON, YAML, Status, plain text. */
import { stringify as stringifyYaml } from 'yaml';
import {
  CompactedError,
  FencedError,
  FutureRevisionError,
  InvalidRequestError,
  NoSpaceError,
  QuotaExceededError,
  UnavailableError,
  UnknownOutcomeError,
} from '../../../store/index.ts';
import { ApiError, badRequest, internalError } from '../../api/status.ts';
import type { Headers, Reply } from '../types.ts';

export const JSON_TYPE = 'application/json';
const TEXT_TYPE = 'text/plain; charset=utf-8';
const NO_CACHE = { 'cache-control': 'no-cache, private' } as const;

export function jsonReply(status: number, object: unknown, headers: Headers = {}): Reply {
  return bytesReply(status, Buffer.from(`${JSON.stringify(object)}\n`), { 'content-type': JSON_TYPE, ...headers });
}

export function bytesReply(status: number, body: Uint8Array | AsyncIterable<Uint8Array>, headers: Headers): Reply {
  return { status, headers: { ...NO_CACHE, ...headers }, body };
}

export function textReply(status: number, text: string, headers: Headers = {}): Reply {
  return bytesReply(status, Buffer.from(text), {
    'content-type': TEXT_TYPE,
    'x-content-type-options': 'nosniff',
    ...headers,
  });
}

/** What Kubernetes answers for a path that nobody serves. */
export const pageNotFound = (): Reply => textReply(404, '404 page not found\n');

/** Ready JSON bytes of one object in the media type asked for. */
export function objectReply(
  status: number,
  json: Uint8Array,
  mediaType: 'application/json' | 'application/yaml',
): Reply {
  if (mediaType === 'application/yaml') {
    const text = stringifyYaml(JSON.parse(new TextDecoder().decode(json)), { aliasDuplicateObjects: false });
    return bytesReply(status, Buffer.from(text), { 'content-type': 'application/yaml' });
  }
  return bytesReply(status, json, { 'content-type': JSON_TYPE });
}

/** Tells a failure as a Status object. Only `retryAfterSeconds` in its details makes a Retry-After header. */
export function errorReply(error: unknown): Reply {
  const told = toApiError(error);
  const retryAfter = told.details?.retryAfterSeconds;
  return jsonReply(told.code, told.toStatus(), retryAfter ? { 'retry-after': String(retryAfter) } : {});
}

/** Whatever was thrown, as what a client is told. The store's failures keep their meaning: not done, or not known. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof UnavailableError) {
    return new ApiError('ServiceUnavailable', `the store has no quorum or is too busy: ${error.message}`, {
      cause: error,
    });
  }
  if (error instanceof QuotaExceededError || error instanceof NoSpaceError) {
    // Deletes still pass, and puts do again once there is room: as much as etcd's "database space exceeded" says, and more.
    return new ApiError('ServiceUnavailable', `the store has no room: ${error.message}`, { cause: error });
  }
  if (error instanceof UnknownOutcomeError) {
    return new ApiError('Timeout', 'Timeout: the write was sent, and its outcome is not known', { cause: error });
  }
  if (error instanceof FencedError) {
    return new ApiError('Forbidden', 'the leadership under which this write was made has passed', { cause: error });
  }
  if (error instanceof CompactedError) {
    return new ApiError('Expired', 'The resourceVersion for the provided list is too old.', { cause: error });
  }
  if (error instanceof FutureRevisionError) {
    return new ApiError('Timeout', `Timeout: Too large resource version: ${error.message}`, { cause: error });
  }
  if (error instanceof InvalidRequestError) {
    return new ApiError('RequestEntityTooLarge', `Request entity too large: ${error.message}`, { cause: error });
  }
  // What is nested too deep for some step ends the stack; that is the sender's doing, and nothing has been written.
  if (error instanceof RangeError && error.message === STACK_ENDED) return badRequest('exceeded max depth');
  return internalError(error);
}
const STACK_ENDED = 'Maximum call stack size exceeded';
