/**
 * What the query and the body of a request ask besides the object: CreateOptions, UpdateOptions, PatchOptions,
 * ListOptions, DeleteOptions of meta.k8s.io. Wrong values are refused in Kubernetes' words (apimachinery
 * pkg/apis/meta/v1/validation).
 */
import type { DeleteOptions } from '../../api/generated/types.ts';
import { ApiError, badRequest, type FieldError, invalid } from '../../api/status.ts';
import { isTrue } from '../request-info.ts';

export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';
export interface WriteOptions {
  readonly isDryRun: boolean;
  readonly fieldValidation: FieldValidation;
  /** '' if the query names none. */
  readonly fieldManager: string;
}
export type OptionsKind = 'CreateOptions' | 'UpdateOptions' | 'PatchOptions' | 'DeleteOptions' | 'ListOptions';

const FIELD_MANAGER_BYTES_MAX = 128;

/** Reads and checks what a write may ask. Throws 422. */
export function readWriteOptions(
  query: URLSearchParams,
  kind: OptionsKind,
  { isApply = false }: { readonly isApply?: boolean } = {},
): WriteOptions {
  const errors: FieldError[] = [];
  const dryRun = query.getAll('dryRun');
  errors.push(...dryRunErrors(dryRun));
  const fieldManager = query.get('fieldManager') ?? '';
  errors.push(...fieldManagerErrors(fieldManager));
  const validation = query.get('fieldValidation') ?? '';
  if (!['', 'Ignore', 'Strict', 'Warn'].includes(validation)) {
    errors.push(notSupported('fieldValidation', quote(validation), ['', 'Ignore', 'Strict', 'Warn']));
  }
  if (isApply && fieldManager === '') {
    const message = 'Required value: is required for apply patch';
    errors.push({ type: 'FieldValueRequired', field: 'fieldManager', message });
  }
  if (kind === 'PatchOptions' && !isApply && query.has('force')) {
    const message = 'Forbidden: may not be specified for non-apply patch';
    errors.push({ type: 'FieldValueForbidden', field: 'force', message });
  }
  refuse(kind, errors);
  const fieldValidation = validation === '' ? 'Warn' : (validation as FieldValidation); // checked above
  return { isDryRun: dryRun.length > 0, fieldValidation, fieldManager };
}

function refuse(kind: OptionsKind, errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind }, '', errors);
}

function dryRunErrors(values: readonly string[]): FieldError[] {
  if (values.every(value => value === 'All')) return [];
  return [notSupported('dryRun', `[]string{${values.map(quote).join(', ')}}`, ['All'])];
}

function fieldManagerErrors(value: string): FieldError[] {
  if (Buffer.byteLength(value) > FIELD_MANAGER_BYTES_MAX) {
    const message = `Too long: may not be more than ${FIELD_MANAGER_BYTES_MAX} bytes`;
    return [{ type: 'FieldValueTooLong', field: 'fieldManager', message }];
  }
  const at = [...value].findIndex(character => /\p{C}/u.test(character));
  if (at < 0) return [];
  const code = ([...value][at] ?? '').codePointAt(0) ?? 0;
  const shown = value.replaceAll(/\p{C}/gu, c => `\\x${(c.codePointAt(0) ?? 0).toString(16).padStart(2, '0')}`);
  const unicode = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
  const message = `Invalid value: "${shown}": invalid character ${unicode} (at position ${at})`;
  return [{ type: 'FieldValueInvalid', field: 'fieldManager', message }];
}

const quote = (text: string) => JSON.stringify(text);
function notSupported(field: string, shown: string, supported: readonly string[]): FieldError {
  const message = `Unsupported value: ${shown}: supported values: ${supported.map(quote).join(', ')}`;
  return { type: 'FieldValueNotSupported', field, message };
}

/** Which state a read wants. */
export type Freshness =
  | { readonly type: 'consistent' }
  | { readonly type: 'any' }
  | { readonly type: 'notOlderThan'; readonly revision: number }
  | { readonly type: 'exact'; readonly revision: number };

export interface ListOptions {
  readonly labelSelector: string;
  readonly fieldSelector: string;
  /** 0 for all. */
  readonly limit: number;
  readonly continueToken: string;
  readonly freshness: Freshness;
  /** '' if not given. */
  readonly resourceVersion: string;
  readonly timeoutSeconds: number | undefined;
  readonly allowBookmarks: boolean;
  readonly sendInitialEvents: boolean | undefined;
}

/** Reads what a list or a watch asks. Throws 400 for what cannot be read, 422 for what may not be together. */
export function readListOptions(query: URLSearchParams, isWatch: boolean): ListOptions {
  const limit = readInteger(query.get('limit')) ?? 0;
  const timeoutSeconds = readInteger(query.get('timeoutSeconds')) ?? readDuration(query.get('timeout'));
  const resourceVersion = query.get('resourceVersion') ?? '';
  const match = query.get('resourceVersionMatch') ?? '';
  const initial = query.get('sendInitialEvents');
  const sendInitialEvents = initial === null ? undefined : isTrue(initial);
  const continueToken = query.get('continue') ?? '';
  refuse('ListOptions', listErrors({ resourceVersion, match, sendInitialEvents, isWatch }));
  return {
    labelSelector: query.get('labelSelector') ?? '',
    fieldSelector: query.get('fieldSelector') ?? '',
    limit: Math.max(0, limit),
    continueToken,
    freshness: continueToken ? { type: 'consistent' } : readFreshness(resourceVersion, match, limit, isWatch),
    resourceVersion,
    timeoutSeconds,
    allowBookmarks: isTrue(query.get('allowWatchBookmarks')),
    sendInitialEvents,
  };
}

