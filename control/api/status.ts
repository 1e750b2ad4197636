/**
 * Failures as the API tells them: `Status` objects with Kubernetes' reasons, codes and sentences. Whatever goes wrong in
 * a request ends as an {@link ApiError}; callers ask by reason, never by message.
 */
import type { Status, StatusCause, StatusDetails } from './generated/types.ts';

/** metav1.StatusReason, as far as we use it. */
export type Reason =
  | 'BadRequest'
  | 'Unauthorized'
  | 'Forbidden'
  | 'NotFound'
  | 'AlreadyExists'
  | 'Conflict'
  | 'Gone'
  | 'Expired'
  | 'Invalid'
  | 'MethodNotAllowed'
  | 'NotAcceptable'
  | 'RequestEntityTooLarge'
  | 'UnsupportedMediaType'
  | 'Timeout'
  | 'TooManyRequests'
  | 'InternalError'
  | 'ServiceUnavailable'
  | 'ServerTimeout';

const CODES: Readonly<Record<Reason, number>> = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Gone: 410,
  Expired: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  TooManyRequests: 429,
  InternalError: 500,
  ServiceUnavailable: 503,
  ServerTimeout: 500,
  Timeout: 504,
};

/** A failure that a client is told as a Status object. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: number;
  readonly reason: Reason | '';
  readonly details: StatusDetails | undefined;

  constructor(
    reason: Reason | '',
    message: string,
    options: { details?: StatusDetails; code?: number; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.reason = reason;
    this.code = options.code ?? (reason === '' ? 500 : CODES[reason]);
    this.details = options.details;
  }

  /** The object that goes over the wire. */
  toStatus(): Status {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      ...(this.reason && { reason: this.reason }),
      ...(this.details && { details: this.details }),
      code: this.code,
    };
  }

  /** The other way round, for clients. */
  static fromStatus(status: Status): ApiError {
    return new ApiError((status.reason ?? '') as Reason, status.message ?? '', {
      ...(status.details && { details: status.details }),
      ...(status.code && { code: status.code }),
    });
  }
}

/** True if `error` is an {@link ApiError} with this reason. */
export function hasReason(error: unknown, reason: Reason): error is ApiError {
  return error instanceof ApiError && error.reason === reason;
}

/** Which resource an error is about. */
export interface ResourceName {
  readonly group: string;
  /** The plural: `deployments`. */
  readonly resource: string;
}
const qualified = ({ group, resource }: ResourceName) => (group ? `${resource}.${group}` : resource);
const detailsOf = ({ group, resource }: ResourceName, name: string, more: StatusDetails = {}): StatusDetails => ({
  ...(name && { name }),
  ...(group && { group }),
  kind: resource,
  ...more,
});

export const notFound = (resource: ResourceName, name: string) =>
  new ApiError('NotFound', `${qualified(resource)} "${name}" not found`, { details: detailsOf(resource, name) });

export const alreadyExists = (resource: ResourceName, name: string) =>
  new ApiError('AlreadyExists', `${qualified(resource)} "${name}" already exists`, {
    details: detailsOf(resource, name),
  });

/** A name that the server was to make was taken, however often it tried. */
export const nameNotGenerated = (resource: ResourceName, name: string) =>
  new ApiError(
    'AlreadyExists',
    `${qualified(resource)} "${name}" already exists, the server was not able to generate a unique name for the object`,
    { details: detailsOf(resource, name, { retryAfterSeconds: 1 }) },
  );

/** `why` follows the colon, without a full stop. */
export const conflict = (resource: ResourceName, name: string, why: string) =>
  new ApiError('Conflict', `Operation cannot be fulfilled on ${qualified(resource)} "${name}": ${why}`, {
    details: detailsOf(resource, name),
  });

export const OBJECT_MODIFIED =
  'the object has been modified; please apply your changes to the latest version and try again';

export const forbidden = (resource: ResourceName, name: string, why: string, causes?: StatusCause[]) =>
  new ApiError('Forbidden', `${qualified(resource)}${name ? ` "${name}"` : ''} is forbidden: ${why}`, {
    details: detailsOf(resource, name, causes ? { causes } : {}),
  });

export const badRequest = (message: string) => new ApiError('BadRequest', message);
export const expired = (message: string) => new ApiError('Expired', message);
export const internalError = (error: unknown) =>
  new ApiError('InternalError', `Internal error occurred: ${error instanceof Error ? error.message : String(error)}`, {
    details: { causes: [{ message: error instanceof Error ? error.message : String(error) }] },
    cause: error,
  });

/** How a field offends. The names are Kubernetes' `field.ErrorType`s, which clients see as `causes[].reason`. */
export type FieldErrorType =
  | 'FieldValueRequired'
  | 'FieldValueInvalid'
  | 'FieldValueNotSupported'
  | 'FieldValueForbidden'
  | 'FieldValueDuplicate'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'
  | 'FieldValueNotFound'
  | 'FieldValueTypeInvalid'
  | 'InternalError';

/** One thing wrong with one field. `message` is the whole sentence after `field: `, such as `Required value`. */
export interface FieldError {
  readonly type: FieldErrorType;
  /** JSON path in Kubernetes' notation: `spec.containers[0].name`. */
  readonly field: string;
  readonly message: string;
}

/** Validation failed. One error reads `K "n" is invalid: f: m`, several are listed in brackets (apimachinery errors.NewInvalid). */
export function invalid(
  groupKind: { group: string; kind: string },
  name: string,
  errors: readonly FieldError[],
): ApiError {
  const kind = groupKind.group ? `${groupKind.kind}.${groupKind.group}` : groupKind.kind;
  const texts = [...new Set(errors.map(({ field, message }) => `${field}: ${message}`))];
  const list = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
  return new ApiError('Invalid', `${kind} "${name}" is invalid: ${list}`, {
    details: {
      ...(name && { name }),
      ...(groupKind.group && { group: groupKind.group }),
      kind: groupKind.kind,
      causes: errors.map(({ type, field, message }) => ({ reason: type, message, field })),
    },
  });
}