function listErrors(given: {
  resourceVersion: string;
  match: string;
  sendInitialEvents: boolean | undefined;
  isWatch: boolean;
}): FieldError[] {
  const { resourceVersion, match, sendInitialEvents, isWatch } = given;
  const errors: FieldError[] = [];
  const forbid = (field: string, why: string) =>
    errors.push({ type: 'FieldValueForbidden', field, message: `Forbidden: ${why}` });
  const isInitialWatch = isWatch && sendInitialEvents !== undefined;
  if (isInitialWatch) {
    if (match !== 'NotOlderThan') {
      forbid('resourceVersionMatch', 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
    }
  } else if (match !== '') {
    if (resourceVersion === '') {
      forbid('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided');
    }
    if (match !== 'Exact' && match !== 'NotOlderThan') {
      errors.push(notSupported('resourceVersionMatch', quote(match), ['Exact', 'NotOlderThan', '']));
    }
    if (match === 'Exact' && resourceVersion === '0') {
      forbid('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
    }
    if (isWatch) forbid('resourceVersionMatch', 'resourceVersionMatch is forbidden for watch');
  }
  if (!isWatch && sendInitialEvents !== undefined) {
    forbid('sendInitialEvents', 'sendInitialEvents is forbidden for list');
  }
  return errors;
}

function readFreshness(resourceVersion: string, match: string, limit: number, isWatch: boolean): Freshness {
  if (resourceVersion === '') return { type: 'consistent' };
  const revision = readResourceVersion(resourceVersion, isWatch);
  if (match === 'Exact') return { type: 'exact', revision };
  if (revision === 0) return { type: 'any' };
  if (match === '' && limit > 0 && !isWatch) return { type: 'exact', revision };
  return { type: 'notOlderThan', revision };
}

/** The state that a GET of one object wants. */
export function readGetFreshness(query: URLSearchParams): Freshness {
  return readFreshness(query.get('resourceVersion') ?? '', '', 0, false);
}

function readResourceVersion(text: string, isWatch: boolean): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  const why = `resourceVersion: Invalid value: ${quote(text)}: ${parseUintError(text)}`;
  // kube-apiserver loses the reason of this one error on its way.
  if (isWatch) throw new ApiError('', why, { code: 500 });
  throw badRequest(`invalid resource version: ${why}`);
}

/** Go's sentence for a number that cannot be read. */
export function parseUintError(text: string): string {
  return `strconv.ParseUint: parsing ${quote(text)}: invalid syntax`;
}

function readInteger(text: string | null): number | undefined {
  if (text === null || text === '') return undefined;
  if (!/^[+-]?\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing ${quote(text)}: invalid syntax`);
  return Number(text);
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 0.001 };
/** A Go duration such as `6m20s` in seconds. */
/** Seconds of a duration as Go writes it: `1m30s`. Undefined for what is none. */
export function readDuration(text: string | null): number | undefined {
  if (!text || !/^(\d+(\.\d+)?(ms|h|m|s))+$/.test(text)) return undefined;
  let seconds = 0;
  for (const [, amount, , unit] of text.matchAll(/(\d+(\.\d+)?)(ms|h|m|s)/g)) {
    seconds += Number(amount) * (UNIT_SECONDS[unit ?? ''] ?? 0);
  }
  return seconds;
}

export type Propagation = 'Background' | 'Foreground' | 'Orphan';
export interface DeletionOptions {
  readonly isDryRun: boolean;
  readonly gracePeriodSeconds: number | undefined;
  readonly propagation: Propagation | undefined;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
  /** True for a deletion that the server makes on the way of another request. */
  readonly isInternal?: boolean;
}

const POLICIES = ['Foreground', 'Background', 'Orphan'];

/** DeleteOptions come in the body or, where there is none, in the query. Throws 400, 422. */
export function readDeletionOptions(body: DeleteOptions | undefined, query: URLSearchParams): DeletionOptions {
  const options: DeleteOptions = body ?? deleteOptionsOfQuery(query);
  const { propagationPolicy, orphanDependents, dryRun = [] } = options;
  const errors = dryRunErrors(dryRun);
  if (propagationPolicy !== undefined && orphanDependents !== undefined) {
    const message = `Invalid value: ${quote(propagationPolicy)}: orphanDependents and deletionPropagation cannot be both set`;
    errors.push({ type: 'FieldValueInvalid', field: 'propagationPolicy', message });
  } else if (propagationPolicy !== undefined && !POLICIES.includes(propagationPolicy)) {
    errors.push(notSupported('propagationPolicy', quote(propagationPolicy), [...POLICIES, 'nil']));
  }
  refuse('DeleteOptions', errors);
  const orphan = orphanDependents === undefined ? undefined : orphanDependents ? 'Orphan' : 'Background';
  const grace = options.gracePeriodSeconds;
  return {
    isDryRun: dryRun.length > 0,
    // A negative grace period counts as the shortest one.
    gracePeriodSeconds: grace === undefined ? undefined : grace < 0 ? 1 : grace,
    propagation: (propagationPolicy as Propagation | undefined) ?? orphan,
    uid: options.preconditions?.uid,
    resourceVersion: options.preconditions?.resourceVersion,
  };
}

function deleteOptionsOfQuery(query: URLSearchParams): DeleteOptions {
  const grace = readInteger(query.get('gracePeriodSeconds'));
  const policy = query.get('propagationPolicy');
  const orphan = query.get('orphanDependents');
  return {
    dryRun: query.getAll('dryRun'),
    ...(grace !== undefined && { gracePeriodSeconds: grace }),
    ...(policy && { propagationPolicy: policy }),
    ...(orphan !== null && { orphanDependents: isTrue(orphan) }),
  };
}
